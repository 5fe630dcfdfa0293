//! The language of searches: text → [`Expr`] → rows. The memory store evaluates an expression on each record
//! ([`evaluate`]), SQLite compiles it (`sqlite/search`); the conformance suite holds both to the same rows.
//!
//! ```text
//! query   = [ "*" ] | any
//! any     = all { "OR" all }
//! all     = one { "AND" one }
//! one     = "NOT" one | "(" any ")" | clause
//! clause  = field ( "=" | "!=" | "<>" | "<" | ">" | "<=" | ">=" ) value
//!         | field [ "NOT" ] "IN" "(" value { "," value } ")"
//!         | field [ "NOT" ] "BETWEEN" value "AND" value
//!         | field [ "NOT" ] "STARTS_WITH" value
//!         | field "IS" [ "NOT" ] "NULL"
//!         | word | phrase
//! ```
//! Values may stand in `'` or `"`; a value that ends in `*` is a prefix, `*` alone is any value. A word or a phrase without a
//! field is looked for in the whole text ([`words`]). Times are milliseconds since 1970 or written as in
//! `2026-11-22T06:08:49Z`. A comparison with a value that is not there is false, its negation true.

mod evaluate;
mod expr;
mod field;
mod lexer;
mod order;
mod parser;
mod words;

pub(crate) use evaluate::{Row, TaskRow, WorkflowRow, matches};
pub use expr::{Condition, Expr, Test, Value, Words};
pub use field::{Field, Kind, TaskField, WorkflowField};
pub(crate) use order::by_start;
pub use order::{Direction, OrderBy, SortError, parse_order};
pub use parser::{QueryError, parse_free_text, parse_query};
pub(crate) use words::{has, task_document, workflow_document};

/// Longest query or free text, in bytes.
pub const QUERY_BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of groups and negations.
pub const DEPTH_MAX: usize = 32;
/// Most conditions and values in one query.
pub const TERMS_MAX: usize = 1_024;
/// Matches are counted exactly up to here where an index alone answers.
pub const COUNT_MAX: u64 = 100_000;
/// Matches are counted exactly up to here where rows must be looked at.
pub const COUNT_LOOKED_AT_MAX: u64 = 10_000;

/// What to look for, and which stretch of it to show.
#[derive(Clone, Debug, PartialEq)]
pub struct Search<F> {
    /// Which rows.
    pub matching: Expr<F>,
    /// In which order; empty = newest first.
    pub order: Vec<OrderBy<F>>,
    /// Rows left out at the front.
    pub offset: u64,
    /// Most rows.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// How many match. No more than [`COUNT_MAX`] or [`COUNT_LOOKED_AT_MAX`] are counted, but never fewer than are shown.
    pub total: u64,
    /// The stretch.
    pub rows: Vec<T>,
}
