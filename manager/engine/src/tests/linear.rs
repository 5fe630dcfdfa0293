//! Steps one after the other.

use conductor_model::{Outcome, TaskRecord, TaskStatus, WorkflowStatus};
use serde_json::json;

use super::harness::{BEGIN, Story, simple};
use crate::{Event, Refusal, WorkerStatus, feed};

fn two_steps() -> Story {
    Story::start(
        json!({
            "tasks": [
                {"name": "greet", "taskReferenceName": "g", "inputParameters": {"who": "${workflow.input.name}"}},
                {"name": "shout", "taskReferenceName": "s", "inputParameters": {"text": "${g.output.text}!", "n": "${workflow.input.n}"}},
            ],
            "inputTemplate": {"n": 3, "name": "nobody"},
            "outputParameters": {"said": "${s.output.text}", "by": "${s.taskId}"},
        }),
        json!([]),
        json!({"name": "ada"}),
    )
}

#[test]
fn a_workflow_runs_its_steps_in_order() {
    let mut story = two_steps();
    assert_eq!(story.run.workflow().revision, 1);
    assert_eq!(story.run.workflow().input.as_ref(), &json!({"name": "ada", "n": 3}));
    assert_eq!(story.tasks(), ["g SCHEDULED"]);
    assert_eq!(story.task("g").input.as_ref(), &json!({"who": "ada"}));

    story.wait(1);
    story.poll("g");
    assert_eq!(story.task("g").status, TaskStatus::InProgress);
    assert_eq!(story.task("g").started_at, Some(BEGIN.plus_seconds(1)));
    assert_eq!((story.task("g").poll_count, story.task("g").worker_id.as_deref()), (1, Some("w1")));

    story.wait(2);
    story.complete("g", json!({"text": "hello ada"}));
    assert_eq!(story.tasks(), ["g COMPLETED", "s SCHEDULED"]);
    assert_eq!(story.task("g").ended_at, Some(BEGIN.plus_seconds(3)));
    assert_eq!(story.task("s").input.as_ref(), &json!({"text": "hello ada!", "n": 3}));
    assert_eq!((story.task("s").seq, story.task("s").priority), (2, 3));

    story.poll("s");
    story.complete("s", json!({"text": "HELLO"}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.run.workflow().ended_at, Some(story.now));
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"said": "HELLO", "by": story.id("s").to_string()}));
    assert_eq!(
        story.feed,
        [
            "workflow.started",
            "task.scheduled",
            "task.started",
            "task.completed",
            "task.scheduled",
            "task.started",
            "task.completed",
            "workflow.completed"
        ]
    );
}

#[test]
fn steps_that_begin_and_end_leave_the_workflows_row_alone_for_a_second() {
    let mut story = two_steps();
    assert!(story.stored_with_it);
    story.poll("g");
    assert!(!story.stored_with_it);
    story.complete("g", json!({"text": "hello ada"}));
    assert_eq!((story.stored_with_it, story.task("s").seq), (false, 2));
    assert_eq!((story.run.workflow().revision, story.run.workflow().updated_at), (1, BEGIN));

    story.wait(1);
    story.poll("s");
    assert!(story.stored_with_it, "its last change is shown to within a second");
    assert_eq!((story.run.workflow().revision, story.run.workflow().updated_at), (2, BEGIN.plus_seconds(1)));

    story.complete("s", json!({"text": "HELLO"}));
    assert!(story.stored_with_it, "it ended");
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn what_is_told_is_written_in_the_order_of_its_names() {
    let written = |feed: crate::Feed| serde_json::to_string(&feed.data).unwrap();
    let mut story = two_steps();
    let task = story.task("g");
    let scheduled = r#"{"attempt":0,"definitionName":"greet","reference":"g","status":"SCHEDULED"}"#;
    assert_eq!(written(feed::task("task.scheduled", task)), scheduled);
    story.poll("g");
    let task = TaskRecord { reason: Some("no \"bread\"".to_owned()), outcome: Some(Outcome::Lost), ..story.task("g").clone() };
    let rest = r#""outcome":"lost","reason":"no \"bread\"","reference":"g","status":"IN_PROGRESS","workerId":"w1"}"#;
    let begin = r#"{"attempt":0,"definitionName":"greet","#;
    assert_eq!(written(feed::task("task.lost", &task)), format!("{begin}{rest}"));
    assert_eq!(written(feed::alert(Some(&task), "late")), format!(r#"{begin}"message":"late",{rest}"#));
    assert_eq!(written(feed::alert(None, "late")), r#"{"message":"late"}"#);
    let told = written(feed::workflow("workflow.started", story.run.workflow()));
    assert_eq!(told, r#"{"name":"story","status":"RUNNING","version":1}"#);
}

#[test]
fn without_output_parameters_the_last_output_is_the_workflows() {
    let mut story = Story::start(json!({"tasks": [simple("a"), simple("b")]}), json!([]), json!({}));
    story.complete("a", json!({"a": 1}));
    story.complete("b", json!({"b": [1, 2]}));
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"b": [1, 2]}));
}

#[test]
fn a_task_of_an_unknown_definition_is_not_tried_again() {
    let mut story = two_steps();
    story.poll("g");
    story.fail("g");
    assert_eq!(story.status(), WorkflowStatus::Failed);
    let reason = format!("Task {} failed with status: FAILED and reason: 'it broke'", story.id("g"));
    assert_eq!(story.run.workflow().reason, Some(reason));
    assert!(story.run.workflow().failed_references.contains("g"));
    assert!(story.run.workflow().failed_task_names.contains("greet"));
}

#[test]
fn a_worker_in_progress_is_polled_again_after_its_callback_time() {
    let mut story = two_steps();
    story.poll("g");
    let mut update = story.worker_update("g", WorkerStatus::InProgress, json!({"half": true}));
    update.callback_after_seconds = 30;
    story.event(Event::Updated(update));
    let g = story.task("g");
    assert_eq!((g.status, g.visible_at, g.callback_after_seconds), (TaskStatus::Scheduled, BEGIN.plus_seconds(30), 30));
    assert_eq!(g.output.as_ref(), &json!({"half": true}));

    let task = story.id("g");
    let poll = Event::Polled { task, worker: "w2".to_owned() };
    assert!(matches!(story.try_event(poll.clone()), Err(Refusal::TaskStatus { .. })));
    story.wait(30);
    story.event(poll);
    let g = story.task("g");
    assert_eq!((g.poll_count, g.callback_after_seconds, g.started_at), (2, 0, Some(BEGIN)));

    let mut update = story.worker_update("g", WorkerStatus::Completed, json!({"other": 1}));
    update.merge_output = true;
    story.event(Event::Updated(update));
    assert_eq!(story.task("g").output.as_ref(), &json!({"half": true, "other": 1}));
}

#[test]
fn extending_the_lease_changes_nothing_else() {
    let mut story = two_steps();
    story.poll("g");
    story.wait(7);
    let mut update = story.worker_update("g", WorkerStatus::Completed, json!({"ignored": true}));
    update.extend_lease = true;
    story.event(Event::Updated(update));
    let g = story.task("g");
    assert_eq!((g.status, g.updated_at), (TaskStatus::InProgress, story.now));
    assert_eq!(g.output.as_ref(), &json!({}));
}

#[test]
fn late_and_strange_reports_are_refused() {
    let mut story = two_steps();
    let unknown = conductor_model::TaskId(uuid::Uuid::nil());
    assert_eq!(
        story.try_event(Event::Polled { task: unknown, worker: "w".to_owned() }),
        Err(Refusal::UnknownTask { task: unknown })
    );
    let task = story.id("g");
    story.poll("g");
    assert!(matches!(
        story.try_event(Event::Polled { task, worker: "w2".to_owned() }),
        Err(Refusal::TaskStatus { status: TaskStatus::InProgress, .. })
    ));
    story.complete("g", json!({}));
    let late = story.worker_update("g", WorkerStatus::Failed, json!({}));
    assert_eq!(story.try_event(Event::Updated(late)), Err(Refusal::TaskOver { task, status: TaskStatus::Completed }));
}

#[test]
fn a_start_delay_hides_the_task() {
    let mut story =
        Story::start(json!({"tasks": [{"name": "a", "taskReferenceName": "a", "startDelay": 20}]}), json!([]), json!({}));
    assert_eq!(story.task("a").visible_at, BEGIN.plus_seconds(20));
    let task = story.id("a");
    assert!(story.try_event(Event::Polled { task, worker: "w".to_owned() }).is_err());
    story.wait(20);
    story.poll("a");
}

#[test]
fn the_definitions_template_fills_what_the_input_lacks() {
    let story = Story::start(
        json!({"tasks": [{"name": "t", "taskReferenceName": "t", "inputParameters": {"a": 1, "b": "${workflow.input.no}"}}]}),
        json!([{"name": "t", "inputTemplate": {"a": 9, "b": 8, "c": "${workflow.input.x}"}}]),
        json!({"x": "given"}),
    );
    assert_eq!(story.task("t").input.as_ref(), &json!({"a": 1, "b": 8, "c": "given"}));
}

#[test]
fn what_is_known_of_a_workflow_and_of_a_step_can_be_asked() {
    let of_workflow = [
        "status",
        "workflowId",
        "parentWorkflowId",
        "parentWorkflowTaskId",
        "workflowType",
        "version",
        "correlationId",
        "reasonForIncompletion",
        "schemaVersion",
        "output",
        "variables",
        "input",
    ];
    let of_step = [
        "taskType",
        "status",
        "referenceTaskName",
        "retryCount",
        "correlationId",
        "pollCount",
        "taskDefName",
        "scheduledTime",
        "startTime",
        "endTime",
        "workflowInstanceId",
        "taskId",
        "reasonForIncompletion",
        "callbackAfterSeconds",
        "workerId",
        "iteration",
        "input",
        "output",
    ];
    let of = |root: &str, keys: &[&str]| {
        let all: serde_json::Map<_, _> =
            keys.iter().map(|key| ((*key).to_owned(), json!(format!("${{{root}.{key}}}")))).collect();
        json!(all)
    };
    let mut asks = simple("asks");
    asks["inputParameters"] = json!({"w": of("workflow", &of_workflow), "t": of("a", &of_step), "whole": "${a}"});
    let mut story =
        Story::start(json!({"tasks": [simple("a"), asks], "version": 4, "variables": {"v": 1}}), json!([]), json!({"i": 1}));
    story.wait(1);
    story.poll("a");
    story.wait(1);
    story.complete("a", json!({"o": 1}));
    let (workflow, task) = (story.run.workflow().id, story.id("a"));
    let asked = story.task("asks").input.clone();
    assert_eq!(
        asked["w"],
        json!({"status": "RUNNING", "workflowId": workflow, "parentWorkflowId": null, "parentWorkflowTaskId": null,
            "workflowType": "story", "version": 4, "correlationId": "order-7", "reasonForIncompletion": null, "schemaVersion": 2,
            "output": {}, "variables": {"v": 1}, "input": {"i": 1}})
    );
    assert_eq!(
        asked["t"],
        json!({"taskType": "a", "status": "COMPLETED", "referenceTaskName": "a", "retryCount": 0, "correlationId": "order-7",
            "pollCount": 1, "taskDefName": "a", "scheduledTime": BEGIN, "startTime": BEGIN.plus_seconds(1),
            "endTime": BEGIN.plus_seconds(2), "workflowInstanceId": workflow, "taskId": task, "reasonForIncompletion": null,
            "callbackAfterSeconds": 0, "workerId": "w1", "iteration": 0, "input": {}, "output": {"o": 1}})
    );
    assert_eq!(asked["whole"], asked["t"]);
}

#[test]
fn domains_and_the_own_id_are_known() {
    let story = Story::start(
        json!({"tasks": [{"name": "domained", "taskReferenceName": "t", "inputParameters": {"me": "${CPEWF_TASK_ID}", "c": "${workflow.correlationId}"}}]}),
        json!([]),
        json!({}),
    );
    assert_eq!(story.task("t").domain.as_deref(), Some("blue"));
    assert_eq!(story.task("t").input.as_ref(), &json!({"me": story.id("t").to_string(), "c": "order-7"}));
}
