//! `/api/metadata`: task and workflow definitions.

mod task_defs;
mod versions;
mod workflow_defs;

use utoipa_axum::router::OpenApiRouter;

use crate::api::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().merge(task_defs::routes()).merge(workflow_defs::routes()).merge(versions::routes())
}
