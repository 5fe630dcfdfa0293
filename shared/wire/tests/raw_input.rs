//! A task's input survives the trip to an agent byte for byte.

use conductor_wire::amqp::{ToAgent, ToAgentItem};
use serde_json::value::RawValue;

#[test]
fn the_input_of_a_task_survives_the_trip_to_an_agent() {
    let envelope = serde_json::json!({
        "task_id": "01890000-0000-7000-8000-000000000001", "dispatch": 1, "workflow_id": "01890000-0000-7000-8000-000000000002",
        "tenant": "default_tenant", "workflow_name": "w", "reference": "r", "definition_name": "d", "attempt": 0,
        "plugin": {"name": "p", "version": "1", "digest": "0".repeat(64)}, "operation": "o", "input": {"a": [1, 2.50]},
        "node_instance": "agent-1", "grace_ms": 1000, "idempotent": false
    });
    let envelope: conductor_wire::amqp::TaskEnvelope = serde_json::from_str(&envelope.to_string()).unwrap();
    let items = serde_json::to_string(&[ToAgentItem::Task(Box::new(envelope))]).unwrap();
    let sent = serde_json::to_string(&ToAgent {
        protocol: 1,
        signature: String::new(),
        expires_at: None,
        items: RawValue::from_string(items).unwrap(),
    })
    .unwrap();
    let got: ToAgent = serde_json::from_str(&sent).unwrap();
    let items: Vec<ToAgentItem> = serde_json::from_str(got.items.get()).unwrap();
    let ToAgentItem::Task(task) = &items[0] else { panic!("a task was sent") };
    assert_eq!(task.input.as_ref().unwrap().get(), r#"{"a":[1,2.5]}"#);
}
