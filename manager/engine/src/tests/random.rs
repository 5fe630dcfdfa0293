//! Random events on random workflows. The harness checks its invariants after each; here a second run, loaded anew before
//! every event, must decide the same.

use std::sync::Arc;

use conductor_model::definition::TaskType;
use conductor_model::{AgentId, Outcome, TaskRecord, Timestamp, WorkflowStatus};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::harness::{Story, snapshot};
use crate::{AgentOutcome, Event, PerformFailure, Plan, WorkerStatus, WorkerUpdate};

/// A step that holds no others; references are given out later.
fn leaf() -> impl Strategy<Value = Value> {
    let simple = (0..6_u8, any::<bool>(), any::<bool>()).prop_map(|(kind, optional, permissive)| {
        json!({"name": format!("t{kind}"), "optional": optional && kind > 2, "permissive": permissive && kind > 3})
    });
    let system = (0..14_u8, any::<bool>(), any::<bool>(), 0..3_i64).prop_map(|(kind, optional, permissive, delay)| {
        let mut step = match kind {
            0 => json!({"type": "NOOP"}),
            1 => json!({"type": "WAIT", "inputParameters": {"duration": "5s"}}),
            2 => json!({"type": "WAIT"}),
            3 => json!({"type": "SET_VARIABLE", "inputParameters": {"v": kind}}),
            4 => json!({"type": "INLINE", "inputParameters": {"expression": "1"}}),
            5 => json!({"type": "HTTP", "inputParameters": {"uri": "http://h", "method": "GET"}, "retryCount": 1}),
            6 => json!({"type": "HUMAN"}),
            7 => json!({"type": "SUB_WORKFLOW", "subWorkflowParam": {"name": "c"}, "retryCount": 1}),
            8 => json!({"type": "EVENT", "sink": "conductor", "asyncComplete": permissive}),
            9 => json!({"type": "DYNAMIC", "dynamicTaskNameParam": "n", "inputParameters": {"n": "t1"}}),
            10 => json!({"type": "START_WORKFLOW", "inputParameters": {"startWorkflow": {"name": "c"}}}),
            11 => json!({"type": "LAMBDA", "scriptExpression": "return 1", "retryCount": 1}),
            12 => json!({"type": "JSON_JQ_TRANSFORM", "inputParameters": {"queryExpression": "."}}),
            _ => json!({"type": "TERMINATE", "inputParameters": {"terminationStatus": if permissive { "FAILED" } else { "COMPLETED" }}}),
        };
        step["name"] = json!("sys");
        step["optional"] = json!(optional && kind.is_multiple_of(3));
        step["permissive"] = json!(permissive && kind % 3 == 1);
        step["startDelay"] = json!(if delay == 2 { 4 } else { 0 });
        step
    });
    prop_oneof![1 => simple, 1 => system]
}

/// A block of steps; references are given out later.
fn block(depth: u32) -> BoxedStrategy<Value> {
    if depth == 0 {
        return prop::collection::vec(leaf(), 1..3).prop_map(Value::from).boxed();
    }
    let inner = block(depth - 1);
    let fork = (prop::collection::vec(inner.clone(), 1..4), any::<bool>(), any::<bool>()).prop_map(|(branches, named, scripted)| {
        json!({"name": "f", "type": "FORK_JOIN", "forkTasks": branches, "named": named, "scripted": scripted})
    });
    let switch = (prop::collection::vec(inner.clone(), 1..3), inner.clone(), 0..4_u8, 0..8_u8).prop_map(|(cases, default, way, form)| {
        let cases: serde_json::Map<String, Value> =
            cases.into_iter().enumerate().map(|(at, case)| (at.to_string(), if at == 2 { json!([]) } else { case })).collect();
        let (decision, script, exclusive) = (form & 1 > 0, form & 2 > 0, form & 4 > 0);
        let mut step = json!({"name": "s", "inputParameters": {"w": way}, "decisionCases": cases, "defaultCase": default, "exclusive": exclusive});
        if decision {
            step["type"] = json!("DECISION");
            step[if script { "caseExpression" } else { "caseValueParam" }] = json!("w");
        } else {
            step["type"] = json!("SWITCH");
            step["expression"] = json!("w");
            step["evaluatorType"] = json!(if script { "javascript" } else { "value-param" });
        }
        step
    });
    let looping = (inner, 0..4_u8, any::<bool>()).prop_map(|(body, kind, optional)| {
        let mut step = json!({"name": "lp", "type": "DO_WHILE", "loopOver": body, "optional": optional});
        if kind < 3 {
            step["loopCondition"] = json!("c");
        }
        if kind > 1 {
            step["items"] = json!([1, 2]);
        }
        if kind.is_multiple_of(2) {
            step["inputParameters"] = json!({"keepLastN": 1});
        }
        step
    });
    let dynamic = (0..3_usize, 0..3_u8, any::<bool>()).prop_map(|(count, kind, scripted)| {
        let list: Vec<usize> = (0..count).collect();
        let input = match kind {
            0 => json!({"forkTaskName": "t1", "forkTaskInputs": list}),
            1 => json!({"forkTaskName": "w", "forkTaskType": "WAIT", "forkTaskInputs": list}),
            _ => json!({"forkTaskWorkflow": "c", "forkTaskInputs": list}),
        };
        json!({"name": "df", "type": "FORK_JOIN_DYNAMIC", "inputParameters": input, "scripted": scripted})
    });
    prop::collection::vec(prop_oneof![3 => leaf(), 2 => fork, 2 => switch, 2 => looping, 1 => dynamic], 1..4)
        .prop_map(Value::from)
        .boxed()
}

/// Whether a join can name the step.
fn can_be_joined(step: &Value) -> bool {
    step.is_object() && step["type"] != json!("FORK_JOIN_DYNAMIC")
}

/// Gives every step a reference, every fork its join, and some switches one that waits for one of their ways.
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
        if let Some(body) = step.get("loopOver").cloned() {
            step["loopOver"] = finish_block(&body, count);
        }
        let mut on = Vec::new();
        let ways = step["decisionCases"].as_object().into_iter().flat_map(|cases| cases.values().map(|case| &case[0]));
        let ways: Vec<Value> =
            ways.filter(|first| can_be_joined(first)).map(|first| first["taskReferenceName"].clone()).collect();
        let otherwise = Some(&step["defaultCase"][0]).filter(|first| can_be_joined(first));
        let otherwise: Vec<Value> = otherwise.map(|first| first["taskReferenceName"].clone()).into_iter().collect();
        let exclusive = step["exclusive"] == json!(true) && !ways.is_empty();
        if let Some(branches) = step.get("forkTasks").and_then(Value::as_array).cloned() {
            let branches: Vec<Value> = branches.iter().map(|branch| finish_block(branch, count)).collect();
            // Named joins wait for the first step of each branch only.
            if step["named"] == json!(true) {
                let first = |branch: &Value| branch[0].clone();
                on = branches.iter().map(first).filter(can_be_joined).map(|step| step["taskReferenceName"].clone()).collect();
            }
            step["forkTasks"] = json!(branches);
        }
        let forks = matches!(step["type"].as_str(), Some("FORK_JOIN" | "FORK_JOIN_DYNAMIC"));
        let scripted = step["scripted"] == json!(true);
        steps.push(step);
        if forks || exclusive {
            *count += 1;
            steps.push(json!({"name": "j", "taskReferenceName": format!("r{count}"), "type": "JOIN", "joinOn": on}));
        }
        let Some(join) = steps.last_mut().filter(|_| forks || exclusive) else { continue };
        if scripted {
            join["expression"] = json!("e");
            join["evaluatorType"] = json!("graaljs");
        }
        if exclusive {
            join["type"] = json!("EXCLUSIVE_JOIN");
            join["joinOn"] = json!(ways);
            join["defaultExclusiveJoinTask"] = json!(otherwise);
        }
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
    if what >= 128 {
        return system_event(story, record, which, what);
    }
    Some(match what % 24 {
        0..=3 => Event::Polled { task, worker: "w".to_owned() },
        4..=8 => update(WorkerStatus::Completed),
        9 => update(WorkerStatus::Failed),
        10 => update(WorkerStatus::InProgress),
        11 | 12 => Event::Assigned { task, agent, incarnation: "i".to_owned(), alternates: Vec::new() },
        13 => Event::Started { task, dispatch, at: story.now },
        14 | 15 => finished(Outcome::Succeeded),
        16 => finished(Outcome::Failed),
        17 => Event::Lost { task, dispatch, reason: "gone".to_owned(), never_begun: which.is_multiple_of(2) },
        18 => Event::TaskTimer { task },
        19 => Event::Renewed { task, dispatch },
        20 => Event::Pause,
        21 | 22 => Event::Resume,
        _ if which.is_multiple_of(100) => Event::TerminateAsFailed { reason: None },
        _ if which.is_multiple_of(50) => Event::Terminate { reason: None },
        _ => Event::WorkflowTimer,
    })
}

/// What the manager, other workflows and people do.
fn system_event(story: &Story, record: &TaskRecord, which: u16, what: u8) -> Option<Event> {
    let (task, turn) = (record.id, record.turn);
    let failure = || Err(PerformFailure { message: "no".to_owned(), terminal: which.is_multiple_of(5) });
    let child = |status| {
        let workflow = record.sub_workflow_id?;
        Some(Event::ChildEnded { task, workflow, status, output: serde_json::Map::new(), reason: None })
    };
    Some(match what % 32 {
        0..=6 => Event::Performed { task, turn, result: Ok(json!(which % 3)) },
        7 => Event::Performed { task, turn, result: Ok(json!(if which.is_multiple_of(2) { "FAILED" } else { "COMPLETED" })) },
        8 | 9 => {
            Event::Performed { task, turn, result: Ok(json!({"statusCode": if which.is_multiple_of(2) { 200 } else { 500 }})) }
        }
        10 => Event::Performed { task, turn, result: failure() },
        11..=13 => child(WorkflowStatus::Completed)?,
        14 => child(WorkflowStatus::Failed)?,
        15 | 16 => Event::ChildStarted { task, workflow: record.sub_workflow_id.unwrap_or_else(|| story.run.workflow().id) },
        17 => Event::ChildRefused { task, reason: "no".to_owned(), terminal: false },
        18 => Event::ChildRevived { task },
        19..=22 => Event::Retry { resume_subworkflows: which.is_multiple_of(2) },
        23 if which.is_multiple_of(3) => Event::Restart { plan: None },
        24 | 25 => Event::Rerun { from: Some(task), task_input: None, workflow_input: None, correlation_id: None },
        29 => Event::RerunChild { task, workflow_input: None, correlation_id: None },
        26 => {
            Event::Skip { reference: format!("r{}", which % 12), input: serde_json::Map::new(), output: serde_json::Map::new() }
        }
        27 => Event::ResetCallbacks,
        28 => Event::SetVariables { variables: super::harness::object(json!({"w": [which]})), append: which.is_multiple_of(2) },
        _ => Event::TaskTimer { task },
    })
}

/// Goes on until the workflow is over: whatever is open is done well. It must come to an end.
fn drive_to_the_end(story: &mut Story) {
    if story.status() == WorkflowStatus::Paused {
        story.event(Event::Resume);
    }
    for _ in 0..2000 {
        if story.status().is_terminal() {
            return;
        }
        let Some(event) = story.run.open_tasks().find_map(|record| good_event(story, record)) else {
            panic!("stuck: {:?}", story.tasks());
        };
        if let Event::TaskTimer { task } = event {
            let due = story.run.task(task).and_then(|record| record.due_at).unwrap_or(story.now);
            story.now = Timestamp(story.now.0.max(due.0));
        }
        story.event(event);
    }
    panic!("no end: {:?}", story.tasks());
}

/// What brings a task to a good end.
fn good_event(story: &Story, record: &TaskRecord) -> Option<Event> {
    let (task, turn) = (record.id, record.turn);
    if record.performing {
        let result = match record.task_type {
            TaskType::Http => json!({"statusCode": 200}),
            TaskType::Join => json!("COMPLETED"),
            _ => json!(false),
        };
        return Some(Event::Performed { task, turn, result: Ok(result) });
    }
    if record.due_at.is_some() {
        return Some(Event::TaskTimer { task });
    }
    match record.task_type {
        TaskType::Simple | TaskType::Wait | TaskType::Human | TaskType::Event => {
            let status = WorkerStatus::Completed;
            let output = super::harness::object(json!({"done": &*record.reference}));
            Some(Event::Updated(WorkerUpdate {
                task,
                status,
                output,
                merge_output: false,
                reason: None,
                worker_id: None,
                callback_after_seconds: 0,
                extend_lease: false,
            }))
        }
        TaskType::SubWorkflow => {
            let workflow = record.sub_workflow_id?;
            Some(Event::ChildEnded {
                task,
                workflow,
                status: WorkflowStatus::Completed,
                output: serde_json::Map::new(),
                reason: None,
            })
        }
        TaskType::StartWorkflow => Some(Event::ChildStarted { task, workflow: story.run.workflow().id }),
        _ => None,
    }
}

/// Whether a script says when the join is done: it may be before what it waits for.
fn scripted(story: &Story, task: &TaskRecord) -> bool {
    task.task_type == TaskType::Join && story.run.step_of(task.id).is_some_and(|step| step.expression.is_some())
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
        // What is in a loop that could be done without may have failed, and what a TERMINATE cuts short is cancelled.
        let well = |task: &TaskRecord| task.retried || task.status.is_successful() || task.iteration > 0;
        let cut_short = kept.run.tasks().any(|task| task.task_type == TaskType::Terminate || scripted(&kept, task));
        prop_assert!(!completed || cut_short || kept.run.tasks().all(well));
    }
}
