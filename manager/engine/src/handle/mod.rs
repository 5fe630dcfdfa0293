//! The events: who handles which, and in which states they are possible.
//!
//! | event | task | workflow | becomes |
//! |---|---|---|---|
//! | Polled | SCHEDULED, visible, without agent | RUNNING | IN_PROGRESS |
//! | Updated IN_PROGRESS | open | RUNNING, PAUSED | SCHEDULED; on an agent: as it was |
//! | Updated, other | open | RUNNING, PAUSED | as reported |
//! | Assigned | SCHEDULED, visible, for agents, not assigned | RUNNING | SCHEDULED |
//! | Started | SCHEDULED, assigned | RUNNING, PAUSED | IN_PROGRESS |
//! | Finished | open, given out | RUNNING, PAUSED | by outcome |
//! | Renewed | open, assigned | RUNNING, PAUSED | as it was |
//! | Lost | open, assigned | RUNNING, PAUSED | SCHEDULED or FAILED |
//! | Unplaceable | SCHEDULED, for agents | RUNNING, PAUSED | FAILED_WITH_TERMINAL_ERROR |
//! | TaskTimer | open | RUNNING, PAUSED | TIMED_OUT, or as it was |
//! | WorkflowTimer | – | RUNNING, PAUSED | – |
//! | Pause | – | RUNNING | – |
//! | Resume | – | PAUSED | – |
//! | Terminate | – | RUNNING, PAUSED | CANCELED |
//!
//! Everything else is refused. A task that ends may lead to another attempt, the next step or the end of the workflow; in
//! a paused workflow that is drawn when it goes on.

mod agent;
mod control;
mod timeout;
mod worker;

use crate::decision::Decision;
use crate::event::{Context, Event, Refusal};
use crate::run::Run;
use crate::turn::Turn;

/// Handles one event.
pub(crate) fn event(run: &mut Run, event: Event, context: &mut Context<'_>) -> Result<Decision, Refusal> {
    let mut turn = Turn::new(run, context);
    match event {
        Event::Polled { task, worker } => worker::polled(&mut turn, task, worker),
        Event::Updated(update) => worker::updated(&mut turn, update),
        Event::Assigned { task, agent, incarnation, alternates } => {
            agent::assigned(&mut turn, task, agent, incarnation, alternates)
        }
        Event::Started { task, dispatch, at } => agent::started(&mut turn, task, dispatch, at),
        Event::Finished { task, dispatch, outcome } => agent::finished(&mut turn, task, dispatch, outcome),
        Event::Renewed { task, dispatch } => agent::renewed(&mut turn, task, dispatch),
        Event::Lost { task, dispatch, reason, never_begun } => agent::lost(&mut turn, task, dispatch, reason, never_begun),
        Event::Unplaceable { task, reason } => agent::unplaceable(&mut turn, task, reason),
        Event::Performed { task, .. }
        | Event::ChildStarted { task, .. }
        | Event::ChildRefused { task, .. }
        | Event::ChildEnded { task, .. }
        | Event::ChildRevived { task } => Err(Refusal::StaleTurn { task }),
        Event::Admitted
        | Event::Retry { .. }
        | Event::Restart { .. }
        | Event::Rerun { .. }
        | Event::Skip { .. }
        | Event::ResetCallbacks
        | Event::SetVariables { .. } => Err(Refusal::NothingDue),
        Event::TaskTimer { task } => timeout::task(&mut turn, task),
        Event::WorkflowTimer => timeout::workflow(&mut turn),
        Event::Pause => control::pause(&mut turn),
        Event::Resume => control::resume(&mut turn),
        Event::Terminate { reason } => control::terminate(&mut turn, reason),
    }?;
    Ok(turn.decide())
}
