//! The agent: takes tasks from its queue, runs them as processes and reports what they came to.

pub mod clock;
pub mod cmd;
pub mod ctx;
pub mod daemon;
pub mod doctor;
pub mod facts;
pub mod hold;
pub mod identity;
pub mod instance;
pub mod journal;
pub mod link;
pub mod plugins;
pub mod policy;
pub mod rest;
pub mod runner;
pub mod runner_link;
pub mod settings;
pub mod sys;
