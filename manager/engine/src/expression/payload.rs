//! Expressions over a plain JSON document: those of event handlers, looked up in a message.

use std::borrow::Cow;

use serde_json::{Map, Value};
use thiserror::Error;

use super::{Budget, Document, Template, TemplateFault};

/// Why a template over a payload has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PayloadFault {
    /// A text cannot be read.
    #[error("{at}: {message}")]
    Unreadable {
        /// Where below the template.
        at: String,
        /// What is wrong.
        message: String,
    },
    /// More was brought in than allowed.
    #[error("its expressions bring in more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
}

/// The members of an object, each a root of its own.
struct Payload<'p>(&'p Map<String, Value>);

impl Document for Payload<'_> {
    fn member(&self, root: &str, key: &str, _: Option<&str>) -> Option<Cow<'_, Value>> {
        self.0.get(root)?.get(key).map(Cow::Borrowed)
    }

    fn whole(&self, root: &str) -> Option<Cow<'_, Value>> {
        self.0.get(root).map(Cow::Borrowed)
    }
}

/// `template` with every `${…}` looked up in `payload`, whose members are the roots. At most `max` bytes are brought in.
///
/// # Errors
/// [`PayloadFault`].
pub fn resolve_payload(
    template: &Map<String, Value>,
    payload: &Map<String, Value>,
    max: usize,
) -> Result<Map<String, Value>, PayloadFault> {
    let mut faults = Vec::new();
    let template = Template::compile_map(template, &mut faults);
    if let Some(TemplateFault { at, message }) = faults.into_iter().next() {
        return Err(PayloadFault::Unreadable { at, message });
    }
    match template.resolve(&Payload(payload), &mut Budget::new(max)) {
        Ok(Value::Object(resolved)) => Ok(resolved),
        Ok(_) => Ok(Map::new()),
        Err(_) => Err(PayloadFault::TooLarge { max }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(template: &Value, payload: &Value) -> Result<Value, PayloadFault> {
        let (Value::Object(template), Value::Object(payload)) = (template, payload) else { panic!("objects") };
        resolve_payload(template, payload, 1000).map(Value::Object)
    }

    #[test]
    fn members_of_the_payload_are_roots() {
        let payload = json!({ "order": { "id": 7, "items": ["a", "b"] }, "kind": "new" });
        let template = json!({ "id": "${order.id}", "all": "${order}", "text": "${kind}: ${order.items[1]}", "no": "${x.y}" });
        let resolved = resolve(&template, &payload).unwrap();
        assert_eq!(resolved, json!({ "id": 7, "all": { "id": 7, "items": ["a", "b"] }, "text": "new: b", "no": null }));
    }

    #[test]
    fn what_cannot_be_read_or_is_too_large_is_told() {
        assert!(matches!(resolve(&json!({ "a": "${x" }), &json!({})), Err(PayloadFault::Unreadable { .. })));
        let large = json!({ "x": "y".repeat(2000) });
        assert_eq!(resolve(&json!({ "a": "${x}" }), &large), Err(PayloadFault::TooLarge { max: 1000 }));
    }
}
