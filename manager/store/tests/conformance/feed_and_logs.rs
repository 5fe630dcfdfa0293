//! The event feed and the logs of tasks.

use conductor_model::{LogLine, LogStream, Timestamp};
use conductor_store::{Batch, Store};

use crate::fixtures::*;

fn fed(store: &dyn Store) {
    let mut feed: Vec<_> = (1..=6).map(|id| entry(id, tenant())).collect();
    feed[2].tenant = other_tenant();
    store.commit(Batch { feed: feed.into_iter().map(Into::into).collect(), ..Batch::default() }).unwrap();
}

fn read(store: &dyn Store, after: u64, limit: usize) -> Vec<u64> {
    store.feed(&tenant(), after, limit).unwrap().iter().map(|entry| entry.id).collect()
}

pub fn the_feed_is_read_from_where_a_reader_stopped(store: &dyn Store) {
    fed(store);
    assert_eq!(read(store, 0, 3), [1, 2, 4]);
    assert_eq!(read(store, 4, 3), [5, 6]);
    assert_eq!(read(store, 6, 3), [0; 0]);
    assert_eq!(store.feed(&tenant(), 5, 1).unwrap(), [entry(6, tenant())]);
}

pub fn the_feed_is_trimmed_from_its_old_end(store: &dyn Store) {
    fed(store);
    store.trim_feed(4).unwrap();
    assert_eq!(read(store, 0, 10), [5, 6]);
}

fn line(task: &conductor_model::TaskRecord, seq: u64, text: &str) -> LogLine {
    LogLine { task_id: task.id, seq, at: Timestamp(seq as i64), stream: LogStream::Stderr, text: text.to_owned() }
}

pub fn a_log_line_that_comes_twice_is_stored_once(store: &dyn Store) {
    let task = task(&workflow("deploy"), 1);
    store.append_logs(&tenant(), vec![line(&task, 1, "one"), line(&task, 2, "two")]).unwrap();
    store.append_logs(&tenant(), vec![line(&task, 2, "two again"), line(&task, 3, "three")]).unwrap();
    let texts = |after, limit| -> Vec<String> {
        store.logs(&tenant(), task.id, after, limit).unwrap().into_iter().map(|line| line.text).collect()
    };
    assert_eq!(texts(0, 10), ["one", "two", "three"]);
    assert_eq!(texts(1, 1), ["two"]);
    assert_eq!(store.logs(&tenant(), task.id, 2, 10).unwrap(), [line(&task, 3, "three")]);
}

pub fn a_workers_lines_are_numbered_behind_what_is_stored(store: &dyn Store) {
    let (task, other) = (task(&workflow("deploy"), 1), task(&workflow("deploy"), 1));
    store.append_logs(&tenant(), vec![line(&task, 4, "agent"), line(&other, 9, "other")]).unwrap();
    for text in ["a", "b"] {
        store.append_worker_logs(&tenant(), task.id, vec![(Timestamp(7), text.to_owned())]).unwrap();
    }
    let found = store.logs(&tenant(), task.id, 0, 10).unwrap();
    assert_eq!(found.iter().map(|line| line.seq).collect::<Vec<_>>(), [4, 5, 6]);
    assert_eq!(
        found[2],
        LogLine { task_id: task.id, seq: 6, at: Timestamp(7), stream: LogStream::Worker, text: "b".to_owned() }
    );
}
