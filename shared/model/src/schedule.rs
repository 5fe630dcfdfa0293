//! Schedules: workflows that start by the calendar (Conductor API: WorkflowSchedule), and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::{IdempotencyStrategy, WorkflowDef, null_as_default};
use crate::time::Timestamp;

/// One calendar of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CronSchedule {
    /// Five, six or seven fields.
    pub cron_expression: String,
    /// The zone whose clocks it reads, as in `Europe/Berlin`; absent = the schedule's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone_id: Option<String>,
}

/// What a schedule starts (Conductor API: StartWorkflowRequest).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledStart {
    /// Name of the definition.
    pub name: String,
    /// Its version; the highest at each start where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// A definition given in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_def: Option<WorkflowDef>,
    /// Input.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Map::is_empty")]
    pub input: Map<String, Value>,
    /// The starter's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Task type → domain.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub task_to_domain: BTreeMap<String, String>,
    /// 0 to 99.
    #[serde(default, deserialize_with = "null_as_default")]
    pub priority: u8,
    /// Who starts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The same for every start of the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What a second start with the key does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_strategy: Option<IdempotencyStrategy>,
}

/// A workflow that starts by the calendar. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// Its name, unique in its tenant.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its one calendar; absent when it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron_expression: Option<String>,
    /// Its calendars: it is due when any of them is.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub cron_schedules: Vec<CronSchedule>,
    /// The zone whose clocks its calendars read.
    #[serde(default = "utc", deserialize_with = "null_as_utc")]
    pub zone_id: String,
    /// Whether every moment that was missed while the manager was away is made up for.
    #[serde(default, deserialize_with = "null_as_default")]
    pub run_catchup_schedule_instances: bool,
    /// Whether it rests.
    #[serde(default, deserialize_with = "null_as_default")]
    pub paused: bool,
    /// Why it rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_reason: Option<String>,
    /// What it starts.
    pub start_workflow_request: ScheduledStart,
    /// Not due before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_start_time: Option<Timestamp>,
    /// Not due after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_end_time: Option<Timestamp>,
    /// When it was first stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<Timestamp>,
    /// When it was last stored by somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_time: Option<Timestamp>,
    /// Who stored it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who stored it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
    /// When it is due next; absent = never again, or it rests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_time: Option<Timestamp>,
}

fn utc() -> String {
    "UTC".to_owned()
}
fn null_as_utc<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_else(utc))
}

/// How a due moment went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ScheduleRunState {
    /// The workflow was started.
    Executed,
    /// It could not be started.
    Failed,
}

/// One due moment of a schedule, and what came of it (Conductor API: WorkflowScheduleExecutionModel).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleRun {
    /// Its id.
    pub execution_id: String,
    /// Of which schedule.
    pub schedule_name: String,
    /// The moment that was due.
    pub scheduled_time: Timestamp,
    /// When it was acted on.
    pub execution_time: Timestamp,
    /// Name of the definition.
    pub workflow_name: String,
    /// The workflow that was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// Why none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How it went.
    pub state: ScheduleRunState,
    /// The zone of the schedule.
    pub zone_id: String,
}
