//! What a script may use.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a script may use. The defaults are those of production.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time of one evaluation.
    pub cpu: Duration,
    /// Time on the clock of one evaluation, waiting for a processor included. The last resort.
    pub wall: Duration,
    /// Memory of one evaluation in bytes.
    pub memory_bytes: usize,
    /// Stack of JavaScript in bytes.
    pub stack_bytes: usize,
    /// Longest source in bytes.
    pub source_bytes: usize,
    /// Largest result in bytes of JSON.
    pub result_bytes: usize,
    /// Deepest nesting of a result.
    pub result_depth: usize,
}

/// One second of work is much for a condition and little for a machine.
const CPU: Duration = Duration::from_secs(1);
/// Four times as long on a busy machine.
const WALL: Duration = Duration::from_secs(4);
const MEMORY_BYTES: usize = 64 * 1024 * 1024;
const STACK_BYTES: usize = 512 * 1024;
const SOURCE_BYTES: usize = 256 * 1024;
/// As large as a task's output may be.
const RESULT_BYTES: usize = 3 * 1024 * 1024;
/// As deep as JSON from outside may be.
const RESULT_DEPTH: usize = 100;

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu: CPU,
            wall: WALL,
            memory_bytes: MEMORY_BYTES,
            stack_bytes: STACK_BYTES,
            source_bytes: SOURCE_BYTES,
            result_bytes: RESULT_BYTES,
            result_depth: RESULT_DEPTH,
        }
    }
}

impl Limits {
    /// [`Limits::cpu`] in ms, for messages.
    pub(crate) fn cpu_ms(&self) -> u64 {
        u64::try_from(self.cpu.as_millis()).unwrap_or(u64::MAX)
    }
}
