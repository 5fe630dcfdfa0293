//! Bounds of the client, each with its reason.

use std::time::Duration;

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an answer. The manager answers a start after one disk write; this is for a manager in trouble.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a plugin archive or a file to be taken or given.
pub const TRANSFER_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest silence of the event stream before it is opened anew. The manager sends a comment more often than that.
pub const EVENT_SILENCE_MAX: Duration = Duration::from_secs(60);
/// First wait before the event stream is opened anew; doubles up to [`RECONNECT_DELAY_MAX`].
pub const RECONNECT_DELAY: Duration = Duration::from_millis(100);
/// Longest wait before the event stream is opened anew.
pub const RECONNECT_DELAY_MAX: Duration = Duration::from_secs(2);
/// How often in a row the event stream is opened in vain before it gives up: about two minutes.
pub const RECONNECTS_MAX: u32 = 60;
/// Longest single event in bytes; what is longer is no feed entry.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most of an error's body that is read, in bytes.
pub const ERROR_BODY_BYTES_MAX: usize = 256 * 1024;
/// Largest answer that is taken into memory, in bytes: a workflow of 10,000 tasks fits several times.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
