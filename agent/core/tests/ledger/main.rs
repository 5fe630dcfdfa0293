//! The ledger from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;
mod random;
mod story;
