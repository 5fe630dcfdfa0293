//! What the agent must not forget, on disk before it is said.
//!
//! Two files of one size, `a.journal` and `b.journal`, filled with zeros once so that an append later overwrites blocks the
//! file already has: the disk then has no metadata to write. One is in use; when it is full, what is still alive is written
//! into the other, whose header is written last and makes it the one in use. Each file is therefore complete in itself.
//!
//! ```text
//! header: magic, generation, file size, incarnation, crc          4 KiB
//! frame:  length, crc over (generation, length, payload), payload  from an older use of the file a frame has another
//!                                                                   generation, so its crc does not fit: the end of the log
//! ```
//! One thread writes: it takes everything that waits, writes it at once and calls fdatasync once.

mod crc;
pub mod frame;
mod mirror;
mod segment;
mod writer;

use std::path::PathBuf;
use std::sync::mpsc;

use conductor_agent_core::Record;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedSender;

use writer::{Batch, Writer};

/// Size of a new journal file in bytes: some thousands of tasks between two changes of file.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Largest single entry in bytes: the largest task input or output, with room for the rest.
pub(crate) const RECORD_BYTES_MAX: usize = 2 * conductor_model::limits::TASK_PAYLOAD_BYTES_MAX + 64 * 1024;

/// Most records that wait for company.
const WAITING_MAX: usize = 256;

/// Why the journal could not be opened.
#[derive(Debug, Error)]
pub enum JournalError {
    /// A step on one of its files failed.
    #[error("cannot {step} {path}")]
    File {
        /// What was tried.
        step: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Another agent uses the folder.
    #[error("the journal in {path} is in use by another agent; give each agent a data folder of its own")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// No thread for the writer.
    #[error("cannot start the journal's thread")]
    Thread {
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// What the writer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalEvent {
    /// Everything up to this ticket is on disk.
    Durable(u64),
    /// A write failed; it is tried again each second.
    Failed(String),
    /// Writes work again.
    Recovered,
}

/// What was found at opening.
#[derive(Debug)]
pub struct Opened {
    /// Drawn at random when the journal was begun; another one means that everything was forgotten.
    pub incarnation: String,
    /// What was alive, in order.
    pub records: Vec<Record>,
}

/// The writing end.
#[derive(Debug)]
pub struct Journal {
    batches: Option<mpsc::Sender<Batch>>,
    thread: Option<std::thread::JoinHandle<()>>,
    next_ticket: u64,
    /// Records that nobody waits for.
    waiting: Vec<Record>,
}

impl Journal {
    /// Opens or begins the journal in `dir`; `new_incarnation` names it if it begins. Events go to `events`.
    ///
    /// # Errors
    /// Files that cannot be read or made, and a folder that another agent uses.
    pub fn open(
        dir: PathBuf,
        new_incarnation: &str,
        events: UnboundedSender<JournalEvent>,
    ) -> Result<(Self, Opened), JournalError> {
        Self::open_sized(dir, new_incarnation, events, SEGMENT_BYTES)
    }

    fn open_sized(
        dir: PathBuf,
        new_incarnation: &str,
        events: UnboundedSender<JournalEvent>,
        segment_bytes: u64,
    ) -> Result<(Self, Opened), JournalError> {
        let (writer, opened) = Writer::open(dir, new_incarnation, segment_bytes)?;
        let (sender, batches) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .stack_size(256 * 1024)
            .spawn(move || writer.run(&batches, &events))
            .map_err(|source| JournalError::Thread { source })?;
        Ok((Self { batches: Some(sender), thread: Some(thread), next_ticket: 1, waiting: Vec::new() }, opened))
    }

    /// Hands records to the writer; they are on disk once [`JournalEvent::Durable`] has reached the ticket given back.
    pub fn append(&mut self, records: Vec<Record>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let mut all = std::mem::take(&mut self.waiting);
        all.extend(records);
        self.send(Batch { ticket: Some(ticket), records: all });
        ticket
    }

    /// Keeps records that nobody waits for until there is one that somebody waits for, so that they cost no write of their
    /// own. When the agent is killed before, it does again what they said was done; that does no harm.
    pub fn append_lazily(&mut self, records: Vec<Record>) {
        self.waiting.extend(records);
        if self.waiting.len() >= WAITING_MAX {
            self.flush();
        }
    }

    /// Hands over what waits.
    pub fn flush(&mut self) {
        if !self.waiting.is_empty() {
            let records = std::mem::take(&mut self.waiting);
            self.send(Batch { ticket: None, records });
        }
    }

    fn send(&self, batch: Batch) {
        if let Some(batches) = &self.batches {
            // The writer lives as long as this end; if it died, no ticket becomes durable and nothing is ever said.
            let _ = batches.send(batch);
        }
    }
}

impl Drop for Journal {
    /// Waits until everything handed over is written.
    fn drop(&mut self) {
        self.flush();
        drop(self.batches.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
