//! Log lines of tasks.

use conductor_model::{LogLine, LogStream, TaskId, TenantName, Timestamp};
use rusqlite::{Connection, params};

use super::codec::{During, int, rows, unsigned};
use crate::StoreError;

/// Stores lines; one that is stored already is dropped.
pub(super) fn append(connection: &Connection, tenant: &TenantName, lines: &[LogLine]) -> Result<(), StoreError> {
    const OPERATION: &str = "store log lines";
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO task_log (task, seq, tenant, at, stream, line) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (task, seq) DO NOTHING",
        )
        .during(OPERATION)?;
    for line in lines {
        let stream = stream_number(line.stream);
        let values = params![line.task_id.as_bytes(), int(line.seq), tenant.as_str(), line.at.0, stream, line.text];
        statement.execute(values).during(OPERATION)?;
    }
    Ok(())
}

/// Stores a worker's lines behind what is stored.
pub(super) fn append_worker(
    connection: &Connection,
    tenant: &TenantName,
    task_id: TaskId,
    lines: Vec<(Timestamp, String)>,
) -> Result<(), StoreError> {
    const OPERATION: &str = "number log lines";
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(seq) FROM task_log WHERE task = ?1")
        .during(OPERATION)?
        .query_row([task_id.as_bytes()], |row| row.get(0))
        .during(OPERATION)?;
    let first = last.map_or(1, |last| unsigned(last) + 1);
    let lines: Vec<LogLine> =
        (first..).zip(lines).map(|(seq, (at, text))| LogLine { task_id, seq, at, stream: LogStream::Worker, text }).collect();
    append(connection, tenant, &lines)
}

/// Lines of a task after `after`.
pub(super) fn after(
    connection: &Connection,
    tenant: &TenantName,
    task_id: TaskId,
    after: u64,
    limit: usize,
) -> Result<Vec<LogLine>, StoreError> {
    const OPERATION: &str = "load log lines";
    let mut statement = connection
        .prepare_cached(
            "SELECT seq, at, stream, line FROM task_log WHERE task = ?1 AND seq > ?2 AND tenant = ?3 ORDER BY seq LIMIT ?4",
        )
        .during(OPERATION)?;
    let found = statement
        .query_map(params![task_id.as_bytes(), int(after), tenant.as_str(), rows(limit)], |row| {
            let (seq, at) = (unsigned(row.get(0)?), Timestamp(row.get(1)?));
            Ok(LogLine { task_id, seq, at, stream: stream_of(row.get(2)?), text: row.get(3)? })
        })
        .during(OPERATION)?;
    found.collect::<Result<_, _>>().during(OPERATION)
}

fn stream_number(stream: LogStream) -> i64 {
    match stream {
        LogStream::Stdout => 0,
        LogStream::Stderr => 1,
        LogStream::Event => 2,
        LogStream::Worker => 3,
    }
}

fn stream_of(number: i64) -> LogStream {
    match number {
        0 => LogStream::Stdout,
        1 => LogStream::Stderr,
        3 => LogStream::Worker,
        _ => LogStream::Event,
    }
}
