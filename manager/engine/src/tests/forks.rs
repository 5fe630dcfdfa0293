//! FORK_JOIN and JOIN.

use std::fmt::Write as _;

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{Story, simple};

fn join(reference: &str, on: &[&str]) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "type": "JOIN", "joinOn": on})
}

fn fork(reference: &str, branches: &Value) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "type": "FORK_JOIN", "forkTasks": branches})
}

fn start(tasks: &Value) -> Story {
    Story::start(json!({"tasks": tasks}), json!([]), json!({}))
}

#[test]
fn a_join_waits_for_all_branches_and_gathers_their_outputs() {
    let mut story = start(&json!([
        fork("f", &json!([[simple("a1"), simple("a2")], [simple("b")], [simple("quiet")]])),
        join("j", &["a2", "b", "quiet"]),
        {"name": "after", "taskReferenceName": "after", "inputParameters": {"b": "${j.output.b.n}", "a": "${a2.output}"}},
    ]));
    assert_eq!(story.tasks(), ["f COMPLETED", "a1 SCHEDULED", "b SCHEDULED", "quiet SCHEDULED", "j IN_PROGRESS"]);
    story.complete("b", json!({"n": 1}));
    assert_eq!(story.changes, 1, "nothing but the branch's task changed");
    story.complete("a1", json!({}));
    story.complete("quiet", json!({}));
    assert_eq!(story.open(), ["j", "a2"]);
    story.restart();
    story.complete("a2", json!({"n": 2}));
    assert_eq!(story.task("j").status, TaskStatus::Completed);
    assert_eq!(story.task("j").output.as_ref(), &json!({"a2": {"n": 2}, "b": {"n": 1}}));
    assert_eq!(story.task("after").input.as_ref(), &json!({"b": 1, "a": {"n": 2}}));
    story.complete("after", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn an_empty_join_on_waits_for_the_ends_of_all_branches() {
    let mut story = start(&json!([fork("f", &json!([[simple("a1"), simple("a2")], [simple("b")]])), join("j", &[]),]));
    story.complete("a1", json!({"x": 1}));
    story.complete("b", json!({"x": 2}));
    assert_eq!(story.open(), ["j", "a2"]);
    story.complete("a2", json!({"x": 3}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    // The last step's output is the workflow's, although a branch's task was scheduled after the join.
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"a2": {"x": 3}, "b": {"x": 2}}));
}

#[test]
fn both_modes_of_a_join_are_told_at_once() {
    for mode in ["SYNC", "ASYNC"] {
        let mut join = join("j", &["a", "b"]);
        join["joinMode"] = json!(mode);
        let mut story = start(&json!([fork("f", &json!([[simple("a")], [simple("b")]])), join]));
        story.complete("a", json!({}));
        assert_eq!(story.task("j").status, TaskStatus::InProgress, "{mode}");
        story.complete("b", json!({}));
        assert_eq!(story.status(), WorkflowStatus::Completed, "{mode}: with the last branch, and not after a pause");
    }
    let unknown = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinMode": "LATER"});
    let refused = serde_json::from_value::<conductor_model::WorkflowTask>(unknown).unwrap_err().to_string();
    assert!(refused.contains("SYNC") && refused.contains("ASYNC"), "{refused}");
}

#[test]
fn a_join_that_does_not_wait_for_a_branch_lets_it_go_on() {
    let mut story = start(&json!([
        fork("f", &json!([[simple("a")], [simple("slow1"), simple("slow2")]])),
        join("j", &["a"]),
        simple("after"),
    ]));
    story.complete("a", json!({}));
    assert_eq!(story.open(), ["slow1", "after"]);
    story.complete("after", json!({"done": true}));
    assert_eq!(story.status(), WorkflowStatus::Running, "a branch is still open");
    story.complete("slow1", json!({}));
    story.restart();
    story.complete("slow2", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"done": true}));
}

#[test]
fn forks_in_branches_and_joins_on_forks_and_outer_steps() {
    let mut story = start(&json!([
        simple("before"),
        fork(
            "f",
            &json!([
                [fork("g", &json!([[simple("g1")], [simple("g2")]])), join("gj", &[]), simple("g3")],
                [simple("b"), join("bj", &["before", "g"]), simple("b2")],
            ])
        ),
        join("j", &["g3", "b2"]),
    ]));
    story.complete("before", json!({}));
    story.complete("b", json!({}));
    // `bj` waits for what is inside of `g`; `before` is finished already.
    assert_eq!(story.task("bj").status, TaskStatus::InProgress);
    story.complete("g1", json!({}));
    story.restart();
    story.complete("g2", json!({}));
    assert_eq!(story.task("bj").status, TaskStatus::Completed);
    assert_eq!(story.open(), ["j", "g3", "b2"]);
    story.complete("g3", json!({}));
    story.complete("b2", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn ten_thousand_branches_cost_the_same_each() {
    const BRANCHES: usize = 10_000;
    let branches: Vec<Value> = (0..BRANCHES)
        .map(|n| json!([{"name": "t", "taskReferenceName": format!("t{n}"), "inputParameters": {"n": n, "x": "${workflow.input.x}"}}]))
        .collect();
    let plan = {
        let snapshot = super::harness::snapshot(json!({"tasks": [fork("f", &json!(branches)), join("j", &[])]}), json!([]));
        std::sync::Arc::new(crate::Plan::compile(std::sync::Arc::new(snapshot)).unwrap())
    };
    let mut ids = super::harness::Counter(0);
    let request = crate::StartRequest::new(
        conductor_model::WorkflowId(uuid::Uuid::nil()),
        conductor_model::TenantName::default_tenant(),
        super::harness::object(json!({"x": "y"})),
    );
    let mut context = crate::Context { now: super::harness::BEGIN, ids: &mut ids, jitter: 0.0, catalogue: &crate::NoCatalogue };
    let (mut run, decision) = crate::Run::start(plan, request, &mut context);
    assert_eq!(decision.tasks.len(), BRANCHES + 2);
    let mut reference = String::new();
    for n in 0..BRANCHES {
        reference.clear();
        let _ = write!(reference, "t{n}");
        let task = run.latest(&reference).unwrap().id;
        let update = crate::WorkerUpdate {
            task,
            status: crate::WorkerStatus::Completed,
            output: super::harness::object(json!({"n": n})),
            merge_output: false,
            reason: None,
            worker_id: None,
            callback_after_seconds: 0,
            extend_lease: false,
        };
        let decision = run.decide(crate::Event::Updated(update), &mut context).unwrap();
        let last = n + 1 == BRANCHES;
        assert_eq!(decision.tasks.len(), if last { 2 } else { 1 });
        assert!(last || decision.feed.len() == 1);
    }
    assert_eq!(run.workflow().status, WorkflowStatus::Completed);
    assert_eq!(run.workflow().output.as_object().map(serde_json::Map::len), Some(BRANCHES));
}
