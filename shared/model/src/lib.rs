//! The words of Conductor as types: ids, names, definitions, states and records.
//!
//! Everything that crosses a crate boundary is named here once. No IO, no clock, no randomness: times and ids are
//! values that somebody hands in.

pub mod agent;
pub mod definition;
pub mod event_handler;
pub mod feed;
pub mod ids;
pub mod json;
pub mod limits;
pub mod names;
pub mod node_instance;
pub mod plugin;
pub mod record;
pub mod schedule;
pub mod selector;
pub mod size;
pub mod snapshot;
pub mod status;
pub mod time;

pub use agent::{AgentRecord, AgentState, Cordon};
pub use definition::{
    AgentKey, IdempotencyStrategy, RateLimitConfig, RateLimitPolicy, ResourceLimits, RetryLogic, SchemaDef, SubWorkflowParams,
    TaskDef, TaskTimeoutPolicy, TaskType, Violation, WorkflowDef, WorkflowTask, WorkflowTimeoutPolicy,
};
pub use event_handler::{ActionKind, EventAction, EventHandler};
pub use feed::{Details, FeedEntry};
pub use ids::{IdSource, TaskId, WorkflowId};
pub use names::{AgentId, NameError, PluginDigest, PluginName, TenantName};
pub use node_instance::NodeInstance;
pub use plugin::PluginRecord;
pub use record::{AgentPart, LogLine, LogStream, TaskRecord, WorkflowRecord};
pub use schedule::{CronSchedule, Schedule, ScheduleRun, ScheduleRunState, ScheduledStart};
pub use selector::Selector;
pub use snapshot::Snapshot;
pub use status::{Outcome, TaskStatus, WorkflowStatus};
pub use time::Timestamp;
