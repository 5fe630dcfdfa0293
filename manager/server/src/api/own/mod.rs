//! Our own API, `/api/v1`. Lists are `{"items": […], "metadata": {…}}`; errors are problem documents.

mod agents;
mod cordon;
mod definitions;
mod enrolment;
mod events;
mod install;
mod plugins;
mod tasks;
mod version;

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::state::ApiState;

pub(super) use cordon::read_cordon;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(agents::routes())
        .merge(cordon::routes())
        .merge(definitions::routes())
        .merge(enrolment::routes())
        .merge(plugins::routes())
        .merge(tasks::routes())
        .merge(events::routes())
        .merge(install::routes())
        .merge(version::routes())
}

/// A list as we answer it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T> {
    items: Vec<T>,
    metadata: ListMetadata,
}

/// What there is to say of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ListMetadata {
    /// How many items there are in all.
    total: usize,
}

impl<T> List<T> {
    pub(super) fn whole(items: Vec<T>) -> Self {
        Self { metadata: ListMetadata { total: items.len() }, items }
    }
}
