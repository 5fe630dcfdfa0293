//! Files of log lines, and the marks of those that were dropped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use conductor_model::{LogLine, LogStream, TaskId, TenantName, Timestamp};
use serde::Deserialize;

use crate::waiting::Waiting;

/// Marks a debug line in a segment file.
const DEBUG_MARK: &str = "d";
const PLAIN_MARK: &str = "-";

/// One segment file.
#[derive(Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub bytes: u64,
    pub has_debug: bool,
    /// Whether only marks of dropped lines are left in it.
    pub is_shed: bool,
}

/// What was dropped of one task.
#[derive(Debug)]
struct Dropped {
    tenant: TenantName,
    /// The first number that is free now: the mark takes it.
    seq: u64,
    count: u64,
    /// When the last one was.
    at: Timestamp,
}

/// Lines that were dropped, by task.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<TaskId, Dropped>);

/// What a mark needs of a line.
#[derive(Deserialize)]
struct Head {
    task_id: TaskId,
    seq: u64,
}

impl Marks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn note(&mut self, line: &Waiting, at: Timestamp) {
        if let Ok(Head { task_id, seq }) = serde_json::from_str(&line.json) {
            let first = || Dropped { tenant: line.tenant.clone(), seq, count: 0, at };
            let dropped = self.0.entry(task_id).or_insert_with(first);
            dropped.count += 1;
            dropped.at = at;
        }
    }

    /// The marks as lines.
    pub fn take(&mut self, what: &str) -> Vec<Waiting> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|(task_id, Dropped { tenant, seq, count, at })| {
            let text = format!("[{count} {what} were dropped: they could not be sent, and this host keeps no more]");
            let line = LogLine { task_id, seq, at, stream: LogStream::Event, text };
            Waiting::new(tenant, false, &line)
        })
        .collect()
    }
}

/// Drops debug lines, or all, and leaves marks.
pub(super) fn shed_segment(segment: &mut Segment, debug_only: bool, now: Timestamp) -> io::Result<()> {
    let mut marks = Marks::default();
    let (dropped, mut kept): (Vec<_>, Vec<_>) =
        read_lines(&segment.path)?.into_iter().partition(|line| line.is_debug || !debug_only);
    dropped.iter().for_each(|line| marks.note(line, now));
    kept.extend(marks.take(if debug_only { "debug lines" } else { "log lines" }));
    let beside = segment.path.with_extension("new");
    let (bytes, _) = write_lines(&beside, kept.iter())?;
    fs::rename(&beside, &segment.path)?;
    segment.bytes = bytes;
    segment.has_debug = false;
    segment.is_shed |= !debug_only;
    Ok(())
}

pub(super) fn write_lines<'a>(path: &Path, lines: impl Iterator<Item = &'a Waiting>) -> io::Result<(u64, bool)> {
    let mut out = BufWriter::new(File::create(path)?);
    let (mut bytes, mut has_debug) = (0, false);
    for line in lines {
        bytes += write_line(&mut out, line)?;
        has_debug |= line.is_debug;
    }
    out.flush()?;
    Ok((bytes, has_debug))
}

/// JSON has no line ends of its own.
pub(super) fn write_line(out: &mut impl Write, line: &Waiting) -> io::Result<u64> {
    let mark = if line.is_debug { DEBUG_MARK } else { PLAIN_MARK };
    for piece in [mark, " ", line.tenant.as_str(), " ", &line.json, "\n"] {
        out.write_all(piece.as_bytes())?;
    }
    Ok(written_bytes(line))
}

/// How many bytes a line takes in a file.
pub(super) fn written_bytes(line: &Waiting) -> u64 {
    (DEBUG_MARK.len() + line.tenant.as_str().len() + line.json.len() + 3) as u64
}

/// Lines of a file. A last line that was written in part is left out.
pub(super) fn read_lines(path: &Path) -> io::Result<Vec<Waiting>> {
    let mut lines = Vec::new();
    for text in BufReader::new(File::open(path)?).split(b'\n') {
        let Ok(text) = String::from_utf8(text?) else { continue };
        let mut parts = text.splitn(3, ' ');
        if let (Some(mark), Some(tenant), Some(json)) = (parts.next(), parts.next(), parts.next())
            && let Ok(tenant) = tenant.parse()
            && serde_json::from_str::<Head>(json).is_ok()
        {
            lines.push(Waiting { tenant, is_debug: mark == DEBUG_MARK, json: json.to_owned() });
        }
    }
    Ok(lines)
}

pub(super) fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "a file with log lines cannot be removed");
    }
}
