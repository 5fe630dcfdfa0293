//! A typed client of the manager's REST API: what the command line, the tests and the benchmarks need of it.
//!
//! One method per request, in one file per thing. Every request has a deadline ([`limits`]); streams are bounded by
//! what their reader takes. A process-wide TLS provider must be there before [`Client::new`]: [`install_tls_provider`].

mod agents;
mod definitions;
mod enrolment;
mod error;
mod events;
mod files;
mod http;
pub mod limits;
mod logs;
mod metadata;
mod node_instances;
mod plugins;
mod sse;
mod system;
mod tasks;
mod workflows;

pub use agents::AgentView;
pub use definitions::{DifferenceView, LockView, RevisionView};
pub use enrolment::NewEnrolmentToken;
pub use error::{ClientError, Refusal};
pub use events::{EventQuery, EventStream};
pub use files::StoredFile;
pub use http::{Client, install_tls_provider};
pub use logs::LogPage;
pub use metadata::BulkAnswer;
pub use plugins::{PluginView, Uploaded};
pub use sse::{SseError, SseEvent, SseParser};
pub use tasks::{TaskUpdate, TaskView};
pub use workflows::{SearchPage, StartRequest, WorkflowSummary, WorkflowView};
