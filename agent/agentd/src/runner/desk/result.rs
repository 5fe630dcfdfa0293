//! What is told of a task that has ended.

use conductor_agent_core::TaskResult;
use conductor_wire::amqp::TaskFinished;

use super::outlet::ToAgent;
use crate::clock;
use crate::runner::{Ending, Voice};

/// Longest reason in characters.
const REASON_CHARS_MAX: usize = 4000;

pub(super) fn result_of(ending: Ending, outlet: &ToAgent, voice: &Voice) -> TaskResult {
    let log_lines = voice.finish_log();
    let mut said = voice.said.borrow_mut();
    let reason = ending
        .reason
        .map(|reason| voice.blot(reason))
        .map(|reason| if reason.len() > REASON_CHARS_MAX { reason.chars().take(REASON_CHARS_MAX).collect() } else { reason });
    TaskResult {
        finished: TaskFinished {
            outcome: ending.outcome,
            output: said.take_output(),
            output_by_reference: false,
            reason,
            exit_code: ending.exit_code,
            started_at: outlet.started_at.get(),
            ended_at: clock::now(),
            log_lines,
        },
        properties: std::mem::take(&mut said.properties),
    }
}
