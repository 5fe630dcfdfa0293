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
//! | Performed | performing, of this turn | RUNNING; PAUSED unless it decides where the flow goes | by type |
//! | ChildStarted | IN_PROGRESS, SUB_WORKFLOW or START_WORKFLOW | RUNNING, PAUSED | as it was; COMPLETED |
//! | ChildRefused | the same | RUNNING, PAUSED | FAILED; FAILED_WITH_TERMINAL_ERROR where that is said |
//! | ChildEnded | IN_PROGRESS, SUB_WORKFLOW of that workflow | RUNNING, PAUSED | by its status |
//! | ChildRevived | failed or CANCELED, SUB_WORKFLOW | FAILED, TIMED_OUT, TERMINATED | IN_PROGRESS; the workflow as by Retry |
//! | TaskTimer | open | RUNNING, PAUSED | TIMED_OUT; begun or COMPLETED where it waited for the moment; or as it was |
//! | WorkflowTimer | – | RUNNING, PAUSED | – |
//! | Pause | – | RUNNING | – |
//! | Resume | – | PAUSED | – |
//! | Terminate, TerminateAsFailed | – | RUNNING, PAUSED | CANCELED |
//! | Admitted | – | RUNNING, rate limited | – |
//! | Retry | failed, CANCELED | FAILED, TIMED_OUT, TERMINATED | another attempt; JOIN, EXCLUSIVE_JOIN, DO_WHILE: IN_PROGRESS |
//! | Restart | – | over; COMPLETED only if restartable | removed |
//! | Rerun | any, or none | over | it and later ones removed, then as by Retry |
//! | RerunChild | SUB_WORKFLOW, the last attempt | over | IN_PROGRESS; later ones removed, then as by Retry |
//! | Skip | none yet | RUNNING | SKIPPED |
//! | ResetCallbacks | SCHEDULED with a callback time | RUNNING, PAUSED | SCHEDULED, visible |
//! | SetVariables | – | RUNNING, PAUSED | – |
//!
//! Everything else is refused. A task that ends may lead to another attempt, the next step or the end of the workflow; in
//! a paused workflow that is drawn when it goes on. A workflow that is retried, restarted or rerun is RUNNING.

mod again;
mod agent;
mod catch_up;
mod control;
mod performed;
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
        Event::Performed { task, turn: number, result } => performed::performed(&mut turn, task, number, result),
        Event::ChildStarted { task, workflow } => performed::child_started(&mut turn, task, workflow),
        Event::ChildRefused { task, reason, terminal } => performed::child_refused(&mut turn, task, reason, terminal),
        Event::ChildEnded { task, workflow, status, output, reason } => {
            performed::child_ended(&mut turn, task, workflow, status, output, reason)
        }
        Event::ChildRevived { task } => again::child_revived(&mut turn, task),
        Event::Admitted => control::admitted(&mut turn),
        Event::Retry { resume_subworkflows } => again::retry(&mut turn, resume_subworkflows),
        Event::Restart { plan } => again::restart(&mut turn, plan),
        Event::Rerun { from, task_input, workflow_input, correlation_id } => {
            again::rerun(&mut turn, from, task_input, workflow_input, correlation_id)
        }
        Event::RerunChild { task, workflow_input, correlation_id } => {
            again::rerun_child(&mut turn, task, workflow_input, correlation_id)
        }
        Event::Skip { reference, input, output } => control::skip(&mut turn, reference, input, output),
        Event::ResetCallbacks => control::reset_callbacks(&mut turn),
        Event::SetVariables { variables, append } => control::set_variables(&mut turn, variables, append),
        Event::TaskTimer { task } => timeout::task(&mut turn, task),
        Event::WorkflowTimer => timeout::workflow(&mut turn),
        Event::Pause => control::pause(&mut turn),
        Event::Resume => control::resume(&mut turn),
        Event::Terminate { reason } => control::terminate(&mut turn, reason),
        Event::TerminateAsFailed { reason } => control::terminate_as_failed(&mut turn, reason),
    }?;
    Ok(turn.decide())
}
