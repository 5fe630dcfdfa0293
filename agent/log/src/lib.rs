//! Log lines on a host, from what a plugin prints to what is kept until the agent has taken it.
//!
//! ```text
//! bytes of a pipe ──Lines──▶ Line ──told, Mask──▶ text ──Waiting──▶ Spool ──▶ batches for the agent
//! ```
//! It is a crate of its own because each byte that a task prints comes through here: it is built for speed, whereas the rest of
//! the agent is built for size.

mod lines;
mod mask;
mod meter;
mod segment;
mod spool;
mod told;
mod waiting;

pub use lines::{Line, Lines};
pub use mask::Mask;
pub use spool::Spool;
pub use told::told;
pub use waiting::Waiting;
