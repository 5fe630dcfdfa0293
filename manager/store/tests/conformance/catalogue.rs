//! Definitions, plugins, node instances and tokens.

use conductor_model::{Schedule, ScheduleRun, ScheduleRunState, TenantName, Timestamp};
use conductor_store::{Batch, Document, DocumentKind, Putting, SCHEDULE_RUNS_KEPT, Store, StoreError};
use serde_json::json;

use crate::fixtures::*;

pub fn task_definitions_are_stored_replaced_listed_and_removed(store: &dyn Store) {
    store.put_task_defs(&tenant(), vec![task_def("zip"), task_def("echo")]).unwrap();
    let mut slow = task_def("echo");
    slow.timeout_seconds = 99;
    store.put_task_defs(&tenant(), vec![slow.clone()]).unwrap();
    assert_eq!(store.task_def(&tenant(), "echo").unwrap(), Some(slow.clone()));
    assert_eq!(store.task_defs(&tenant()).unwrap(), [slow, task_def("zip")]);
    assert!(store.delete_task_def(&tenant(), "zip", "ops", Timestamp(9)).unwrap());
    assert!(!store.delete_task_def(&tenant(), "zip", "ops", Timestamp(9)).unwrap());
    assert!(store.task_def(&tenant(), "zip").unwrap().is_none());
}

pub fn workflow_definitions_have_versions(store: &dyn Store) {
    let versions = vec![workflow_def("deploy", 10), workflow_def("deploy", 9), workflow_def("build", 1)];
    store.put_workflow_defs(&tenant(), versions, false).unwrap();
    let version = |wanted| store.workflow_def(&tenant(), "deploy", wanted).unwrap().map(|definition| definition.version);
    assert_eq!((version(None), version(Some(9)), version(Some(8))), (Some(10), Some(9), None));
    let listed = store.workflow_defs(&tenant()).unwrap();
    let listed: Vec<_> = listed.iter().map(|definition| (definition.name.as_str(), definition.version)).collect();
    assert_eq!(listed, [("build", 1), ("deploy", 9), ("deploy", 10)]);
    assert!(store.delete_workflow_def(&tenant(), "deploy", 10, "ops", Timestamp(9)).unwrap());
    assert!(!store.delete_workflow_def(&tenant(), "deploy", 10, "ops", Timestamp(9)).unwrap());
    assert_eq!(version(None), Some(9));
}

pub fn an_existing_workflow_definition_stops_all_of_a_request(store: &dyn Store) {
    store.put_workflow_defs(&tenant(), vec![workflow_def("deploy", 1)], false).unwrap();
    let two = vec![workflow_def("build", 1), workflow_def("deploy", 1)];
    let error = store.put_workflow_defs(&tenant(), two.clone(), false).unwrap_err();
    assert!(matches!(&error, StoreError::Exists { what } if what.contains("deploy")), "{error}");
    assert!(store.workflow_def(&tenant(), "build", None).unwrap().is_none());
    let twice = vec![workflow_def("zip", 1), workflow_def("zip", 1)];
    assert!(matches!(store.put_workflow_defs(&tenant(), twice, false), Err(StoreError::Exists { .. })));
    store.put_workflow_defs(&tenant(), two, true).unwrap();
    assert_eq!(store.workflow_defs(&tenant()).unwrap().len(), 2);
}

pub fn a_plugin_version_belongs_to_one_digest(store: &dyn Store) {
    let first = plugin("web", "1.0.0", 'a', 1);
    assert!(store.put_plugin(first.clone()).unwrap());
    assert!(!store.put_plugin(first.clone()).unwrap());
    let error = store.put_plugin(plugin("web", "1.0.0", 'b', 2)).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    assert_eq!(store.plugin_by_digest(&tenant(), &first.digest).unwrap(), Some(first.clone()));
    assert!(store.delete_plugin(&tenant(), &first.digest).unwrap());
    assert!(!store.delete_plugin(&tenant(), &first.digest).unwrap());
    assert!(store.put_plugin(plugin("web", "1.0.0", 'b', 2)).unwrap());
}

pub fn the_last_uploaded_plugin_is_the_one_without_a_version(store: &dyn Store) {
    let (old, new) = (plugin("web", "2.0.0", 'a', 1), plugin("web", "1.9.0", 'b', 2));
    let other = plugin("apt", "1.0.0", 'c', 3);
    for plugin in [&new, &old, &other] {
        store.put_plugin(plugin.clone()).unwrap();
    }
    let name = "web".parse().unwrap();
    assert_eq!(store.plugin(&tenant(), &name, None).unwrap(), Some(new.clone()));
    assert_eq!(store.plugin(&tenant(), &name, Some("2.0.0")).unwrap(), Some(old.clone()));
    assert!(store.plugin(&tenant(), &name, Some("3.0.0")).unwrap().is_none());
    assert_eq!(store.plugins(&tenant()).unwrap(), [other, old, new]);
}

pub fn node_instances_are_changed_only_from_their_newest_version(store: &dyn Store) {
    let first = node_instance("agent-2");
    assert_eq!(store.ensure_node_instance(first.clone()).unwrap(), first);
    let mut ours = first.clone();
    ours.runtime_properties.insert("url".to_owned(), json!("http://a"));
    let updated = store.update_node_instance(ours.clone()).unwrap().unwrap();
    assert_eq!((updated.version, &updated.runtime_properties["url"]), (2, &json!("http://a")));
    let error = store.update_node_instance(first.clone()).unwrap_err();
    assert!(matches!(error, StoreError::StaleVersion { stored: 2, sent: 1 }), "{error}");
    assert_eq!(store.ensure_node_instance(first).unwrap(), updated);
    assert_eq!(store.node_instance(&tenant(), "agent-2").unwrap(), Some(updated.clone()));
    let other = store.ensure_node_instance(node_instance("agent-1")).unwrap();
    assert_eq!(store.node_instances(&tenant()).unwrap(), [other, updated]);
    assert!(store.update_node_instance(node_instance("nobody")).unwrap().is_none());
    assert!(store.node_instance(&tenant(), "nobody").unwrap().is_none());
}

pub fn tokens_are_known_by_their_hash(store: &dyn Store) {
    assert_eq!(store.count_tokens().unwrap(), 0);
    store.put_token("hash-1", &tenant(), "admin", Timestamp(1)).unwrap();
    store.put_token("hash-2", &other_tenant(), "agent-1", Timestamp(1)).unwrap();
    assert_eq!(store.token("hash-2").unwrap(), Some((other_tenant(), "agent-1".to_owned())));
    assert_eq!(store.token("hash-3").unwrap(), None);
    assert_eq!(store.count_tokens().unwrap(), 2);
}

pub fn documents_are_put_read_listed_and_removed(store: &dyn Store) {
    let document = |tenant: TenantName, name: &str, version, body: &str| Document {
        tenant,
        kind: DocumentKind::Schema,
        name: name.to_owned(),
        version,
        body: body.to_owned(),
    };
    assert!(!store.put_document(document(tenant(), "order", 1, "a"), Putting::Again).unwrap());
    assert!(store.put_document(document(tenant(), "order", 1, "a"), Putting::New).unwrap());
    assert!(!store.put_document(document(tenant(), "order", 1, "b"), Putting::New).unwrap());
    assert!(store.put_document(document(tenant(), "order", 1, "c"), Putting::Again).unwrap());
    assert!(store.put_document(document(tenant(), "order", 2, "d"), Putting::Either).unwrap());
    assert!(store.put_document(document(other_tenant(), "order", 7, "e"), Putting::Either).unwrap());
    let body = |version| store.document(&tenant(), DocumentKind::Schema, "order", version).unwrap().map(|found| found.body);
    assert_eq!((body(None), body(Some(1)), body(Some(7))), (Some("d".to_owned()), Some("c".to_owned()), None));
    assert_eq!(store.documents(Some(&tenant()), DocumentKind::Schema).unwrap().len(), 2);
    assert_eq!(store.documents(None, DocumentKind::Schema).unwrap().len(), 3);
    assert!(store.documents(None, DocumentKind::Secret).unwrap().is_empty());
    assert!(store.delete_document(&tenant(), DocumentKind::Schema, "order", Some(1)).unwrap());
    assert!(store.delete_document(&tenant(), DocumentKind::Schema, "order", None).unwrap());
    assert!(!store.delete_document(&tenant(), DocumentKind::Schema, "order", None).unwrap());
    assert_eq!(store.documents(None, DocumentKind::Schema).unwrap(), [document(other_tenant(), "order", 7, "e")]);
}

pub fn handled_events_are_known_until_they_are_forgotten(store: &dyn Store) {
    assert!(!store.is_event_handled("m-1").unwrap());
    store.set_event_handled("m-1", Timestamp(10), Timestamp(0)).unwrap();
    store.set_event_handled("m-1", Timestamp(10), Timestamp(0)).unwrap();
    assert!(store.is_event_handled("m-1").unwrap());
    store.set_event_handled("m-2", Timestamp(20), Timestamp(11)).unwrap();
    assert!(!store.is_event_handled("m-1").unwrap());
    assert!(store.is_event_handled("m-2").unwrap());
}

pub fn schedules_are_kept_and_their_last_runs_too(store: &dyn Store) {
    let schedule = |name: &str| -> Schedule {
        serde_json::from_value(
            json!({ "name": name, "cronExpression": "0 0 0 * * *", "startWorkflowRequest": { "name": "w" } }),
        )
        .unwrap()
    };
    let put = |schedule: &Schedule| (tenant(), schedule.name.clone(), Some(schedule.clone()));
    let (one, mut two) = (schedule("one"), schedule("two"));
    store.commit(Batch { schedules: vec![put(&one), put(&two)], ..Batch::default() }).unwrap();
    two.paused = true;
    let changes = vec![put(&two), (tenant(), "one".to_owned(), None)];
    store.commit(Batch { schedules: changes, ..Batch::default() }).unwrap();
    assert_eq!(store.open_work().unwrap().schedules, [(tenant(), two)]);

    let run = |name: &str, at: i64| ScheduleRun {
        execution_id: format!("{name}-{at}"),
        schedule_name: name.to_owned(),
        scheduled_time: Timestamp(at),
        execution_time: Timestamp(at),
        workflow_name: "w".to_owned(),
        workflow_id: None,
        reason: None,
        state: ScheduleRunState::Executed,
        zone_id: "UTC".to_owned(),
    };
    let kept = i64::try_from(SCHEDULE_RUNS_KEPT).unwrap();
    let runs =
        (0..kept + 5).map(|at| (tenant(), run("two", at))).chain([(tenant(), run("one", 1)), (other_tenant(), run("one", 2))]);
    store.commit(Batch { schedule_runs: runs.collect(), ..Batch::default() }).unwrap();
    assert_eq!(store.schedule_runs(&tenant(), None, 2).unwrap(), [run("one", 1), run("two", kept + 4)]);
    let all = store.schedule_runs(&tenant(), Some("two"), usize::MAX).unwrap();
    assert_eq!((all.len(), all.last().unwrap().scheduled_time), (SCHEDULE_RUNS_KEPT, Timestamp(5)));
}
