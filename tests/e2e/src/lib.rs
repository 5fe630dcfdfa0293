//! A harness for end-to-end stories: real binaries, a real RabbitMQ, real processes, and kill -9 for each of them.
//!
//! A [`Stack`] is one installation in a folder of its own: a manager, agents, and a virtual host of a RabbitMQ node that the
//! stories of one run share, or a node of its own where the story kills it. Everything that a story started ends with it, and
//! a process that is left behind fails the story. Logs are kept when a story fails, and it says where.
//!
//! | variable | meaning |
//! |---|---|
//! | `E2E_BIN_DIR` | test the programs in this folder, not those that cargo built |
//! | `E2E_KEEP` | keep the logs of stories that go well, too |
//! | `E2E_LOG` | level of the programs' logs, as in `debug` |
//!
//! The harness panics when something does not work: a stack that does not come up is a failed story.

mod agent;
pub mod broker;
mod definitions;
mod effects;
mod manager;
mod plugin;
mod ports;
mod process;
mod python;
mod raw;
mod stack;
mod sweep;
mod wait;

pub use agent::{Agent, AgentSpec};
pub use definitions::{agent_task, fork, join, step, worker_task, workflow};
pub use effects::{Effect, Effects};
pub use manager::Manager;
pub use plugin::{pack, pack_files};
pub use ports::free_port;
pub use process::{Piece, binary};
pub use python::{Group, python_environment};
pub use raw::{Answer, Raw};
pub use stack::{Broker, Stack, StackOptions};
pub use sweep::{Found, is_running, processes_of};
pub use wait::{Deadline, until, until_blocking};
