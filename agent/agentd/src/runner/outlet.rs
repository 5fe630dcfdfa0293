//! Where a running task's words go.

use conductor_agent_core::ProcessMark;
use conductor_model::LogStream;
use conductor_model::limits::{LOG_LINE_BYTES_MAX, TASK_LOG_BYTES_MAX};

/// Room for the mark of a line that was cut.
const CUT_MARK_BYTES: usize = 64;

/// The far side: the manager, or a terminal.
pub trait Outlet {
    /// Takes a log line.
    fn log(&self, stream: LogStream, text: String);
    /// Takes how far the task is.
    fn progress(&self, percent: Option<f64>, message: Option<String>);
    /// The task was begun: in a process of its own, or in one that serves many (`None`).
    fn started(&self, process: Option<ProcessMark>);
    /// There are runtime properties to store.
    fn properties(&self);
}

/// A task's log: bounded by line and in total, with a visible mark wherever something was dropped.
#[derive(Debug, Default)]
pub struct Log {
    bytes: u64,
    /// Lines that were passed on.
    pub lines: u64,
    /// Dropped because the task had written too much.
    beyond_limit: u64,
}

impl Log {
    /// Passes on a line.
    pub fn text(&mut self, outlet: &dyn Outlet, stream: LogStream, mut text: String) {
        if text.len() > LOG_LINE_BYTES_MAX + CUT_MARK_BYTES {
            let mut end = LOG_LINE_BYTES_MAX;
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            let cut = text.len() - end;
            text.truncate(end);
            text.push_str(&format!(" [… {cut} bytes cut]"));
        }
        if self.beyond_limit > 0 || self.bytes + text.len() as u64 > TASK_LOG_BYTES_MAX {
            if self.beyond_limit == 0 {
                self.put(
                    outlet,
                    LogStream::Event,
                    format!("[the log has reached {TASK_LOG_BYTES_MAX} bytes; the rest is dropped]"),
                );
            }
            self.beyond_limit += 1;
            return;
        }
        self.bytes += text.len() as u64 + 1;
        self.put(outlet, stream, text);
    }

    fn put(&mut self, outlet: &dyn Outlet, stream: LogStream, text: String) {
        self.lines += 1;
        outlet.log(stream, text);
    }

    /// Says at the end how much is missing.
    pub fn finish(&mut self, outlet: &dyn Outlet) {
        if self.beyond_limit > 0 {
            self.put(outlet, LogStream::Event, format!("[{} log lines were dropped]", self.beyond_limit));
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Keeps what it hears.
    #[derive(Default)]
    pub(in crate::runner) struct Heard(pub(in crate::runner) RefCell<Vec<String>>);

    impl Outlet for Heard {
        fn log(&self, _stream: LogStream, text: String) {
            self.0.borrow_mut().push(text);
        }
        fn progress(&self, _percent: Option<f64>, _message: Option<String>) {}
        fn started(&self, _process: Option<ProcessMark>) {}
        fn properties(&self) {}
    }
}
