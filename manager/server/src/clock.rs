//! The one place of the manager that reads the clock and draws ids.

use std::time::SystemTime;

use conductor_model::Timestamp;
use conductor_model::ids::IdSource;
use uuid::Uuid;

/// Now, as milliseconds since 1970.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "this is the manager's clock")]
    let now = SystemTime::now();
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Draws version 7 UUIDs, which sort by the time they were drawn.
#[derive(Debug, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    fn next_id(&mut self) -> Uuid {
        Uuid::now_v7()
    }
}
