//! Which door a request came through, and what an error looks like there.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use conductor_wire::problem::{PROBLEM_JSON, Problem};
use serde_json::{Value, json};

use super::ApiError;

/// The doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Conductor SDKs.
    Conductor,
    /// Cloudify clients.
    Cloudify,
    /// Our own API, files, and everything else.
    Own,
}

impl Door {
    pub(super) fn of_path(path: &str) -> Self {
        if path.starts_with("/api/v3.1/") || path == "/api/v3.1" {
            Self::Cloudify
        } else if path.starts_with("/api/v1/") || path == "/api/v1" {
            Self::Own
        } else if path.starts_with("/api/") || path == "/api" {
            Self::Conductor
        } else {
            Self::Own
        }
    }

    fn render(self, error: &ApiError) -> Response {
        let mut response = match self {
            Self::Conductor => (error.status, Json(conductor(error))).into_response(),
            Self::Cloudify => (error.status, Json(cloudify(error))).into_response(),
            Self::Own => {
                let mut response = (error.status, Json(problem(error))).into_response();
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
                response
            }
        };
        if error.status == axum::http::StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Writes the body of every [`ApiError`], in the form of the request's door.
pub(super) async fn render_errors<F>(request: Request, answer: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let door = Door::of_path(request.uri().path());
    let mut response = answer(request).await;
    match response.extensions_mut().remove::<ApiError>() {
        None => response,
        Some(error) => {
            let mut rendered = door.render(&error);
            if let Some(allow) = response.headers_mut().remove(header::ALLOW) {
                rendered.headers_mut().insert(header::ALLOW, allow);
            }
            rendered
        }
    }
}

fn with_hint(error: &ApiError) -> String {
    if error.hint.is_empty() { error.message.clone() } else { format!("{}; {}", error.message, error.hint) }
}

/// Conductor's form. SDKs branch on `status`; on 401 also on `error`.
fn conductor(error: &ApiError) -> Value {
    let mut body = json!({
        "status": error.status.as_u16(),
        "code": error.code,
        "message": with_hint(error),
        "instance": "conductor-manager",
        "retryable": error.retryable(),
    });
    if !error.violations.is_empty() {
        body["validationErrors"] = json!(error.violations);
    }
    if error.status == axum::http::StatusCode::UNAUTHORIZED {
        body["error"] = json!("INVALID_TOKEN");
    }
    body
}

/// Cloudify's form. Its clients branch on `error_code`.
fn cloudify(error: &ApiError) -> Value {
    let code = match (error.status.as_u16(), error.code.as_ref()) {
        (401, _) => "unauthorized_error",
        (403, _) => "forbidden_error",
        (404, _) => "not_found_error",
        (405, _) => "method_not_allowed_error",
        (409, _) => "conflict_error",
        (500.., _) => "internal_server_error",
        (_, _) => "bad_parameters_error",
    };
    let mut message = with_hint(error);
    for violation in &error.violations {
        message.push_str(&format!("; {}: {}", violation.path, violation.message));
    }
    json!({ "message": message, "error_code": code, "server_traceback": null })
}

/// Our own form.
fn problem(error: &ApiError) -> Problem {
    let mut detail = error.message.clone();
    for violation in &error.violations {
        detail.push_str(&format!("\n{}: {}", violation.path, violation.message));
    }
    Problem {
        code: error.code.clone().into_owned(),
        title: error.title(),
        status: error.status.as_u16(),
        detail,
        hint: error.hint.clone().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_has_its_door() {
        for (path, door) in [
            ("/api/workflow/x", Door::Conductor),
            ("/api/version", Door::Conductor),
            ("/api/v1/agents", Door::Own),
            ("/api/v1", Door::Own),
            ("/api/v3.1/node-instances/a", Door::Cloudify),
            ("/api/v10/x", Door::Conductor),
            ("/resources/a/b/c", Door::Own),
            ("/health", Door::Own),
        ] {
            assert_eq!(Door::of_path(path), door, "{path}");
        }
    }

    #[test]
    fn a_stale_version_is_cloudifys_conflict() {
        let error = ApiError::new(axum::http::StatusCode::CONFLICT, "stale-version", "version 3 is stored");
        let body = cloudify(&error);
        assert_eq!(body["error_code"], "conflict_error");
        assert_eq!(body["message"], "version 3 is stored");
    }
}
