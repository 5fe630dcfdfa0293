//! Expressions as SQL. No value is ever written into the text: all are parameters.

use rusqlite::types::Value as Sql;

use crate::search::{Condition, Expr, Test, Value, Words};

/// SQL that grows, and its parameters.
#[derive(Clone, Debug, Default)]
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) values: Vec<Sql>,
}

impl Statement {
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    pub(super) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// Adds a parameter's place and its value.
    pub(super) fn value(&mut self, value: Sql) -> &mut Self {
        self.values.push(value);
        self.sql.push_str(&format!("?{}", self.values.len()));
        self
    }

    /// Adds places for several values, with commas between.
    pub(super) fn list(&mut self, values: impl IntoIterator<Item = Sql>) -> &mut Self {
        for (index, value) in values.into_iter().enumerate() {
            self.push(if index == 0 { "" } else { ", " }).value(value);
        }
        self
    }
}

/// A text as a parameter.
pub(super) fn text(text: &str) -> Sql {
    Sql::Text(text.to_owned())
}

/// A searched value as a parameter.
pub(super) fn sql(value: &Value) -> Sql {
    match value {
        Value::Text(found) => text(found),
        Value::Number(number) => Sql::Integer(*number),
        Value::Id(id) => Sql::Blob(id.as_bytes().to_vec()),
    }
}

/// How the rows of a table are asked.
pub(super) trait Table<F> {
    /// The SQL that gives a field's value.
    fn column(field: F) -> &'static str;
    /// Adds the condition that the words stand in the row.
    fn words(statement: &mut Statement, words: &Words);
}

/// Adds the condition; it is never NULL.
pub(super) fn condition<F: Copy, T: Table<F>>(statement: &mut Statement, expr: &Expr<F>) {
    let mut list = |all: &[Expr<F>], between: &str, none: &str| {
        statement.push("(");
        for (index, one) in all.iter().enumerate() {
            statement.push(if index == 0 { "" } else { between });
            condition::<F, T>(statement, one);
        }
        statement.push(if all.is_empty() { none } else { "" }).push(")");
    };
    match expr {
        Expr::Any => _ = statement.push("1"),
        Expr::And(all) => list(all, " AND ", "1"),
        Expr::Or(any) => list(any, " OR ", "0"),
        Expr::Not(one) => {
            statement.push("NOT ");
            condition::<F, T>(statement, one);
        }
        Expr::Words(words) => T::words(statement, words),
        Expr::Field(Condition { field, test }) => compare(statement, T::column(*field), test),
    }
}

fn compare(statement: &mut Statement, column: &str, test: &Test) {
    match test {
        Test::Missing => _ = statement.push(&format!("({column} IS NULL)")),
        Test::Is(values) => {
            statement.push(&format!("coalesce({column} IN (")).list(values.iter().map(sql)).push("), 0)");
        }
        Test::StartsWith(beginning) => {
            let length = i64::try_from(beginning.chars().count()).unwrap_or(i64::MAX);
            statement.push(&format!("coalesce(substr({column}, 1, ")).value(Sql::Integer(length));
            statement.push(") = ").value(text(beginning)).push(", 0)");
        }
        Test::Range { from, to } => {
            statement.push(&format!("coalesce({column} BETWEEN "));
            statement.value(Sql::Integer(from.unwrap_or(i64::MIN))).push(" AND ");
            statement.value(Sql::Integer(to.unwrap_or(i64::MAX))).push(", 0)");
        }
    }
}
