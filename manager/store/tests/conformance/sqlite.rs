//! What only a file can promise.

use std::path::PathBuf;

use conductor_store::{Batch, DefinitionKind, OpenError, SqliteStore, Store, unstamped};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::fixtures::*;

struct File {
    _folder: TempDir,
    path: PathBuf,
}

fn file() -> File {
    let folder = TempDir::new().unwrap();
    File { path: folder.path().join("manager.db"), _folder: folder }
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let file = file();
    let mut workflow = workflow("deploy");
    let (one, two) = (task(&workflow, 1), task(&workflow, 2));
    {
        let store = SqliteStore::open(&file.path).unwrap();
        let full = Batch {
            decisions: vec![start(&workflow, &[&one])],
            outbox: vec![message(1, &one), message(2, &one)],
            agents: vec![agent("agent-1")],
            feed: vec![entry(1, tenant()).into()],
            ..Batch::default()
        };
        store.commit(full).unwrap();
        let write = step(&mut workflow, vec![inserted(&two)]);
        store.submit(Batch { decisions: vec![write], outbox_done: vec![1], ..Batch::default() }, Box::new(|_| {}));
        store.append_worker_logs(&tenant(), one.id, vec![(conductor_model::Timestamp(1), "line".to_owned())]).unwrap();
        // Dropped without a close: what was submitted is finished all the same.
    }
    let store = SqliteStore::open(&file.path).unwrap();
    let run = store.load_run(workflow.id).unwrap().unwrap();
    assert_eq!(run.workflow, workflow);
    assert_eq!(run.tasks, [one.clone(), two.clone()]);
    let work = store.open_work().unwrap();
    assert_eq!(work.tasks, [one.clone(), two]);
    assert_eq!(work.outbox, [message(2, &one)]);
    assert_eq!(work.agents, [agent("agent-1")]);
    assert_eq!((work.last_outbox_id, work.last_feed_id), (2, 1));
    assert_eq!(store.logs(&tenant(), one.id, 0, 10).unwrap().len(), 1);
}

#[test]
fn what_was_defined_before_there_were_revisions_is_the_first_one() {
    let file = file();
    let mut definitions = vec![workflow_def("deploy", 1), workflow_def("deploy", 2)];
    // The second version was stored first.
    for (definition, at) in definitions.iter_mut().zip([20, 10]) {
        (definition.update_time, definition.updated_by) = (Some(at), Some("ann".to_owned()));
    }
    {
        let store = SqliteStore::open(&file.path).unwrap();
        store.put_workflow_defs(&tenant(), definitions.clone(), false).unwrap();
        store.put_task_defs(&tenant(), vec![task_def("echo")]).unwrap();
    }
    let before = "DROP TABLE revision; DELETE FROM migration WHERE number = 9";
    Connection::open(&file.path).unwrap().execute_batch(before).unwrap();
    let store = SqliteStore::open(&file.path).unwrap();
    let found = store.revisions(&tenant(), DefinitionKind::Workflow, "deploy").unwrap();
    let found: Vec<_> = found.iter().map(|found| (found.number, found.version, found.at.0, found.by.as_str())).collect();
    assert_eq!(found, [(2, Some(1), 20, "ann"), (1, Some(2), 10, "ann")]);
    let (_, said) = store.revision(&tenant(), DefinitionKind::Workflow, "deploy", 2).unwrap().unwrap();
    assert_eq!(said, unstamped(&definitions[0]).unwrap());
    assert_eq!(store.revisions(&tenant(), DefinitionKind::Task, "echo").unwrap().len(), 1);
    store.put_workflow_defs(&tenant(), definitions, true).unwrap();
    assert_eq!(store.revisions(&tenant(), DefinitionKind::Workflow, "deploy").unwrap().len(), 2, "they are as they were");
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let file = file();
    SqliteStore::open(&file.path).unwrap().close();
    Connection::open(&file.path).unwrap().execute("INSERT INTO migration VALUES (99, 'x')", []).unwrap();
    let error = SqliteStore::open(&file.path).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("newer"), "{error}");
}

#[test]
fn a_step_that_is_not_ours_is_refused() {
    let file = file();
    SqliteStore::open(&file.path).unwrap().close();
    Connection::open(&file.path).unwrap().execute("UPDATE migration SET checksum = 'x'", []).unwrap();
    let error = SqliteStore::open(&file.path).unwrap_err();
    assert!(matches!(error, OpenError::Changed { number: 1 }), "{error}");
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let file = file();
    Connection::open(&file.path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    let error = SqliteStore::open(&file.path).unwrap_err();
    assert!(matches!(error, OpenError::Foreign), "{error}");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = SqliteStore::open("/nowhere/at/all/manager.db".as_ref()).unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all/manager.db"), "{error}");
}

#[test]
fn the_database_writes_ahead() {
    let file = file();
    let store = SqliteStore::open(&file.path).unwrap();
    stored(&store, &workflow("deploy"), &[]);
    let mode: String =
        Connection::open(&file.path).unwrap().pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_feed_that_an_older_program_wrote_is_read() {
    let file = file();
    let store = SqliteStore::open(&file.path).unwrap();
    let (old, new) = (entry(1, tenant()), entry(2, tenant()));
    let row = (1, tenant().as_str().to_owned(), serde_json::to_string(&[&old]).unwrap());
    Connection::open(&file.path).unwrap().execute("INSERT INTO feed VALUES (?1, ?2, ?3)", row).unwrap();
    store.commit(Batch { feed: vec![new.clone().into()], ..Batch::default() }).unwrap();
    assert_eq!(store.feed(&tenant(), 0, 10).unwrap(), [old, new]);
}

#[test]
fn tasks_that_did_not_do_well_are_found_by_an_index() {
    let file = file();
    SqliteStore::open(&file.path).unwrap().close();
    let connection = Connection::open(&file.path).unwrap();
    let sql = "EXPLAIN QUERY PLAN SELECT id FROM task WHERE tenant = 'a' AND task.open = 0 AND task.status <> 'COMPLETED'
               AND task.status IN ('FAILED') ORDER BY id DESC";
    let plan: String = connection.query_row(sql, [], |row| row.get(3)).unwrap();
    assert!(plan.contains("task_failed"), "{plan}");
}

#[test]
fn readers_and_the_writer_do_not_wait_for_each_other() {
    let file = file();
    let store = SqliteStore::open(&file.path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let workflow = workflow("deploy");
                    stored(&store, &workflow, &[&task(&workflow, 1)]);
                    assert_eq!(store.load_run(workflow.id).unwrap().unwrap().tasks.len(), 1);
                }
            });
        }
    });
    assert_eq!(store.open_work().unwrap().workflows.len(), 400);
}
