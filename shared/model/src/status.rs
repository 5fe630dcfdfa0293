//! States of workflows and tasks, in the words of the Conductor API.

/// The text is not one of the enum's values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {kind}; expected one of {expected}")]
pub struct UnknownValue {
    /// What was expected.
    pub kind: &'static str,
    /// What was given.
    pub found: String,
    /// The values there are.
    pub expected: String,
}

macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident, $kind:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// All values, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as the API writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::status::UnknownValue;

            fn from_str(text: &str) -> Result<Self, $crate::status::UnknownValue> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::status::UnknownValue { kind: $kind, found: text.to_owned(), expected: [$($text),+].join(", ") }),
                }
            }
        }
    };
}
pub(crate) use wire_enum;

wire_enum! {
    /// Where a task stands.
    TaskStatus, "task status" {
        /// Waits to be polled or placed.
        Scheduled = "SCHEDULED",
        /// A worker or an agent has it.
        InProgress = "IN_PROGRESS",
        /// Done, successfully.
        Completed = "COMPLETED",
        /// Failed, but its step is optional.
        CompletedWithErrors = "COMPLETED_WITH_ERRORS",
        /// Failed; its definition may allow another attempt.
        Failed = "FAILED",
        /// Failed, and no other attempt may be made.
        FailedWithTerminalError = "FAILED_WITH_TERMINAL_ERROR",
        /// A timeout of its definition passed.
        TimedOut = "TIMED_OUT",
        /// Ended because its workflow ended or somebody asked.
        Canceled = "CANCELED",
        /// Skipped by request.
        Skipped = "SKIPPED",
    }
}

wire_enum! {
    /// Where a workflow stands.
    WorkflowStatus, "workflow status" {
        /// Goes on.
        Running = "RUNNING",
        /// Schedules nothing new until it is resumed.
        Paused = "PAUSED",
        /// Ended well.
        Completed = "COMPLETED",
        /// Ended because a task failed.
        Failed = "FAILED",
        /// Ended by a timeout.
        TimedOut = "TIMED_OUT",
        /// Ended by request.
        Terminated = "TERMINATED",
    }
}

wire_enum! {
    /// How an attempt ended, finer than [`TaskStatus`]: what the Conductor API folds into FAILED is told apart here.
    Outcome, "outcome" {
        /// Did what it should.
        Succeeded = "succeeded",
        /// Found that there was nothing to do.
        NotNeeded = "not-needed",
        /// Failed; may be tried again.
        Failed = "failed",
        /// Failed in a way that no other attempt can mend.
        FailedTerminally = "failed-terminally",
        /// Took longer than its definition allows.
        TimedOut = "timed-out",
        /// Was cancelled.
        Cancelled = "cancelled",
        /// Its host or agent went away and nobody knows how far it came.
        Lost = "lost",
        /// Was killed for using more memory than it may.
        OutOfMemory = "out-of-memory",
        /// The agent would not run it.
        Refused = "refused",
    }
}

impl TaskStatus {
    /// Whether the attempt is over.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Scheduled | Self::InProgress => false,
            Self::Completed
            | Self::CompletedWithErrors
            | Self::Failed
            | Self::FailedWithTerminalError
            | Self::TimedOut
            | Self::Canceled
            | Self::Skipped => true,
        }
    }

    /// Whether the flow goes on behind the task.
    #[must_use]
    pub fn is_successful(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithErrors | Self::Skipped)
    }

    /// Whether a failed attempt of this status may be followed by another.
    #[must_use]
    pub fn is_retriable(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

impl WorkflowStatus {
    /// Whether the workflow is over.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Running | Self::Paused => false,
            Self::Completed | Self::Failed | Self::TimedOut | Self::Terminated => true,
        }
    }
}
