//! The Conductor door: what Conductor SDKs and their workers call.
//!
//! Booleans may be `True`, ids are answered as plain text, an empty poll is a 204 without a body, and an unknown route is a
//! 404 in JSON: SDKs rely on each of these.

mod admin;
mod events;
mod external;
mod load;
mod metadata;
mod render;
mod run_view;
mod scheduler;
mod schema;
mod searching;
mod secrets;
mod summary;
mod tasks;
mod token;
mod version;
mod workflow;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;

use super::state::ApiState;

pub(super) use tasks::read_task_result;
pub(super) use token::read_key;
pub(super) use workflow::{read_correlated, read_rerun, read_skip, read_skip_query, read_start, read_state, read_test};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(metadata::routes())
        .merge(workflow::routes())
        .merge(tasks::routes())
        .merge(events::routes())
        .merge(admin::routes())
        .merge(scheduler::routes())
        .merge(external::routes())
        .merge(schema::routes())
        .merge(secrets::routes())
        .merge(token::routes())
        .merge(version::routes())
}

/// An id as SDKs read it: bare text.
fn plain(text: &impl ToString) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/plain;charset=UTF-8"))], text.to_string()).into_response()
}
