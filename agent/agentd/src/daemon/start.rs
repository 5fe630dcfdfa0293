//! What a task needs before it can be started: its plugin and its input.

use std::rc::Rc;
use std::time::Duration;

use conductor_boot::report;
use conductor_model::Outcome;
use conductor_wire::agent_api::HandedInput;
use conductor_wire::amqp::TaskEnvelope;
use tokio::sync::watch;

use super::Daemon;
use super::host::is_of_shortage;
use super::tasks::{ended_before_start, failed_before_start};
use crate::rest::{Backoff, RestError};
use crate::runner::{Ending, Plugin, Stop};

/// Longest wait for plugin and input; the slot is held meanwhile.
const PREPARE_MAX: Duration = Duration::from_secs(600);
/// Longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Plugin and input where nothing must be waited for: the usual case.
pub(super) fn at_hand(daemon: &Daemon, envelope: &TaskEnvelope) -> Option<(Rc<Plugin>, HandedInput)> {
    let input = HandedInput { input: envelope.input.clone()?, secrets: Vec::new() };
    Some((daemon.plugins.loaded(&envelope.plugin.digest)?, input))
}

/// Gets plugin and input, or says how the task ends without them.
pub(super) async fn prepare(
    daemon: &Rc<Daemon>,
    envelope: &TaskEnvelope,
    mut stop: watch::Receiver<Option<Stop>>,
) -> Result<(Rc<Plugin>, HandedInput), Ending> {
    let fetched = async {
        let plugin = daemon.plugins.get(&envelope.plugin.digest).await.map_err(|error| {
            // Another host may have room for it.
            let outcome = if is_of_shortage(&error) { Outcome::Refused } else { Outcome::Failed };
            failed_before_start(outcome, format!("{}: {}", envelope.plugin.name, report(&error)))
        })?;
        let input = match &envelope.input {
            Some(input) => HandedInput { input: input.clone(), secrets: Vec::new() },
            None => fetch_input(daemon, envelope)
                .await
                .map_err(|error| failed_before_start(Outcome::Failed, format!("no input: {}", report(&error))))?,
        };
        Ok((plugin, input))
    };
    tokio::select! {
        biased;
        Ok(stop) = stop.wait_for(Option::is_some) => {
            Err(stop.as_ref().map_or_else(|| ended_before_start(&Stop::AgentEnds), ended_before_start))
        }
        fetched = tokio::time::timeout(PREPARE_MAX, fetched) => fetched.unwrap_or_else(|_| {
            let seconds = PREPARE_MAX.as_secs();
            let reason = format!("plugin or input could not be fetched within {seconds} s");
            Err(failed_before_start(Outcome::Refused, reason))
        }),
    }
}

async fn fetch_input(daemon: &Daemon, envelope: &TaskEnvelope) -> Result<HandedInput, RestError> {
    let mut backoff = Backoff::new(RETRY_MAX);
    loop {
        match daemon.rest.task_input(envelope.task_id).await {
            Ok(input) => return Ok(input),
            Err(error) if error.is_temporary() => backoff.wait().await,
            Err(error) => return Err(error),
        }
    }
}
