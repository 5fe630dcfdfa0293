//! Bringing a result home: first what the manager must have stored before it hears of the end, then the end itself.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use conductor_agent_core::{Input, TaskKey, TaskResult};
use conductor_boot::report;
use conductor_model::Outcome;
use conductor_wire::amqp::{TaskEnvelope, TaskEvent, TaskEventKind, TaskFinished};
use serde_json::Map;

use super::Daemon;
use crate::link::message::json;
use crate::rest::{Backoff, RestError};

/// Largest output in bytes that travels in a message; a message has room for some more besides.
const OUTPUT_INLINE_MAX: usize = 64 * 1024;
/// Longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Brings a result home, as often as it takes until the broker has confirmed it. What must be stored first is stored, which
/// the journal then knows.
pub(super) fn deliver(daemon: &Rc<Daemon>, envelope: Arc<TaskEnvelope>, result: Arc<TaskResult>) {
    let key = TaskKey::of(&envelope);
    let is_small = || result.finished.output.is_empty() || json(&result.finished.output).len() <= OUTPUT_INLINE_MAX;
    if result.properties.is_empty() && is_small() {
        return say(daemon, &envelope, &result.finished);
    }
    if !daemon.delivering.borrow_mut().insert(key) {
        return;
    }
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        let finished = store(&daemon, &envelope, &result).await;
        daemon.delivering.borrow_mut().remove(&key);
        let result = Box::new(TaskResult { finished, properties: Map::new() });
        daemon.input(Input::Stored { key, result });
    });
}

fn say(daemon: &Daemon, envelope: &TaskEnvelope, finished: &TaskFinished) {
    let key = TaskKey::of(envelope);
    let event = TaskEvent {
        task_id: key.task_id,
        dispatch: key.dispatch,
        workflow_id: envelope.workflow_id,
        event: TaskEventKind::Finished(finished.clone()),
    };
    daemon.outbox.event(&event, Some(key));
}

/// Stores properties and a large output; what cannot be stored makes a success a failure.
async fn store(daemon: &Daemon, envelope: &TaskEnvelope, result: &TaskResult) -> TaskFinished {
    let mut finished = result.finished.clone();
    if !result.properties.is_empty() {
        let id = &envelope.node_instance;
        let stored = until_answered(async || daemon.rest.merge_properties(id, &result.properties).await).await;
        note(&mut finished, "the runtime properties could not be stored", stored);
    }
    if json(&finished.output).len() > OUTPUT_INLINE_MAX {
        let put = until_answered(async || daemon.rest.put_output(envelope.task_id, &finished.output).await).await;
        finished.output_by_reference = put.is_ok();
        finished.output.clear();
        note(&mut finished, "the output could not be stored", put);
    }
    finished
}

/// Asks again until the manager gives an answer, whichever.
async fn until_answered(ask: impl AsyncFn() -> Result<(), RestError>) -> Result<(), RestError> {
    let mut backoff = Backoff::new(RETRY_MAX);
    loop {
        match ask().await {
            Err(error) if error.is_temporary() => {
                tracing::warn!(error = %report(&error), "the manager is not to be reached; asking again");
                backoff.wait().await;
            }
            answered => return answered,
        }
    }
}

fn note(finished: &mut TaskFinished, what: &str, stored: Result<(), RestError>) {
    let Err(error) = stored else { return };
    let text = format!("{what}: {}", report(&error));
    if matches!(finished.outcome, Outcome::Succeeded | Outcome::NotNeeded) {
        finished.outcome = Outcome::Failed;
    }
    finished.reason = Some(finished.reason.take().map_or_else(|| text.clone(), |reason| format!("{reason}; {text}")));
}
