//! The full-text index of workflows: what is written into it and how it is asked.

use conductor_model::{WorkflowRecord, WorkflowStatus};
use rusqlite::{Connection, params};

use super::super::codec::During;
use crate::StoreError;
use crate::search::{Expr, Words, WorkflowField, workflow_document};

/// Writes a workflow's words, in place of those that were there.
pub(in crate::sqlite) fn put(connection: &Connection, place: i64, record: &WorkflowRecord) -> Result<(), StoreError> {
    const OPERATION: &str = "store a workflow's words";
    let mut words = workflow_document(record).text;
    for mark in [mark_of_tenant(record.tenant.as_str()), mark_of_name(&record.name), mark_of_status(record.status)] {
        words.push(' ');
        words.push_str(&mark);
    }
    let mut statement =
        connection.prepare_cached("REPLACE INTO workflow_text (rowid, words) VALUES (?1, ?2)").during(OPERATION)?;
    statement.execute(params![place, words]).map(|_| ()).during(OPERATION)
}

/// Takes a workflow's words out.
pub(in crate::sqlite) fn remove(connection: &Connection, place: i64) -> Result<(), StoreError> {
    const OPERATION: &str = "remove a workflow's words";
    let mut statement = connection.prepare_cached("DELETE FROM workflow_text WHERE rowid = ?1").during(OPERATION)?;
    statement.execute([place]).map(|_| ()).during(OPERATION)
}

// A mark begins with a character that no word has, and goes on in hexadecimal digits: it is one token whatever it names.

fn mark(kind: char, text: &str) -> String {
    let mut mark = format!("·{kind}");
    for byte in text.bytes() {
        mark.push_str(&format!("{byte:02x}"));
    }
    mark
}

/// Marks the rows of a tenant.
pub(super) fn mark_of_tenant(tenant: &str) -> String {
    mark('t', tenant)
}

/// Marks the rows of a name; the mark of its beginning is the beginning of its mark.
pub(super) fn mark_of_name(name: &str) -> String {
    mark('n', name)
}

/// Marks the rows of a status.
pub(super) fn mark_of_status(status: WorkflowStatus) -> String {
    mark('s', status.as_str())
}

/// A phrase as FTS5 reads it.
pub(super) fn phrase(words: &Words) -> String {
    format!("\"{}\"{}", words.tokens.join(" "), if words.prefix { "*" } else { "" })
}

/// The question for FTS5; `None` when the expression has more than words in it.
pub(super) fn question(expr: &Expr<WorkflowField>) -> Option<String> {
    let all = |list: &[Expr<WorkflowField>], between: &str| {
        let parts: Option<Vec<String>> = list.iter().map(question).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| format!("({})", parts.join(between)))
    };
    match expr {
        Expr::Words(words) => Some(phrase(words)),
        Expr::And(list) => all(list, " AND "),
        Expr::Or(list) => all(list, " OR "),
        Expr::Any | Expr::Not(_) | Expr::Field(_) => None,
    }
}
