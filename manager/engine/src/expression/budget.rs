//! How much expressions may bring in: a short text that names a large value many times must not fill the memory.

use serde_json::Value;
use thiserror::Error;

/// What is left of a limit, in bytes of JSON.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
    max: usize,
}

/// More was brought in than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("its expressions bring in more than {max} bytes")]
pub(crate) struct TooLarge {
    max: usize,
}

impl Budget {
    pub fn new(max: usize) -> Self {
        Self { left: max, max }
    }

    /// Takes what a value needs.
    pub fn take(&mut self, value: &Value) -> Result<(), TooLarge> {
        self.take_bytes(text_bytes(value))
    }

    pub fn take_bytes(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.left = self.left.checked_sub(bytes).ok_or(TooLarge { max: self.max })?;
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
