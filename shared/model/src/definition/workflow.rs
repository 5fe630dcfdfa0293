//! Workflow definitions (Conductor API: WorkflowDef).

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{RateLimitConfig, SchemaDef, WorkflowTask, is_default, null_as_default};

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
    /// The version of that workflow; absent = the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_workflow_version: Option<i32>,
    /// Always 2.
    #[serde(default = "two", deserialize_with = "null_as_two")]
    pub schema_version: i32,
    /// Whether a completed run may be restarted.
    #[serde(default = "yes", deserialize_with = "null_as_yes")]
    pub restartable: bool,
    /// Kept for SDKs.
    #[serde(default, deserialize_with = "null_as_default")]
    pub workflow_status_listener_enabled: bool,
    /// Kept for SDKs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_status_listener_sink: Option<String>,
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
    /// How many runs may go on at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_config: Option<RateLimitConfig>,
    /// What the input must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<SchemaDef>,
    /// What the output must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<SchemaDef>,
    /// Whether the schemas are enforced.
    #[serde(default = "yes", deserialize_with = "null_as_yes")]
    pub enforce_schema: bool,
    /// Not supported; refused unless empty.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub cache_config: Value,
    /// Not supported; refused unless empty.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub masked_fields: Vec<Value>,
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
