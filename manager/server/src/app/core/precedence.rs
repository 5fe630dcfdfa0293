//! In which order those go on that wait for the same: higher priority first, but a step of priority is worth no more than
//! [`PRIORITY_STEP_MS`] of waiting. So everybody has a turn, however many of higher priority keep coming.

use conductor_model::Timestamp;

/// How much longer one of a priority may be kept waiting for others of the next, in ms.
const PRIORITY_STEP_MS: i64 = 60_000;

/// Where somebody stands among those who wait for the same: the earliest goes first. It is the moment from which it waits,
/// set back by its priority; so it stays the same while others come and go, and nothing is ever sorted anew.
pub(super) fn precedence(waits_since: Timestamp, priority: u8) -> Timestamp {
    waits_since.plus_ms(-i64::from(priority) * PRIORITY_STEP_MS)
}
