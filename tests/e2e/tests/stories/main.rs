//! End-to-end stories: real binaries, a real RabbitMQ, real processes. One program, so that it is linked once; each story runs
//! in a stack of its own.

#![expect(clippy::unwrap_used, reason = "this program is nothing but tests; its helpers may fail like they do")]

mod agent_killed;
mod agent_removed;
mod api_description;
mod bad_input;
mod broker_killed;
mod brokers;
mod cancel;
mod cut_off;
mod dev_stack;
mod doctors;
mod events;
mod everything_killed;
mod fixtures;
mod identity;
mod installation;
mod manager_killed;
mod misbehaving_plugins;
mod placing;
mod runner_away;
mod scripts;
mod sdk_programs;
mod sdk_worker;
mod secrets;
mod vetoes;
mod working_day;
