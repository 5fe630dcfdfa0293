//! The manager: decides what runs where and when.
//!
//! - [`api`]: extract → validated command → one application call → map the answer. No SQL, no lapin, no policy.
//! - [`app`]: the use cases, and the one thread on which everything is decided.
//! - [`serve`]: bringing all of it up, and down again.
//! - [`broker`]: outbox → RabbitMQ with confirms; RabbitMQ → events. The only module that names lapin.

pub mod api;
pub mod app;
pub mod broker;
pub mod clock;
pub mod config;
mod serve;

pub use serve::{Ready, ServeError, serve};
