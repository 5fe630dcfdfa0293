//! Waiting for a condition, never for a time.

use std::fmt;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// The moment at which waiting turns into failure.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// So many seconds from now.
    #[must_use]
    pub fn in_seconds(seconds: u64) -> Self {
        Self(Instant::now() + Duration::from_secs(seconds))
    }

    /// Whether it has come.
    #[must_use]
    pub fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Looks until `look` gives a value; fails when that takes more than `seconds`, with what `look` last complained of.
///
/// # Panics
/// At the deadline.
pub async fn until<T, E: fmt::Debug>(what: &str, seconds: u64, mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let deadline = Deadline::in_seconds(seconds);
    loop {
        match look().await {
            Ok(value) => return value,
            Err(complaint) => assert!(!deadline.is_over(), "waited {seconds} s in vain until {what}: {complaint:?}"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The same outside a runtime.
///
/// # Panics
/// At the deadline.
pub fn until_blocking<T, E: fmt::Debug>(what: &str, seconds: u64, mut look: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Deadline::in_seconds(seconds);
    loop {
        match look() {
            Ok(value) => return value,
            Err(complaint) => assert!(!deadline.is_over(), "waited {seconds} s in vain until {what}: {complaint:?}"),
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
