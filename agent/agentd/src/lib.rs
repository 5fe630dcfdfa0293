//! The agent: takes tasks from its queue, runs them as processes and reports what they came to.

pub mod journal;
