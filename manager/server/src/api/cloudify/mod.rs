//! The Cloudify door, as far as node instances.

mod node_instances;

use utoipa_axum::router::OpenApiRouter;

use super::state::ApiState;

pub(super) use node_instances::read_patch;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    node_instances::routes()
}
