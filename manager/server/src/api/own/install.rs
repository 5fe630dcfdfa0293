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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path as FilePath;
    use std::process::{Command, Stdio};

    use super::SCRIPT;

    /// Has a shell read what came of the script, on a host where every program only leaves a mark. Whether any was called.
    fn calls_anything(came: &str, host: &FilePath) -> bool {
        let marks = host.join("marks");
        let _ = std::fs::remove_file(&marks);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-s", "--", "--from", "http://127.0.0.1:1"]).env_clear().env("PATH", host);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // One that has ended already reads no more.
        let _ = shell.stdin.take().unwrap().write_all(came.as_bytes());
        shell.wait().unwrap();
        marks.exists()
    }

    #[test]
    fn of_a_script_that_broke_off_on_the_way_nothing_is_run() {
        use std::os::unix::fs::PermissionsExt;
        let host = tempfile::tempdir().unwrap();
        for name in ["id", "curl", "uname", "mktemp", "dpkg", "apt-get", "rm", "chmod"] {
            let program = host.path().join(name);
            let answer = if name == "id" { "0" } else { "x86_64" };
            let text = format!("#!/bin/sh\n: > {}\necho {answer}\n", host.path().join("marks").display());
            std::fs::write(&program, text).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        assert!(calls_anything(SCRIPT, host.path()), "the whole script goes to work");
        let ends = SCRIPT.match_indices('\n').map(|(end, _)| end + 1).filter(|end| *end < SCRIPT.len());
        for end in ends {
            assert!(!calls_anything(&SCRIPT[..end], host.path()), "it ran when it ended with:\n{}", &SCRIPT[..end]);
        }
    }
}
