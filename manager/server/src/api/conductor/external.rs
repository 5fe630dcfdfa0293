//! External payload storage, which this manager does not need: large payloads are taken and kept as they are.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::state::ApiState;
use crate::app::Caller;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(of_workflows)).routes(routes!(of_tasks))
}

fn refusal() -> ApiError {
    ApiError::bad_request("external-payload-unsupported", "payloads are not stored elsewhere: there is no location to give")
        .hint("send the payload in the request itself, or put a large file under /resources and pass its address")
}

/// Where to put a payload elsewhere. Always refused: payloads are taken in requests.
#[utoipa::path(get, path = "/api/workflow/externalstoragelocation", tag = "workflows",
    params(("path" = Option<String>, Query), ("operation" = Option<String>, Query), ("payloadType" = Option<String>, Query)),
    responses((status = 400, description = "There is no storage elsewhere")))]
async fn of_workflows(_: Caller) -> Result<(), ApiError> {
    Err(refusal())
}

/// Where to put a payload elsewhere. Always refused: payloads are taken in requests.
#[utoipa::path(get, path = "/api/tasks/externalstoragelocation", tag = "tasks",
    params(("path" = Option<String>, Query), ("operation" = Option<String>, Query), ("payloadType" = Option<String>, Query)),
    responses((status = 400, description = "There is no storage elsewhere")))]
async fn of_tasks(_: Caller) -> Result<(), ApiError> {
    Err(refusal())
}
