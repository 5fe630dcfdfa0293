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
    /// Ours: whether an expression of a step or of the output that finds nothing is a fault; else it comes to null.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub strict_expressions: bool,
    /// Kept for SDKs; without effect, as in Conductor.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub cache_config: Value,
    /// Kept for SDKs; without effect, as in Conductor: nothing is masked.
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

impl WorkflowDef {
    /// Where the definition says something that is kept and has no effect, as in `tasks[0].cacheConfig`.
    #[must_use]
    pub fn without_effect(&self) -> Vec<String> {
        let mut out = Vec::new();
        note(says_something(&self.cache_config), || "cacheConfig".to_owned(), &mut out);
        note(!self.masked_fields.is_empty(), || "maskedFields".to_owned(), &mut out);
        self.each_step(&mut |step, path| {
            note(says_something(&step.cache_config), || format!("{path}.cacheConfig"), &mut out);
            note(says_something(&step.on_state_change), || format!("{path}.onStateChange"), &mut out);
        });
        out
    }

    /// Visits every step on every level, with its place, as in `tasks[2].forkTasks[0][1]`.
    pub fn each_step(&self, visit: &mut dyn FnMut(&WorkflowTask, &str)) {
        each_step(&self.tasks, "tasks", visit);
    }
}

fn each_step(steps: &[Arc<WorkflowTask>], path: &str, visit: &mut dyn FnMut(&WorkflowTask, &str)) {
    for (index, step) in steps.iter().enumerate() {
        let path = format!("{path}[{index}]");
        visit(step, &path);
        for (branch, steps) in step.fork_tasks.iter().enumerate() {
            each_step(steps, &format!("{path}.forkTasks[{branch}]"), visit);
        }
        for (case, steps) in &step.decision_cases {
            each_step(steps, &format!("{path}.decisionCases[{case}]"), visit);
        }
        each_step(&step.default_case, &format!("{path}.defaultCase"), visit);
        each_step(&step.loop_over, &format!("{path}.loopOver"), visit);
    }
}

fn note(is_there: bool, place: impl FnOnce() -> String, out: &mut Vec<String>) {
    if is_there {
        out.push(place());
    }
}

/// SDKs write empty objects for fields that nobody set.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => true,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_without_effect_is_found_wherever_it_stands() {
        let text = r#"{"name":"w","cacheConfig":{},"maskedFields":["password"],"tasks":[
            {"name":"a","taskReferenceName":"a","cacheConfig":{"key":"k","ttlInSecond":5},"onStateChange":{}},
            {"name":"s","taskReferenceName":"s","type":"SWITCH","decisionCases":{"x":[
                {"name":"b","taskReferenceName":"b","onStateChange":{"onStart":[{"type":"t"}]}}]}}]}"#;
        let definition: WorkflowDef = serde_json::from_str(text).unwrap();
        let expected = ["maskedFields", "tasks[0].cacheConfig", "tasks[1].decisionCases[x][0].onStateChange"];
        assert_eq!(definition.without_effect(), expected);
        let back: WorkflowDef = serde_json::from_value(serde_json::to_value(&definition).unwrap()).unwrap();
        assert_eq!(back, definition, "all of it is kept");
    }
}
