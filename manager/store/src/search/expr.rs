//! A query, understood.

use std::fmt;

use uuid::Uuid;

use super::field::Field;

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr<F> {
    /// Every row.
    Any,
    /// All of these; every row when there is none.
    And(Vec<Expr<F>>),
    /// At least one of these; no row when there is none.
    Or(Vec<Expr<F>>),
    /// Not this.
    Not(Box<Expr<F>>),
    /// A field's value.
    Field(Condition<F>),
    /// Words somewhere in the row.
    Words(Words),
}

impl<F> Expr<F> {
    /// This and `other`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Any, other) => other,
            (one, Self::Any) => one,
            (Self::And(mut all), other) => {
                all.push(other);
                Self::And(all)
            }
            (one, other) => Self::And(vec![one, other]),
        }
    }
}

/// A field and what its value must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition<F> {
    /// Which field.
    pub field: F,
    /// What its value must be.
    pub test: Test,
}

/// What a value must be. A value that is not there passes [`Test::Missing`] alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// One of these.
    Is(Vec<Value>),
    /// A text that begins so.
    StartsWith(String),
    /// A number or moment within these bounds, both included; `None` = no bound.
    Range {
        /// At least.
        from: Option<i64>,
        /// At most.
        to: Option<i64>,
    },
    /// Not there.
    Missing,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text; a status too.
    Text(String),
    /// A number, or a moment in ms since 1970.
    Number(i64),
    /// An id.
    Id(Uuid),
}

/// Words that must stand one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// As [`super::words`] splits text; never empty.
    pub tokens: Vec<String>,
    /// Whether the last may go on.
    pub prefix: bool,
}

impl Words {
    /// The id that the words spell, if they do.
    #[must_use]
    pub fn as_id(&self) -> Option<Uuid> {
        if self.prefix || self.tokens.len() != 5 { None } else { self.tokens.join("-").parse().ok() }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => quoted(f, text),
            Self::Number(number) => number.fmt(f),
            Self::Id(id) => quoted(f, &id.to_string()),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}{}\"", self.tokens.join(" "), if self.prefix { "*" } else { "" })
    }
}

/// As it would be written; reading it gives the same expression.
impl<F: Field> fmt::Display for Expr<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, all: &[Self], word: &str| {
            for (index, one) in all.iter().enumerate() {
                write!(f, "{}({one})", if index == 0 { "" } else { word })?;
            }
            Ok(())
        };
        match self {
            Self::Any => f.write_str("*"),
            Self::And(all) => list(f, all, " AND "),
            Self::Or(any) => list(f, any, " OR "),
            Self::Not(one) => write!(f, "NOT ({one})"),
            Self::Words(words) => words.fmt(f),
            Self::Field(Condition { field, test }) => {
                f.write_str(field.name())?;
                match test {
                    Test::Is(values) => {
                        f.write_str(" IN (")?;
                        for (index, value) in values.iter().enumerate() {
                            write!(f, "{}{value}", if index == 0 { "" } else { ", " })?;
                        }
                        f.write_str(")")
                    }
                    Test::StartsWith(text) => {
                        f.write_str(" STARTS_WITH ")?;
                        quoted(f, text)
                    }
                    Test::Range { from: Some(from), to: Some(to) } => write!(f, " BETWEEN {from} AND {to}"),
                    Test::Range { from: Some(from), to: None } => write!(f, " >= {from}"),
                    Test::Range { from: None, to: Some(to) } => write!(f, " <= {to}"),
                    Test::Range { from: None, to: None } => f.write_str(" IS NOT NULL"),
                    Test::Missing => f.write_str(" IS NULL"),
                }
            }
        }
    }
}
