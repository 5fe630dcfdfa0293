//! What people register.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use conductor_engine::{Plan, resolve_payload};
use conductor_manager::app::schedules::Calendars;
use conductor_manager::broker::EventSource;
use conductor_model::{EventHandler, Schedule, Snapshot, TaskDef, Timestamp, WorkflowDef};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// What expressions may bring in, in bytes.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Longest name in AMQP, in bytes.
const AMQP_NAME_BYTES_MAX: usize = 255;
/// Moments of a calendar that are asked for.
const MOMENTS: usize = 3;

/// `${…}`: what can be read can be resolved, within its limit; a text with every `${` escaped is itself.
pub fn expression(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let payload = json!({
        "workflow": { "input": { "name": "ada", "n": 7, "list": [1, [2, 3], { "k": "v" }], "o": { "a.b": true, "which": "name" } } },
        "t1": { "output": { "items": [{ "id": 1, "ok": true }, { "id": 2, "ok": false }], "key": "o" } },
    });
    let resolve = |text: &str| resolve_payload(&object(json!({ "text": text })), &object(payload.clone()), PAYLOAD_BYTES_MAX);
    let resolved = resolve(text);
    if let Ok(resolved) = &resolved {
        let size = serde_json::to_vec(resolved).map_or(0, |bytes| bytes.len());
        // JSON in JSON is written with escapes: twice its length, and more for control characters.
        assert!(size <= 8 * (PAYLOAD_BYTES_MAX + text.len()) + 64, "{size} bytes came of {} and a limit", text.len());
    }
    if !text.contains("$$") {
        let escaped = text.replace("${", "$${");
        assert_eq!(resolve(&escaped), Ok(object(json!({ "text": text }))));
    }
    // As a definition's text, where it is checked against the steps that there are.
    let _ = compile(&json!({ "name": "w", "tasks": [
        { "name": "t1", "taskReferenceName": "t1" },
        { "name": "t2", "taskReferenceName": "t2", "inputParameters": { "x": text } },
    ] }));
    resolved.is_ok()
}

/// Spans of time and moments, as WAIT has them.
pub fn moment(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let taken = ["duration", "until"].map(|key| {
        let plan = compile(&json!({ "name": "w", "tasks": [
            { "name": "wait", "taskReferenceName": "wait", "type": "WAIT", "inputParameters": { key: text } },
        ] }));
        plan.is_some()
    });
    taken.contains(&true)
}

/// Calendars: their moments come one after the other.
pub fn cron(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    // The first line is the expression, the second one the zone.
    let (expression, zone) = text.split_once('\n').unwrap_or((text, "Europe/Berlin"));
    let schedule =
        json!({ "name": "s", "cronExpression": expression, "zoneId": zone, "startWorkflowRequest": { "name": "w" } });
    let schedule: Schedule = serde_json::from_value(schedule).expect("a schedule of any texts can be read");
    let Ok(calendars) = Calendars::of(&schedule) else { return false };
    let mut at = Timestamp(1_800_000_000_000);
    for _ in 0..MOMENTS {
        let Some(next) = calendars.next_after(at) else { return true };
        assert!(next > at, "{expression:?}: {next} does not come after {at}");
        at = next;
    }
    true
}

/// Workflow definitions: checked and compiled, and written as they were read.
pub fn workflow_definition(bytes: &[u8]) -> bool {
    let Some(definition) = written_as_read::<WorkflowDef>(bytes) else { return false };
    let tasks = [("t".to_owned(), Arc::new(TaskDef::named("t")))];
    let snapshot = Snapshot { digest: String::new(), workflow: Arc::new(definition), tasks: BTreeMap::from(tasks) };
    let plan = Plan::compile(Arc::new(snapshot));
    assert!(plan.as_ref().map_or(true, |plan| plan.steps() > 0));
    plan.is_ok()
}

/// Task definitions: checked, and written as they were read.
pub fn task_definition(bytes: &[u8]) -> bool {
    written_as_read::<TaskDef>(bytes).is_some_and(|definition| definition.validate().is_empty())
}

/// Event handlers: checked, and written as they were read.
pub fn event_handler(bytes: &[u8]) -> bool {
    written_as_read::<EventHandler>(bytes).is_some_and(|handler| handler.validate().is_empty())
}

/// Where events come from: what is taken names a queue that a broker can have.
pub fn event_source(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(source) = text.parse::<EventSource>() else { return false };
    assert!((1..=AMQP_NAME_BYTES_MAX).contains(&source.queue().len()), "{source:?}");
    true
}

fn written_as_read<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let written = serde_json::to_vec(&read).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, read);
    Some(read)
}

fn compile(definition: &Value) -> Option<Plan> {
    let workflow: WorkflowDef = serde_json::from_value(definition.clone()).expect("a definition of any texts can be read");
    let snapshot = Snapshot { digest: String::new(), workflow: Arc::new(workflow), tasks: BTreeMap::new() };
    Plan::compile(Arc::new(snapshot)).ok()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}
