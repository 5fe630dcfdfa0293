//! Limits of the doors that no setting changes. Those that operators set are in [`crate::config::LimitSettings`].

/// Wait of a batch poll in ms where none is asked for.
pub(super) const POLL_WAIT_MS_DEFAULT: u64 = 100;
/// Most tasks handed out by one poll.
pub(super) const POLL_TASKS_MAX: usize = 1_000;
/// Most rows that one list shows.
pub(super) const PAGE_ROWS_MAX: usize = 5_000;
/// Rows of a search where no number is asked for.
pub(super) const PAGE_ROWS_DEFAULT: usize = 100;
/// Furthest that a list pages by offset.
pub(super) const OFFSET_MAX: usize = 100_000;
/// Rows read from the store at once while a long list is put together.
pub(super) const CHUNK_ROWS: usize = 1_000;
/// Most log lines in one answer.
pub(super) const LOG_LINES_MAX: usize = 10_000;
/// Log lines in one answer where no number is asked for.
pub(super) const LOG_LINES_DEFAULT: usize = 1_000;
/// Log lines taken of one task update, as Conductor does.
pub(super) const UPDATE_LOG_LINES_MAX: usize = 10;
/// Longest text of one `POST /tasks/{id}/log` in bytes.
pub(super) const WORKER_LOG_BYTES_MAX: usize = 1024 * 1024;
/// Feed entries read from the store at once for one listener.
pub(super) const FEED_PAGE: usize = 500;
/// Seconds between the comments that keep an idle event stream open.
pub(super) const EVENTS_KEEP_ALIVE_SECONDS: u64 = 15;
/// Callers remembered by token, so that a request costs no read. The memory is emptied when it is full.
pub(super) const CALLERS_CACHED_MAX: usize = 4_096;
/// How long a caller is remembered in ms: so late, at most, a removed token stops working.
pub(super) const CALLERS_CACHED_MS: i64 = 30_000;
/// Bytes of a refused body that are read and dropped, so that its sender gets to read the answer.
pub(super) const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a refused body is drained, in ms.
pub(super) const DRAIN_MS_MAX: u64 = 5_000;
