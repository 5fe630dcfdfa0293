//! How two JSON documents differ, as operations of a JSON Patch (RFC 6902).

use serde::Serialize;
use serde_json::{Map, Value};

/// One operation of a JSON Patch. Carried out one after the other they turn the one document into the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Change {
    /// Something is there that was not.
    Add {
        /// Where, as a JSON Pointer (RFC 6901).
        path: String,
        /// What.
        value: Value,
    },
    /// Something is there no more.
    Remove {
        /// Where.
        path: String,
        /// What was there.
        before: Value,
    },
    /// Something has become something else.
    Replace {
        /// Where.
        path: String,
        /// What was there.
        before: Value,
        /// What is there.
        value: Value,
    },
}

/// What turns `old` into `new`. In lists, what is the same at both ends is told apart from what changed in between; no shorter
/// way is looked for.
pub fn difference(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(old, new, "", &mut changes);
    changes
}

fn compare(old: &Value, new: &Value, path: &str, changes: &mut Vec<Change>) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(old), Value::Object(new)) => compare_objects(old, new, path, changes),
        (Value::Array(old), Value::Array(new)) => compare_lists(old, new, path, changes),
        (old, new) => changes.push(Change::Replace { path: path.to_owned(), before: old.clone(), value: new.clone() }),
    }
}

fn compare_objects(old: &Map<String, Value>, new: &Map<String, Value>, path: &str, changes: &mut Vec<Change>) {
    for (key, before) in old {
        let path = below(path, key);
        match new.get(key) {
            Some(value) => compare(before, value, &path, changes),
            None => changes.push(Change::Remove { path, before: before.clone() }),
        }
    }
    for (key, value) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        changes.push(Change::Add { path: below(path, key), value: value.clone() });
    }
}

fn compare_lists(old: &[Value], new: &[Value], path: &str, changes: &mut Vec<Change>) {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let both = old.len().min(new.len());
    for (at, (before, value)) in old.iter().zip(new).enumerate() {
        compare(before, value, &below(path, &(head + at).to_string()), changes);
    }
    // What follows moves up with each removal.
    let end = below(path, &(head + both).to_string());
    changes.extend(old[both..].iter().map(|before| Change::Remove { path: end.clone(), before: before.clone() }));
    for (at, value) in new.iter().enumerate().skip(both) {
        changes.push(Change::Add { path: below(path, &(head + at).to_string()), value: value.clone() });
    }
}

/// A member of what a JSON Pointer points at.
fn below(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Carries out a patch, as RFC 6902 says.
    fn apply(mut document: Value, changes: &[Change]) -> Value {
        for change in changes {
            let (Change::Add { path, .. } | Change::Remove { path, .. } | Change::Replace { path, .. }) = change;
            let Some((parent, key)) = path.rsplit_once('/') else {
                let Change::Replace { value, .. } = change else { panic!("the whole is replaced") };
                document = value.clone();
                continue;
            };
            let key = key.replace("~1", "/").replace("~0", "~");
            match (document.pointer_mut(parent).unwrap(), change) {
                (Value::Object(map), Change::Remove { before, .. }) => assert_eq!(map.remove(&key).as_ref(), Some(before)),
                (Value::Object(map), Change::Add { value, .. }) => assert_eq!(map.insert(key, value.clone()), None),
                (Value::Object(map), Change::Replace { before, value, .. }) => {
                    assert_eq!(map.insert(key, value.clone()).as_ref(), Some(before));
                }
                (Value::Array(list), Change::Remove { before, .. }) => {
                    assert_eq!(list.remove(key.parse().unwrap()), *before);
                }
                (Value::Array(list), Change::Add { value, .. }) => list.insert(key.parse().unwrap(), value.clone()),
                (Value::Array(list), Change::Replace { before, value, .. }) => {
                    let at: usize = key.parse().unwrap();
                    assert_eq!(std::mem::replace(&mut list[at], value.clone()), *before);
                }
                (other, _) => panic!("{parent} is {other}"),
            }
        }
        document
    }

    #[test]
    fn carried_out_on_the_one_document_it_gives_the_other() {
        let documents = [
            json!(null),
            json!({"a": 1, "b": {"c": [1, 2, 3]}}),
            json!({"a": null, "b": {"c": [1, 3]}}),
            json!({"b": {"c": [0, 1, 2, 3, 4], "d/e~f": true}}),
            json!({"b": {"c": [3, 2, 1, {"x": []}], "d/e~f": {"": 1}}}),
            json!({"b": [1], "a": 1.0}),
            json!([[], [[1]], {"a": []}]),
            json!([[1], {"a": [2]}]),
            json!([]),
        ];
        for old in &documents {
            for new in &documents {
                let changes = difference(old, new);
                assert_eq!(apply(old.clone(), &changes), *new, "{old} → {new}: {changes:?}");
                assert_eq!(changes.is_empty(), old == new);
            }
        }
    }

    #[test]
    fn a_step_that_is_put_in_is_one_change() {
        let old = json!({"tasks": [{"name": "a"}, {"name": "c"}]});
        let new = json!({"tasks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
        assert_eq!(difference(&old, &new), [Change::Add { path: "/tasks/1".to_owned(), value: json!({"name": "b"}) }]);
        assert_eq!(difference(&new, &old), [Change::Remove { path: "/tasks/1".to_owned(), before: json!({"name": "b"}) }]);
    }
}
