//! Random events on random workflows. The harness checks its invariants after each; here a second run, loaded anew before
//! every event, must decide the same.

use std::sync::Arc;

use conductor_model::{AgentId, Outcome, TaskStatus, Timestamp, WorkflowStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::harness::{Story, snapshot};
use crate::{AgentOutcome, Event, Plan, WorkerStatus, WorkerUpdate};

/// A block of steps; references are given out later.
fn block(depth: u32) -> BoxedStrategy<Value> {
    let simple = (0..6_u8, any::<bool>(), any::<bool>()).prop_map(|(kind, optional, permissive)| {
        json!({"name": format!("t{kind}"), "optional": optional && kind > 2, "permissive": permissive && kind > 3})
    });
    if depth == 0 {
        return prop::collection::vec(simple, 1..3).prop_map(Value::from).boxed();
    }
    let inner = block(depth - 1);
    let fork = (prop::collection::vec(inner.clone(), 1..4), any::<bool>())
        .prop_map(|(branches, named)| json!({"name": "f", "type": "FORK_JOIN", "forkTasks": branches, "named": named}));
    let switch = (prop::collection::vec(inner.clone(), 1..3), inner, 0..4_u8).prop_map(|(cases, default, way)| {
        let cases: serde_json::Map<String, Value> =
            cases.into_iter().enumerate().map(|(at, case)| (at.to_string(), if at == 2 { json!([]) } else { case })).collect();
        json!({"name": "s", "type": "SWITCH", "expression": "w", "inputParameters": {"w": way}, "decisionCases": cases, "defaultCase": default})
    });
    prop::collection::vec(prop_oneof![3 => simple, 2 => fork, 2 => switch], 1..4).prop_map(Value::from).boxed()
}

/// Gives every step a reference, and every fork its join.
fn finish_block(block: &Value, count: &mut u32) -> Value {
    let mut steps = Vec::new();
    for step in block.as_array().into_iter().flatten() {
        let mut step = step.clone();
        *count += 1;
        step["taskReferenceName"] = json!(format!("r{count}"));
        if let Some(cases) = step.get("decisionCases").and_then(Value::as_object).cloned() {
            step["decisionCases"] = cases.iter().map(|(key, case)| (key.clone(), finish_block(case, count))).collect();
            step["defaultCase"] = finish_block(&step["defaultCase"].clone(), count);
        }
        let Some(branches) = step.get("forkTasks").and_then(Value::as_array).cloned() else {
            steps.push(step);
            continue;
        };
        let branches: Vec<Value> = branches.iter().map(|branch| finish_block(branch, count)).collect();
        // Named joins wait for the first step of each branch only.
        let firsts: Vec<Value> = branches.iter().map(|branch| branch[0]["taskReferenceName"].clone()).collect();
        let on = if step["named"] == json!(true) { firsts } else { Vec::new() };
        step["forkTasks"] = json!(branches);
        steps.push(step);
        *count += 1;
        steps.push(json!({"name": "j", "taskReferenceName": format!("r{count}"), "type": "JOIN", "joinOn": on}));
    }
    Value::from(steps)
}

fn definitions() -> Value {
    json!([
        {"name": "t0", "retryCount": 2, "retryDelaySeconds": 1, "responseTimeoutSeconds": 10},
        {"name": "t1", "retryCount": 1, "pollTimeoutSeconds": 20, "timeoutPolicy": "RETRY", "agent": {"plugin": "p", "operation": "o"}},
        {"name": "t2", "retryCount": 9, "totalTimeoutSeconds": 60, "responseTimeoutSeconds": 9, "retryLogic": "LINEAR_BACKOFF", "retryDelaySeconds": 2,
         "agent": {"plugin": "p", "operation": "o", "idempotent": true}},
        {"name": "t3", "retryCount": 1, "timeoutSeconds": 15, "responseTimeoutSeconds": 15, "timeoutPolicy": "ALERT_ONLY"},
        {"name": "t4", "retryCount": 0, "timeoutSeconds": 30, "responseTimeoutSeconds": 15},
    ])
}

/// One random choice: which task, what happens, how much time passes first.
type Pick = (u16, u8, u8);

fn event(story: &Story, (which, what, _): Pick) -> Option<Event> {
    let open: Vec<_> = story.run.open_tasks().collect();
    let any: Vec<_> = story.run.tasks().collect();
    // Now and then a task that may be over.
    let pool = if what % 16 == 15 || open.is_empty() { any } else { open };
    let record = pool.get(usize::from(which) % pool.len().max(1))?;
    let (task, dispatch) = (record.id, record.agent.as_ref().map_or(0, |part| part.dispatch));
    let update = |status| {
        Event::Updated(WorkerUpdate {
            task,
            status,
            output: super::harness::object(json!({"n": which})),
            merge_output: false,
            reason: None,
            worker_id: None,
            callback_after_seconds: 2,
            extend_lease: false,
        })
    };
    let finished = |outcome| {
        let outcome = AgentOutcome { outcome, output: serde_json::Map::new(), reason: None, started_at: None };
        Event::Finished { task, dispatch, outcome }
    };
    let agent: AgentId = "a1".parse().ok()?;
    Some(match what % 24 {
        0..=3 => Event::Polled { task, worker: "w".to_owned() },
        4..=8 => update(WorkerStatus::Completed),
        9 => update(WorkerStatus::Failed),
        10 => update(WorkerStatus::InProgress),
        11 | 12 => Event::Assigned { task, agent, incarnation: "i".to_owned(), alternates: Vec::new() },
        13 => Event::Started { task, dispatch, at: story.now },
        14 | 15 => finished(Outcome::Succeeded),
        16 => finished(Outcome::Failed),
        17 => Event::Lost { task, dispatch, reason: "gone".to_owned(), never_begun: which % 2 == 0 },
        18 => Event::TaskTimer { task },
        19 => Event::Renewed { task, dispatch },
        20 => Event::Pause,
        21 | 22 => Event::Resume,
        _ if which % 50 == 0 => Event::Terminate { reason: None },
        _ => Event::WorkflowTimer,
    })
}

/// Goes on until the workflow is over: whatever is open is polled or placed and completed. It must come to an end.
fn drive_to_the_end(story: &mut Story) {
    if story.status() == WorkflowStatus::Paused {
        story.event(Event::Resume);
    }
    for _ in 0..2000 {
        if story.status().is_terminal() {
            return;
        }
        let next = story.run.open_tasks().find(|task| task.task_type == conductor_model::definition::TaskType::Simple);
        let next = next.unwrap_or_else(|| panic!("stuck: {:?}", story.tasks()));
        let reference = next.reference.to_string();
        story.now = Timestamp(story.now.0.max(next.visible_at.0));
        story.complete(&reference, json!({"done": reference}));
    }
    panic!("no end: {:?}", story.tasks());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn memory_and_records_agree_and_nothing_gets_stuck(
        workflow in block(2),
        picks in prop::collection::vec((any::<u16>(), any::<u8>(), 0..4_u8), 0..80),
    ) {
        let tasks = finish_block(&workflow, &mut 0);
        let definition = json!({"tasks": tasks, "timeoutSeconds": 200, "timeoutPolicy": "TIME_OUT_WF"});
        let plan = Arc::new(Plan::compile(Arc::new(snapshot(definition, definitions()))).unwrap());
        let mut kept = Story::start_plan(Arc::clone(&plan), json!({}));
        let mut loaded = Story::start_plan(plan, json!({}));
        for pick in picks {
            kept.wait(i64::from(pick.2));
            loaded.now = kept.now;
            loaded.restart();
            if let Some(event) = event(&kept, pick) {
                prop_assert_eq!(kept.try_event(event.clone()), loaded.try_event(event));
                prop_assert!(kept.run.tasks().eq(loaded.run.tasks()));
                prop_assert_eq!(kept.run.workflow(), loaded.run.workflow());
                prop_assert_eq!(&kept.effects, &loaded.effects);
            }
        }
        drive_to_the_end(&mut kept);
        prop_assert!(kept.run.tasks().all(|task| task.status.is_terminal()));
        let completed = kept.status() == WorkflowStatus::Completed;
        prop_assert!(!completed || kept.run.tasks().all(|task| task.retried || task.status.is_successful()));
        prop_assert!(kept.run.tasks().all(|task| task.status != TaskStatus::Skipped));
    }
}
