//! The manager: decides what runs where and when.
//!
//! - [`api`]: extract → validated command → one application call → map the answer. No SQL, no lapin, no policy.
//! - [`app`]: the use cases, and the one thread on which everything is decided.
//! - [`serve`]: bringing all of it up, and down again.
//! - [`config`]: what can be set; [`cmd`]: the command line; [`dev`]: the whole system in one folder, for development.
//! - [`listen`]: TLS, or plain text on loopback; [`accounts`]: agents' users on RabbitMQ.
//! - [`pki`]: the certificate authority and the key that tasks are signed with.
//! - [`setup`]: making an installed manager ready; [`doctor`]: what is wrong with one.
//! - [`broker`]: outbox → RabbitMQ with confirms; RabbitMQ → events. The only module that names lapin.

pub mod accounts;
pub mod api;
pub mod app;
pub mod broker;
pub mod clock;
pub mod cmd;
pub mod config;
pub mod dev;
pub mod doctor;
mod health;
pub mod listen;
pub mod pki;
mod serve;
pub mod setup;

pub use serve::{Ready, ServeError, serve};
