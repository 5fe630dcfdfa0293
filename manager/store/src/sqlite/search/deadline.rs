//! No search reads without an end.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::StoreError;

/// How long one search may read.
const SEARCH_MAX: Duration = Duration::from_secs(10);
/// Steps of SQLite's machine between two looks at the clock.
const STEPS_BETWEEN_LOOKS: i32 = 50_000;

thread_local! {
    /// When the search that this thread does must end. A connection is used by one thread at a time.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

fn is_late() -> bool {
    UNTIL.get().is_some_and(|until| Instant::now() > until)
}

/// Lets searches on this connection be stopped.
pub(in crate::sqlite) fn watch(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(is_late))
}

/// Does a search, and stops it when it takes too long.
pub(super) fn within<T>(search: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    UNTIL.set(Some(Instant::now() + SEARCH_MAX));
    let result = search();
    let late = is_late();
    UNTIL.set(None);
    match result {
        Err(StoreError::Backend { .. }) if late => Err(StoreError::TooBroad { seconds: SEARCH_MAX.as_secs() }),
        result => result,
    }
}
