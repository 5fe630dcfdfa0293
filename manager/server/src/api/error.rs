//! One error for all doors.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use conductor_model::Violation;

use crate::app::AppError;

/// Why a request is refused. Handlers return it; [`super::door`] writes it in the form that the caller's client reads.
#[derive(Clone, Debug)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// Stable code that programs branch on.
    pub code: Cow<'static, str>,
    /// What was wrong and where.
    pub message: String,
    /// What to do; may be empty.
    pub hint: Cow<'static, str>,
    /// Each fault with its place; may be empty.
    pub violations: Vec<Violation>,
}

impl ApiError {
    /// An error without a hint.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), hint: Cow::Borrowed(""), violations: Vec::new() }
    }

    /// The request cannot be read.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// There is no such thing.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        AppError::not_found(what, id).into()
    }

    /// Who asks is not known.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
            .hint("send a valid API token as `Authorization: Bearer TOKEN`")
    }

    /// A body is larger than it may be.
    pub fn too_large(what: &str, limit_bytes: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", format!("{what} is larger than {limit_bytes} bytes, its limit"))
            .hint("send less at once, or put large data under /resources and pass its address")
    }

    /// A fault of ours whose cause is in the log.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the manager failed to carry this out")
            .hint("the manager's log has the cause under this answer's X-Request-Id")
    }

    /// The same error with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same error with places.
    #[must_use]
    pub fn with_violations(mut self, violations: Vec<Violation>) -> Self {
        self.violations = violations;
        self
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
    }

    /// The code as a sentence: the same for every error of the code.
    #[must_use]
    pub fn title(&self) -> String {
        let mut title = self.code.replace('-', " ");
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        title
    }
}

impl From<AppError> for ApiError {
    fn from(error: AppError) -> Self {
        let code = error.code();
        let message = error.to_string();
        match error {
            AppError::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, code, message),
            AppError::Forbidden { .. } => Self::new(StatusCode::FORBIDDEN, code, message),
            AppError::Conflict { .. } => Self::new(StatusCode::CONFLICT, code, message),
            AppError::Invalid { violations, .. } => {
                Self::new(StatusCode::BAD_REQUEST, code, message).with_violations(violations)
            }
            AppError::TooLarge { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, code, message),
            AppError::Unavailable { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message).hint("try again in a moment")
            }
            AppError::Internal { operation, source } => {
                tracing::error!(operation, error = report(source.as_ref()), "request failed");
                Self::internal()
            }
        }
    }
}

/// An error with its causes, on one line.
fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

impl IntoResponse for ApiError {
    /// An empty answer that carries the error to [`super::door`], which writes the body.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_ours_do_not_leak_their_cause() {
        let error = AppError::Internal { operation: "storage", source: "disk /dev/sda1 is full".into() };
        let shown = ApiError::from(error);
        assert_eq!(shown.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!shown.message.contains("sda1"), "{}", shown.message);
    }

    #[test]
    fn a_title_is_the_code_in_words() {
        assert_eq!(ApiError::bad_request("json-malformed", "x").title(), "Json malformed");
    }
}
