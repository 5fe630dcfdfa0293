//! The highest numbers ever drawn, which outlive the rows that bore them.

use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{During, int, unsigned};
use crate::StoreError;

/// Which numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counter {
    /// Ids of outbox messages.
    Outbox,
    /// Ids of feed entries.
    Feed,
    /// Ids of feed entries that were dropped.
    FeedDropped,
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Self::Outbox => "outbox",
            Self::Feed => "feed",
            Self::FeedDropped => "feed-dropped",
        }
    }

    /// Remembers `value` unless a higher one is known.
    pub(super) fn raise(self, connection: &Connection, value: u64) -> Result<(), StoreError> {
        const OPERATION: &str = "store a counter";
        let mut statement = connection
            .prepare_cached(
                "INSERT INTO counter (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE excluded.value > value",
            )
            .during(OPERATION)?;
        statement.execute(params![self.name(), int(value)]).map(|_| ()).during(OPERATION)
    }

    /// The highest value; 0 when there was none.
    pub(super) fn highest(self, connection: &Connection) -> Result<u64, StoreError> {
        const OPERATION: &str = "load a counter";
        let mut statement = connection.prepare_cached("SELECT value FROM counter WHERE name = ?1").during(OPERATION)?;
        let value = statement.query_row([self.name()], |row| row.get(0)).optional().during(OPERATION)?;
        Ok(value.map_or(0, unsigned))
    }
}
