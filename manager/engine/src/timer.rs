//! Timeouts of tasks: when the next one is due, and which are.
//!
//! | timeout | applies while | counts from | effect |
//! |---|---|---|---|
//! | total | not ended | the first attempt was scheduled | policy |
//! | run | started | the start | policy |
//! | poll | for workers: waiting for a poll or a place, workflow not paused | the task became visible | policy |
//! | response | for workers: somebody has it | the last word from there | retry rules, whatever the policy |
//!
//! An agent enforces the run timeout on its host; the manager's own timer waits [`AGENT_RUN_SLACK_MS`] longer, so that the
//! host's word wins. A word from an agent is only noted when an eighth of the response timeout has passed since the last
//! (a note costs a commit); its response timeout is an eighth longer, so that it never fires early.

use conductor_model::definition::TaskTimeoutPolicy;
use conductor_model::{TaskDef, TaskRecord, TaskStatus, Timestamp};

use crate::task_type::is_for_workers;

/// How much later than the agent the manager notices a run timeout, in ms.
pub(crate) const AGENT_RUN_SLACK_MS: i64 = 5_000;

/// The part of the response timeout within which another word from an agent is not noted.
const NOTED_PARTS: i64 = 8;

/// What timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    Total,
    Run,
    Poll,
    Response,
}

/// A timeout that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timer {
    pub timeout: Timeout,
    pub due: Timestamp,
    pub policy: TaskTimeoutPolicy,
    /// The limit that was set, in seconds.
    pub seconds: i64,
}

/// The timeouts that apply to a task as it stands, in the order in which they are looked at.
pub(crate) fn timers(record: &TaskRecord, definition: &TaskDef, paused: bool) -> impl Iterator<Item = Timer> {
    let assigned = record.agent.as_ref().is_some_and(|agent| agent.assigned.is_some());
    // Only workers and agents are waited for: nobody else polls, or promises to be heard of.
    let worked = is_for_workers(record);
    let held = worked && (record.status == TaskStatus::InProgress || assigned);
    let policy = definition.timeout_policy;
    let alerted_at = record.alerted_at;
    let total = (definition.total_timeout_seconds > 0).then_some((
        Timeout::Total,
        record.first_scheduled_at,
        definition.total_timeout_seconds,
        0,
    ));
    let run_slack = if record.agent.is_some() { AGENT_RUN_SLACK_MS } else { 0 };
    let run = record
        .started_at
        .filter(|_| definition.timeout_seconds > 0)
        .map(|started_at| (Timeout::Run, started_at, definition.timeout_seconds, run_slack));
    let poll = definition
        .poll_timeout_seconds
        .filter(|seconds| *seconds > 0 && worked && !held && !paused)
        .map(|seconds| (Timeout::Poll, record.visible_at, seconds, 0));
    let response_seconds = definition.response_timeout_seconds;
    let response_slack = if assigned { noted_ms(definition) } else { 0 };
    let response =
        (held && response_seconds > 0).then_some((Timeout::Response, record.updated_at, response_seconds, response_slack));
    let open = !record.status.is_terminal();
    [total, run, poll, response].into_iter().flatten().filter(move |_| open).filter_map(
        move |(timeout, from, seconds, slack)| {
            let policy = if timeout == Timeout::Response { TaskTimeoutPolicy::Retry } else { policy };
            let due = from.plus_seconds(seconds).plus_ms(slack);
            let told = policy == TaskTimeoutPolicy::AlertOnly && alerted_at.is_some_and(|alerted_at| due <= alerted_at);
            (!told).then_some(Timer { timeout, due, policy, seconds })
        },
    )
}

/// When the engine goes on with the task by itself. In a paused workflow nothing begins.
pub(crate) fn wakes_at(record: &TaskRecord, paused: bool) -> Option<Timestamp> {
    let begins = record.status == TaskStatus::Scheduled;
    let waits = record.status.is_terminal() || (paused && begins);
    record.due_at.filter(|_| !waits)
}

/// When something of the task is due.
pub(crate) fn next_due(record: &TaskRecord, definition: Option<&TaskDef>, paused: bool) -> Option<Timestamp> {
    let timeouts = definition.into_iter().flat_map(|definition| timers(record, definition, paused));
    timeouts.map(|timer| timer.due).chain(wakes_at(record, paused)).min()
}

/// How long after a noted word from an agent another one is not noted, in ms.
pub(crate) fn noted_ms(definition: &TaskDef) -> i64 {
    definition.response_timeout_seconds.saturating_mul(1000) / NOTED_PARTS
}

impl Timer {
    /// Why the task ended, for people.
    pub fn reason(&self, record: &TaskRecord) -> String {
        let Self { seconds, .. } = self;
        let (id, name) = (record.id, &record.definition_name);
        match self.timeout {
            Timeout::Total => format!(
                "totalTimeout: {seconds} s exceeded over all attempts for the taskId: {id} with Task Definition: {name}"
            ),
            Timeout::Run => format!("timeout: {seconds} s exceeded for the taskId: {id} with Task Definition: {name}"),
            Timeout::Poll => format!("pollTimeout: {seconds} s exceeded for the taskId: {id} with Task Definition: {name}"),
            Timeout::Response => {
                format!("responseTimeout: {seconds} exceeded for the taskId: {id} with Task Definition: {name}")
            }
        }
    }
}
