//! The one reader of the wall clock in this program. Plugins and the manager's records use the same clock of this machine.

/// µs since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the program's clock module")]
pub fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
