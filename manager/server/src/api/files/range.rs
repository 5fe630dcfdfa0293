//! Which part of a file a request asks for.

use axum::http::{HeaderMap, StatusCode, header};

use crate::api::ApiError;
use crate::app::files::ByteRange;

/// The part that is asked for; `None` = all of it.
pub(super) fn part_of(asked: &HeaderMap, known: &HeaderMap, size: u64) -> Result<Option<ByteRange>, ApiError> {
    let Some(range) = asked.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    // A range of bytes that have changed since is no use to the caller.
    if asked.get(header::IF_RANGE).is_some_and(|tag| known.get(header::ETAG) != Some(tag)) {
        return Ok(None);
    }
    ByteRange::parse(range, size)
        .map_err(|outside| ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-outside", outside.to_string()))
}
