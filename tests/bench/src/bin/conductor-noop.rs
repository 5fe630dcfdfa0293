//! The plugin that does nothing, in as little time as a process can: what is measured around it is Conductor alone.
//!
//! As `conductor-noop noop` it ends at once; as `conductor-noop stamp` it says first when it began; as `conductor-noop flood-N`
//! it prints lines of 100 bytes, N MiB in all, as fast as they are taken, and says how long that took; as
//! `conductor-noop persist` it answers each line on its standard input with one on file descriptor 3 (the agent starts
//! persistent plugins without an operation, so no argument at all means the same).

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use serde::Deserialize;

/// What is needed of a task to answer it.
#[derive(Deserialize)]
struct Task<'a> {
    #[serde(borrow)]
    task_id: &'a str,
}

fn main() -> ExitCode {
    let done = match std::env::args_os().nth(1).as_deref().and_then(|operation| operation.to_str()) {
        Some("stamp") => stamp(),
        Some("noop") => Ok(()),
        Some(flood_of) if flood_of.starts_with("flood-") => flood(flood_of),
        _ => persist(),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says when this process began, in µs since 1970.
fn stamp() -> io::Result<()> {
    let line = format!("{{\"type\":\"output\",\"values\":{{\"started_us\":{}}}}}\n", now_us());
    event_channel().write_all(line.as_bytes())
}

/// Bytes of a line of the flood, with its end.
const LINE_BYTES: usize = 100;
/// Bytes that are written at once: as many as a pipe holds.
const WRITE_BYTES: usize = 64 * 1024;

/// Prints as many MiB as the operation's name says.
fn flood(operation: &str) -> io::Result<()> {
    let mebibytes: usize = operation.trim_start_matches("flood-").parse().map_err(io::Error::other)?;
    let lines = mebibytes * 1024 * 1024 / LINE_BYTES;
    let line = format!("{}\n", "x".repeat(LINE_BYTES - 1));
    let mut out = io::BufWriter::with_capacity(WRITE_BYTES, io::stdout().lock());
    let began_us = now_us();
    for _ in 0..lines {
        out.write_all(line.as_bytes())?;
    }
    out.flush()?;
    let (bytes, us) = (lines * LINE_BYTES, now_us() - began_us);
    let line = format!("{{\"type\":\"output\",\"values\":{{\"lines\":{lines},\"bytes\":{bytes},\"us\":{us}}}}}\n");
    event_channel().write_all(line.as_bytes())
}

/// Answers tasks until standard input ends.
fn persist() -> io::Result<()> {
    let mut events = event_channel();
    let mut tasks = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if tasks.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let task: Task<'_> = serde_json::from_slice(&line)?;
        let answer = format!("{{\"type\":\"done\",\"task_id\":\"{}\",\"success\":true}}\n", task.task_id);
        events.write_all(answer.as_bytes())?;
    }
}

#[expect(clippy::disallowed_methods, reason = "this program measures when it begins; it has no caller to pass the time in")]
fn now_us() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_micros())
}

#[expect(unsafe_code, reason = "the event channel is a bare descriptor number by contract")]
fn event_channel() -> std::mem::ManuallyDrop<std::fs::File> {
    use std::os::fd::FromRawFd;
    // SAFETY: the agent opens descriptor 3 before it starts a plugin; nothing else in this program knows it, and it is
    // never closed here.
    std::mem::ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(conductor_wire::plugin_io::EVENT_FD) })
}
