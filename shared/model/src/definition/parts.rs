//! Parts of definitions that several of them have: schemas, sub-workflows, rate limits.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::null_as_default;
use crate::status::wire_enum;

wire_enum! {
    /// What a second start with the same idempotency key does.
    #[derive(Default)]
    IdempotencyStrategy, "idempotency strategy" {
        /// Is refused with a conflict.
        #[default]
        Fail = "FAIL",
        /// Answers with the id of the first run.
        ReturnExisting = "RETURN_EXISTING",
        /// Is refused while the first run goes on, else starts another.
        FailOnRunning = "FAIL_ON_RUNNING",
    }
}

wire_enum! {
    /// What happens to a start beyond the limit of running workflows.
    #[derive(Default)]
    RateLimitPolicy, "rate limit policy" {
        /// It waits for its turn.
        #[default]
        Queue = "QUEUE",
        /// It is refused.
        Reject = "REJECT",
    }
}

wire_enum! {
    /// When a JOIN looks again whether its branches are done. Both are the same here: it is told at once.
    JoinMode, "join mode" {
        /// Each time.
        Sync = "SYNC",
        /// With growing pauses.
        Async = "ASYNC",
    }
}

/// How many runs of a workflow may go on at once (Conductor API: RateLimitConfig).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitConfig {
    /// Runs with the same key count together; may hold `${workflow.…}` expressions. Empty = all runs of the definition.
    #[serde(default, deserialize_with = "null_as_default")]
    pub rate_limit_key: String,
    /// Most runs at once; 0 = no limit.
    #[serde(default, deserialize_with = "null_as_default")]
    pub concurrent_exec_limit: i64,
    /// What happens to one more.
    #[serde(default, deserialize_with = "null_as_default")]
    pub policy: RateLimitPolicy,
}

/// A schema of an input or output, in place or by name (Conductor API: SchemaDef).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaDef {
    /// Its name among the registered schemas.
    #[serde(default, deserialize_with = "null_as_default")]
    pub name: String,
    /// Its version, from 1.
    #[serde(default = "one", deserialize_with = "null_as_one")]
    pub version: i32,
    /// JSON, AVRO or PROTOBUF; only JSON can be enforced.
    #[serde(rename = "type", default = "json", deserialize_with = "null_as_json")]
    pub schema_type: String,
    /// The schema itself; absent = the registered one of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// Where it is described.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_ref: Option<String>,
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

/// Which workflow a SUB_WORKFLOW step runs (Conductor API: SubWorkflowParams). Texts may hold `${…}` expressions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubWorkflowParams {
    /// The definition's name; may be absent when a definition is given in place.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its version, a number or an expression; absent = the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Value>,
    /// Task type → domain; an object or an expression. Absent = as of the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_to_domain: Option<Value>,
    /// A definition given in place: an object, or an expression that comes to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_definition: Option<Value>,
    /// 0 to 99, a number or an expression; absent = as of the parent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Value>,
    /// The child's idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What a second start with that key does: the name of an [`IdempotencyStrategy`], or an expression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_strategy: Option<String>,
}

fn one() -> i32 {
    1
}
fn json() -> String {
    "JSON".to_owned()
}
fn null_as_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Ok(Option::<i32>::deserialize(deserializer)?.unwrap_or_else(one))
}
fn null_as_json<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_else(json))
}
