//! Keys of properties and inputs: `a.b` leads inside `a`.

use conductor_model::json::depth;
use conductor_model::limits::JSON_DEPTH_MAX;
use serde_json::{Map, Value};

/// The whole, or what a key leads to: the key as it stands, else its parts one inside the other.
///
/// # Errors
/// When there is no such thing, in words for people.
pub fn select(whole: Value, key: Option<&str>, what: &str) -> Result<Value, String> {
    let Some(key) = key else { return Ok(whole) };
    if let Some(value) = whole.get(key) {
        return Ok(value.clone());
    }
    let inside = key.split('.').try_fold(&whole, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    });
    inside.cloned().ok_or_else(|| format!("there is no {what} {key:?}"))
}

/// Whether a value at a key nests no deeper than the manager takes it.
///
/// # Errors
/// That it does, in words for people.
pub fn check_depth(key: &str, value: &Value) -> Result<(), String> {
    let levels = key.split('.').count() + depth(value);
    if levels > JSON_DEPTH_MAX {
        return Err(format!("the key and its value nest {levels} levels deep; at most {JSON_DEPTH_MAX} are allowed"));
    }
    Ok(())
}

/// Sets what a key leads to, making the objects on the way; `null` removes. For keys that passed [`check_depth`].
pub fn set_inside(value: &mut Value, path: &str, new: Value) {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { return };
    match path.split_once('.') {
        Some((first, rest)) => set_inside(map.entry(first).or_insert(Value::Null), rest, new),
        None if new.is_null() => drop(map.remove(path)),
        None => drop(map.insert(path.to_owned(), new)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_lead_inside() {
        let whole = json!({"a": {"b": [1, {"c": 2}]}, "a.b": 5});
        assert_eq!(select(whole.clone(), Some("a.b"), "x"), Ok(json!(5)), "a key as it stands comes first");
        assert_eq!(select(whole.clone(), Some("a.b.1.c"), "x"), Ok(json!(2)));
        assert_eq!(select(whole, Some("a.z"), "input"), Err("there is no input \"a.z\"".to_owned()));
    }

    #[test]
    fn values_are_set_inside() {
        let mut value = json!({"x": 1});
        set_inside(&mut value, "b.c", json!(3));
        set_inside(&mut value, "x", Value::Null);
        assert_eq!(value, json!({"b": {"c": 3}}));
    }

    #[test]
    fn a_key_that_leads_in_without_end_is_refused() {
        assert_eq!(check_depth(&["a"; JSON_DEPTH_MAX].join("."), &json!(1)), Ok(()));
        let error = check_depth(&["a"; JSON_DEPTH_MAX].join("."), &json!([1])).unwrap_err();
        assert!(error.contains("101 levels"), "{error}");
    }
}
