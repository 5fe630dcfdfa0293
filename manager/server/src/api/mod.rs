//! The doors: extract → validated command → one application call → map the answer.
//!
//! - [`conductor`]: `/api/{metadata,workflow,tasks,…}`, for Conductor SDKs and their workers.
//! - [`cloudify`]: `/api/v3.1/node-instances`, in Cloudify's shapes.
//! - [`own`]: `/api/v1/*`, our own; errors are problem documents.
//! - [`files`], below `/resources`: files that workflows use.
//!
//! **Invariant:** no SQL, no lapin and no policy here. **Invariant:** every route but a named few needs a token
//! ([`auth`]). **Invariant:** an [`ApiError`] is put into its door's form in one place ([`door`]).

mod auth;
mod bodies;
mod cloudify;
mod conductor;
mod docs;
mod door;
mod error;
mod extract;
mod files;
mod health;
mod limits;
mod metrics;
mod observe;
mod own;
pub mod reading;
mod router;
mod shapes;
mod state;

pub use error::ApiError;
pub use metrics::Metrics;
pub use router::router;

#[cfg(test)]
mod tests;

/// UTC with milliseconds, as in `2026-11-22T06:08:49.966Z`: what the Conductor and Cloudify doors show as text.
fn iso(at: conductor_model::Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{moment:.3}")
}
