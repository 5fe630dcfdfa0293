//! Workflow definitions (Conductor API: WorkflowDef, WorkflowTask).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{TaskDef, null_as_default};

/// What a step is. The engine has one file per type; a type that it does not know is refused at registration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskType {
    /// Work for a worker or an agent.
    #[default]
    Simple,
    /// Starts its branches in parallel.
    ForkJoin,
    /// Waits for branches.
    Join,
    /// Takes one of several ways, by a value.
    Switch,
}

impl TaskType {
    /// The type as the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "SIMPLE",
            Self::ForkJoin => "FORK_JOIN",
            Self::Join => "JOIN",
            Self::Switch => "SWITCH",
        }
    }
}

/// What a workflow's timeout does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WorkflowTimeoutPolicy {
    /// The workflow ends as timed out.
    TimeOutWf,
    /// An alert is raised; the workflow goes on.
    #[default]
    AlertOnly,
}

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
    pub task_definition: Option<TaskDef>,
    /// FORK_JOIN: the branches.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub fork_tasks: Vec<Vec<Arc<WorkflowTask>>>,
    /// JOIN: the references to wait for; empty = all branches of the fork before it.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub join_on: Vec<String>,
    /// SWITCH: how `expression` is read: `value-param` = it names an input key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluator_type: Option<String>,
    /// SWITCH: see `evaluator_type`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// SWITCH: what to do for each value.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub decision_cases: BTreeMap<String, Vec<Arc<WorkflowTask>>>,
    /// SWITCH: what to do for any other value.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub default_case: Vec<Arc<WorkflowTask>>,
}

/// What a workflow does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowDef {
    /// The name it is started by.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// From 1; the highest is started where none is named.
    #[serde(default = "one", deserialize_with = "null_as_one")]
    pub version: i32,
    /// The steps, in order. Not empty.
    pub tasks: Vec<Arc<WorkflowTask>>,
    /// Names of inputs, for documentation and forms.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_parameters: Vec<Value>,
    /// The output, with `${…}` expressions; empty = the last task's output.
    #[serde(default, deserialize_with = "null_as_default")]
    pub output_parameters: Map<String, Value>,
    /// A workflow to start when this one ends badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_workflow: Option<String>,
    /// Always 2.
    #[serde(default = "two", deserialize_with = "null_as_two")]
    pub schema_version: i32,
    /// Whether a completed run may be restarted.
    #[serde(default = "yes", deserialize_with = "null_as_yes")]
    pub restartable: bool,
    /// Kept for SDKs.
    #[serde(default, deserialize_with = "null_as_default")]
    pub workflow_status_listener_enabled: bool,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_email: Option<String>,
    /// The application it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_app: Option<String>,
    /// Longest run in seconds; 0 = no limit.
    #[serde(default, deserialize_with = "null_as_default")]
    pub timeout_seconds: i64,
    /// What the timeout does.
    #[serde(default, deserialize_with = "null_as_default")]
    pub timeout_policy: WorkflowTimeoutPolicy,
    /// Variables at the start.
    #[serde(default, deserialize_with = "null_as_default")]
    pub variables: Map<String, Value>,
    /// Fills input keys that are absent.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_template: Map<String, Value>,
    /// Kept for SDKs.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// When it was first stored, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<i64>,
    /// When it was last stored, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_time: Option<i64>,
    /// Who stored it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who stored it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

fn one() -> i32 {
    1
}
fn two() -> i32 {
    2
}
fn yes() -> bool {
    true
}

macro_rules! null_as {
    ($name:ident, $default:ident, $type:ty) => {
        fn $name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            Ok(Option::<$type>::deserialize(deserializer)?.unwrap_or_else($default))
        }
    };
}
null_as!(null_as_one, one, i32);
null_as!(null_as_two, two, i32);
null_as!(null_as_yes, yes, bool);
