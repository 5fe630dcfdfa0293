//! What an ended process means for its task.

use conductor_model::Outcome;
use conductor_wire::plugin_io::EXIT_TRY_AGAIN;

use super::collector::{Collector, ToldError};
use crate::sys::reaper::Exit;

/// Why a task is ended from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The manager asked, and why.
    Cancelled(String),
    /// It ran longer than it may, in ms.
    TimedOut(u64),
    /// The agent ends and cannot wait for it any longer.
    AgentEnds,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How.
    pub outcome: Outcome,
    /// Why, where it did not succeed.
    pub reason: Option<String>,
    /// Exit code, where the process exited.
    pub exit_code: Option<i32>,
}

/// Judges a one-shot process.
#[must_use]
pub fn judge(exit: Exit, stop: Option<&Stop>, said: &Collector) -> Ending {
    let exit_code = match exit {
        Exit::Code(code) => Some(code),
        Exit::Signal(_) | Exit::Unknown => None,
    };
    let (outcome, reason) = match stop {
        Some(stop) => stopped(stop),
        None => match exit {
            Exit::Code(0) => went_well(said),
            Exit::Code(code) => went_badly(&format!("exited with code {code}"), code == EXIT_TRY_AGAIN, said),
            Exit::Signal(signal) => went_badly(&format!("was ended by {signal}"), false, said),
            Exit::Unknown => went_badly("ended, nobody knows how", false, said),
        },
    };
    Ending { outcome, reason, exit_code }
}

/// Judges a task that a persistent process said it was done with.
#[must_use]
pub fn judge_done(success: bool, said: &Collector) -> Ending {
    let (outcome, reason) = if success { went_well(said) } else { went_badly("said that the task failed", false, said) };
    Ending { outcome, reason, exit_code: None }
}

/// The outcome of a task that was ended from outside.
#[must_use]
pub fn stopped(stop: &Stop) -> (Outcome, Option<String>) {
    match stop {
        Stop::Cancelled(reason) => (Outcome::Cancelled, Some(reason.clone())),
        Stop::AgentEnds => (Outcome::Lost, Some("the agent was stopped while the task ran".to_owned())),
        Stop::TimedOut(ms) => (Outcome::TimedOut, Some(format!("ran longer than {ms} ms and was ended"))),
    }
}

fn went_well(said: &Collector) -> (Outcome, Option<String>) {
    if let Some(excess) = &said.excess {
        return (Outcome::FailedTerminally, Some(excess.clone()));
    }
    if let Some(error) = &said.error {
        // An error that was told counts, also where a script forgot to exit with one.
        return (failure(error.retryable, false), Some(words(error)));
    }
    match &said.not_needed {
        Some(why) => (Outcome::NotNeeded, why.clone()),
        None => (Outcome::Succeeded, None),
    }
}

fn went_badly(how: &str, try_again: bool, said: &Collector) -> (Outcome, Option<String>) {
    if let Some(error) = &said.error {
        return (failure(error.retryable, try_again), Some(format!("{} (the process {how})", words(error))));
    }
    let last = said.last_words();
    let reason = if last.is_empty() { format!("the process {how}") } else { format!("the process {how}: {last}") };
    (failure(None, try_again), Some(reason))
}

/// Exit code 75 asks for another attempt, whatever else was said.
fn failure(retryable: Option<bool>, try_again: bool) -> Outcome {
    if retryable == Some(false) && !try_again { Outcome::FailedTerminally } else { Outcome::Failed }
}

fn words(error: &ToldError) -> String {
    match &error.class {
        Some(class) => format!("{class}: {}", error.message),
        None => error.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_wire::plugin_io::PluginEvent;

    fn told(retryable: Option<bool>) -> Collector {
        let mut said = Collector::default();
        said.hear(PluginEvent::Error { class: Some("ConfigError".into()), message: "no such port".into(), retryable }, 10);
        said
    }

    #[test]
    fn exit_codes_mean_what_the_contract_says() {
        let nothing = Collector::default();
        assert_eq!(judge(Exit::Code(0), None, &nothing).outcome, Outcome::Succeeded);
        assert_eq!(judge(Exit::Code(1), None, &nothing).outcome, Outcome::Failed);
        assert_eq!(judge(Exit::Code(75), None, &told(Some(false))).outcome, Outcome::Failed);
        assert_eq!(judge(Exit::Code(1), None, &told(Some(false))).outcome, Outcome::FailedTerminally);
        assert_eq!(judge(Exit::Code(1), None, &told(None)).outcome, Outcome::Failed);
        assert_eq!(judge(Exit::Code(0), None, &told(Some(true))).outcome, Outcome::Failed);
    }

    #[test]
    fn a_signal_is_named() {
        let ending = judge(Exit::Signal(nix::sys::signal::Signal::SIGSEGV), None, &Collector::default());
        assert_eq!(ending.reason.as_deref(), Some("the process was ended by SIGSEGV"));
        assert_eq!(ending.exit_code, None);
    }

    #[test]
    fn the_last_line_of_standard_error_explains_a_bad_exit() {
        let mut said = Collector::default();
        said.note_stderr("disk full");
        said.note_stderr("  ");
        assert_eq!(judge(Exit::Code(3), None, &said).reason.as_deref(), Some("the process exited with code 3: disk full"));
    }

    #[test]
    fn an_end_from_outside_outranks_the_exit() {
        let stop = Stop::TimedOut(1500);
        assert_eq!(judge(Exit::Code(0), Some(&stop), &Collector::default()).outcome, Outcome::TimedOut);
    }
}
