//! Log lines that the agent has not taken yet: in memory, and beyond a bound in files.
//!
//! ```text
//! pushed ──> memory ──────────────────────────> sent ──> taken (gone)
//!        └─> segment files, oldest read first ─┘   └──> connection lost: back to the front
//! ```
//! Files have a quota. When it is used up, debug lines go first, those of the oldest file first, then whole files, the oldest
//! first. What was dropped is said by a line in its place. A line that is not on disk yet is in memory: a write that fails is
//! tried again, and only what finds no room meanwhile is dropped.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use conductor_agent_core::Fill;
use conductor_model::{TenantName, Timestamp};
use serde_json::value::RawValue;

use crate::meter::Meter;
use crate::segment::{Marks, Segment, read_lines, remove, shed_segment, write_line, write_lines, written_bytes};
use crate::waiting::Waiting;

/// Most bytes of lines that wait in memory.
const MEMORY_BYTES_MAX: usize = 512 * 1024;
/// Most bytes that are sent and not taken.
const SENT_BYTES_MAX: usize = 1024 * 1024;
/// With so many batches on their way, lines wait until they fill one.
const BATCHES_BEFORE_FILLING: usize = 4;
/// Size of a segment file in bytes.
const SEGMENT_BYTES: u64 = 1024 * 1024;
/// Bytes of lines that wait for a write.
const PENDING_BYTES_MAX: usize = 64 * 1024;
/// What a mark counts.
const DROPPED: &str = "log lines";
/// Ending of segment files.
const ENDING: &str = "lines";

/// How bytes come into a file.
type Write = fn(&mut File, &[u8]) -> io::Result<()>;

/// The segment that is written to.
#[derive(Debug)]
struct Tail {
    file: File,
    /// Lines that are not in the file yet.
    pending: Vec<Waiting>,
    pending_bytes: usize,
    /// Whether the last write failed, perhaps in the middle of a line.
    failed: bool,
}

impl Tail {
    /// Writes what waits. Where that fails it waits on; what came into the file nevertheless comes twice and is known by its
    /// number.
    fn flush(&mut self, write: Write) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.pending_bytes * 2);
        if self.failed {
            bytes.push(b'\n');
        }
        for line in &self.pending {
            write_line(&mut bytes, line)?;
        }
        self.failed = true;
        write(&mut self.file, &bytes)?;
        self.failed = false;
        self.pending = Vec::new();
        self.pending_bytes = 0;
        Ok(())
    }
}

/// The lines of one agent's tasks.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    quota_bytes: u64,
    memory: VecDeque<Waiting>,
    memory_bytes: usize,
    segments: VecDeque<Segment>,
    /// The last segment.
    tail: Option<Tail>,
    disk_bytes: u64,
    next_segment: u64,
    sent: BTreeMap<u64, Vec<Waiting>>,
    sent_bytes: usize,
    next_batch: u64,
    /// What was dropped and is to be said.
    unsaid: Marks,
    meter: Meter,
    write: Write,
}

impl Spool {
    /// Opens the spool in `dir` with what an earlier life left there. Its files take at most `quota_bytes`.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(dir: PathBuf, quota_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        let mut found = Vec::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            if let (Some(number), true) = (number, path.extension().is_some_and(|ending| ending == ENDING)) {
                found.push((number, path));
            }
        }
        found.sort_unstable();
        let next_segment = found.last().map_or(0, |(number, _)| number + 1);
        let mut segments = VecDeque::new();
        for (_, path) in found {
            let bytes = fs::metadata(&path)?.len();
            // Whether it has debug lines shows when it is looked at.
            segments.push_back(Segment { path, bytes, has_debug: true, is_shed: false });
        }
        let disk_bytes = segments.iter().map(|segment| segment.bytes).sum();
        Ok(Self {
            dir,
            quota_bytes,
            memory: VecDeque::new(),
            memory_bytes: 0,
            segments,
            tail: None,
            disk_bytes,
            next_segment,
            sent: BTreeMap::new(),
            sent_bytes: 0,
            next_batch: 1,
            unsaid: Marks::default(),
            meter: Meter::default(),
            write: |file, bytes| file.write_all(bytes),
        })
    }

    /// Numbers batches from `next` on, so that a number is not given twice.
    pub fn number_from(&mut self, next: u64) {
        self.next_batch = next;
    }

    /// The number of the next batch.
    #[must_use]
    pub fn next_batch(&self) -> u64 {
        self.next_batch
    }

    /// Whether nothing waits and everything sent was taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memory.is_empty() && self.segments.is_empty() && self.sent.is_empty() && self.unsaid.is_empty()
    }

    /// Whether a task prints as fast as it can.
    pub fn is_flooded(&mut self, now: Timestamp) -> bool {
        self.meter.is_flood(now)
    }

    /// Puts a line behind the others.
    pub fn push(&mut self, line: Waiting, now: Timestamp) {
        self.meter.count(line.json.len(), now);
        if self.segments.is_empty() && self.memory_bytes < MEMORY_BYTES_MAX {
            self.say_dropped();
            self.memory_bytes += line.json.len();
            self.memory.push_back(line);
            return;
        }
        if let Err(error) = self.make_room(now) {
            if self.unsaid.is_empty() {
                tracing::warn!(path = %self.dir.display(), %error, "log lines cannot be kept; they are dropped until they can");
            }
            self.unsaid.note(&line, now);
            return;
        }
        let marks = self.unsaid.take(DROPPED);
        for line in marks.into_iter().chain([line]) {
            self.append(line);
        }
    }

    /// What was dropped is said as soon as there is room for it, at the latest when all that was kept has been sent.
    fn say_dropped(&mut self) {
        for mark in self.unsaid.take(DROPPED) {
            self.memory_bytes += mark.json.len();
            self.memory.push_back(mark);
        }
    }

    /// The next batch to send with its number, unless enough is on its way already.
    pub fn take_batch(&mut self) -> Option<(u64, TenantName, Box<RawValue>)> {
        if self.sent_bytes >= SENT_BYTES_MAX {
            return None;
        }
        while self.memory.is_empty() {
            self.load()?;
        }
        let tenant = self.memory.front()?.tenant.clone();
        let mut fill = Fill::default();
        let fits = |line: &&Waiting| line.tenant == tenant && fill.take(line.json.len());
        let count = self.memory.iter().take_while(fits).count();
        let is_full = count < self.memory.len();
        if !is_full && self.sent.len() >= BATCHES_BEFORE_FILLING {
            return None;
        }
        let lines: Vec<_> = self.memory.drain(..count).collect();
        let bytes = lines.iter().map(|line| line.json.len()).sum::<usize>();
        let texts: Vec<&str> = lines.iter().map(|line| line.json.as_str()).collect();
        let array = RawValue::from_string(format!("[{}]", texts.join(",")));
        self.memory_bytes -= bytes;
        self.sent_bytes += bytes;
        let batch = self.next_batch;
        self.next_batch += 1;
        self.sent.insert(batch, lines);
        array.ok().map(|array| (batch, tenant, array))
    }

    /// A batch is safe elsewhere.
    pub fn taken(&mut self, batch: u64) {
        if let Some(lines) = self.sent.remove(&batch) {
            self.sent_bytes -= lines.iter().map(|line| line.json.len()).sum::<usize>();
        }
    }

    /// The connection is gone: what was not taken is to be sent again, first.
    pub fn take_back(&mut self) {
        for line in std::mem::take(&mut self.sent).into_values().rev().flat_map(|lines| lines.into_iter().rev()) {
            self.memory_bytes += line.json.len();
            self.memory.push_front(line);
        }
        self.sent_bytes = 0;
    }

    /// Writes everything into files, for the next life.
    ///
    /// # Errors
    /// When a file cannot be written; then lines are missing.
    pub fn put_by(&mut self) -> io::Result<()> {
        self.take_back();
        self.say_dropped();
        self.flush()?;
        if !self.memory.is_empty() {
            let path = self.dir.join(format!("first.{ENDING}"));
            let (bytes, has_debug) = write_lines(&path, self.memory.iter()).inspect_err(|_| remove(&path))?;
            self.memory.clear();
            self.memory_bytes = 0;
            self.disk_bytes += bytes;
            self.segments.push_front(Segment { path, bytes, has_debug, is_shed: false });
        }
        // Numbered anew, the oldest first, behind all numbers that are in use.
        for segment in &mut self.segments {
            let path = self.dir.join(format!("{:020}.{ENDING}", self.next_segment));
            self.next_segment += 1;
            fs::rename(&segment.path, &path)?;
            segment.path = path;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(tail) = &mut self.tail else { return Ok(()) };
        tail.flush(self.write)
    }

    /// Reads the oldest segment into memory; `None` when there is none and nothing is left to say.
    fn load(&mut self) -> Option<()> {
        let Some(segment) = self.segments.pop_front() else {
            self.say_dropped();
            return (!self.memory.is_empty()).then_some(());
        };
        self.disk_bytes -= segment.bytes;
        let mut lines = read_lines(&segment.path).unwrap_or_else(|error| {
            tracing::error!(path = %segment.path.display(), %error, "kept log lines cannot be read");
            Vec::new()
        });
        if self.segments.is_empty() {
            // What was not written yet need not be.
            lines.extend(self.tail.take().into_iter().flat_map(|tail| tail.pending));
        }
        self.memory_bytes += lines.iter().map(|line| line.json.len()).sum::<usize>();
        self.memory.extend(lines);
        remove(&segment.path);
        Some(())
    }

    /// Sees to it that there is a segment that takes one more line.
    fn make_room(&mut self, now: Timestamp) -> io::Result<()> {
        if self.tail.is_none() || self.segments.back().is_none_or(|segment| segment.bytes >= SEGMENT_BYTES) {
            return self.begin_segment(now);
        }
        match &self.tail {
            Some(tail) if tail.pending_bytes >= PENDING_BYTES_MAX => self.flush(),
            Some(_) | None => Ok(()),
        }
    }

    fn append(&mut self, line: Waiting) {
        let (Some(tail), Some(segment)) = (&mut self.tail, self.segments.back_mut()) else { return };
        let bytes = written_bytes(&line);
        segment.bytes += bytes;
        segment.has_debug |= line.is_debug;
        self.disk_bytes += bytes;
        tail.pending_bytes += line.json.len();
        tail.pending.push(line);
    }

    fn begin_segment(&mut self, now: Timestamp) -> io::Result<()> {
        self.flush()?;
        self.tail = None;
        self.shed(now);
        let path = self.dir.join(format!("{:020}.{ENDING}", self.next_segment));
        let file = OpenOptions::new().append(true).create_new(true).open(&path)?;
        self.next_segment += 1;
        self.tail = Some(Tail { file, pending: Vec::new(), pending_bytes: 0, failed: false });
        self.segments.push_back(Segment { path, bytes: 0, has_debug: false, is_shed: false });
        Ok(())
    }

    /// Makes room for one more segment. What is dropped leaves a mark.
    fn shed(&mut self, now: Timestamp) {
        while self.disk_bytes + SEGMENT_BYTES > self.quota_bytes {
            let first_with_debug = self.segments.iter().position(|segment| segment.has_debug);
            let (at, debug_only) = match (first_with_debug, self.segments.iter().position(|segment| !segment.is_shed)) {
                (Some(at), _) => (at, true),
                (None, Some(at)) => (at, false),
                (None, None) => return,
            };
            let segment = &mut self.segments[at];
            let before = segment.bytes;
            if let Err(error) = shed_segment(segment, debug_only, now) {
                tracing::error!(path = %segment.path.display(), %error, "kept log lines cannot be shortened; they are removed");
                for line in read_lines(&segment.path).unwrap_or_default() {
                    self.unsaid.note(&line, now);
                }
                remove(&segment.path);
                self.disk_bytes -= before;
                self.segments.remove(at);
                continue;
            }
            self.disk_bytes = self.disk_bytes - before + segment.bytes;
        }
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
