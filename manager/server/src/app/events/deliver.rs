//! One message to all handlers that wait for it.

use std::sync::Arc;

use conductor_model::limits::TASK_PAYLOAD_BYTES_MAX;
use conductor_model::{EventHandler, TenantName, Timestamp};
use conductor_script::Language;
use serde_json::{Map, Value};

use super::actions::{self, ActionError};
use super::message::expand;
use crate::app::App;
use crate::app::core::Announcement;
use crate::clock;

/// How long it is known that an action was done, in ms: 7 days. A message that comes again later is a new one.
const HANDLED_MS: i64 = 7 * 24 * 3600 * 1000;

/// A message.
#[derive(Debug)]
pub(in crate::app) struct Delivery<'m> {
    /// Whose handlers hear it; `None` = everybody's, for what comes from outside.
    pub(in crate::app) tenant: Option<&'m TenantName>,
    /// The event's name, as handlers write it.
    pub(in crate::app) event: &'m str,
    /// The message's id; without one it cannot be told from another.
    pub(in crate::app) message_id: Option<&'m str>,
    /// The message.
    pub(in crate::app) payload: Map<String, Value>,
}

/// A message could not be handled to its end, and should come again.
#[derive(Debug)]
pub(in crate::app) struct Undelivered {
    /// Why.
    pub(in crate::app) reason: String,
}

/// Does the actions of every active handler of the event whose condition holds. An action that cannot ever be done is
/// told in the log and the feed, and the others are done.
pub(in crate::app) async fn deliver(app: &App, delivery: Delivery<'_>) -> Result<(), Undelivered> {
    let handlers = app.inner.events.handlers();
    let payload = Arc::new(Value::Object(delivery.payload.clone()));
    for (owner, handler) in handlers.iter() {
        let hears = handler.active && handler.event == delivery.event && delivery.tenant.is_none_or(|tenant| tenant == owner);
        if hears && holds(app, handler, &payload).await? {
            act(app, owner, handler, &delivery).await?;
        }
    }
    Ok(())
}

/// Whether a handler's condition holds for a message. One that fails does not.
async fn holds(app: &App, handler: &EventHandler, payload: &Arc<Value>) -> Result<bool, Undelivered> {
    let Some(condition) = handler.condition.as_deref().filter(|condition| !condition.trim().is_empty()) else {
        return Ok(true);
    };
    let scripts = app.inner.performers.scripts();
    match scripts.value(Language::JavaScript, condition.into(), Arc::clone(payload)).await {
        Ok(value) => Ok(match value {
            Value::Bool(value) => value,
            Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
            Value::String(text) => text.eq_ignore_ascii_case("true"),
            _ => false,
        }),
        Err(error) if error.is_transient() => Err(Undelivered { reason: error.to_string() }),
        Err(error) => {
            tracing::warn!(handler = %handler.name, %error, "an event handler's condition fails; it counts as false");
            Ok(false)
        }
    }
}

async fn act(app: &App, owner: &TenantName, handler: &EventHandler, delivery: &Delivery<'_>) -> Result<(), Undelivered> {
    let later = |error: crate::app::AppError| Undelivered { reason: error.to_string() };
    for (index, action) in handler.actions.iter().enumerate() {
        let key = delivery.message_id.map(|id| format!("{owner}/{}/{index}/{}/{id}", handler.name, delivery.event));
        if let Some(key) = key.clone()
            && app.read(move |store| store.is_event_handled(&key)).await.map_err(later)?
        {
            continue;
        }
        let mut payload = delivery.payload.clone();
        if action.expand_inline_json {
            expand(&mut payload);
        }
        let details = action.details().cloned().unwrap_or_default();
        let done = match conductor_engine::resolve_payload(&details, &payload, TASK_PAYLOAD_BYTES_MAX) {
            Ok(resolved) => actions::perform(app, owner, action.action, resolved, key.as_deref(), delivery).await,
            Err(fault) => Err(ActionError::Never(fault.to_string())),
        };
        match done {
            Ok(()) => {}
            Err(ActionError::Later(reason)) => return Err(Undelivered { reason }),
            Err(ActionError::Never(reason)) => {
                tracing::warn!(handler = %handler.name, action = %action.action, %reason, "an event's action cannot be done");
                let data = serde_json::json!({ "handler": handler.name, "event": delivery.event, "action": action.action, "reason": reason });
                let tenant = owner.clone();
                app.announce(Announcement { tenant, kind: "event.action-failed", task: None, agent: None, data });
            }
        }
        if let Some(key) = key {
            let now = clock::now();
            let forget = Timestamp(now.0.saturating_sub(HANDLED_MS));
            app.read(move |store| store.set_event_handled(&key, now, forget)).await.map_err(later)?;
        }
    }
    Ok(())
}
