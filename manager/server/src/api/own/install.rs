//! `GET /install` and `GET /packages/{name}`: how a host joins with one line. Neither needs a token; what lets a host in is the
//! enrolment string, which the script only passes on.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::state::ApiState;
use crate::app::packages;

const SCRIPT: &str = include_str!("../../../../../packaging/install.sh");

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(script)).routes(routes!(package))
}

/// The script that installs the agent on a host and lets it join. Needs no token.
#[utoipa::path(get, path = "/install", tag = "operation", security(()),
    responses((status = 200, body = String, content_type = "text/x-shellscript")))]
async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/x-shellscript; charset=utf-8")], SCRIPT).into_response()
}

/// A package of the agent. Needs no token.
#[utoipa::path(get, path = "/packages/{name}", tag = "operation", security(()),
    params(("name" = String, Path, description = "As in conductor-agent.deb")),
    responses(
        (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 404, description = "There is no package of that name"),
    ))]
async fn package(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Response, ApiError> {
    let Some((file, bytes)) = packages::open(state.app.settings(), &name).await else {
        let detail = format!("there is no package {name:?}; `conductor-manager doctor` says where packages are looked for");
        return Err(ApiError::new(StatusCode::NOT_FOUND, "package-not-found", detail));
    };
    let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned()), (header::CONTENT_LENGTH, bytes.to_string())];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}
