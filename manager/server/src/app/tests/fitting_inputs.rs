//! Input schemas that a definition enforces, wherever its workflow is started from.

use conductor_engine::Event;
use conductor_model::{FeedEntry, ScheduleRunState, TaskStatus, WorkflowStatus};
use conductor_store::Page;
use serde_json::{Value, json};

use super::stage::Stage;
use super::*;
use crate::app::definitions::compile;

/// How a refusal begins.
const UNFIT: &str = "workflow strict cannot be started: the input does not fit its schema: input/n";

/// `strict` takes a whole number `n`, and has one step for workers. What its template gives counts as given.
fn strict() -> Value {
    json!({ "name": "strict", "enforceSchema": true, "inputTemplate": { "unit": "mm" },
        "inputSchema": { "name": "s", "data": { "type": "object", "required": ["n", "unit"],
            "properties": { "n": { "type": "integer" }, "unit": { "type": "string" } } } },
        "tasks": [{ "name": "work", "taskReferenceName": "w" }] })
}

/// A stage with `strict`, and another workflow.
fn stage_with(other: Value) -> Stage {
    let stage = Stage::new();
    stage.define(json!([{ "name": "work", "retryCount": 0 }, { "name": "starter", "retryCount": 3 }]), strict());
    stage.define(json!([]), other);
    stage
}

fn runs_of(stage: &Stage, name: &str) -> Vec<WorkflowRecord> {
    let page = Page { before: None, offset: 0, limit: 100 };
    let all = stage.store.workflows(&tenant(), &Default::default(), page).unwrap();
    all.into_iter().filter(|run| run.name == name).collect()
}

fn feed(store: &dyn Store, kind: &str) -> Vec<FeedEntry> {
    let all = store.feed(&tenant(), 0, 1000).unwrap();
    all.into_iter().filter(|entry| entry.kind == kind).collect()
}

#[test]
fn a_task_that_starts_a_workflow_with_a_wrong_input_fails_for_good_and_says_why() {
    let sub = |n: Value| {
        json!({ "name": "starter", "taskReferenceName": "s", "type": "SUB_WORKFLOW",
        "subWorkflowParam": { "name": "strict" }, "inputParameters": { "n": n } })
    };
    let start = |n: Value| {
        json!({ "name": "starter", "taskReferenceName": "s", "type": "START_WORKFLOW",
        "inputParameters": { "startWorkflow": { "name": "strict", "input": { "n": n } } } })
    };
    for step in [&sub as &dyn Fn(Value) -> Value, &start] {
        let mut stage = stage_with(json!({ "name": "outer", "tasks": [step(json!("many"))] }));
        let outer = stage.start("outer");
        let run = stage.store.workflow(&tenant(), outer).unwrap().unwrap();
        let tasks = stage.store.workflow_tasks(&tenant(), outer, 0, 100).unwrap();
        assert_eq!(run.status, WorkflowStatus::Failed);
        // Its definition has retries: none is made, for the input would be the same.
        assert_eq!((tasks.len(), tasks[0].status), (1, TaskStatus::FailedWithTerminalError));
        let reason = tasks[0].reason.as_deref().unwrap();
        assert!(reason.starts_with(UNFIT), "{reason}");
        assert!(runs_of(&stage, "strict").is_empty());

        let mut stage = stage_with(json!({ "name": "outer", "tasks": [step(json!(5))] }));
        stage.start("outer");
        assert_eq!(runs_of(&stage, "strict").len(), 1, "what fits is started");
    }
}

#[test]
fn a_failure_workflow_that_the_failure_does_not_fit_is_not_started_and_an_alert_says_why() {
    let failing = json!({ "name": "failing", "failureWorkflow": "strict", "tasks": [{ "name": "bad", "taskReferenceName": "b",
        "type": "TERMINATE", "inputParameters": { "terminationStatus": "FAILED" } }] });
    let mut stage = stage_with(failing);
    let id = stage.start("failing");
    assert_eq!(stage.store.workflow(&tenant(), id).unwrap().unwrap().status, WorkflowStatus::Failed);
    assert!(runs_of(&stage, "strict").is_empty());
    let alerts = feed(stage.store.as_ref(), "workflow.alert");
    let details = alerts[0].data.parse();
    let message = details["message"].as_str().unwrap();
    assert!(message.contains("failure workflow strict was not started"), "{message}");
    assert!(message.contains(r#"cannot be started: the input does not fit its schema: input "n" is a required"#), "{message}");
}

#[test]
fn a_schedule_that_starts_with_a_wrong_input_notes_why_nothing_was_started() {
    for (n, state, started) in [(json!("many"), ScheduleRunState::Failed, 0), (json!(5), ScheduleRunState::Executed, 1)] {
        let mut stage = stage_with(json!({ "name": "other", "tasks": [{ "name": "work", "taskReferenceName": "w" }] }));
        let schedule = json!({ "name": "s", "cronExpression": "0/10 * * * * *",
            "startWorkflowRequest": { "name": "strict", "input": { "n": n } } });
        let schedule = Box::new(serde_json::from_value(schedule).unwrap());
        stage.ask(|reply| Message::PutSchedule { tenant: tenant(), schedule, reply }).unwrap();
        stage.pass_ms(10_000);
        stage.round();
        let runs = stage.store.schedule_runs(&tenant(), None, 10).unwrap();
        assert_eq!((runs.len(), runs[0].state), (1, state));
        assert_eq!(runs_of(&stage, "strict").len(), started);
        if started == 0 {
            let reason = runs[0].reason.as_deref().unwrap();
            assert!(reason.starts_with(UNFIT), "{reason}");
        }
    }
}

#[test]
fn what_runs_once_more_is_held_to_the_schema_like_what_starts() {
    let mut stage = stage_with(json!({ "name": "other", "tasks": [{ "name": "work", "taskReferenceName": "w" }] }));
    let id = stage.start("strict");
    let status = |stage: &Stage| stage.store.workflow(&tenant(), id).unwrap().unwrap().status;
    let control =
        |stage: &mut Stage, event| stage.ask(|reply| Message::Control { tenant: tenant(), workflow: id, event, reply });
    let rerun = |n: Value| {
        let workflow_input = Some(Map::from_iter([("n".to_owned(), n)]));
        Event::Rerun { from: None, task_input: None, workflow_input, correlation_id: None }
    };
    control(&mut stage, Event::Terminate { reason: None }).unwrap();
    let refused = control(&mut stage, rerun(json!("many"))).unwrap_err().to_string();
    assert!(refused.starts_with(UNFIT), "{refused}");
    assert_eq!(status(&stage), WorkflowStatus::Terminated, "nothing was begun");
    control(&mut stage, rerun(json!(5))).unwrap();
    assert_eq!(status(&stage), WorkflowStatus::Running);

    // A newer definition wants a text, and the run has a number.
    let mut newer = strict();
    newer["version"] = json!(2);
    newer["inputSchema"]["data"]["properties"]["n"]["type"] = json!("string");
    stage.define(json!([]), newer);
    let newest = stage.store.workflow_def(&tenant(), "strict", None).unwrap().unwrap();
    let plan = Arc::new(compile(stage.store.as_ref(), &tenant(), newest).unwrap().unwrap());
    control(&mut stage, Event::Terminate { reason: None }).unwrap();
    let refused = control(&mut stage, Event::Restart { plan: Some(plan) }).unwrap_err().to_string();
    assert!(refused.starts_with(UNFIT), "{refused}");
    assert_eq!(status(&stage), WorkflowStatus::Terminated);
    control(&mut stage, Event::Restart { plan: None }).unwrap();
    assert_eq!(status(&stage), WorkflowStatus::Running, "by its own definition it fits");
}

#[test]
fn a_schema_that_is_nowhere_is_said_to_be_missing() {
    let mut stage = stage_with(json!({ "name": "outer", "tasks": [{ "name": "starter", "taskReferenceName": "s",
        "type": "SUB_WORKFLOW", "subWorkflowParam": { "name": "named" } }] }));
    let named = json!({ "name": "named", "enforceSchema": true, "inputSchema": { "name": "gone", "version": 3 },
        "tasks": [{ "name": "work", "taskReferenceName": "w" }] });
    stage.define(json!([]), named);
    let outer = stage.start("outer");
    let tasks = stage.store.workflow_tasks(&tenant(), outer, 0, 100).unwrap();
    let reason = tasks[0].reason.as_deref().unwrap();
    assert!(reason.contains("schema gone version 3 of the input is not there"), "{reason}");
}

#[tokio::test]
async fn an_event_that_would_start_with_a_wrong_input_is_told_in_the_feed() {
    let world = World::new();
    world.define(json!([{ "name": "work" }]), strict()).await;
    let handler = json!({ "name": "h", "event": "conductor:q", "active": true, "actions": [
        { "action": "start_workflow", "start_workflow": { "name": "strict", "input": { "n": "${n}" } } }] });
    let handler = serde_json::from_value(handler).unwrap();
    world.app.put_event_handlers(&tenant(), vec![handler], conductor_store::Putting::New).await.unwrap();
    let owner = tenant();
    for (id, n) in [("m-1", json!("many")), ("m-2", json!(5))] {
        let payload = Map::from_iter([("n".to_owned(), n)]);
        let delivery =
            crate::app::events::Delivery { tenant: Some(&owner), event: "conductor:q", message_id: Some(id), payload };
        world.app.deliver_event(delivery).await.unwrap();
    }
    let page = Page { before: None, offset: 0, limit: 100 };
    let runs = world.store.workflows(&tenant(), &Default::default(), page).unwrap();
    assert_eq!(runs.iter().map(|run| &run.input["n"]).collect::<Vec<_>>(), [&json!(5)]);
    let told = feed(world.store.as_ref(), "event.action-failed");
    let details = told[0].data.parse();
    let reason = details["reason"].as_str().unwrap();
    assert!(told.len() == 1 && reason.contains("the input does not fit its schema: input/n"), "{told:?}");
}
