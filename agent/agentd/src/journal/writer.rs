//! The thread that writes.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use conductor_agent_core::Record;
use tokio::sync::mpsc::UnboundedSender;

use super::frame::{self, HEADER_BYTES, Header};
use super::mirror::Mirror;
use super::segment::{Segment, failed};
use super::{JournalError, JournalEvent, Opened};

/// Wait before a failed write is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Most batches that are written at once.
const BATCHES_MAX: usize = 1024;

/// Records that become durable together.
#[derive(Debug)]
pub(super) struct Batch {
    /// What somebody waits for; absent where nobody does.
    pub ticket: Option<u64>,
    pub records: Vec<Record>,
}

#[derive(Debug)]
pub(super) struct Writer {
    active: Segment,
    spare: Segment,
    header: Header,
    mirror: Mirror,
    /// Records that were taken in and are not on disk.
    unwritten: Vec<u8>,
    /// The last ticket among them.
    unwritten_ticket: Option<u64>,
    failing: bool,
}

impl Writer {
    pub(super) fn open(dir: PathBuf, new_incarnation: &str, bytes: u64) -> Result<(Self, Opened), JournalError> {
        std::fs::create_dir_all(&dir).map_err(|source| failed("make", &dir, source))?;
        let a = Segment::open(&dir.join("a.journal"))?;
        if !a.lock().map_err(|source| failed("lock", a.path(), source))? {
            return Err(JournalError::InUse { path: dir });
        }
        let b = Segment::open(&dir.join("b.journal"))?;
        let (mut active, spare) = if b.generation() > a.generation() { (b, a) } else { (a, b) };
        let header = match &active.header {
            Some(header) => header.clone(),
            None => {
                let header = Header { generation: 1, file_bytes: bytes, incarnation: new_incarnation.to_owned() };
                active.allocate(bytes).map_err(|source| failed("make room in", active.path(), source))?;
                active.commit_header(header.clone()).map_err(|source| failed("write", active.path(), source))?;
                sync_dir(&dir)?;
                header
            }
        };
        spare.allocate(header.file_bytes).map_err(|source| failed("make room in", spare.path(), source))?;

        let mut mirror = Mirror::default();
        active.read(|payload| {
            if let Some(record) = frame::decode(&payload) {
                mirror.apply(&record, payload);
            }
        })?;
        let records = mirror.payloads().iter().filter_map(|payload| frame::decode(payload)).collect();
        let opened = Opened { incarnation: header.incarnation.clone(), records };
        let writer = Self { active, spare, header, mirror, unwritten: Vec::new(), unwritten_ticket: None, failing: false };
        Ok((writer, opened))
    }

    /// Writes until the other end is gone.
    pub(super) fn run(mut self, batches: &Receiver<Batch>, events: &UnboundedSender<JournalEvent>) {
        loop {
            let next = if self.failing {
                batches.recv_timeout(RETRY_AFTER)
            } else {
                batches.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            let ended = match next {
                Ok(batch) => {
                    self.take(&batch);
                    for batch in batches.try_iter().take(BATCHES_MAX) {
                        self.take(&batch);
                    }
                    false
                }
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => true,
            };
            self.flush(events);
            if ended {
                return;
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        for record in &batch.records {
            let payload = frame::encode(record);
            frame::put_frame(&mut self.unwritten, self.header.generation, &payload);
            self.mirror.apply(record, payload);
        }
        self.unwritten_ticket = batch.ticket.or(self.unwritten_ticket);
    }

    fn flush(&mut self, events: &UnboundedSender<JournalEvent>) {
        if self.unwritten.is_empty() && self.unwritten_ticket.is_none() {
            return;
        }
        let written = if self.active.end + self.unwritten.len() as u64 > self.header.file_bytes {
            self.change_file()
        } else if self.unwritten.is_empty() {
            Ok(())
        } else {
            self.active.append(&self.unwritten, self.unwritten_ticket.is_some())
        };
        // The receiver is gone only when the agent is ending.
        match written {
            Ok(()) => {
                self.unwritten.clear();
                self.unwritten.shrink_to(64 * 1024);
                if std::mem::take(&mut self.failing) {
                    let _ = events.send(JournalEvent::Recovered);
                }
                if let Some(ticket) = self.unwritten_ticket.take() {
                    let _ = events.send(JournalEvent::Durable(ticket));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    let reason = format!("{}: {error}", self.active.path().display());
                    let _ = events.send(JournalEvent::Failed(reason));
                }
            }
        }
    }

    /// Writes everything alive, what was just taken in among it, into the spare file and makes that the one in use.
    fn change_file(&mut self) -> std::io::Result<()> {
        let generation = self.header.generation + 1;
        let mut bytes = Vec::new();
        for payload in self.mirror.payloads() {
            frame::put_frame(&mut bytes, generation, &payload);
        }
        // At least three quarters are left free, so that the work of changing is a small part of all writing.
        let wanted = (HEADER_BYTES + 4 * bytes.len() as u64).next_power_of_two();
        let header =
            Header { generation, file_bytes: self.header.file_bytes.max(wanted), incarnation: self.header.incarnation.clone() };
        self.spare.end = HEADER_BYTES;
        self.spare.allocate(header.file_bytes)?;
        self.spare.append(&bytes, true)?;
        self.spare.commit_header(header.clone())?;
        self.header = header;
        std::mem::swap(&mut self.active, &mut self.spare);
        Ok(())
    }
}

fn sync_dir(dir: &std::path::Path) -> Result<(), JournalError> {
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| failed("sync", dir, source))
}
