//! How much expressions may bring in: a short text that names a large value many times must not fill the memory, and values
//! put inside one another step by step must stay readable where they are stored.

use conductor_model::json::depth;
use conductor_model::limits::JSON_DEPTH_MAX;
use serde_json::Value;
use thiserror::Error;

/// What is left of a limit, in bytes of JSON.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    max: usize,
    /// How deep inside lists and objects the next value will stand.
    level: usize,
    /// Whether an expression must find something.
    strict: bool,
}

/// More was brought in than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum TooLarge {
    /// It is too long.
    #[error("its expressions bring in more than {max} bytes")]
    Bytes {
        /// What is allowed.
        max: usize,
    },
    /// It nests too deep.
    #[error("with what its expressions bring in it nests deeper than {JSON_DEPTH_MAX} levels")]
    Levels,
}

impl Budget {
    pub fn new(max: usize) -> Self {
        Self { left: max, max, level: 0, strict: false }
    }

    /// The same, where an expression must find something if `strict` says so.
    pub fn strict(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// Whether an expression must find something.
    pub fn is_strict(&self) -> bool {
        self.strict
    }

    /// Takes what a value needs.
    pub fn take(&mut self, value: &Value) -> Result<(), TooLarge> {
        if self.level + depth(value) > JSON_DEPTH_MAX {
            return Err(TooLarge::Levels);
        }
        self.take_bytes(text_bytes(value))
    }

    /// What follows stands inside a list or an object, until [`Self::leave`].
    pub fn enter(&mut self) {
        self.level += 1;
    }

    /// The list or object is at its end.
    pub fn leave(&mut self) {
        self.level -= 1;
    }

    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.left = self.left.checked_sub(bytes).ok_or(TooLarge::Bytes { max: self.max })?;
        Ok(())
    }
}

/// How long a value is as JSON, roughly: numbers count as eight bytes, escapes as one.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(|element| text_bytes(element) + 1).sum::<usize>() + 2,
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + text_bytes(value) + 4).sum::<usize>() + 2,
    }
}
