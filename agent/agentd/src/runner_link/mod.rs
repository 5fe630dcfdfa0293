//! What agent and runner say to each other over the runner's unix socket.
//!
//! The agent connects; both say [`message::Greeting`]s first. A runner serves one connection of an agent at a time: what an
//! agent that was killed had still written is heeded before its successor is answered, so that nothing of it comes late.
//! [`message`] is what is said, [`frames`] how it travels.

pub mod frames;
pub mod message;
