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
    /// One-shot process that prints less than the log of a task may hold.
    Flood,
    /// One-shot process that prints far more.
    Deluge,
}

impl Step {
    /// Name of its task definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneShot => "bench_oneshot",
            Self::Stamp => "bench_stamp",
            Self::Persistent => "bench_persistent",
            Self::Flood => "bench_flood",
            Self::Deluge => "bench_deluge",
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
    let plugins = [
        (Step::OneShot, ONE_SHOT, "noop"),
        (Step::Stamp, ONE_SHOT, "stamp"),
        (Step::Persistent, PERSISTENT, "noop"),
        (Step::Flood, ONE_SHOT, "flood-15"),
        (Step::Deluge, ONE_SHOT, "flood-256"),
    ];
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
    let singles = [Step::OneShot, Step::Stamp, Step::Persistent, Step::Flood, Step::Deluge];
    let singles = singles.map(|step| workflow(&step.single(), &json!([simple(step, "only")])));
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

/// Steps of the workflow that polling workers do: the number that others have published a figure for.
pub const SDK_STEPS: usize = 13;

/// Name of the task definition of one such step.
#[must_use]
pub fn sdk_task(step: usize) -> String {
    format!("bench_worker_{step}")
}

/// Name of the workflow of that many such steps in sequence.
#[must_use]
pub fn sdk_workflow(steps: usize) -> String {
    format!("bench_worker_sequence_{steps}")
}

/// Task definitions for polling workers.
#[must_use]
pub fn worker_tasks() -> Vec<Value> {
    (0..SDK_STEPS).map(|step| json!({"name": sdk_task(step), "retryCount": 0, "responseTimeoutSeconds": 120})).collect()
}

/// Name of the workflow that forks into as many branches as its input says.
pub const DYNAMIC_FORK: &str = "bench_dynamic_fork";
/// Name of the workflow that loops.
pub const LOOP: &str = "bench_loop";
/// Rounds of the loop.
pub const LOOP_ROUNDS: usize = 10_000;
/// Name of the workflow that waits for a time that its input says.
pub const WAIT: &str = "bench_wait";

/// Workflow definitions that need no agent.
#[must_use]
pub fn worker_workflows() -> Vec<Value> {
    let sequence = |steps: usize| {
        let tasks: Vec<Value> = (0..steps)
            .map(|step| json!({"name": sdk_task(step), "taskReferenceName": format!("s{step}"), "type": "SIMPLE", "inputParameters": {"x": "${workflow.input.x}"}}))
            .collect();
        workflow(&sdk_workflow(steps), &json!(tasks))
    };
    let fork = json!([
        {"name": "fork", "taskReferenceName": "fork", "type": "FORK_JOIN_DYNAMIC",
         "inputParameters": {"tasks": "${workflow.input.tasks}", "inputs": "${workflow.input.inputs}"},
         "dynamicForkTasksParam": "tasks", "dynamicForkTasksInputParamName": "inputs"},
        {"name": "join", "taskReferenceName": "join", "type": "JOIN"},
    ]);
    let rounds = json!([
        {"name": "loop", "taskReferenceName": "loop", "type": "DO_WHILE", "inputParameters": {"rounds": LOOP_ROUNDS},
         "loopCondition": "$.loop.iteration < $.rounds",
         "loopOver": [{"name": "nothing", "taskReferenceName": "nothing", "type": "NOOP"}], "keepLastN": 10},
    ]);
    let wait = json!([
        {"name": "wait", "taskReferenceName": "wait", "type": "WAIT", "inputParameters": {"duration": "${workflow.input.duration}"}},
    ]);
    let others = [workflow(DYNAMIC_FORK, &fork), workflow(LOOP, &rounds), workflow(WAIT, &wait)];
    [sequence(1), sequence(SDK_STEPS)].into_iter().chain(others).collect()
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
