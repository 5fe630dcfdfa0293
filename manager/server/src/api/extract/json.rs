//! JSON bodies with limits, and errors that name the place.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use conductor_model::Violation;
use conductor_model::limits::JSON_DEPTH_MAX;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;

use crate::api::ApiError;
use crate::api::limits::{DRAIN_BYTES_MAX, DRAIN_MS_MAX};
use crate::api::state::ApiState;

/// A JSON body of one type. The content type is not looked at: SDKs disagree about it.
#[derive(Debug)]
pub(in crate::api) struct JsonBody<T>(pub(in crate::api) T);

/// A JSON body that may be left out; then the type's default.
#[derive(Debug)]
pub(in crate::api) struct OptionalJson<T>(pub(in crate::api) T);

/// A JSON list, or one object that counts as a list of one.
#[derive(Debug)]
pub(in crate::api) struct JsonListOrOne<T>(pub(in crate::api) Vec<T>);

impl<T: DeserializeOwned> FromRequest<ApiState> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        parse_json(&read_body(request, state.limits().json_body_bytes).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<ApiState> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        parse_optional(&read_body(request, state.limits().json_body_bytes).await?).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<ApiState> for JsonListOrOne<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        let bytes = read_body(request, state.limits().json_body_bytes).await?;
        if bytes.trim_ascii_start().starts_with(b"{") {
            return parse_json(&bytes).map(|one| Self(vec![one]));
        }
        parse_json(&bytes).map(Self)
    }
}

/// The whole body, at most `limit` bytes.
pub(in crate::api) async fn read_body(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    let mut body = request.into_body();
    if announced.is_some_and(|length| length > limit as u64) {
        drain(body).await;
        return Err(ApiError::too_large("the request's body", limit));
    }
    let mut bytes = Vec::with_capacity(announced.map_or(0, |length| usize::try_from(length).unwrap_or(0)));
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| ApiError::bad_request("body-unreadable", format!("the request's body broke off: {error}")))?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > limit {
                drain(body).await;
                return Err(ApiError::too_large("the request's body", limit));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes.into())
}

/// Reads and drops what is left of a refused body, within limits: a client that is still sending when the connection is
/// closed never gets to read why.
pub(in crate::api) async fn drain(mut body: Body) {
    let reading = async {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_millis(DRAIN_MS_MAX), reading).await;
}

/// As [`parse_json`]; nothing at all and `null` are the type's default.
pub(in crate::api) fn parse_optional<T: DeserializeOwned + Default>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = bytes.trim_ascii();
    if text.is_empty() || text == b"null" { Ok(T::default()) } else { parse_json(bytes) }
}

/// Parses JSON from outside: bounded in depth, with the place of a wrong value.
pub(in crate::api) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ApiError::bad_request("body-missing", "the request has no body, but needs one in JSON"));
    }
    if let Some(offset) = too_deep(bytes) {
        return Err(ApiError::bad_request(
            "json-too-deep",
            format!("the JSON nests deeper than {JSON_DEPTH_MAX} levels at byte {offset}"),
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(&mut reader).map_err(|error| located::<T>(bytes, &error))?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// What is wrong, with its place. Keeping track of places has a price that only what is wrong pays: it is read once more.
fn located<T: DeserializeOwned>(bytes: &[u8], error: &serde_json::Error) -> ApiError {
    match serde_path_to_error::deserialize::<_, T>(&mut serde_json::Deserializer::from_slice(bytes)) {
        Err(located) => wrong(&located),
        Ok(_) => malformed(error),
    }
}

fn wrong(error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let inner = error.inner();
    if !inner.is_data() {
        return malformed(inner);
    }
    let path = error.path().to_string();
    let place = if path == "." { String::new() } else { format!("{path}: ") };
    ApiError::bad_request("json-invalid", format!("{place}{inner}")).with_violations(vec![Violation::new(
        if place.is_empty() { "body".to_owned() } else { path },
        inner.to_string(),
        None,
    )])
}

fn malformed(error: &serde_json::Error) -> ApiError {
    ApiError::bad_request("json-malformed", format!("the body is not JSON: {error}"))
        .hint("check it with a JSON validator at that place")
}

/// Where the nesting passes the limit, if it does. Braces in strings do not count.
fn too_deep(bytes: &[u8]) -> Option<usize> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Some(offset);
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use conductor_model::{TaskDef, WorkflowDef};
    use serde_json::Value;

    use super::*;

    #[test]
    fn malformed_json_says_line_and_column() {
        let error = parse_json::<Value>(b"{\"a\": 1,\n  oops}").unwrap_err();
        assert_eq!(error.code, "json-malformed");
        assert!(error.message.contains("line 2 column 3"), "{}", error.message);
    }

    #[test]
    fn a_wrong_type_says_its_path() {
        let text = br#"{"name":"w","tasks":[{"name":"a","taskReferenceName":"a"},{"name":7,"taskReferenceName":"b"}]}"#;
        let error = parse_json::<WorkflowDef>(text).unwrap_err();
        assert_eq!(error.code, "json-invalid");
        assert_eq!(error.violations[0].path, "tasks[1].name");
        assert!(error.message.contains("integer `7`, expected a string"), "{}", error.message);
    }

    #[test]
    fn an_unknown_key_of_ours_is_named() {
        let text = br#"{"name":"t","agent":{"plugin":"p","operation":"o","idempotnet":true}}"#;
        let error = parse_json::<TaskDef>(text).unwrap_err();
        assert!(error.message.contains("idempotnet") && error.message.contains("idempotent"), "{}", error.message);
    }

    #[test]
    fn depth_is_bounded_and_strings_do_not_count() {
        let deep = "[".repeat(JSON_DEPTH_MAX + 1) + &"]".repeat(JSON_DEPTH_MAX + 1);
        assert_eq!(parse_json::<Value>(deep.as_bytes()).unwrap_err().code, "json-too-deep");
        let flat = format!("{{\"a\": \"{}\\\"{}\"}}", "[".repeat(500), "{".repeat(500));
        assert!(parse_json::<Value>(flat.as_bytes()).is_ok());
    }

    #[test]
    fn an_empty_body_and_trailing_rubbish_are_refused() {
        assert_eq!(parse_json::<Value>(b"  ").unwrap_err().code, "body-missing");
        assert_eq!(parse_json::<Value>(b"{} {}").unwrap_err().code, "json-malformed");
    }
}
