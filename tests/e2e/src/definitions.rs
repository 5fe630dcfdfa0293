//! Definitions as the API takes them, short to write.

use serde_json::{Map, Value, json};

/// A task definition that runs an operation of the plugin `work` on agents: one attempt, no timeouts. `more` is laid over it,
/// objects into objects.
#[must_use]
pub fn agent_task(name: &str, operation: &str, more: Value) -> Value {
    let mut definition = json!({
        "name": name, "retryCount": 0, "retryDelaySeconds": 0, "timeoutSeconds": 0, "responseTimeoutSeconds": 3600,
        "agent": {"plugin": "work", "operation": operation},
    });
    lay_over(&mut definition, more);
    definition
}

/// A task definition that waits for polling workers. `more` is laid over it.
#[must_use]
pub fn worker_task(name: &str, more: Value) -> Value {
    let mut definition =
        json!({"name": name, "retryCount": 0, "retryDelaySeconds": 0, "timeoutSeconds": 0, "responseTimeoutSeconds": 3600});
    lay_over(&mut definition, more);
    definition
}

/// A workflow definition, version 1.
#[must_use]
pub fn workflow(name: &str, steps: &[Value]) -> Value {
    json!({"name": name, "version": 1, "tasks": steps, "schemaVersion": 2})
}

/// A step: its task definition, its reference name and its input.
#[must_use]
pub fn step(name: &str, reference: &str, input: Value) -> Value {
    let mut step = Map::new();
    step.insert("name".to_owned(), name.into());
    step.insert("taskReferenceName".to_owned(), reference.into());
    step.insert("type".to_owned(), "SIMPLE".into());
    step.insert("inputParameters".to_owned(), input);
    Value::Object(step)
}

/// A fork of some branches.
#[must_use]
pub fn fork(reference: &str, branches: &[Vec<Value>]) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "type": "FORK_JOIN", "forkTasks": branches})
}

/// A join of some steps.
#[must_use]
pub fn join(reference: &str, on: &[&str]) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "type": "JOIN", "joinOn": on})
}

fn lay_over(target: &mut Value, more: Value) {
    match (target, more) {
        (Value::Object(target), Value::Object(more)) => lay_over_object(target, more),
        (target, more) => *target = more,
    }
}

fn lay_over_object(target: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        lay_over(target.entry(key).or_insert(Value::Null), value);
    }
}
