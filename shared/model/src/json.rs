//! How deeply JSON nests. What comes from outside is bounded, so that it can still be read where it lies inside something else.

use serde_json::{Map, Value};

use crate::limits::JSON_DEPTH_MAX;

/// How deeply a value nests: 0 for one with nothing in it. Recursive: for what a parser with a bound has read.
#[must_use]
pub fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Whether an object nests deeper than [`JSON_DEPTH_MAX`].
#[must_use]
pub fn nests_too_deep(fields: &Map<String, Value>) -> bool {
    fields.values().any(|value| depth(value) >= JSON_DEPTH_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn levels_are_counted_and_bounded() {
        assert_eq!([json!(1), json!([]), json!({ "a": [1, { "b": 2 }], "c": [] })].map(|value| depth(&value)), [0, 1, 3]);
        let nested = |levels: usize| {
            let value = (0..levels).fold(json!(1), |value, _| json!([value]));
            Map::from_iter([("a".to_owned(), value)])
        };
        assert!(!nests_too_deep(&nested(JSON_DEPTH_MAX - 1)));
        assert!(nests_too_deep(&nested(JSON_DEPTH_MAX)));
    }
}
