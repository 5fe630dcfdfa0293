//! What comes as a message.

use conductor_model::limits::JSON_DEPTH_MAX;
use serde_json::{Map, Value};

/// Reads a message's body, which must be a JSON object.
///
/// # Errors
/// When it is none.
pub fn read(body: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_slice(body)
}

/// Reads texts that are JSON objects or lists, down to [`JSON_DEPTH_MAX`] levels.
pub fn expand(message: &mut Map<String, Value>) {
    expand_members(message, JSON_DEPTH_MAX);
}

fn expand_members(map: &mut Map<String, Value>, depth: usize) {
    map.values_mut().for_each(|value| expand_value(value, depth));
}

fn expand_value(value: &mut Value, depth: usize) {
    if depth == 0 {
        return;
    }
    match value {
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            if let Ok(mut read) = serde_json::from_str::<Value>(text) {
                expand_value(&mut read, depth - 1);
                *value = read;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|element| expand_value(element, depth - 1)),
        Value::Object(map) => expand_members(map, depth - 1),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_that_are_json_are_read() {
        let mut message = json!({ "a": "{\"b\": \"[1]\"}", "c": "plain", "d": ["{broken"] });
        expand_value(&mut message, 10);
        assert_eq!(message, json!({ "a": { "b": [1] }, "c": "plain", "d": ["{broken"] }));
    }
}
