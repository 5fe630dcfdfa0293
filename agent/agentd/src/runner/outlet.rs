//! Where a running task's words go.

use std::future::Future;
use std::pin::Pin;

use conductor_agent_core::ProcessMark;
use conductor_model::LogStream;
use conductor_model::limits::{LOG_LINE_BYTES_MAX, TASK_LOG_BYTES_MAX};

use super::lines::Line;

/// Room for the mark of a line that was cut.
const CUT_MARK_BYTES: usize = 64;

/// The far side: the manager, or a terminal.
pub trait Outlet {
    /// Takes a log line; `false` where it had to be dropped.
    fn log(&self, stream: LogStream, text: String) -> bool;
    /// Takes how far the task is.
    fn progress(&self, percent: Option<f64>, message: Option<String>);
    /// The task was begun: in a process of its own, or in one that serves many (`None`).
    fn started(&self, process: Option<ProcessMark>);
    /// Whether log lines are taken at present.
    fn has_room(&self) -> bool;
    /// Waits until log lines are taken again.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
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
    /// Dropped because the far side took nothing, since the last mark.
    unsaid: u64,
}

impl Log {
    /// Passes on a line of a plugin.
    pub fn line(&mut self, outlet: &dyn Outlet, stream: LogStream, line: &Line<'_>) -> String {
        let mut text = String::from_utf8_lossy(line.bytes).into_owned();
        if line.beyond > 0 {
            text.push_str(&format!(" [… {} bytes cut]", line.beyond));
        }
        if text.ends_with('\r') {
            text.pop();
        }
        self.text(outlet, stream, text.clone());
        text
    }

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
        if self.unsaid > 0 {
            let mark = format!("[{} log lines were dropped: they could not be sent in time]", self.unsaid);
            if !self.put(outlet, LogStream::Event, mark) {
                self.unsaid += 1;
                return;
            }
            self.unsaid = 0;
        }
        if !self.put(outlet, stream, text) {
            self.unsaid += 1;
        }
    }

    fn put(&mut self, outlet: &dyn Outlet, stream: LogStream, text: String) -> bool {
        let taken = outlet.log(stream, text);
        self.lines += u64::from(taken);
        taken
    }

    /// Says at the end how much is missing.
    pub fn finish(&mut self, outlet: &dyn Outlet) {
        if self.beyond_limit > 0 {
            self.put(outlet, LogStream::Event, format!("[{} log lines were dropped]", self.beyond_limit));
        }
        if self.unsaid > 0 {
            let mark = format!("[{} log lines were dropped: they could not be sent in time]", self.unsaid);
            self.put(outlet, LogStream::Event, mark);
        }
    }
}
