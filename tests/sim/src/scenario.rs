//! What runs: definitions that use limits, branches, sub-workflows and agents.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_engine::Plan;
use conductor_model::{PluginRecord, Snapshot, TaskDef, TenantName, Timestamp, WorkflowDef};
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
pub const POLLED: [&str; 3] = ["plain", "narrow", "slow"];

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
    let agent = |idempotent: bool| json!({ "agent": { "plugin": "p", "operation": "run", "idempotent": idempotent } });
    json!([
        task("plain", json!({})),
        task("narrow", json!({ "concurrentExecLimit": NARROW_MAX })),
        task("slow", json!({ "rateLimitPerFrequency": SLOW_MAX, "rateLimitFrequencyInSeconds": SLOW_WINDOW_MS / 1000 })),
        task("again", agent(true)),
        task("once", agent(false)),
    ])
}

fn workflow_defs() -> Value {
    let step = |name: &str, reference: &str| json!({ "name": name, "taskReferenceName": reference });
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
    ])
}

/// The names that are started.
pub const WORKFLOWS: [&str; 4] = ["line", "fan", "nest", "turns"];

/// Stores all definitions, and gives what each workflow runs by.
///
/// # Errors
/// When something does not fit; then the scenario is wrong.
pub fn define(store: &MemoryStore) -> Result<BTreeMap<&'static str, Arc<Plan>>, String> {
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
    for (name, workflow) in WORKFLOWS.into_iter().zip(workflows) {
        let snapshot = Snapshot { digest: format!("digest of {name}"), workflow: Arc::new(workflow), tasks: known.clone() };
        plans.insert(name, Arc::new(Plan::compile(Arc::new(snapshot)).map_err(|error| error.to_string())?));
    }
    Ok(plans)
}
