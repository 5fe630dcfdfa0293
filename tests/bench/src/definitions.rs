//! The definitions that are measured.

use serde_json::{Value, json};

use crate::plugin::{ONE_SHOT, PERSISTENT};

/// Branches of the workflows that throughput is measured with.
pub const BRANCHES: usize = 50;
/// Numbers of branches that the cost per task is measured at.
pub const FORK_SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One-shot process that ends at once.
    OneShot,
    /// One-shot process that says when it began.
    Stamp,
    /// Persistent process.
    Persistent,
}

impl Step {
    /// Name of its task definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneShot => "bench_oneshot",
            Self::Stamp => "bench_stamp",
            Self::Persistent => "bench_persistent",
        }
    }

    /// Name of the workflow of one such step.
    #[must_use]
    pub fn single(self) -> String {
        format!("{}_single", self.name())
    }

    /// Name of the workflow of that many such steps in parallel.
    #[must_use]
    pub fn fork(self, branches: usize) -> String {
        format!("{}_fork_{branches}", self.name())
    }
}

/// All task definitions. Nothing is retried: a failure must be seen.
#[must_use]
pub fn tasks() -> Vec<Value> {
    let plugins = [(Step::OneShot, ONE_SHOT, "noop"), (Step::Stamp, ONE_SHOT, "stamp"), (Step::Persistent, PERSISTENT, "noop")];
    let task = |(step, plugin, operation): (Step, &str, &str)| {
        json!({
            "name": step.name(), "retryCount": 0, "timeoutSeconds": 120, "responseTimeoutSeconds": 120,
            "agent": {"plugin": plugin, "operation": operation, "idempotent": true},
        })
    };
    plugins.into_iter().map(task).collect()
}

/// All workflow definitions.
#[must_use]
pub fn workflows() -> Vec<Value> {
    let steps = [Step::OneShot, Step::Stamp, Step::Persistent];
    let singles = steps.map(|step| workflow(&step.single(), &json!([simple(step, "only")])));
    let forks = steps.map(|step| fork(step, BRANCHES));
    let sizes = FORK_SIZES.map(|branches| fork(Step::Persistent, branches));
    singles.into_iter().chain(forks).chain(sizes).collect()
}

fn simple(step: Step, reference: &str) -> Value {
    json!({"name": step.name(), "taskReferenceName": reference, "type": "SIMPLE", "inputParameters": {}})
}

fn workflow(name: &str, tasks: &Value) -> Value {
    json!({"name": name, "version": 1, "schemaVersion": 2, "timeoutSeconds": 0, "tasks": tasks})
}

fn fork(step: Step, branches: usize) -> Value {
    let references: Vec<String> = (0..branches).map(|branch| format!("b{branch}")).collect();
    let forked: Vec<Value> = references.iter().map(|reference| json!([simple(step, reference)])).collect();
    let tasks = json!([
        {"name": "fork", "taskReferenceName": "fork", "type": "FORK_JOIN", "forkTasks": forked},
        {"name": "join", "taskReferenceName": "join", "type": "JOIN", "joinOn": references},
    ]);
    workflow(&step.fork(branches), &tasks)
}

#[cfg(test)]
mod tests {
    use conductor_model::{TaskDef, WorkflowDef};

    use super::*;

    #[test]
    fn all_definitions_are_valid() {
        for task in tasks() {
            let task: TaskDef = serde_json::from_value(task).unwrap();
            assert_eq!(task.validate(), []);
        }
        for workflow in workflows() {
            serde_json::from_value::<WorkflowDef>(workflow).unwrap();
        }
    }
}
