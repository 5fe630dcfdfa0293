//! Event handlers: messages that start, end and change workflows.

use conductor_model::{EventHandler, TaskStatus, WorkflowStatus};
use conductor_store::Putting;
use serde_json::{Map, Value, json};

use super::{World, tenant, two_steps};
use crate::app::AppError;
use crate::app::events::Delivery;
use crate::app::tests::WorkflowId;

fn handler(value: Value) -> EventHandler {
    let mut value = value;
    value["active"] = json!(true);
    serde_json::from_value(value).unwrap()
}

impl World {
    async fn handle(&self, value: Value) {
        self.app.put_event_handlers(&tenant(), vec![handler(value)], Putting::New).await.unwrap();
    }

    async fn message(&self, event: &str, id: Option<&str>, payload: Value) {
        let payload: Map<String, Value> = payload.as_object().unwrap().clone();
        let owner = tenant();
        self.app.deliver_event(Delivery { tenant: Some(&owner), event, message_id: id, payload }).await.unwrap();
    }

    /// Everything that runs or ran, by name.
    async fn runs(&self) -> Vec<WorkflowId> {
        let page = conductor_store::Page { before: None, offset: 0, limit: 100 };
        let list = self.app.read(move |store| store.workflows(&tenant(), &Default::default(), page)).await.unwrap();
        list.into_iter().map(|workflow| workflow.id).collect()
    }
}

#[tokio::test]
async fn a_message_starts_a_workflow_once_however_often_it_comes() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    world
        .handle(json!({ "name": "h", "event": "conductor:shop:orders", "condition": "$.kind == 'new'", "actions": [
            { "action": "start_workflow", "start_workflow": { "name": "two_steps", "correlationId": "${order.id}",
              "input": { "order": "${order}", "text": "order ${order.id}" } } }] }))
        .await;
    for kind in ["old", "new", "new"] {
        world.message("conductor:shop:orders", Some("m-1"), json!({ "kind": kind, "order": { "id": "o-7" } })).await;
    }
    world.message("conductor:shop:others", Some("m-2"), json!({ "kind": "new" })).await;
    let runs = world.runs().await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    let run = world.workflow(runs[0]).await;
    assert_eq!(run.correlation_id.as_deref(), Some("o-7"));
    assert_eq!(run.event.as_deref(), Some("conductor:shop:orders"));
    assert_eq!(run.input["order"], json!({ "id": "o-7" }));
    assert_eq!(run.input["text"], "order o-7");
    assert_eq!(run.input["conductor.event.messageId"], "m-1");
    world.message("conductor:shop:orders", Some("m-3"), json!({ "kind": "new", "order": { "id": "o-8" } })).await;
    assert_eq!(world.runs().await.len(), 2, "another message starts another");
}

#[tokio::test]
async fn messages_complete_and_fail_tasks_and_end_workflows() {
    let world = World::new();
    world.define(json!([{ "name": "first" }, { "name": "second", "retryCount": 0 }]), two_steps()).await;
    let step = |action: &str, reference: &str| {
        json!({ "name": action, "event": format!("conductor:{action}"), "actions": [{ "action": action, "expandInlineJSON": true, action:
            { "workflowId": "${run}", "taskRefName": reference, "output": { "said": "${text.word}" }, "reasonForIncompletion": "no tea" } }] })
    };
    world.handle(step("complete_task", "a")).await;
    world.handle(step("fail_task", "b")).await;
    world
        .handle(json!({ "name": "stop", "event": "conductor:stop", "actions": [
            { "action": "terminate_workflow", "terminate_workflow": { "workflowId": "${run}", "terminationReason": "enough" } }] }))
        .await;
    let run = world.start("two_steps").await;
    world.message("conductor:complete_task", Some("m-1"), json!({ "run": run, "text": "{\"word\": \"hello\"}" })).await;
    let tasks = world.tasks(run).await;
    assert_eq!((tasks[0].status, &tasks[0].output["said"]), (TaskStatus::Completed, &json!("hello")));
    world.message("conductor:fail_task", Some("m-2"), json!({ "run": run })).await;
    world.until(run, "the failure", |workflow, _| workflow.status == WorkflowStatus::Failed).await;
    assert_eq!(world.tasks(run).await[1].reason.as_deref(), Some("no tea"));
    let other = world.start("two_steps").await;
    world.message("conductor:stop", None, json!({ "run": other })).await;
    let ended = world.workflow(other).await;
    assert_eq!((ended.status, ended.reason.as_deref()), (WorkflowStatus::Terminated, Some("enough")));
}

#[tokio::test]
async fn messages_set_variables_and_put_lists_behind_lists_where_that_is_said() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let set = |name: &str, append: Value| {
        json!({ "name": name, "event": format!("conductor:{name}"), "actions": [{ "action": "update_workflow_variables",
            "update_workflow_variables": { "workflowId": "${run}", "variables": { "seen": ["${n}"] }, "appendArray": append } }] })
    };
    world.handle(set("replaces", Value::Null)).await;
    world.handle(set("appends", json!(true))).await;
    let run = world.start("two_steps").await;
    for (event, n) in [("replaces", 1), ("appends", 2), ("appends", 3)] {
        world.message(&format!("conductor:{event}"), None, json!({ "run": run, "n": n })).await;
    }
    assert_eq!(world.workflow(run).await.variables["seen"], json!([1, 2, 3]));
    world.message("conductor:replaces", None, json!({ "run": run, "n": 4 })).await;
    assert_eq!(world.workflow(run).await.variables["seen"], json!([4]));
}

#[tokio::test]
async fn what_cannot_be_done_is_skipped_and_the_rest_done() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    world
        .handle(json!({ "name": "h", "event": "conductor:q", "actions": [
            { "action": "complete_task", "complete_task": { "workflowId": "nonsense", "taskRefName": "a" } },
            { "action": "start_workflow", "start_workflow": { "name": "nosuch" } },
            { "action": "start_workflow", "start_workflow": { "name": "two_steps" } }] }))
        .await;
    world.message("conductor:q", Some("m"), json!({})).await;
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test]
async fn handlers_are_checked_completely_and_survive_a_restart() {
    let world = World::new();
    let bad =
        handler(json!({ "name": "h", "event": "kafka:topic", "condition": "if (", "actions": [{ "action": "fail_task" }] }));
    let error = world.app.put_event_handlers(&tenant(), vec![bad], Putting::New).await.unwrap_err();
    let AppError::Invalid { violations, .. } = error else { panic!("{error:?}") };
    let paths: Vec<_> = violations.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["actions[0].fail_task", "event", "condition"]);
    world
        .handle(json!({ "name": "h", "event": "conductor:q", "actions": [
        { "action": "start_workflow", "start_workflow": { "name": "two_steps" } }] }))
        .await;
    let world = world.restarted();
    world.app.refresh_events().await.unwrap();
    assert_eq!(world.app.event_handlers(&tenant(), Some("conductor:q"), true).len(), 1);
    world.app.delete_event_handler(&tenant(), "h").await.unwrap();
    assert!(world.app.event_handlers(&tenant(), None, false).is_empty());
    assert!(matches!(world.app.delete_event_handler(&tenant(), "h").await, Err(AppError::NotFound { .. })));
}
