//! One running task as its plugin, `ctx` and the agent speak of it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use conductor_agent_log::{Line, Mask, told};
use conductor_model::LogStream;
use conductor_wire::plugin_io::PluginEvent;

use super::collector::{Collector, Heard};
use super::outlet::{Log, Outlet};

/// Most characters that are quoted of what is no event.
const QUOTED_CHARS_MAX: usize = 200;

/// Everything said about one task ends up here.
pub struct Voice {
    /// The far side.
    pub outlet: Rc<dyn Outlet>,
    /// What it said of its result.
    pub said: RefCell<Collector>,
    log: RefCell<Log>,
    /// The task's secrets.
    mask: Mask,
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Voice").field("said", &self.said).field("log", &self.log).finish_non_exhaustive()
    }
}

impl Voice {
    /// A task that has said nothing yet.
    #[must_use]
    pub fn new(outlet: Rc<dyn Outlet>, mask: Mask) -> Self {
        Self { outlet, said: RefCell::default(), log: RefCell::default(), mask }
    }

    /// A text for people without the task's secrets.
    #[must_use]
    pub fn blot(&self, text: String) -> String {
        match self.mask.blot(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(blotted) => blotted,
        }
    }

    /// A line of standard output or standard error.
    pub fn output_line(&self, stream: LogStream, line: &Line<'_>) {
        let text = told(line, &self.mask);
        if stream == LogStream::Stderr {
            self.said.borrow_mut().note_stderr(&text);
        }
        self.log.borrow_mut().text(&*self.outlet, stream, text);
    }

    /// A line of the event channel. Gives back what only the runner can handle: that the task is done.
    pub fn event_line(&self, line: &Line<'_>) -> Option<Heard> {
        if line.bytes.iter().all(u8::is_ascii_whitespace) && line.beyond == 0 {
            return None;
        }
        if line.beyond > 0 {
            let bytes = line.bytes.len() + line.beyond;
            self.say("warn", &format!("an event of {bytes} bytes was dropped: it is too long"));
            return None;
        }
        match serde_json::from_slice::<PluginEvent>(line.bytes) {
            Ok(event) => self.event(event, line.bytes.len()),
            Err(error) => {
                // Blotted before it is cut: half a secret would not be known as one.
                let text = self.blot(String::from_utf8_lossy(line.bytes).into_owned());
                let start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
                self.say("warn", &format!("not an event ({error}): {start}"));
                None
            }
        }
    }

    /// An event.
    pub fn event(&self, event: PluginEvent, bytes: usize) -> Option<Heard> {
        let heard = self.said.borrow_mut().hear(event, bytes);
        match heard {
            Heard::Kept => None,
            Heard::Log { level, message } => {
                self.say(level.as_deref().unwrap_or("info"), &message);
                None
            }
            Heard::Progress { percent, message } => {
                let message = message.map(|message| self.blot(message));
                self.outlet.progress(percent.filter(|percent| percent.is_finite()), message);
                None
            }
            Heard::Properties => {
                self.outlet.properties();
                None
            }
            Heard::Done { .. } => Some(heard),
        }
    }

    /// A line of the agent or of the event channel, with its level where that is worth telling.
    pub fn say(&self, level: &str, message: &str) {
        let text = match level {
            "info" => message.to_owned(),
            level => format!("{level}: {message}"),
        };
        self.log.borrow_mut().text(&*self.outlet, LogStream::Event, self.blot(text));
    }

    /// Ends the log and gives the number of lines that were passed on.
    pub fn finish_log(&self) -> u64 {
        let mut log = self.log.borrow_mut();
        log.finish(&*self.outlet);
        log.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::outlet::tests::Heard;

    #[test]
    fn what_is_quoted_of_no_event_shows_no_part_of_a_secret() {
        let heard = Rc::new(Heard::default());
        let voice = Voice::new(heard.clone(), Mask::new(&["s3cret-of-many-letters".to_owned()]));
        let text = format!("{}s3cret-of-many-letters", "x".repeat(QUOTED_CHARS_MAX - 10));
        voice.event_line(&Line { bytes: text.as_bytes(), beyond: 0 });
        let told = heard.0.borrow()[0].clone();
        assert!(told.contains("not an event") && told.contains("***") && !told.contains("s3"), "{told}");
    }
}
