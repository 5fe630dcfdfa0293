//! Reading the Range header: one range of bytes. Several at once are answered with the whole file, as HTTP allows.

use axum::http::{HeaderMap, StatusCode, header};

use crate::api::ApiError;

/// A part of a file, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The part that is asked for; `None` = all of it.
pub(super) fn part_of(asked: &HeaderMap, known: &HeaderMap, size: u64) -> Result<Option<Part>, ApiError> {
    let Some(range) = asked.get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    // A range of bytes that have changed since is no use to the caller.
    if asked.get(header::IF_RANGE).is_some_and(|tag| known.get(header::ETAG) != Some(tag)) {
        return Ok(None);
    }
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|text| text.trim().split_once('-')) else {
        return Ok(None);
    };
    let part = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Part { first, last: last.min(size.saturating_sub(1)) },
        (Ok(first), Err(_)) if last.is_empty() => Part { first, last: size.saturating_sub(1) },
        (Err(_), Ok(count)) if first.is_empty() => Part { first: size.saturating_sub(count), last: size.saturating_sub(1) },
        _ => return Ok(None),
    };
    if part.first >= size || (first.is_empty() && last == "0") {
        let message = format!("the range {range} lies outside the file, which has {size} bytes");
        return Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "range-outside", message));
    }
    Ok(Some(part))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn part(range: &'static str, size: u64) -> Result<Option<Part>, ApiError> {
        let asked = HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(range))]);
        part_of(&asked, &HeaderMap::new(), size)
    }

    #[test]
    fn one_range_is_read() {
        assert_eq!(part("bytes=0-3", 10).unwrap(), Some(Part { first: 0, last: 3 }));
        assert_eq!(part("bytes=4-", 10).unwrap(), Some(Part { first: 4, last: 9 }));
        assert_eq!(part("bytes=-3", 10).unwrap(), Some(Part { first: 7, last: 9 }));
        assert_eq!(part("bytes=5-99", 10).unwrap(), Some(Part { first: 5, last: 9 }));
        assert_eq!(part("bytes=-99", 10).unwrap(), Some(Part { first: 0, last: 9 }));
    }

    #[test]
    fn what_is_no_single_range_means_everything() {
        for range in ["bytes=0-1,4-5", "lines=1-2", "bytes=x-y", "bytes=5-2", "bytes"] {
            assert_eq!(part(range, 10).unwrap(), None, "{range}");
        }
    }

    #[test]
    fn a_range_outside_is_refused() {
        for (range, size) in [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0)] {
            assert_eq!(part(range, size).unwrap_err().status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        }
    }
}
