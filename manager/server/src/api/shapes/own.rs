//! Shapes of our own API: the fleet, plugins, the stream of events, logs, placement.
#![expect(dead_code, reason = "only read by the description of the API")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::{Object, Value};

/// An agent.
#[derive(ToSchema)]
pub(in crate::api) struct Agent {
    id: String,
    tenant: String,
    name: String,
    /// active, draining, offline, unsupported or quarantined.
    state: String,
    /// Why it takes nothing new, in its own words.
    state_reason: Option<String>,
    /// Set while an operator wants it to be given nothing new: since when, and why.
    cordon: Option<Object>,
    labels: BTreeMap<String, String>,
    facts: Object,
    slots: u32,
    free_slots: u32,
    /// Tasks that it was given and that are not over.
    tasks: Vec<String>,
    version: String,
    protocol: u16,
    incarnation: String,
    registered_at: i64,
    last_seen_at: i64,
}

/// What an agent is told when it introduces itself.
#[derive(ToSchema)]
pub(in crate::api) struct AgentWelcome {
    id: String,
    amqp_url: String,
    queue: String,
    lease_interval_ms: u64,
    lease_ms: u64,
    manager_time_ms: i64,
    prefetch: u16,
}

/// One version of a plugin.
#[derive(ToSchema)]
pub(in crate::api) struct Plugin {
    tenant: String,
    name: String,
    version: String,
    /// SHA-256 of the archive.
    digest: String,
    size_bytes: u64,
    media_type: String,
    manifest: Object,
    uploaded_at: i64,
}

/// One event of a stream, as browsers read it.
#[derive(ToSchema)]
pub(in crate::api) struct ServerSentEvent {
    /// Pass it as `Last-Event-ID` to read on.
    id: String,
    /// What happened, as in `task.completed`.
    event: String,
    /// JSON: the entry of the feed.
    data: String,
}

/// A stretch of a log.
#[derive(ToSchema)]
pub(in crate::api) struct LogLines {
    items: Vec<LogLine>,
    metadata: LogLinesEnd,
}

#[derive(ToSchema)]
pub(in crate::api) struct LogLine {
    task_id: String,
    seq: u64,
    at: i64,
    /// stdout, stderr, event or worker.
    stream: String,
    text: String,
}

#[derive(ToSchema)]
pub(in crate::api) struct LogLinesEnd {
    /// Pass it as `after` to read on.
    next_after: u64,
    task_status: String,
}

/// Where a task runs, or why it has no agent yet.
#[derive(ToSchema)]
pub(in crate::api) struct Placement {
    task_id: String,
    status: String,
    agent: Option<String>,
    alternates: Vec<String>,
    dispatch: u32,
    unplaced: Option<Object>,
}

/// Whose workers a task would be for.
#[derive(ToSchema)]
pub(in crate::api) struct Domain {
    task_type: String,
    /// Absent = those that poll without a domain.
    domain: Option<String>,
}

/// What a definition defines.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(in crate::api) enum DefinitionKind {
    Task,
    Workflow,
}

/// One accepted change of a definition.
#[derive(ToSchema)]
pub(in crate::api) struct Revision {
    /// From 1, in order of time, over all versions of the name.
    number: u32,
    /// Absent = a task definition.
    version: Option<i32>,
    at: i64,
    /// The name of a token.
    by: String,
    /// Whether the definition was removed, not stored.
    deleted: bool,
}

/// One accepted change of a definition, with what was stored.
#[derive(ToSchema)]
pub(in crate::api) struct WholeRevision {
    number: u32,
    /// Absent = a task definition.
    version: Option<i32>,
    at: i64,
    /// The name of a token.
    by: String,
    /// Whether the definition was removed, not stored.
    deleted: bool,
    definition: Option<Object>,
}

/// How two states of a definition differ.
#[derive(ToSchema)]
pub(in crate::api) struct Difference {
    /// Absent = there was nothing before.
    from: Option<String>,
    to: String,
    changes: Vec<PatchOperation>,
}

/// An operation of a JSON Patch (RFC 6902).
#[derive(ToSchema)]
pub(in crate::api) struct PatchOperation {
    /// add, remove or replace.
    op: String,
    /// A JSON Pointer.
    path: String,
    /// What is there now.
    value: Option<Value>,
    /// What was there before.
    before: Option<Value>,
}

/// That a definition is neither to be overwritten by something else nor removed.
#[derive(ToSchema)]
pub(in crate::api) struct DefinitionLock {
    kind: DefinitionKind,
    name: String,
    /// Absent = a task definition.
    version: Option<i32>,
    /// Who locked it: the name of a token.
    by: String,
    at: i64,
    reason: Option<String>,
}
