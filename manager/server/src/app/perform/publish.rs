//! Messages of EVENT steps.

use conductor_engine::PerformFailure;
use conductor_model::TenantName;
use serde_json::{Map, Value};

use super::{terminal, transient};
use crate::app::App;
use crate::app::core::Turn;
use crate::app::events::Delivery;
use crate::broker::{BrokerError, EventSource};

/// Publishes a message and returns once it is safe: confirmed by RabbitMQ, or handled, for an internal queue. The task's id
/// is the message's: a message that is published again is known as the same.
pub(super) async fn publish(
    app: &App,
    tenant: &TenantName,
    turn: Turn,
    sink: &str,
    payload: Value,
) -> Result<(), PerformFailure> {
    let message_id = turn.task.to_string();
    if sink.starts_with("conductor:") {
        let payload = match payload {
            Value::Object(payload) => payload,
            other => Map::from_iter([("payload".to_owned(), other)]),
        };
        let delivery = Delivery { tenant: Some(tenant), event: sink, message_id: Some(&message_id), payload };
        return app.deliver_event(delivery).await.map_err(|undelivered| transient(undelivered.reason));
    }
    let target: EventSource = sink.parse().map_err(|error| terminal(format!("sink {sink}: {error}")))?;
    app.inner.broker.publish(&target, &message_id, &payload.to_string()).await.map_err(|error| match error {
        BrokerError::Away => transient("RabbitMQ is away; try again"),
        error @ BrokerError::Refused { .. } => transient(error.to_string()),
    })
}
