//! Workflows that workflows start.

use conductor_model::{IdempotencyStrategy, TaskStatus, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{Story, object, simple, violations};
use crate::{Effect, Event, Refusal};

fn sub(params: Value) -> Value {
    json!({"name": "sub", "taskReferenceName": "sub", "type": "SUB_WORKFLOW", "subWorkflowParam": params,
        "inputParameters": {"n": "${workflow.input.n}"}})
}

fn start(step: Value) -> Story {
    Story::start(json!({"tasks": [step, simple("after")]}), json!([]), json!({"n": 7, "which": "picked"}))
}

fn ended(story: &Story, status: WorkflowStatus, output: Value) -> Event {
    let task = story.task("sub");
    let reason = (status != WorkflowStatus::Completed).then(|| "the child broke".to_owned());
    let workflow = task.sub_workflow_id.expect("a child");
    Event::ChildEnded { task: task.id, workflow, status, output: object(output), reason }
}

#[test]
fn a_sub_workflow_is_ordered_awaited_and_its_output_taken_over() {
    let mut story = start(sub(
        json!({"name": "${workflow.input.which}", "version": 3, "priority": "5", "idempotencyKey": "k-${workflow.input.n}",
        "idempotencyStrategy": "RETURN_EXISTING", "taskToDomain": {"*": "green"}}),
    ));
    let order = story.child().expect("an order");
    assert_eq!((order.name.as_str(), order.version, order.priority), ("picked", Some(3), 5));
    assert_eq!(order.input, object(json!({"n": 7})));
    assert_eq!(order.idempotency, Some(("k-7".to_owned(), IdempotencyStrategy::ReturnExisting)));
    assert_eq!(order.task_to_domain["*"], "green");
    assert_eq!(order.correlation_id.as_deref(), Some("order-7"));
    assert_eq!(order.parent, Some((story.run.workflow().id, story.id("sub"))));
    let shown = story.task("sub").input.clone();
    assert_eq!(
        (&shown["subWorkflowName"], &shown["subWorkflowVersion"], &shown["workflowInput"]),
        (&json!("picked"), &json!(3), &json!({"n": 7}))
    );
    assert_eq!(story.task("sub").output["subWorkflowId"], json!(order.id));
    let (task, workflow) = (story.id("sub"), order.id);
    story.event(Event::ChildStarted { task, workflow });
    story.restart();
    let event = ended(&story, WorkflowStatus::Completed, json!({"x": 1}));
    story.event(event.clone());
    assert_eq!(story.task("sub").output.as_ref(), &json!({"x": 1, "subWorkflowId": workflow}));
    assert_eq!(story.open(), ["after"]);
    assert!(story.effects.is_empty(), "the child knows that it is over");
    assert!(matches!(story.try_event(event), Err(Refusal::TaskOver { .. })));
}

#[test]
fn what_is_not_said_of_a_child_is_as_of_its_parent() {
    let story = start(sub(json!({"name": "c"})));
    let order = story.child().expect("an order");
    assert_eq!((order.version, order.priority, order.correlation_id.as_deref()), (None, 3, Some("order-7")));
    assert_eq!((order.task_to_domain["domained"].as_str(), &order.idempotency), ("blue", &None));
}

#[test]
fn domains_and_strategy_of_a_child_may_be_expressions() {
    let params = json!({"name": "c", "taskToDomain": "${workflow.input.domains}", "idempotencyKey": "k",
        "idempotencyStrategy": "${workflow.input.strategy}"});
    let start = |input: Value| Story::start(json!({"tasks": [sub(params.clone())]}), json!([]), input);
    let story = start(json!({"domains": {"t": "blue"}, "strategy": "FAIL_ON_RUNNING"}));
    let order = story.child().expect("an order");
    assert_eq!(order.task_to_domain["t"], "blue");
    assert_eq!(order.idempotency, Some(("k".to_owned(), IdempotencyStrategy::FailOnRunning)));
    let story = start(json!({"domains": {}, "strategy": "PERHAPS"}));
    assert_eq!(story.task("sub").status, TaskStatus::FailedWithTerminalError);
    assert!(story.task("sub").reason.as_deref().unwrap().contains("idempotencyStrategy"), "{:?}", story.task("sub").reason);
    let wrong = json!({"name": "c", "taskToDomain": "blue", "idempotencyStrategy": "PERHAPS"});
    let found = violations(json!({"tasks": [sub(wrong)]}));
    let paths: Vec<&str> = found.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["tasks[0].subWorkflowParam.taskToDomain", "tasks[0].subWorkflowParam.idempotencyStrategy"]);
}

#[test]
fn a_child_that_ends_badly_ends_its_task_the_same_way() {
    for (status, task, workflow) in [
        (WorkflowStatus::Failed, TaskStatus::Failed, WorkflowStatus::Failed),
        (WorkflowStatus::Terminated, TaskStatus::Canceled, WorkflowStatus::Terminated),
        (WorkflowStatus::TimedOut, TaskStatus::TimedOut, WorkflowStatus::TimedOut),
    ] {
        let mut story = start(sub(json!({"name": "c"})));
        let event = ended(&story, status, json!({}));
        story.event(event);
        assert_eq!((story.task("sub").status, story.status()), (task, workflow));
        assert_eq!(story.task("sub").reason.as_deref(), Some("the child broke"));
    }
}

#[test]
fn another_attempt_is_another_child() {
    let mut step = sub(json!({"name": "c"}));
    step["retryCount"] = json!(1);
    let mut story = start(step);
    let first = story.child().expect("an order").id;
    let event = ended(&story, WorkflowStatus::Failed, json!({}));
    story.event(event.clone());
    let second = story.child().expect("a second order").id;
    assert_ne!(first, second);
    assert!(matches!(story.try_event(event), Err(Refusal::TaskOver { .. })));
}

#[test]
fn ending_the_task_ends_the_child() {
    let mut story = start(sub(json!({"name": "c"})));
    let workflow = story.child().expect("an order").id;
    story.event(Event::Terminate { reason: None });
    assert_eq!(story.effects, [Effect::TerminateWorkflow { workflow, reason: "the workflow is TERMINATED".to_owned() }]);
}

#[test]
fn a_child_that_cannot_start_fails_its_task() {
    let mut story = start(sub(json!({"name": "c"})));
    let task = story.id("sub");
    story.event(Event::ChildRefused { task, reason: "there is no workflow `c`".to_owned(), terminal: false });
    assert_eq!(story.task("sub").reason.as_deref(), Some("there is no workflow `c`"));
    assert_eq!(story.status(), WorkflowStatus::Failed);
    assert!(story.effects.is_empty());
}

#[test]
fn a_definition_can_be_given_in_place() {
    let definition = json!({"name": "inner", "tasks": [{"name": "t", "taskReferenceName": "t", "inputParameters": {"x": "${workflow.input.x}"}}]});
    let story = start(sub(json!({"workflowDefinition": definition})));
    let order = story.child().expect("an order");
    assert_eq!(order.name, "inner");
    let inner = order.definition.as_ref().expect("its definition");
    assert_eq!(inner.tasks[0].input_parameters["x"], "${workflow.input.x}", "its expressions are its own");
    let mut bad = Story::start(
        json!({"tasks": [sub(json!({"name": "c", "workflowDefinition": "${workflow.input.d}"}))]}),
        json!([]),
        json!({"d": {"name": 1}}),
    );
    assert_eq!(bad.task("sub").status, TaskStatus::FailedWithTerminalError);
    bad.restart();
    assert!(!violations(json!({"tasks": [sub(json!({"workflowDefinition": {"name": "x"}}))]})).is_empty());
    let twice = json!({"name": "inner", "tasks": [simple("t"), simple("t")]});
    let found = violations(json!({"tasks": [sub(json!({"workflowDefinition": twice}))]}));
    assert_eq!(found[0].path, "tasks[0].subWorkflowParam.workflowDefinition.tasks[1].taskReferenceName");
}

#[test]
fn a_started_workflow_is_not_awaited() {
    let step = json!({"name": "sub", "taskReferenceName": "sub", "type": "START_WORKFLOW", "inputParameters": {"startWorkflow":
        {"name": "${workflow.input.which}", "input": {"a": "${workflow.input.n}"}, "correlationId": "mine"}}});
    let mut story = start(step);
    let order = story.child().expect("an order");
    assert_eq!(
        (order.name.as_str(), &order.input["a"], order.parent, order.correlation_id.as_deref()),
        ("picked", &json!(7), None, Some("mine"))
    );
    let (task, workflow) = (story.id("sub"), order.id);
    story.restart();
    story.event(Event::ChildStarted { task, workflow });
    assert_eq!(story.task("sub").output.as_ref(), &json!({"workflowId": workflow}));
    assert_eq!(story.open(), ["after"]);
    let wrong = json!({"name": "sub", "taskReferenceName": "sub", "type": "START_WORKFLOW", "inputParameters": {"startWorkflow": {"input": {}}}});
    assert_eq!(start(wrong).task("sub").status, TaskStatus::Failed);
}

#[test]
fn a_failure_workflow_hears_what_happened() {
    let workflow =
        json!({"tasks": [simple("a")], "failureWorkflow": "cleanup", "failureWorkflowVersion": 2, "inputTemplate": {"k": "v"}});
    let mut story = Story::start(workflow.clone(), json!([]), json!({"n": 7}));
    story.fail("a");
    let order = story.child().expect("an order");
    assert_eq!((order.name.as_str(), order.version, order.parent), ("cleanup", Some(2), None));
    let (input, own) = (&order.input, story.run.workflow());
    assert_eq!((&input["n"], &input["k"], &input["workflowId"]), (&json!(7), &json!("v"), &json!(own.id)));
    assert_eq!((&input["failureStatus"], &input["failureTaskId"]), (&json!("FAILED"), &json!(story.id("a"))));
    assert_eq!(input["reason"], json!(own.reason));
    assert_eq!(input["failedWorkflow"]["tasks"][0]["referenceTaskName"], "a");
    assert_eq!(own.output["conductor.failure_workflow"], json!(order.id));
    let mut story = Story::start(workflow.clone(), json!([]), json!({}));
    story.event(Event::Terminate { reason: None });
    assert!(story.child().is_none(), "not for what people end");
    let mut story = Story::start(workflow, json!([]), json!({}));
    story.event(Event::TerminateAsFailed { reason: Some("not wanted".to_owned()) });
    let order = story.child().expect("unless they ask for it");
    assert_eq!((&order.input["failureStatus"], &order.input["reason"]), (&json!("TERMINATED"), &json!("not wanted")));
    assert_eq!(story.run.workflow().output["conductor.failure_workflow"], json!(order.id));
}

#[test]
fn a_failure_workflow_can_be_named_by_the_input() {
    let step =
        json!({"name": "x", "taskReferenceName": "x", "type": "TERMINATE", "inputParameters": {"terminationStatus": "FAILED"}});
    let workflow = json!({"tasks": [step], "failureWorkflow": "$workflow.input.cleanup"});
    let story = Story::start(workflow.clone(), json!([]), json!({"cleanup": "mine"}));
    assert_eq!(story.child().map(|order| order.name.as_str()), Some("mine"));
    assert!(Story::start(workflow, json!([]), json!({})).child().is_none());
}

#[test]
fn a_retried_child_revives_its_parent() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[sub(json!({"name": "c"}))], [simple("b")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = Story::start(json!({"tasks": [fork, join, simple("after")]}), json!([]), json!({}));
    let event = ended(&story, WorkflowStatus::Failed, json!({}));
    story.event(event);
    assert_eq!(story.status(), WorkflowStatus::Failed);
    let task = story.id("sub");
    story.event(Event::ChildRevived { task });
    assert_eq!((story.status(), story.id("sub")), (WorkflowStatus::Running, task), "it waits for the same child");
    assert_eq!(story.attempts("b"), [TaskStatus::Canceled, TaskStatus::Scheduled]);
    story.restart();
    let event = ended(&story, WorkflowStatus::Completed, json!({}));
    story.event(event);
    story.complete("b", json!({}));
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn a_child_that_is_run_again_from_within_is_waited_for_again() {
    let branch = json!([sub(json!({"name": "c"})), simple("behind")]);
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[simple("b")], branch]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = Story::start(json!({"tasks": [fork, join, simple("after")]}), json!([]), json!({}));
    story.complete("b", json!({"kept": true}));
    let event = ended(&story, WorkflowStatus::Completed, json!({"n": 1}));
    story.event(event);
    let (task, workflow) = (story.id("sub"), story.task("sub").sub_workflow_id.unwrap());
    let again = || Event::RerunChild { task, workflow_input: None, correlation_id: Some("second".to_owned()) };
    assert!(matches!(story.try_event(again()), Err(Refusal::WorkflowStatus { .. })), "it is not over");
    story.complete("behind", json!({}));
    story.complete("after", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    story.event(again());
    assert_eq!((story.status(), story.open()), (WorkflowStatus::Running, vec!["sub".to_owned(), "j".to_owned()]));
    assert_eq!(story.task("sub").output.as_ref(), &json!({"subWorkflowId": workflow}), "it is the same child");
    assert_eq!(story.attempts("b"), [TaskStatus::Completed], "what was before it stays");
    assert_eq!(story.run.workflow().correlation_id.as_deref(), Some("second"));
    story.restart();
    let event = ended(&story, WorkflowStatus::Completed, json!({"n": 2}));
    story.event(event);
    story.complete("behind", json!({}));
    assert_eq!(story.task("j").output["b"], json!({"kept": true}));
    story.complete("after", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.task("sub").output["n"], 2);
}

#[test]
fn a_retry_can_go_down_into_the_child() {
    let mut story = start(sub(json!({"name": "c"})));
    let event = ended(&story, WorkflowStatus::Failed, json!({}));
    story.event(event);
    let (task, workflow) = (story.id("sub"), story.task("sub").sub_workflow_id.unwrap());
    story.event(Event::Retry { resume_subworkflows: true });
    assert_eq!(story.effects, [Effect::RetryWorkflow { workflow, task }]);
    assert_eq!(story.open(), ["sub"]);
    story.restart();
    story.event(Event::ChildRefused { task, reason: "it is gone".to_owned(), terminal: false });
    assert_eq!(story.status(), WorkflowStatus::Failed);
    story.event(Event::Retry { resume_subworkflows: false });
    assert_ne!(story.child().expect("a new child").id, workflow);
}

#[test]
fn ids_of_children_are_the_same_each_time_and_never_the_same_for_two() {
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..10_000_u128 {
        let task = conductor_model::TaskId(uuid::Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_0000_0000 + n));
        let id: WorkflowId = crate::child::id_of(task);
        assert_eq!(id, crate::child::id_of(task));
        assert_eq!(id.as_bytes()[..8], task.as_bytes()[..8], "close to its parent in every index");
        assert!(seen.insert(id));
    }
}
