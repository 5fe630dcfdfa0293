//! What never changes and is shown again and again.

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// The JSON of something that never changes, written when it is first asked for.
#[derive(Debug, Default)]
pub(crate) struct Written(OnceLock<Box<RawValue>>);

impl Written {
    /// The JSON of `value`, which is the same in every call.
    pub fn once(&self, value: &impl Serialize) -> &RawValue {
        // Definitions were read from JSON: they can be written.
        self.0.get_or_init(|| to_raw_value(value).unwrap_or_default())
    }
}
