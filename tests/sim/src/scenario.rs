//! What runs: definitions of every task type, with limits, workers and agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_engine::Plan;
use conductor_model::{PluginRecord, Schedule, Snapshot, TaskDef, TenantName, Timestamp, WorkflowDef};
use conductor_store::{MemoryStore, Store, StoreError};
use serde_json::{Value, json};

/// Most tasks of `narrow` out at once.
pub const NARROW_MAX: usize = 2;
/// Most hand-outs of `slow` in any [`SLOW_WINDOW_MS`].
pub const SLOW_MAX: usize = 3;
/// See [`SLOW_MAX`].
pub const SLOW_WINDOW_MS: i64 = 2_000;
/// Most runs of `turns` that go on at once.
pub const TURNS_MAX: usize = 2;
/// The types that workers poll for.
pub const POLLED: [&str; 4] = ["plain", "narrow", "slow", "brittle"];
/// The workflow that messages start, once for each.
pub const EVENTED: &str = "evented";
/// The workflow that the schedules start.
pub const TICKED: &str = "ticked";
/// Seconds between two moments of the schedules.
pub const TICK_SECONDS: i64 = 7;

/// How long an attempt on an agent may run. Some would hang.
pub const TIMEOUT_SECONDS: i64 = 10;
/// Done by agents, neither begun twice nor tried again: what is lost stays lost.
pub const SOLE: &str = "sole";

/// The tenant of everything.
pub fn tenant() -> TenantName {
    TenantName::default_tenant()
}

fn task_defs() -> Value {
    let often = json!({ "retryCount": 50, "retryDelaySeconds": 1, "responseTimeoutSeconds": 10, "timeoutPolicy": "RETRY" });
    let task = |name: &str, more: Value| {
        let mut task = often.clone();
        if let (Some(task), Some(more)) = (task.as_object_mut(), more.as_object()) {
            task.insert("name".to_owned(), json!(name));
            task.extend(more.clone());
        }
        task
    };
    let agent = |idempotent: bool| json!({ "timeoutSeconds": TIMEOUT_SECONDS, "agent": { "plugin": "p", "operation": "run", "idempotent": idempotent } });
    json!([
        task("plain", json!({})),
        task("narrow", json!({ "concurrentExecLimit": NARROW_MAX })),
        task("slow", json!({ "rateLimitPerFrequency": SLOW_MAX, "rateLimitFrequencyInSeconds": SLOW_WINDOW_MS / 1000 })),
        // A request and a script.
        task("a", json!({ "concurrentExecLimit": 1 })),
        task("l", json!({ "concurrentExecLimit": 1 })),
        task("again", agent(true)),
        task("once", agent(false)),
        task(SOLE, json!({ "retryCount": 0, "agent": { "plugin": "p", "operation": "run", "idempotent": false } })),
        task("brittle", json!({ "retryCount": 0, "responseTimeoutSeconds": 5 })),
    ])
}

fn workflow_defs() -> Value {
    let step = |name: &str, reference: &str| json!({ "name": name, "taskReferenceName": reference });
    let system = |kind: &str, reference: &str, input: Value| json!({ "name": reference, "taskReferenceName": reference, "type": kind, "inputParameters": input });
    let with = |mut step: Value, more: Value| {
        if let (Some(step), Value::Object(more)) = (step.as_object_mut(), more) {
            step.extend(more);
        }
        step
    };
    json!([
        { "name": "line", "tasks": [step("plain", "a"), step("narrow", "b"), step("slow", "c")] },
        { "name": "fan", "tasks": [
            { "name": "fork", "taskReferenceName": "fork", "type": "FORK_JOIN",
              "forkTasks": [[step("plain", "a")], [step("narrow", "b"), step("once", "c")], [step("again", "d")]] },
            { "name": "join", "taskReferenceName": "join", "type": "JOIN", "joinOn": ["a", "c", "d"] },
            step("again", "e") ] },
        { "name": "nest", "tasks": [
            { "name": "sub", "taskReferenceName": "sub", "type": "SUB_WORKFLOW", "subWorkflowParam": { "name": "line" } },
            step("once", "last") ] },
        { "name": "turns", "tasks": [step("plain", "a"), step("again", "b")],
          "rateLimitConfig": { "rateLimitKey": "all", "concurrentExecLimit": TURNS_MAX } },
        { "name": "ways", "tasks": [
            system("INLINE", "i", json!({ "expression": "1", "evaluatorType": "graaljs" })),
            with(system("SWITCH", "s", json!({})), json!({ "evaluatorType": "javascript", "expression": "x", "decisionCases": {
                "0": [step("plain", "a")], "1": [system("TERMINATE", "t", json!({ "terminationStatus": "COMPLETED" }))] },
                "defaultCase": [step("again", "b")] })),
            with(system("DECISION", "d", json!({ "w": "x" })), json!({ "caseValueParam": "w", "decisionCases": { "x": [step("plain", "c")] },
                "defaultCase": [step("plain", "e")] })),
            with(system("EXCLUSIVE_JOIN", "ej", json!({})), json!({ "joinOn": ["c", "e"] })),
            system("JSON_JQ_TRANSFORM", "q", json!({ "queryExpression": ".x" })),
            with(system("LAMBDA", "l", json!({ "scriptExpression": "return 1" })), json!({ "optional": true })) ] },
        { "name": "people", "timeoutSeconds": 600, "timeoutPolicy": "TIME_OUT_WF", "tasks": [
            with(system("FORK_JOIN", "f", json!({})), json!({ "forkTasks": [
                [system("WAIT", "w1", json!({}))], [system("HUMAN", "h", json!({}))],
                [system("WAIT", "w2", json!({ "duration": "5s" })), system("NOOP", "n", json!({}))] ] })),
            with(system("JOIN", "j", json!({})), json!({ "joinOn": ["w1", "h", "n"] })),
            with(step("plain", "last"), json!({ "startDelay": 2 })) ] },
        { "name": "outside", "tasks": [
            with(system("HTTP", "a", json!({ "uri": "http://h/", "method": "GET" })), json!({ "retryCount": 5 })),
            with(system("EVENT", "b", json!({})), json!({ "sink": "conductor", "retryCount": 5 })),
            system("SET_VARIABLE", "v", json!({ "v": "${a.output}" })),
            system("START_WORKFLOW", "c", json!({ "startWorkflow": { "name": "line" } })) ] },
        { "name": "rounds", "tasks": [
            with(system("DO_WHILE", "lp", json!({ "keepLastN": 2 })), json!({ "loopCondition": "x", "evaluatorType": "graaljs",
                "loopOver": [step("plain", "a"), step("again", "b")] })),
            with(system("DYNAMIC", "e", json!({ "n": "plain" })), json!({ "dynamicTaskNameParam": "n" })) ] },
        { "name": "many", "tasks": [
            system("FORK_JOIN_DYNAMIC", "f1", json!({ "forkTaskName": "plain", "forkTaskInputs": [1, 2, 3, 4] })),
            system("JOIN", "j1", json!({})),
            system("FORK_JOIN_DYNAMIC", "f2", json!({ "forkTaskWorkflow": "line", "forkTaskInputs": [1, 2] })),
            system("JOIN", "j2", json!({})) ] },
        { "name": "mourned", "failureWorkflow": "line", "timeoutSeconds": 60, "timeoutPolicy": "TIME_OUT_WF",
          "tasks": [step("brittle", "a"), with(step(SOLE, "b"), json!({ "optional": true })), step("brittle", "c")] },
        { "name": EVENTED, "tasks": [step("again", "a")] },
        { "name": TICKED, "tasks": [step("plain", "a")] },
    ])
}

/// The names that are started.
pub const WORKFLOWS: [&str; 10] = ["line", "fan", "nest", "turns", "ways", "people", "outside", "rounds", "many", "mourned"];

/// A schedule of [`TICKED`] that ends at a moment; it makes up for all moments that it missed, or only for the last.
///
/// # Errors
/// When it cannot be read; then the scenario is wrong.
pub fn schedule(name: &str, makes_up: bool, until: Timestamp) -> Result<Schedule, String> {
    let schedule = json!({
        "name": name,
        "cronExpression": format!("*/{TICK_SECONDS} * * * * *"),
        "runCatchupScheduleInstances": makes_up,
        "scheduleEndTime": until,
        "startWorkflowRequest": { "name": TICKED, "correlationId": name },
    });
    serde_json::from_value(schedule).map_err(|error| error.to_string())
}

/// Stores all definitions, and gives what each workflow runs by.
///
/// # Errors
/// When something does not fit; then the scenario is wrong.
pub fn define(store: &MemoryStore) -> Result<BTreeMap<String, Arc<Plan>>, String> {
    let text = |error: StoreError| error.to_string();
    let tasks: Vec<TaskDef> = serde_json::from_value(task_defs()).map_err(|error| error.to_string())?;
    let workflows: Vec<WorkflowDef> = serde_json::from_value(workflow_defs()).map_err(|error| error.to_string())?;
    store.put_task_defs(&tenant(), tasks.clone()).map_err(text)?;
    store.put_workflow_defs(&tenant(), workflows.clone(), true).map_err(text)?;
    let plugin = PluginRecord {
        tenant: tenant(),
        name: "p".parse().map_err(|_| "plugin name".to_owned())?,
        version: "1.0.0".to_owned(),
        digest: "a".repeat(64).parse().map_err(|_| "digest".to_owned())?,
        size_bytes: 1,
        media_type: "application/gzip".to_owned(),
        manifest: json!({ "operations": { "run": {} } }),
        uploaded_at: Timestamp(0),
    };
    store.put_plugin(plugin).map_err(text)?;
    let known: BTreeMap<String, Arc<TaskDef>> = tasks.into_iter().map(|task| (task.name.clone(), Arc::new(task))).collect();
    let mut plans = BTreeMap::new();
    for workflow in workflows {
        let name = workflow.name.clone();
        let snapshot = Snapshot { digest: format!("digest of {name}"), workflow: Arc::new(workflow), tasks: known.clone() };
        plans.insert(name, Arc::new(Plan::compile(Arc::new(snapshot)).map_err(|error| error.to_string())?));
    }
    Ok(plans)
}
