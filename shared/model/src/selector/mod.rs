//! Label selectors with comparisons on facts.
//!
//! A selector is a list of requirements with commas between them; all must hold.
//!
//! | text | holds when |
//! |---|---|
//! | `role=web`, `role==web` | the label has the value |
//! | `env!=prod` | it has another value, or there is none |
//! | `env in (prod,staging)` | it has one of the values |
//! | `env notin (a,b)` | it has none of them, or there is none |
//! | `role` | there is such a label |
//! | `!role` | there is no such label |
//! | `fact:memory.total>=1GiB` | the fact is a number that compares so: `>`, `>=`, `<`, `<=`; sizes are bytes |
//!
//! Everything that works on labels works on facts as well, `fact:os.id=debian`. A fact that is a list has a value when one
//! of its elements is it.

mod parse;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::size::ByteSize;

/// Longest selector in bytes.
pub const SELECTOR_BYTES_MAX: usize = 4096;

/// A parsed selector. Its text is canonical: what [`fmt::Display`] writes reads back as the same selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    requirements: Vec<Requirement>,
}

/// One requirement of a selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Requirement {
    subject: Subject,
    test: Test,
}

/// What a requirement looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Label(String),
    /// Keys with dots between them.
    Fact(String),
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Exists,
    Missing,
    OneOf(Vec<Operand>),
    NoneOf(Vec<Operand>),
    Compare(Comparison, Operand),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    More,
    AtLeast,
    Less,
    AtMost,
}

/// A value as written, and the number it is, if it is one.
#[derive(Clone, Debug, PartialEq)]
struct Operand {
    text: String,
    number: Option<f64>,
}

/// Why a text is not a selector.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("selector {text:?}, at character {at}: {message}")]
pub struct SelectorError {
    /// The text as given.
    pub text: String,
    /// Where, in characters from 1.
    pub at: usize,
    /// What was wrong and what is expected.
    pub message: String,
}

/// Why an agent does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The first requirement that does not hold, as text.
    pub requirement: String,
    /// What stands there instead; none = nothing.
    pub found: Option<String>,
}

impl Selector {
    /// Whether labels and facts fit.
    ///
    /// # Errors
    /// The first requirement that does not hold, with what was found.
    pub fn matches(&self, labels: &BTreeMap<String, String>, facts: &Map<String, Value>) -> Result<(), Mismatch> {
        match self.first_mismatch(labels, facts) {
            None => Ok(()),
            Some(requirement) => {
                Err(Mismatch { requirement: requirement.to_string(), found: requirement.found(labels, facts) })
            }
        }
    }

    /// The first requirement that does not hold; none = all hold. Allocates nothing.
    #[must_use]
    pub fn first_mismatch(&self, labels: &BTreeMap<String, String>, facts: &Map<String, Value>) -> Option<&Requirement> {
        self.requirements.iter().find(|requirement| !requirement.holds(labels, facts))
    }

    /// Its requirements, in order.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }
}

impl Requirement {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, labels: &BTreeMap<String, String>, facts: &Map<String, Value>) -> bool {
        match &self.subject {
            Subject::Label(key) => {
                let label = labels.get(key);
                self.test.holds(label.is_some(), |operand| label.is_some_and(|label| *label == operand.text), None)
            }
            Subject::Fact(path) => {
                let fact = find(facts, path);
                self.test.holds(fact.is_some(), |operand| fact.is_some_and(|fact| operand.equals(fact)), fact)
            }
        }
    }

    /// What stands where it looks.
    fn found(&self, labels: &BTreeMap<String, String>, facts: &Map<String, Value>) -> Option<String> {
        match &self.subject {
            Subject::Label(key) => labels.get(key).cloned(),
            Subject::Fact(path) => find(facts, path).map(text_of),
        }
    }
}

impl Test {
    fn holds(&self, exists: bool, equals: impl Fn(&Operand) -> bool, fact: Option<&Value>) -> bool {
        match self {
            Self::Exists => exists,
            Self::Missing => !exists,
            Self::OneOf(operands) => operands.iter().any(equals),
            Self::NoneOf(operands) => !operands.iter().any(equals),
            Self::Compare(comparison, operand) => match (fact.and_then(number_of), operand.number) {
                (Some(fact), Some(number)) => match comparison {
                    Comparison::More => fact > number,
                    Comparison::AtLeast => fact >= number,
                    Comparison::Less => fact < number,
                    Comparison::AtMost => fact <= number,
                },
                (_, _) => false,
            },
        }
    }
}

impl Operand {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), number: number_from(text) }
    }

    fn equals(&self, fact: &Value) -> bool {
        match fact {
            Value::String(text) => *text == self.text,
            Value::Bool(value) => self.text == if *value { "true" } else { "false" },
            Value::Number(number) => number.as_f64().is_some_and(|number| self.number == Some(number)),
            Value::Array(list) => list.iter().any(|element| !element.is_array() && self.equals(element)),
            Value::Null | Value::Object(_) => false,
        }
    }
}

/// The fact at a path; a fact that is `null` is not there.
fn find<'f>(facts: &'f Map<String, Value>, path: &str) -> Option<&'f Value> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = facts.get(first)?;
    match rest {
        None => Some(value).filter(|value| !value.is_null()),
        Some(rest) => find(value.as_object()?, rest),
    }
}

fn number_of(fact: &Value) -> Option<f64> {
    match fact {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => number_from(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A plain number or a size in bytes.
fn number_from(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if !plain {
        return None;
    }
    if let Ok(number) = text.parse::<f64>() {
        return Some(number).filter(|number| number.is_finite());
    }
    #[expect(clippy::cast_precision_loss, reason = "a comparison of sizes need not be exact beyond 8 PiB")]
    text.parse::<ByteSize>().ok().map(|size| size.0 as f64)
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::selector(text)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |operands: &[Operand]| operands.iter().map(|operand| operand.text.as_str()).collect::<Vec<_>>().join(",");
        let subject = &self.subject;
        match &self.test {
            Test::Exists => write!(f, "{subject}"),
            Test::Missing => write!(f, "!{subject}"),
            Test::OneOf(operands) => match operands.as_slice() {
                [one] => write!(f, "{subject}={}", one.text),
                several => write!(f, "{subject} in ({})", list(several)),
            },
            Test::NoneOf(operands) => match operands.as_slice() {
                [one] => write!(f, "{subject}!={}", one.text),
                several => write!(f, "{subject} notin ({})", list(several)),
            },
            Test::Compare(comparison, operand) => write!(f, "{subject}{comparison}{}", operand.text),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => f.write_str(key),
            Self::Fact(path) => write!(f, "fact:{path}"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
        })
    }
}

impl fmt::Display for Mismatch {
    /// As in `lacks role=web (has role=db)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lacks {}", self.requirement)?;
        match &self.found {
            Some(found) => write!(f, " (has {found:?})"),
            None => Ok(()),
        }
    }
}
