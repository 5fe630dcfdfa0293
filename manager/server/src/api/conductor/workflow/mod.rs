//! `/api/workflow`: runs of workflow definitions.

mod again;
mod bulk;
mod control;
mod correlated;
mod execute;
mod get;
mod remove;
mod running;
mod search;
mod search_by_tasks;
mod skip;
mod start;
mod state;
mod status;
mod tasks;
mod test;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::state::ApiState;

pub(in crate::api) use again::read_rerun;
pub(in crate::api) use correlated::read_correlated;
pub(in crate::api) use skip::{read_skip, read_skip_query};
pub(in crate::api) use start::read_start;
pub(super) use state::no_references;
pub(in crate::api) use state::read_state;
pub(in crate::api) use test::read_test;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(start::start))
        // One path: a name to start, an id to read or end.
        .routes(routes!(start::start_by_name, get::get, control::terminate))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::decide))
        .routes(routes!(again::retry))
        .routes(routes!(again::restart))
        .routes(routes!(again::rerun))
        .routes(routes!(again::reset_callbacks))
        .routes(routes!(skip::skip))
        .routes(routes!(remove::remove))
        .routes(routes!(remove::terminate_and_remove))
        .routes(routes!(state::set_variables))
        .routes(routes!(state::update_state))
        .routes(routes!(execute::execute))
        .routes(routes!(test::test))
        .merge(bulk::routes())
        .routes(routes!(correlated::correlated_of_several))
        .routes(routes!(tasks::tasks))
        .routes(routes!(status::status))
        .routes(routes!(running::running))
        .routes(routes!(correlated::correlated))
        .routes(routes!(correlated::correlated_batch))
        .routes(routes!(search::search))
        .routes(routes!(search::search_v2))
        .routes(routes!(search_by_tasks::search_by_tasks))
        .routes(routes!(search_by_tasks::search_by_tasks_v2))
}
