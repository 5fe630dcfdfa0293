//! Revisions of definitions, and locks on them.

use conductor_model::{TaskDef, Timestamp, WorkflowDef};
use conductor_store::{DefinitionKind, Document, Putting, REVISIONS_KEPT, Revision, Store, StoreError, unstamped};
use serde_json::Value;

use crate::fixtures::*;

/// A definition as it is stored at a moment by somebody.
fn workflow_by(version: i32, description: &str, at: i64, by: &str) -> WorkflowDef {
    let mut definition = workflow_def("deploy", version);
    definition.description = Some(description.to_owned());
    (definition.update_time, definition.updated_by) = (Some(at), Some(by.to_owned()));
    definition
}

fn task_by(description: &str, at: i64) -> TaskDef {
    let mut definition = task_def("echo");
    definition.description = Some(description.to_owned());
    (definition.update_time, definition.updated_by) = (Some(at), Some("ann".to_owned()));
    definition
}

fn revision(number: u32, version: Option<i32>, at: i64, by: &str, deleted: bool) -> Revision {
    Revision { number, version, at: Timestamp(at), by: by.to_owned(), deleted }
}

fn lock(kind: DefinitionKind, name: &str, version: i32) -> Document {
    Document { tenant: tenant(), kind: kind.lock(), name: name.to_owned(), version, body: "{}".to_owned() }
}

pub fn each_change_of_a_definition_is_kept_with_when_and_by_whom(store: &dyn Store) {
    let (first, second) = (workflow_by(1, "first", 10, "ann"), workflow_by(1, "second", 20, "bob"));
    store.put_workflow_defs(&tenant(), vec![first.clone()], false).unwrap();
    store.put_workflow_defs(&tenant(), vec![second.clone(), workflow_by(2, "new", 30, "ann")], true).unwrap();
    store.put_workflow_defs(&other_tenant(), vec![first.clone()], true).unwrap();
    assert!(store.delete_workflow_def(&tenant(), "deploy", 1, "eve", Timestamp(40)).unwrap());
    let found = store.revisions(&tenant(), DefinitionKind::Workflow, "deploy").unwrap();
    let expected = [
        revision(4, Some(1), 40, "eve", true),
        revision(3, Some(2), 30, "ann", false),
        revision(2, Some(1), 20, "bob", false),
        revision(1, Some(1), 10, "ann", false),
    ];
    assert_eq!(found, expected);
    let said = |number| store.revision(&tenant(), DefinitionKind::Workflow, "deploy", number).unwrap();
    assert_eq!(said(1), Some((expected[3].clone(), unstamped(&first).unwrap())));
    assert_eq!(said(2).unwrap().1, unstamped(&second).unwrap());
    assert_eq!(said(4), Some((expected[0].clone(), Value::Null)));
    assert_eq!(said(5), None);
    assert_eq!(store.revisions(&other_tenant(), DefinitionKind::Workflow, "deploy").unwrap().len(), 1);
    assert!(store.revisions(&tenant(), DefinitionKind::Task, "deploy").unwrap().is_empty());

    store.put_task_defs(&tenant(), vec![task_by("one", 50), task_by("two", 60)]).unwrap();
    assert!(store.delete_task_def(&tenant(), "echo", "eve", Timestamp(70)).unwrap());
    let found = store.revisions(&tenant(), DefinitionKind::Task, "echo").unwrap();
    let expected =
        [revision(3, None, 70, "eve", true), revision(2, None, 60, "ann", false), revision(1, None, 50, "ann", false)];
    assert_eq!(found, expected);
    assert!(!store.delete_task_def(&tenant(), "echo", "eve", Timestamp(80)).unwrap());
    assert_eq!(store.revisions(&tenant(), DefinitionKind::Task, "echo").unwrap().len(), 3, "nothing was removed");
}

pub fn what_is_stored_again_as_it_is_is_no_change(store: &dyn Store) {
    store.put_workflow_defs(&tenant(), vec![workflow_by(1, "same", 10, "ann")], false).unwrap();
    let again = workflow_by(1, "same", 20, "bob");
    store.put_workflow_defs(&tenant(), vec![again.clone()], true).unwrap();
    store.put_task_defs(&tenant(), vec![task_by("same", 10)]).unwrap();
    store.put_task_defs(&tenant(), vec![task_by("same", 20)]).unwrap();
    let count = |kind, name| store.revisions(&tenant(), kind, name).unwrap().len();
    assert_eq!((count(DefinitionKind::Workflow, "deploy"), count(DefinitionKind::Task, "echo")), (1, 1));
    assert_eq!(store.workflow_def(&tenant(), "deploy", None).unwrap(), Some(again), "who stored it last is known");
}

pub fn the_oldest_revisions_go(store: &dyn Store) {
    let kept = i64::try_from(REVISIONS_KEPT).unwrap();
    for at in 1..=kept + 5 {
        store.put_task_defs(&tenant(), vec![task_by(&at.to_string(), at)]).unwrap();
    }
    let found = store.revisions(&tenant(), DefinitionKind::Task, "echo").unwrap();
    assert_eq!(found.len(), REVISIONS_KEPT);
    assert_eq!((found[0].at, found[REVISIONS_KEPT - 1].at), (Timestamp(kept + 5), Timestamp(6)));
    assert_eq!(found[REVISIONS_KEPT - 1].number, 6, "numbers stay what they are");
    assert_eq!(store.revision(&tenant(), DefinitionKind::Task, "echo", 5).unwrap(), None);
}

pub fn what_is_locked_is_neither_changed_nor_removed(store: &dyn Store) {
    let stored = workflow_by(1, "stays", 10, "ann");
    store.put_workflow_defs(&tenant(), vec![stored.clone()], false).unwrap();
    store.put_task_defs(&tenant(), vec![task_by("stays", 10)]).unwrap();
    let (workflow, task) = (DefinitionKind::Workflow, DefinitionKind::Task);
    assert!(store.put_document(lock(workflow, "deploy", 1), Putting::New).unwrap());
    assert!(store.put_document(lock(task, "echo", 1), Putting::New).unwrap());
    #[track_caller]
    fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>, kind: DefinitionKind, name: &str) {
        let error = result.unwrap_err();
        assert!(matches!(&error, StoreError::Locked { kind: k, lock } if *k == kind && lock.name == name), "{error:?}");
    }
    // All or none.
    let two = vec![workflow_def("build", 1), workflow_by(1, "other", 20, "eve")];
    refused(store.put_workflow_defs(&tenant(), two, true), workflow, "deploy");
    assert!(store.workflow_def(&tenant(), "build", None).unwrap().is_none());
    refused(store.delete_workflow_def(&tenant(), "deploy", 1, "eve", Timestamp(20)), workflow, "deploy");
    refused(store.put_task_defs(&tenant(), vec![task_def("zip"), task_by("other", 20)]), task, "echo");
    assert!(store.task_def(&tenant(), "zip").unwrap().is_none());
    refused(store.delete_task_def(&tenant(), "echo", "eve", Timestamp(20)), task, "echo");
    // Who stores what is there anyway changes nothing, and is not told off.
    store.put_workflow_defs(&tenant(), vec![workflow_by(1, "stays", 20, "eve")], true).unwrap();
    assert_eq!(store.workflow_def(&tenant(), "deploy", Some(1)).unwrap(), Some(stored));
    // Another version, another tenant.
    store.put_workflow_defs(&tenant(), vec![workflow_by(2, "new", 30, "eve")], true).unwrap();
    assert!(store.delete_workflow_def(&tenant(), "deploy", 2, "eve", Timestamp(40)).unwrap());
    store.put_workflow_defs(&other_tenant(), vec![workflow_by(1, "theirs", 10, "eve")], true).unwrap();
    store.put_workflow_defs(&other_tenant(), vec![workflow_by(1, "theirs too", 10, "eve")], true).unwrap();

    assert!(store.delete_document(&tenant(), workflow.lock(), "deploy", Some(1)).unwrap());
    store.put_workflow_defs(&tenant(), vec![workflow_by(1, "other", 50, "bob")], true).unwrap();
    assert!(store.delete_workflow_def(&tenant(), "deploy", 1, "bob", Timestamp(60)).unwrap());
}
