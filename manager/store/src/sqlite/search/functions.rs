//! What searches need and SQL does not have.

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use serde_json::Value;

use crate::search::{Words, has, task_document};

/// Gives a connection `task_has_words(name, reference, reason, input, output, words, prefix)`.
pub(in crate::sqlite) fn add_functions(connection: &Connection) -> Result<(), rusqlite::Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("task_has_words", 7, flags, task_has_words)
}

fn task_has_words(context: &Context<'_>) -> Result<bool, rusqlite::Error> {
    let text = |index: usize| context.get_raw(index).as_str_or_null().unwrap_or_default();
    let payload = |index: usize| text(index).and_then(|json| serde_json::from_str(json).ok()).unwrap_or(Value::Null);
    let (name, reference) = (text(0).unwrap_or_default(), text(1).unwrap_or_default());
    let document = task_document(name, reference, text(2), &payload(3), &payload(4));
    let tokens = text(5).unwrap_or_default().split(' ').map(str::to_owned).collect();
    Ok(has(&document, &Words { tokens, prefix: context.get(6)? }))
}
