//! Between records and columns.

use conductor_model::{TaskId, WorkflowId};
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;

/// Says what was being done when SQLite refused.
pub(super) trait During<T> {
    /// The result with `operation` named in its error.
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for Result<T, rusqlite::Error> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|error| StoreError::Backend { operation, message: error.to_string() })
    }
}

/// Whether a uniqueness rule of the schema refused the row.
pub(super) fn is_duplicate(error: &rusqlite::Error) -> bool {
    use rusqlite::ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE};
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if matches!(failure.extended_code, SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_UNIQUE))
}

/// The JSON of a record.
pub(super) fn to_json<T: Serialize>(what: &'static str, value: &T) -> Result<String, StoreError> {
    let failed = |message| StoreError::Backend { operation: what, message };
    // Most records are shorter, so that theirs is written without being moved.
    let mut json = Vec::with_capacity(1024);
    serde_json::to_writer(&mut json, value).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(json).map_err(|error| failed(error.to_string()))
}

/// A record from its JSON.
pub(super) fn from_json<T: DeserializeOwned>(what: &str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt { what: what.to_owned(), message: error.to_string() })
}

/// SQLite's integers are signed.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count or number that is never negative.
pub(super) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A row limit.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A workflow's id out of a column.
pub(super) fn workflow_id(column: usize, bytes: &[u8]) -> Result<WorkflowId, rusqlite::Error> {
    WorkflowId::from_slice(bytes).ok_or_else(|| not_an_id(column))
}

/// A task's id out of a column.
pub(super) fn task_id(column: usize, bytes: &[u8]) -> Result<TaskId, rusqlite::Error> {
    TaskId::from_slice(bytes).ok_or_else(|| not_an_id(column))
}

/// A name out of a column.
pub(super) fn name<T>(column: usize, text: String) -> Result<T, rusqlite::Error>
where
    T: TryFrom<String>,
    T::Error: std::error::Error + Send + Sync + 'static,
{
    T::try_from(text).map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}

fn not_an_id(column: usize) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Blob, "not the 16 bytes of an id".into())
}
