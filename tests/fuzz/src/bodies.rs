//! What is sent to the manager's doors and queues.

use conductor_engine::resolve_payload;
use conductor_manager::api::reading;
use conductor_manager::app::events::message;
use conductor_manager::app::schemas::{FAULT_CHARS_MAX, FAULTS_MAX, faults, misfits};
use conductor_model::SchemaDef;
use conductor_model::event_handler::{StartAction, TaskAction, WorkflowAction};
use conductor_model::json::depth;
use conductor_model::limits::{JSON_DEPTH_MAX, TASK_PAYLOAD_BYTES_MAX};
use serde_json::{Value, json};

/// A request's body, behind a line that says of which kind: read, or refused as the caller's mistake, which is named.
pub fn request_body(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return false };
    let Ok(name) = std::str::from_utf8(&bytes[..end]) else { return false };
    match reading::body(name, &bytes[end + 1..]) {
        None => false,
        Some(Ok(())) => true,
        Some(Err(error)) => {
            assert!(error.status.is_client_error(), "{error:?}");
            assert!(!error.code.is_empty() && !error.message.is_empty(), "{error:?}");
            false
        }
    }
}

/// A JSON Schema as it is registered, and in the next line a value: what was taken can be asked of any value.
pub fn schema(bytes: &[u8]) -> bool {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let Ok(schema) = serde_json::from_slice::<SchemaDef>(&bytes[..end]) else { return false };
    let wrong = faults(&schema, "schema");
    let Some(data) = schema.data.filter(|_| wrong.is_empty()) else { return false };
    let given = bytes.get(end + 1..).and_then(|text| serde_json::from_slice(text).ok());
    for value in [given.unwrap_or_default(), Value::Object(data.clone()), json!({ "a": [1, "b", { "a": null }] })] {
        let misfits = misfits(data.clone(), "input", &value).expect("what was taken is a schema");
        assert!(misfits.len() <= FAULTS_MAX);
        for misfit in misfits {
            assert!(misfit.path.starts_with("input") && misfit.message.chars().count() <= FAULT_CHARS_MAX, "{misfit:?}");
        }
    }
    true
}

/// A message that came over RabbitMQ: what is made of it can be stored, and read again where it is.
pub fn event_message(bytes: &[u8]) -> bool {
    let Ok(mut payload) = message::read(bytes) else { return false };
    let template = json!({ "name": "${name}", "workflowId": "${run}", "taskRefName": "w", "version": "${version}",
        "input": { "all": "${order}", "text": "of ${order} and ${order.items[*].id.sum()}" }, "output": "${order}",
        "taskToDomain": "${domains}", "variables": "${order}", "reasonForIncompletion": "${why}" });
    let Value::Object(template) = template else { return false };
    for _ in 0..2 {
        if let Ok(resolved) = resolve_payload(&template, &payload, TASK_PAYLOAD_BYTES_MAX) {
            let resolved = Value::Object(resolved);
            assert!(depth(&resolved) <= JSON_DEPTH_MAX);
            let text = resolved.to_string();
            assert_eq!(serde_json::from_str::<Value>(&text).ok().as_ref(), Some(&resolved), "{text}");
            let _ = serde_json::from_value::<StartAction>(resolved.clone());
            let _ = serde_json::from_value::<TaskAction>(resolved.clone());
            let _ = serde_json::from_value::<WorkflowAction>(resolved);
        }
        // Once more with what is JSON in its texts.
        message::expand(&mut payload);
    }
    true
}
