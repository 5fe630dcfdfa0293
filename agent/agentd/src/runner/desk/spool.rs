//! Log lines that the agent has not taken yet: in memory, and beyond a bound in files.
//!
//! ```text
//! pushed ──> memory ──────────────────────────> sent ──> taken (gone)
//!        └─> segment files, oldest read first ─┘   └──> connection lost: back to the front
//! ```
//! Files have a quota. When it is used up, debug lines go first, those of the oldest file first, then whole files, the oldest
//! first. What was dropped is said by a line in its place.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use conductor_model::{TenantName, Timestamp};
use serde_json::value::RawValue;

use super::meter::Meter;
use super::segment::{Marks, Segment, read_lines, remove, shed_segment, write_line, write_lines};
use crate::link::message::Fill;

/// Most bytes of lines that wait in memory.
const MEMORY_BYTES_MAX: usize = 512 * 1024;
/// Most bytes that are sent and not taken.
const SENT_BYTES_MAX: usize = 1024 * 1024;
/// With so many batches on their way, lines wait until they fill one.
const BATCHES_BEFORE_FILLING: usize = 4;
/// Size of a segment file in bytes.
const SEGMENT_BYTES: u64 = 1024 * 1024;
/// Ending of segment files.
const ENDING: &str = "lines";

/// A log line on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Owner of the task.
    pub tenant: TenantName,
    /// Whether it is dropped before others.
    pub is_debug: bool,
    /// The `LogLine`.
    pub json: String,
}

/// The lines of one agent's tasks.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    quota_bytes: u64,
    memory: VecDeque<Waiting>,
    memory_bytes: usize,
    segments: VecDeque<Segment>,
    /// Writes to the last segment.
    tail: Option<BufWriter<File>>,
    disk_bytes: u64,
    next_segment: u64,
    sent: BTreeMap<u64, Vec<Waiting>>,
    sent_bytes: usize,
    next_batch: u64,
    /// What could not be written.
    unwritten: Marks,
    meter: Meter,
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
            unwritten: Marks::default(),
            meter: Meter::default(),
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
        self.memory.is_empty() && self.segments.is_empty() && self.sent.is_empty()
    }

    /// Whether a task prints as fast as it can.
    pub fn is_flooded(&mut self, now: Timestamp) -> bool {
        self.meter.is_flood(now)
    }

    /// Puts a line behind the others.
    pub fn push(&mut self, line: Waiting, now: Timestamp) {
        self.meter.count(line.json.len(), now);
        if self.segments.is_empty() && self.memory_bytes < MEMORY_BYTES_MAX {
            self.memory_bytes += line.json.len();
            self.memory.push_back(line);
            return;
        }
        if let Err(error) = self.write(&line, now) {
            if self.unwritten.is_empty() {
                tracing::warn!(path = %self.dir.display(), %error, "log lines cannot be kept; they are dropped until they can");
            }
            self.tail = None;
            self.unwritten.note(&line);
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
        if !self.memory.is_empty() {
            let path = self.dir.join(format!("first.{ENDING}"));
            let (bytes, has_debug) = write_lines(&path, self.memory.iter())?;
            self.memory.clear();
            self.memory_bytes = 0;
            self.segments.push_front(Segment { path, bytes, has_debug, is_shed: false });
        }
        self.flush()?;
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
        self.tail.as_mut().map_or(Ok(()), BufWriter::flush)
    }

    /// Reads the oldest segment into memory; `None` when there is none.
    fn load(&mut self) -> Option<()> {
        if self.segments.len() == 1 {
            if let Err(error) = self.flush() {
                tracing::warn!(%error, "log lines could not be written");
            }
            self.tail = None;
        }
        let segment = self.segments.pop_front()?;
        self.disk_bytes -= segment.bytes;
        match read_lines(&segment.path) {
            Ok(lines) => {
                self.memory_bytes += lines.iter().map(|line| line.json.len()).sum::<usize>();
                self.memory.extend(lines);
            }
            Err(error) => tracing::error!(path = %segment.path.display(), %error, "kept log lines cannot be read"),
        }
        remove(&segment.path);
        Some(())
    }

    fn write(&mut self, line: &Waiting, now: Timestamp) -> io::Result<()> {
        if self.tail.is_none() || self.segments.back().is_none_or(|segment| segment.bytes >= SEGMENT_BYTES) {
            self.begin_segment(now)?;
        }
        let marks = self.unwritten.take("log lines", now);
        let (Some(tail), Some(segment)) = (&mut self.tail, self.segments.back_mut()) else { return Ok(()) };
        for line in marks.iter().chain([line]) {
            let bytes = write_line(tail, line)?;
            segment.bytes += bytes;
            segment.has_debug |= line.is_debug;
            self.disk_bytes += bytes;
        }
        Ok(())
    }

    fn begin_segment(&mut self, now: Timestamp) -> io::Result<()> {
        self.flush()?;
        self.tail = None;
        self.shed(now);
        let path = self.dir.join(format!("{:020}.{ENDING}", self.next_segment));
        let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        self.next_segment += 1;
        self.tail = Some(BufWriter::with_capacity(64 * 1024, file));
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
mod tests {
    use super::*;
    use crate::link::message::json;
    use conductor_model::{LogLine, LogStream, TaskId};

    const NOW: Timestamp = Timestamp(7);

    fn line(seq: u64, text: &str, is_debug: bool) -> Waiting {
        let line =
            LogLine { task_id: TaskId(uuid::Uuid::nil()), seq, at: NOW, stream: LogStream::Stdout, text: text.to_owned() };
        Waiting { tenant: TenantName::default_tenant(), is_debug, json: json(&line) }
    }

    /// Sends and takes everything.
    fn all(spool: &mut Spool) -> Vec<LogLine> {
        let mut lines = Vec::new();
        while let Some((batch, _, array)) = spool.take_batch() {
            lines.extend(serde_json::from_str::<Vec<LogLine>>(array.get()).unwrap());
            spool.taken(batch);
        }
        assert!(spool.is_empty());
        lines
    }

    fn numbers(lines: &[LogLine]) -> Vec<u64> {
        lines.iter().map(|line| line.seq).collect()
    }

    #[test]
    fn lines_come_in_order_through_memory_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().to_owned(), 64 << 20).unwrap();
        let text = "x".repeat(1000);
        for seq in 0..5000 {
            spool.push(line(seq, &text, false), NOW);
        }
        assert!(spool.segments.len() >= 4 && spool.memory_bytes <= MEMORY_BYTES_MAX + 2000);
        assert_eq!(numbers(&all(&mut spool)), (0..5000).collect::<Vec<_>>());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "files that were read are gone");
        spool.push(line(5000, "again in memory", false), NOW);
        assert_eq!(numbers(&all(&mut spool)), [5000]);
    }

    #[test]
    fn what_was_not_taken_is_sent_again_also_by_the_next_life() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().to_owned(), 64 << 20).unwrap();
        let text = "x".repeat(1000);
        for seq in 0..3000 {
            spool.push(line(seq, &text, false), NOW);
        }
        let (first, ..) = spool.take_batch().unwrap();
        let (second, ..) = spool.take_batch().unwrap();
        spool.taken(second);
        assert_ne!(first, second);
        spool.put_by().unwrap();
        let next = spool.next_batch();
        drop(spool);
        let mut spool = Spool::open(dir.path().to_owned(), 64 << 20).unwrap();
        spool.number_from(next);
        let came = numbers(&all(&mut spool));
        let second_batch = 128 - (3000 - came.len()) as u64;
        assert!(came.len() < 3000 && came[0] == 0 && came.is_sorted(), "{second_batch}");
        assert_eq!(came.last(), Some(&2999));
    }

    #[test]
    fn a_full_quota_drops_the_oldest_debug_lines_first_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().to_owned(), 4 << 20).unwrap();
        let text = "x".repeat(1000);
        for seq in 0..6000 {
            spool.push(line(seq, &text, seq % 2 == 0), NOW);
        }
        assert!(spool.disk_bytes <= 4 << 20, "{} bytes are kept", spool.disk_bytes);
        let came = all(&mut spool);
        let marks: Vec<_> = came.iter().filter(|line| line.text.contains("were dropped")).collect();
        assert!(!marks.is_empty() && marks.iter().all(|mark| mark.text.contains("debug lines were dropped")), "{marks:?}");
        let plain = came.iter().filter(|line| line.seq % 2 == 1).count();
        assert_eq!(plain, 3000, "no other line was dropped");

        for seq in 0..9000 {
            spool.push(line(seq, &text, false), NOW);
        }
        let came = all(&mut spool);
        assert!(came.iter().any(|line| line.text.contains("log lines were dropped")));
        assert_eq!(came.last().unwrap().seq, 8999, "the newest are kept");
        let missing: u64 =
            came.iter().filter_map(|line| line.text.strip_prefix('[')?.split(' ').next()?.parse::<u64>().ok()).sum();
        let kept = came.iter().filter(|line| !line.text.starts_with('[')).count() as u64;
        assert_eq!(missing + kept, 9000, "every dropped line is counted");
    }
}
