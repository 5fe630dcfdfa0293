//! Reading a Range header: one range of bytes. Several at once are answered with the whole file, as HTTP allows.

use thiserror::Error;

/// A part of a file, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, which the file has.
    pub last: u64,
}

/// The file has no such bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the range {range} lies outside the file, which has {size} bytes")]
pub struct RangeOutside {
    /// As given.
    pub range: String,
    /// Length of the file in bytes.
    pub size: u64,
}

impl ByteRange {
    /// The part of a file of `size` bytes that a header's text asks for; `None` = all of it.
    ///
    /// # Errors
    /// When the part lies outside the file.
    pub fn parse(range: &str, size: u64) -> Result<Option<Self>, RangeOutside> {
        let Some((first, last)) = range.strip_prefix("bytes=").and_then(|text| text.trim().split_once('-')) else {
            return Ok(None);
        };
        let end = size.saturating_sub(1);
        let part = match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => Self { first, last: last.min(end) },
            (Ok(first), Err(_)) if last.is_empty() => Self { first, last: end },
            (Err(_), Ok(count)) if first.is_empty() => Self { first: size.saturating_sub(count), last: end },
            _ => return Ok(None),
        };
        // Of the last none: `-0`.
        if part.first >= size {
            return Err(RangeOutside { range: range.to_owned(), size });
        }
        Ok(Some(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(range: &str, size: u64) -> Option<(u64, u64)> {
        ByteRange::parse(range, size).unwrap().map(|part| (part.first, part.last))
    }

    #[test]
    fn one_range_is_read() {
        assert_eq!(part("bytes=0-3", 10), Some((0, 3)));
        assert_eq!(part("bytes=4-", 10), Some((4, 9)));
        assert_eq!(part("bytes=-3", 10), Some((7, 9)));
        assert_eq!(part("bytes=5-99", 10), Some((5, 9)));
        assert_eq!(part("bytes=-99", 10), Some((0, 9)));
    }

    #[test]
    fn what_is_no_single_range_means_everything() {
        for range in ["bytes=0-1,4-5", "lines=1-2", "bytes=x-y", "bytes=5-2", "bytes"] {
            assert_eq!(part(range, 10), None, "{range}");
        }
    }

    #[test]
    fn a_range_outside_is_refused() {
        for (range, size) in [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=-00", 10), ("bytes=0-", 0)] {
            assert_eq!(ByteRange::parse(range, size), Err(RangeOutside { range: range.to_owned(), size }), "{range}");
        }
    }
}
