//! End-to-end stories: real binaries, a real RabbitMQ, real processes. One program, so that it is linked once; each story runs
//! in a stack of its own.

mod agent_killed;
mod bad_input;
mod broker_killed;
mod brokers;
mod cancel;
mod everything_killed;
mod manager_killed;
mod misbehaving_plugins;
mod placing;
mod working_day;
