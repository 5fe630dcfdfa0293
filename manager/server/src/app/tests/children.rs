//! Workflows that start workflows, and limits on how many go on at once.

use conductor_engine::Event;
use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::json;

use super::stage::Stage;
use super::*;
use crate::app::core::{CommandError, UpdateOrder};

/// `parent` runs `child` as its one step; `child` has one step for workers.
fn family() -> Stage {
    let stage = Stage::new();
    let child = json!({ "name": "child", "tasks": [{ "name": "work", "taskReferenceName": "w" }] });
    stage.define(json!([{ "name": "work", "retryCount": 0 }]), child);
    stage.define(json!([]), json!({ "name": "parent", "tasks": [sub("child", &json!({}))] }));
    stage
}

fn sub(name: &str, more: &Value) -> Value {
    let mut param = json!({ "name": name });
    param.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "name": "sub", "taskReferenceName": "sub", "type": "SUB_WORKFLOW", "subWorkflowParam": param,
        "inputParameters": { "x": "${workflow.input.x}" } })
}

fn record(stage: &Stage, id: WorkflowId) -> WorkflowRecord {
    stage.store.workflow(&tenant(), id).unwrap().unwrap()
}

fn tasks(stage: &Stage, id: WorkflowId) -> Vec<TaskRecord> {
    stage.store.workflow_tasks(&tenant(), id, 0, 1000).unwrap()
}

/// The workflow that a workflow's newest task runs.
fn child_of(stage: &Stage, id: WorkflowId) -> WorkflowId {
    tasks(stage, id).last().unwrap().sub_workflow_id.expect("the task has a workflow")
}

fn control(stage: &mut Stage, workflow: WorkflowId, event: Event) {
    stage.ask(|reply| Message::Control { tenant: tenant(), workflow, event, reply }).unwrap();
}

fn take(stage: &mut Stage) -> Vec<TaskId> {
    let mut polled = stage.poll("work", 100, 0);
    stage.round();
    polled.try_recv().unwrap().unwrap().into_iter().map(|handed| handed.task.id).collect()
}

fn fail(stage: &mut Stage, task: TaskId) {
    let update = update(task, WorkerStatus::Failed);
    stage.ask(|reply| Message::Update(UpdateOrder { tenant: tenant(), update, claimed: None, next_for: None, reply })).unwrap();
}

#[test]
fn a_child_starts_with_its_parent_and_its_end_is_heard_of_at_once() {
    let mut stage = family();
    let parent = stage.start("parent");
    let child = child_of(&stage, parent);
    assert_eq!(record(&stage, child).parent_workflow_id, Some(parent));
    let mut stage = stage.killed();
    let work = take(&mut stage);
    stage.complete(work[0]);
    let done = &tasks(&stage, parent)[0];
    assert_eq!((done.status, &done.output["subWorkflowId"]), (TaskStatus::Completed, &json!(child)));
    assert_eq!(record(&stage, parent).status, WorkflowStatus::Completed);
}

#[test]
fn a_child_that_fails_fails_its_parent_and_both_go_on_when_the_parent_is_retried() {
    let mut stage = family();
    let parent = stage.start("parent");
    let child = child_of(&stage, parent);
    let work = take(&mut stage);
    fail(&mut stage, work[0]);
    assert_eq!(record(&stage, child).status, WorkflowStatus::Failed);
    assert_eq!(record(&stage, parent).status, WorkflowStatus::Failed);
    let mut stage = stage.killed();
    control(&mut stage, parent, Event::Retry { resume_subworkflows: true });
    assert_eq!(record(&stage, child).status, WorkflowStatus::Running);
    let work = take(&mut stage);
    stage.complete(work[0]);
    assert_eq!(record(&stage, parent).status, WorkflowStatus::Completed);
}

#[test]
fn a_parent_that_is_over_goes_on_when_its_child_is_retried() {
    let mut stage = family();
    let parent = stage.start("parent");
    let child = child_of(&stage, parent);
    let work = take(&mut stage);
    fail(&mut stage, work[0]);
    control(&mut stage, child, Event::Retry { resume_subworkflows: false });
    assert_eq!(record(&stage, parent).status, WorkflowStatus::Running);
    let mut stage = stage.killed();
    let work = take(&mut stage);
    stage.complete(work[0]);
    assert_eq!(record(&stage, child).status, WorkflowStatus::Completed);
    assert_eq!(record(&stage, parent).status, WorkflowStatus::Completed);
}

#[test]
fn a_workflow_that_is_over_runs_again_from_its_start() {
    let mut stage = family();
    let id = stage.start("child");
    let work = take(&mut stage);
    stage.complete(work[0]);
    control(&mut stage, id, Event::Restart { plan: None });
    assert_eq!(record(&stage, id).status, WorkflowStatus::Running);
    let mut stage = stage.killed();
    let work = take(&mut stage);
    stage.complete(work[0]);
    assert_eq!(record(&stage, id).status, WorkflowStatus::Completed);
    assert_eq!(tasks(&stage, id).len(), 1, "what was before is gone");
}

#[test]
fn ending_a_workflow_ends_all_below_it() {
    let mut stage = family();
    stage.define(json!([]), json!({ "name": "grandparent", "tasks": [sub("parent", &json!({}))] }));
    let grandparent = stage.start("grandparent");
    let parent = child_of(&stage, grandparent);
    let child = child_of(&stage, parent);
    control(&mut stage, grandparent, Event::Terminate { reason: None });
    for id in [grandparent, parent, child] {
        assert_eq!(record(&stage, id).status, WorkflowStatus::Terminated);
        assert!(tasks(&stage, id).iter().all(|task| task.status.is_terminal()));
    }
    assert!(take(&mut stage).is_empty());
}

#[test]
fn a_child_that_cannot_be_started_fails_its_task_with_the_reason() {
    let mut stage = family();
    stage.define(json!([]), json!({ "name": "orphan", "tasks": [sub("nobody", &json!({}))] }));
    let id = stage.start("orphan");
    let failed = &tasks(&stage, id)[0];
    assert!(failed.status.is_terminal() && !failed.status.is_successful());
    assert!(failed.reason.as_deref().unwrap().contains("there is no workflow definition nobody"), "{failed:?}");
    assert_eq!(record(&stage, id).status, WorkflowStatus::Failed);
}

#[test]
fn a_workflow_inside_itself_is_refused_at_a_depth_and_one_that_starts_itself_after_a_chain() {
    let mut stage = family();
    stage.define(json!([]), json!({ "name": "matryoshka", "tasks": [sub("matryoshka", &json!({}))] }));
    let id = stage.start("matryoshka");
    assert_eq!(record(&stage, id).status, WorkflowStatus::Failed);
    let page = conductor_store::Page { before: None, offset: 0, limit: 1000 };
    let all = stage.store.workflows(&tenant(), &Default::default(), page).unwrap();
    assert_eq!(all.len(), crate::app::core::NESTING_MAX);
    let again = json!({ "name": "again", "tasks": [{ "name": "again", "taskReferenceName": "s", "type": "START_WORKFLOW",
        "inputParameters": { "startWorkflow": { "name": "again" } } }] });
    stage.define(json!([]), again);
    let id = stage.start("again");
    assert_eq!(record(&stage, id).status, WorkflowStatus::Completed);
    let all = stage.store.workflows(&tenant(), &Default::default(), page).unwrap();
    assert!(all.iter().all(|workflow| workflow.status.is_terminal()));
    assert!(all.len() < 200, "{}", all.len());
}

#[test]
fn a_failure_workflow_runs_when_a_workflow_ends_badly() {
    let mut stage = family();
    let failing =
        json!({ "name": "failing", "failureWorkflow": "child", "tasks": [{ "name": "work", "taskReferenceName": "w" }] });
    stage.define(json!([]), failing);
    let id = stage.start("failing");
    let work = take(&mut stage);
    fail(&mut stage, work[0]);
    let failed = record(&stage, id);
    assert_eq!(failed.status, WorkflowStatus::Failed);
    let rescue: WorkflowId = failed.output["conductor.failure_workflow"].as_str().unwrap().parse().unwrap();
    let rescue = record(&stage, rescue);
    assert_eq!((rescue.name.as_str(), &rescue.input["workflowId"]), ("child", &json!(id)));
    assert_eq!(take(&mut stage).len(), 1);
}

#[test]
fn parents_that_share_an_idempotency_key_wait_for_the_same_child() {
    let mut stage = family();
    let shared = json!({ "idempotencyKey": "k", "idempotencyStrategy": "RETURN_EXISTING" });
    stage.define(json!([]), json!({ "name": "sharing", "tasks": [sub("child", &shared)] }));
    let (one, two) = (stage.start("sharing"), stage.start("sharing"));
    assert_eq!(child_of(&stage, one), child_of(&stage, two));
    let mut stage = stage.killed();
    let work = take(&mut stage);
    assert_eq!(work.len(), 1);
    stage.complete(work[0]);
    let late = stage.start("sharing");
    for id in [one, two, late] {
        assert_eq!(record(&stage, id).status, WorkflowStatus::Completed);
    }
}

#[test]
fn runs_beyond_the_limit_wait_for_their_turn_also_across_a_restart() {
    let mut stage = Stage::new();
    let limited = json!({ "name": "limited", "tasks": [{ "name": "work", "taskReferenceName": "w" }],
        "rateLimitConfig": { "rateLimitKey": "all", "concurrentExecLimit": 2 } });
    stage.define(json!([]), limited);
    let ids: Vec<_> = (0..5).map(|_| stage.start("limited")).collect();
    let mut done = 0;
    let mut out = take(&mut stage);
    while let Some(task) = out.pop() {
        assert_eq!(out.len() + 1, 2.min(5 - done), "as many go on as may");
        if done == 1 {
            stage = stage.killed();
        }
        stage.complete(task);
        done += 1;
        out.extend(take(&mut stage));
    }
    assert_eq!(done, 5);
    assert!(ids.iter().all(|id| record(&stage, *id).status == WorkflowStatus::Completed));
    let (first, second) = (stage.start("limited"), stage.start("limited"));
    let held = stage.start("limited");
    assert!(record(&stage, held).rate_limited);
    control(&mut stage, held, Event::Terminate { reason: None });
    control(&mut stage, first, Event::Terminate { reason: None });
    assert_eq!(take(&mut stage).len(), 1, "the other one that goes on");
    assert_eq!(record(&stage, second).status, WorkflowStatus::Running);
}

/// A stage with a workflow of one step, of which two runs may go on at once.
fn two_at_once() -> Stage {
    let stage = Stage::new();
    let limited = json!({ "name": "limited", "tasks": [{ "name": "work", "taskReferenceName": "w" }],
        "rateLimitConfig": { "rateLimitKey": "all", "concurrentExecLimit": 2 } });
    stage.define(json!([{ "name": "work", "retryCount": 0 }]), limited);
    stage
}

fn terminate(stage: &mut Stage, id: WorkflowId) {
    control(stage, id, Event::Terminate { reason: None });
}

#[test]
fn a_run_that_is_over_goes_on_again_only_where_there_is_a_place() {
    let mut stage = two_at_once();
    let over = stage.start("limited");
    terminate(&mut stage, over);
    let going = [stage.start("limited"), stage.start("limited")];
    for event in [
        Event::Retry { resume_subworkflows: false },
        Event::Restart { plan: None },
        Event::Rerun { from: None, task_input: None, workflow_input: None, correlation_id: None },
    ] {
        let refused = stage.ask(|reply| Message::Control { tenant: tenant(), workflow: over, event, reply }).unwrap_err();
        assert!(matches!(refused, CommandError::RateLimited { most: 2, .. }), "{refused}");
    }
    assert_eq!(take(&mut stage).len(), 2);
    terminate(&mut stage, going[0]);
    control(&mut stage, over, Event::Retry { resume_subworkflows: false });
    assert_eq!(take(&mut stage).len(), 1);
}

#[test]
fn a_sub_workflow_goes_on_again_only_where_its_parent_can() {
    let mut stage = family();
    let limit = json!({ "rateLimitKey": "all", "concurrentExecLimit": 1 });
    stage.define(json!([]), json!({ "name": "parent", "tasks": [sub("child", &json!({}))], "rateLimitConfig": limit }));
    let over = stage.start("parent");
    let child = child_of(&stage, over);
    let out = take(&mut stage);
    fail(&mut stage, out[0]);
    assert_eq!(record(&stage, over).status, WorkflowStatus::Failed);
    let going = stage.start("parent");
    let retry = || Event::Retry { resume_subworkflows: false };
    let refused = stage.ask(|reply| Message::Control { tenant: tenant(), workflow: child, event: retry(), reply });
    assert!(matches!(refused, Err(CommandError::RateLimited { most: 1, .. })), "{refused:?}");
    terminate(&mut stage, going);
    control(&mut stage, child, retry());
    assert_eq!(record(&stage, over).status, WorkflowStatus::Running);
}

#[test]
fn two_places_that_become_free_at_once_are_both_taken() {
    let mut stage = two_at_once();
    let ids: Vec<_> = (0..4).map(|_| stage.start("limited")).collect();
    for id in &ids[..2] {
        let (reply, _) = tokio::sync::oneshot::channel();
        let event = Event::Terminate { reason: None };
        stage.handle.tell(Message::Control { tenant: tenant(), workflow: *id, event, reply });
    }
    stage.round();
    assert_eq!(take(&mut stage).len(), 2);
}

#[test]
fn a_run_that_was_ended_while_it_waited_can_start_again_and_has_its_turn() {
    let mut stage = two_at_once();
    let ids: Vec<_> = (0..3).map(|_| stage.start("limited")).collect();
    for id in [ids[2], ids[0], ids[1]] {
        terminate(&mut stage, id);
    }
    control(&mut stage, ids[2], Event::Restart { plan: None });
    assert_eq!(take(&mut stage).len(), 1);
}

#[test]
fn a_paused_run_lets_others_have_its_turn_and_has_one_when_it_is_resumed() {
    let mut stage = two_at_once();
    let ids: Vec<_> = (0..4).map(|_| stage.start("limited")).collect();
    control(&mut stage, ids[2], Event::Pause);
    assert_eq!(take(&mut stage).len(), 2);
    terminate(&mut stage, ids[0]);
    assert_eq!(take(&mut stage).len(), 1, "the last one passes the paused one");
    terminate(&mut stage, ids[1]);
    assert_eq!(take(&mut stage).len(), 0);
    control(&mut stage, ids[2], Event::Resume);
    assert_eq!(take(&mut stage).len(), 1);
}

#[test]
fn a_rerun_from_a_task_of_a_sub_workflow_runs_all_around_it_once_more() {
    let mut stage = family();
    let steps = json!([{ "name": "work", "taskReferenceName": "v" }, { "name": "work", "taskReferenceName": "w" }]);
    stage.define(json!([]), json!({ "name": "child", "tasks": steps }));
    let after = json!({ "name": "work", "taskReferenceName": "after" });
    stage.define(json!([]), json!({ "name": "grandparent", "tasks": [sub("parent", &json!({})), after] }));
    let grandparent = stage.start("grandparent");
    let parent = child_of(&stage, grandparent);
    let child = child_of(&stage, parent);
    for _ in 0..3 {
        let out = take(&mut stage);
        stage.complete(out[0]);
    }
    let over = |stage: &Stage| [grandparent, parent, child].map(|id| record(stage, id).status);
    assert_eq!(over(&stage), [WorkflowStatus::Completed; 3]);
    let [kept, from] = [0, 1].map(|at| tasks(&stage, child)[at].id);
    let rerun = |from| Event::Rerun {
        from: Some(from),
        task_input: Some(json!({ "second": true }).as_object().unwrap().clone()),
        workflow_input: None,
        correlation_id: Some("again".to_owned()),
    };
    control(&mut stage, grandparent, rerun(from));
    let mut stage = stage.killed();
    assert_eq!(over(&stage), [WorkflowStatus::Running; 3]);
    assert_eq!(record(&stage, grandparent).correlation_id.as_deref(), Some("again"));
    let references = |stage: &Stage, id| tasks(stage, id).iter().map(|task| task.reference.to_string()).collect::<Vec<_>>();
    assert_eq!(references(&stage, grandparent), ["sub"], "what came behind it is to be done again");
    assert_eq!((references(&stage, child), tasks(&stage, child)[0].id), (vec!["v".to_owned(), "w".to_owned()], kept));
    assert_eq!(tasks(&stage, child)[1].input["second"], true);
    let out = take(&mut stage);
    stage.complete(out[0]);
    assert_eq!(over(&stage)[1..], [WorkflowStatus::Completed; 2]);
    let out = take(&mut stage);
    stage.complete(out[0]);
    assert_eq!(over(&stage), [WorkflowStatus::Completed; 3]);
    let stranger = stage.start("child");
    let foreign = tasks(&stage, stranger)[0].id;
    let event = rerun(foreign);
    let refused = stage.ask(|reply| Message::Control { tenant: tenant(), workflow: grandparent, event, reply });
    assert!(refused.unwrap_err().to_string().contains(&foreign.to_string()));
    assert_eq!(over(&stage), [WorkflowStatus::Completed; 3]);
}

#[test]
fn a_child_that_is_restarted_or_rerun_has_its_parent_go_on() {
    for event in [
        Event::Restart { plan: None },
        Event::Rerun { from: None, task_input: None, workflow_input: None, correlation_id: None },
    ] {
        let mut stage = family();
        let parent = stage.start("parent");
        let child = child_of(&stage, parent);
        let out = take(&mut stage);
        fail(&mut stage, out[0]);
        assert_eq!(record(&stage, parent).status, WorkflowStatus::Failed);
        control(&mut stage, child, event);
        assert_eq!(record(&stage, parent).status, WorkflowStatus::Running);
        let out = take(&mut stage);
        stage.complete(out[0]);
        assert_eq!(record(&stage, parent).status, WorkflowStatus::Completed);
        assert_eq!(child_of(&stage, parent), child, "the same child");
    }
}
