//! Label selectors with comparisons on facts.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A parsed selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    text: String,
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

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Ok(Self { text: text.to_owned() })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
