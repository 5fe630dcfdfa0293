//! Tests of the doors as a whole.

pub(super) mod sample;
