use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use conductor_agent_core::{Record, TaskKey};
use conductor_wire::amqp::TaskEnvelope;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

fn envelope(number: u128, input: &str) -> Arc<TaskEnvelope> {
    let id = uuid::Uuid::from_u128(number);
    let text = format!(
        r#"{{"task_id":"{id}","dispatch":1,"workflow_id":"{id}","tenant":"t","workflow_name":"w","reference":"r",
        "definition_name":"d","attempt":0,"plugin":{{"name":"p","version":"1","digest":"{}"}},"operation":"o",
        "input":{input},"node_instance":"a","grace_ms":1,"idempotent":false}}"#,
        "0".repeat(64)
    );
    Arc::new(serde_json::from_str(&text).unwrap())
}

fn key(number: u128) -> TaskKey {
    TaskKey::of(&envelope(number, "{}"))
}

struct Opening {
    journal: Journal,
    opened: Opened,
    events: UnboundedReceiver<JournalEvent>,
}

fn open(dir: &std::path::Path, incarnation: &str, bytes: u64) -> Opening {
    let (sender, events) = unbounded_channel();
    let (journal, opened) = Journal::open_sized(dir.to_owned(), incarnation, sender, bytes).unwrap();
    Opening { journal, opened, events }
}

fn received(records: &[Record]) -> Vec<u128> {
    let ids = records.iter().filter_map(|record| match record {
        Record::Received(envelope) => Some(envelope.task_id.0.as_u128()),
        _ => None,
    });
    ids.collect()
}

#[test]
fn what_was_appended_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path(), "one", 1 << 16);
    assert!(first.opened.records.is_empty());
    let ticket = first.journal.append(vec![Record::Received(envelope(1, r#"{"a":1}"#)), Record::Starting { key: key(1) }]);
    assert_eq!(first.events.blocking_recv(), Some(JournalEvent::Durable(ticket)));
    drop(first);

    let second = open(dir.path(), "two", 1 << 16);
    assert_eq!(second.opened.incarnation, "one", "the incarnation is the journal's, not the process's");
    assert_eq!(received(&second.opened.records), [1]);
    assert!(matches!(second.opened.records[1], Record::Starting { .. }));
}

#[test]
fn a_torn_tail_is_dropped_and_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path(), "one", 1 << 16);
    first.journal.append(vec![Record::Received(envelope(1, "{}"))]);
    first.journal.append(vec![Record::Received(envelope(2, r#"{"torn":true}"#))]);
    drop(first);
    // The last frame loses its end, as when the power went.
    let path = dir.path().join("a.journal");
    let bytes = std::fs::read(&path).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0; 10], last as u64 - 9).unwrap();

    let mut second = open(dir.path(), "two", 1 << 16);
    assert_eq!(received(&second.opened.records), [1]);
    second.journal.append(vec![Record::Received(envelope(3, "{}"))]);
    drop(second);
    assert_eq!(received(&open(dir.path(), "three", 1 << 16).opened.records), [1, 3]);
}

#[test]
fn a_full_file_is_changed_and_only_what_is_alive_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path(), "one", 1 << 15);
    first.journal.append(vec![Record::Received(envelope(7, r#"{"long":"lived"}"#))]);
    for number in 100..1100 {
        first.journal.append(vec![Record::Received(envelope(number, "{}")), Record::Reported { keys: vec![key(number)] }]);
    }
    drop(first);
    let second = open(dir.path(), "two", 1 << 15);
    assert_eq!(received(&second.opened.records), [7]);
    let Record::Reported { keys } = &second.opened.records[0] else { panic!("reported keys come first") };
    assert_eq!(keys.len(), 1000);
    assert!(std::fs::metadata(dir.path().join("a.journal")).unwrap().len() <= 1 << 18);
}

#[test]
fn a_file_grows_when_what_is_alive_does_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = open(dir.path(), "one", 1 << 14);
    let big = format!(r#"{{"text":"{}"}}"#, "x".repeat(20_000));
    for number in 1..=5 {
        first.journal.append(vec![Record::Received(envelope(number, &big))]);
    }
    drop(first);
    assert_eq!(received(&open(dir.path(), "two", 1 << 14).opened.records), [1, 2, 3, 4, 5]);
}

#[test]
fn a_second_agent_on_the_same_folder_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path(), "one", 1 << 14);
    let (sender, _events) = unbounded_channel();
    let refused = Journal::open_sized(dir.path().to_owned(), "two", sender, 1 << 14);
    assert!(matches!(refused, Err(JournalError::InUse { .. })));
}
