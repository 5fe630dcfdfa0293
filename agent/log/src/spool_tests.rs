//! Lines through memory, files and failures.

use std::cell::Cell;

use super::*;
use conductor_model::{LogLine, LogStream, TaskId};

const NOW: Timestamp = Timestamp(7);

fn line(seq: u64, text: &str, is_debug: bool) -> Waiting {
    let line = LogLine { task_id: TaskId(uuid::Uuid::nil()), seq, at: NOW, stream: LogStream::Stdout, text: text.to_owned() };
    Waiting::new(TenantName::default_tenant(), is_debug, &line)
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
    let missing: u64 = came.iter().filter_map(|line| line.text.strip_prefix('[')?.split(' ').next()?.parse::<u64>().ok()).sum();
    let kept = came.iter().filter(|line| !line.text.starts_with('[')).count() as u64;
    assert_eq!(missing + kept, 9000, "every dropped line is counted");
}

thread_local! {
    /// Whether the disk of this test is full.
    static IS_FULL: Cell<bool> = const { Cell::new(false) };
}

/// Fails in the middle of a line when the disk is full.
fn write(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if IS_FULL.get() {
        file.write_all(&bytes[..bytes.len() / 2 + 7])?;
        return Err(io::ErrorKind::StorageFull.into());
    }
    file.write_all(bytes)
}

/// How many lines the marks say were dropped, and the numbers of those that came, each once.
fn told(lines: &[LogLine]) -> (u64, Vec<u64>) {
    let (marks, plain): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.text.starts_with('['));
    let mut came = plain.iter().map(|line| line.seq).collect::<Vec<_>>();
    came.sort_unstable();
    came.dedup();
    (marks.iter().filter_map(|mark| mark.text[1..].split(' ').next()?.parse::<u64>().ok()).sum(), came)
}

#[test]
fn every_line_that_a_full_disk_dropped_is_counted_whether_it_recovers_or_not() {
    for recovers in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(dir.path().to_owned(), 64 << 20).unwrap();
        spool.write = write;
        let text = "x".repeat(1000);
        for seq in 0..3000 {
            IS_FULL.set((1000..2000).contains(&seq) || (!recovers && seq >= 1000));
            spool.push(line(seq, &text, false), NOW);
        }
        assert!(!spool.is_empty());
        let (dropped, came) = told(&all(&mut spool));
        assert_eq!(dropped + came.len() as u64, 3000, "recovers: {recovers}");
        assert!(dropped > 0 && came[0] == 0 && came.contains(&1000), "what waited for the write came: {recovers}");
        assert_eq!(came.contains(&2999), recovers);
        IS_FULL.set(false);
    }
}

#[test]
fn what_was_dropped_is_said_by_the_next_life_and_what_cannot_be_put_by_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = Spool::open(dir.path().to_owned(), 64 << 20).unwrap();
    spool.write = write;
    let text = "x".repeat(1000);
    for seq in 0..2000 {
        IS_FULL.set(seq >= 1000);
        spool.push(line(seq, &text, false), NOW);
    }
    assert!(spool.put_by().is_err(), "the disk is full");
    IS_FULL.set(false);
    spool.put_by().unwrap();
    drop(spool);
    let mut spool = Spool::open(dir.path().to_owned(), 64 << 20).unwrap();
    let (dropped, came) = told(&all(&mut spool));
    assert!(dropped > 0);
    assert_eq!(dropped + came.len() as u64, 2000);
}

#[test]
fn without_any_file_what_was_dropped_is_said_when_the_rest_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("spool");
    let mut spool = Spool::open(folder.clone(), 64 << 20).unwrap();
    fs::remove_dir(&folder).unwrap();
    let text = "x".repeat(1000);
    for seq in 0..2000 {
        spool.push(line(seq, &text, false), NOW);
    }
    let (dropped, came) = told(&all(&mut spool));
    assert!(dropped > 0);
    assert_eq!(dropped + came.len() as u64, 2000);
}
