//! Steps of workflow definitions (Conductor API: WorkflowTask).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{JoinMode, SubWorkflowParams, TaskDef, TaskType, is_default, null_as_default};

/// One step of a workflow definition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowTask {
    /// The task definition for SIMPLE; for people otherwise.
    pub name: String,
    /// The step's name, unique in the whole definition.
    pub task_reference_name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What the step is.
    #[serde(rename = "type", default, deserialize_with = "null_as_default")]
    pub task_type: TaskType,
    /// The input, with `${…}` expressions.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_parameters: Map<String, Value>,
    /// Seconds before the first attempt.
    #[serde(default, deserialize_with = "null_as_default")]
    pub start_delay: i64,
    /// A failure does not end the workflow.
    #[serde(default, deserialize_with = "null_as_default")]
    pub optional: bool,
    /// A failure ends the workflow only when everything else is done.
    #[serde(default, deserialize_with = "null_as_default")]
    pub permissive: bool,
    /// Stays in progress until it is updated from outside.
    #[serde(default, deserialize_with = "null_as_default")]
    pub async_complete: bool,
    /// Attempts after the first, in place of the task definition's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_count: Option<i32>,
    /// A task definition of this step alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<Box<TaskDef>>,
    /// DYNAMIC: the input key that holds the name of the task to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_task_name_param: Option<String>,
    /// FORK_JOIN: the branches.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub fork_tasks: Vec<Vec<Arc<WorkflowTask>>>,
    /// JOIN, EXCLUSIVE_JOIN: the references to wait for; empty = all branches of the fork before it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub join_on: Vec<String>,
    /// JOIN: kept for SDKs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_status: Option<String>,
    /// JOIN: both modes are the same here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_mode: Option<JoinMode>,
    /// EXCLUSIVE_JOIN: the steps whose output counts when none of `join_on` was scheduled.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub default_exclusive_join_task: Vec<String>,
    /// FORK_JOIN_DYNAMIC: the input key that holds the list of steps to fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_fork_tasks_param: Option<String>,
    /// FORK_JOIN_DYNAMIC: the input key that holds their inputs by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_fork_tasks_input_param_name: Option<String>,
    /// FORK_JOIN_DYNAMIC: the input key that holds steps and inputs together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dynamic_fork_join_tasks_param: Option<String>,
    /// SWITCH, JOIN: how `expression` is read: `value-param` = it names an input key; `javascript`, `graaljs` = a script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluator_type: Option<String>,
    /// SWITCH, JOIN: see `evaluator_type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// DECISION: the input key whose value decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_value_param: Option<String>,
    /// DECISION: a script whose value decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_expression: Option<String>,
    /// LAMBDA: the body of the function, where it is not an input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_expression: Option<String>,
    /// SWITCH, DECISION: what to do for each value.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub decision_cases: BTreeMap<String, Vec<Arc<WorkflowTask>>>,
    /// SWITCH, DECISION: what to do for any other value.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub default_case: Vec<Arc<WorkflowTask>>,
    /// DO_WHILE: a script that says whether another round follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_condition: Option<String>,
    /// DO_WHILE: the steps of a round.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub loop_over: Vec<Arc<WorkflowTask>>,
    /// DO_WHILE: most rounds; one more fails the step. Ours; absent = the engine's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u32>,
    /// DO_WHILE: a list, or an expression that comes to one; a round for each element.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub items: Value,
    /// SUB_WORKFLOW: which workflow to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_workflow_param: Option<Box<SubWorkflowParams>>,
    /// EVENT: where to publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<String>,
    /// Kept for SDKs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limited: Option<bool>,
    /// Kept for SDKs; without effect, as in Conductor.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub on_state_change: Value,
    /// Kept for SDKs; without effect, as in Conductor.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub cache_config: Value,
    /// Kept for SDKs.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

impl WorkflowTask {
    /// The sequences of steps inside this one: branches, cases, rounds.
    pub fn blocks(&self) -> impl Iterator<Item = &Vec<Arc<Self>>> {
        self.fork_tasks.iter().chain(self.decision_cases.values()).chain([&self.default_case, &self.loop_over])
    }
}
