//! What the doors make of a body before anything is asked of the application: for those who try them with bytes of any kind.

use conductor_model::{EventHandler, Schedule, SchemaDef, TaskDef, WorkflowDef};
use conductor_wire::agent_api::AgentHello;
use conductor_wire::identity::{EnrolmentRequest, RenewalRequest};
use serde_json::{Map, Value};

use super::extract::parse_json;
use super::{ApiError, cloudify, conductor, own};
use crate::app::trust::NewToken;

/// Reads a body as a handler does, and makes of it what the handler asks for.
type Read = fn(&[u8]) -> Result<(), ApiError>;

/// Bodies by name.
const BODIES: &[(&str, Read)] = &[
    ("start", conductor::read_start),
    ("test", conductor::read_test),
    ("rerun", conductor::read_rerun),
    ("skip", conductor::read_skip),
    ("skip-query", conductor::read_skip_query),
    ("correlated", conductor::read_correlated),
    ("state", conductor::read_state),
    ("task-result", conductor::read_task_result),
    ("key", conductor::read_key),
    ("node-instance", cloudify::read_patch),
    ("token", |bytes| parse_json::<NewToken>(bytes).map(|_| ())),
    ("cordon", own::read_cordon),
    ("task-definitions", |bytes| parse_json::<Vec<TaskDef>>(bytes).map(|_| ())),
    ("workflow-definition", |bytes| parse_json::<WorkflowDef>(bytes).map(|_| ())),
    ("event-handler", |bytes| parse_json::<EventHandler>(bytes).map(|_| ())),
    ("schedule", |bytes| parse_json::<Schedule>(bytes).map(|_| ())),
    ("schema", |bytes| parse_json::<SchemaDef>(bytes).map(|_| ())),
    ("hello", |bytes| parse_json::<AgentHello>(bytes).map(|_| ())),
    ("enrolment", |bytes| parse_json::<EnrolmentRequest>(bytes).map(|_| ())),
    ("renewal", |bytes| parse_json::<RenewalRequest>(bytes).map(|_| ())),
    ("ids", |bytes| parse_json::<Vec<String>>(bytes).map(|_| ())),
    ("object", |bytes| parse_json::<Map<String, Value>>(bytes).map(|_| ())),
];

/// Reads the body of the kind `name`. `None` = there is no such kind.
#[must_use]
pub fn body(name: &str, bytes: &[u8]) -> Option<Result<(), ApiError>> {
    BODIES.iter().find(|(known, _)| *known == name).map(|(_, read)| read(bytes))
}

/// The names of all kinds of bodies.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    BODIES.iter().map(|(name, _)| *name)
}
