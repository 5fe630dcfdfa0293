//! The full-text index of workflows: what is written into it and how it is asked.

use std::collections::BTreeMap;

use conductor_model::{WorkflowRecord, WorkflowStatus};
use rusqlite::{Connection, params};

use super::super::codec::During;
use crate::StoreError;
use crate::search::{Expr, Words, WorkflowField, workflow_document};

/// The words that a transaction changes, until its end.
///
/// The index is written once per transaction, in the order of its rows: a row before the last one written, a savepoint, or
/// a second change of the same row would each make it a segment of its own, and segments must be merged again.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct TextChanges {
    /// By place; `None` = they go.
    changed: BTreeMap<i64, Option<String>>,
}

impl TextChanges {
    /// Notes a workflow's words, in place of those that are there.
    pub(in crate::sqlite) fn put(&mut self, place: i64, record: &WorkflowRecord) {
        let mut words = workflow_document(record).text;
        for mark in [mark_of_tenant(record.tenant.as_str()), mark_of_name(&record.name), mark_of_status(record.status)] {
            words.push(' ');
            words.push_str(&mark);
        }
        self.changed.insert(place, Some(words));
    }

    /// Notes that a workflow's words go.
    pub(in crate::sqlite) fn remove(&mut self, place: i64) {
        self.changed.insert(place, None);
    }

    /// Notes what changed after this.
    pub(in crate::sqlite) fn append(&mut self, mut later: Self) {
        self.changed.append(&mut later.changed);
    }

    /// Writes what changed.
    pub(in crate::sqlite) fn write(self, connection: &Connection) -> Result<(), StoreError> {
        const OPERATION: &str = "store the words of workflows";
        for (place, words) in self.changed {
            match words {
                Some(words) => connection
                    .prepare_cached("REPLACE INTO workflow_text (rowid, words) VALUES (?1, ?2)")
                    .and_then(|mut statement| statement.execute(params![place, words])),
                None => connection
                    .prepare_cached("DELETE FROM workflow_text WHERE rowid = ?1")
                    .and_then(|mut statement| statement.execute([place])),
            }
            .during(OPERATION)?;
        }
        Ok(())
    }
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
