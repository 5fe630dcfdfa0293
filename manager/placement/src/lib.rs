//! placeholder

use serde::Serialize;

/// Why no agent fits, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unplaced {
    /// One sentence, as in `3 agents: 1 offline, 1 lacks role=web, 1 has no free slot`.
    pub summary: String,
}
