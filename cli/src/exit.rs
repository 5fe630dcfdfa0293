//! Exit codes. They are part of the interface: scripts branch on them.

use std::process::ExitCode;

use conductor_model::WorkflowStatus;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; the workflow completed.
    Success = 0,
    /// The workflow failed.
    WorkflowFailed = 1,
    /// The arguments are wrong (clap uses the same).
    Usage = 2,
    /// The workflow was terminated.
    WorkflowTerminated = 3,
    /// The workflow timed out, or a wait for something else did.
    WorkflowTimedOut = 4,
    /// The manager refused.
    Refused = 5,
    /// The manager cannot be reached.
    Unreachable = 6,
    /// A local file, or another thing on this side.
    Local = 7,
    /// Interrupted; what was started goes on.
    Interrupted = 130,
}

impl Exit {
    /// The code for how a workflow ended; one that goes on counts as success of whoever looked.
    pub fn of_workflow(status: WorkflowStatus) -> Self {
        match status {
            WorkflowStatus::Completed | WorkflowStatus::Running | WorkflowStatus::Paused => Self::Success,
            WorkflowStatus::Failed => Self::WorkflowFailed,
            WorkflowStatus::TimedOut => Self::WorkflowTimedOut,
            WorkflowStatus::Terminated => Self::WorkflowTerminated,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
