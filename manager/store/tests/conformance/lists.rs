//! Lists, pages and tenants.

use conductor_model::{TaskStatus, Timestamp, WorkflowId, WorkflowRecord, WorkflowStatus};
use conductor_store::{Page, Store, TaskFilter, WorkflowFilter};

use crate::fixtures::*;

fn ids(records: &[WorkflowRecord]) -> Vec<WorkflowId> {
    records.iter().map(|record| record.id).collect()
}

pub fn workflows_are_listed_newest_first_in_pages(store: &dyn Store) {
    let all: Vec<_> = (0..7).map(|_| workflow("deploy")).collect();
    for workflow in &all {
        stored(store, workflow, &[]);
    }
    let newest_first: Vec<_> = ids(&all).into_iter().rev().collect();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = store.workflows(&tenant(), &WorkflowFilter::default(), Page { before, offset: 0, limit: 3 }).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(ids(&page));
    }
    assert_eq!(seen, newest_first);
    let skipped = store.workflows(&tenant(), &WorkflowFilter::default(), Page { before: None, offset: 2, limit: 2 }).unwrap();
    assert_eq!(ids(&skipped), newest_first[2..4]);
    assert_eq!(store.count_workflows(&tenant(), &WorkflowFilter::default(), 100).unwrap(), 7);
    assert_eq!(store.count_workflows(&tenant(), &WorkflowFilter::default(), 5).unwrap(), 5);
}

pub fn every_filter_of_workflows_narrows_the_list(store: &dyn Store) {
    let plain = workflow("deploy");
    let mut failed = workflow("deploy");
    failed.status = WorkflowStatus::Failed;
    let mut paused = workflow("deploy");
    paused.status = WorkflowStatus::Paused;
    let mut correlated = workflow("deploy");
    correlated.correlation_id = Some("order-7".to_owned());
    let mut second_version = workflow("deploy");
    second_version.version = 2;
    let mut late = workflow("deploy");
    late.created_at = Timestamp(2_000);
    let named = workflow("remove");
    for workflow in [&plain, &failed, &paused, &correlated, &second_version, &late, &named] {
        stored(store, workflow, &[]);
    }
    let check = |filter: WorkflowFilter, expected: &[&WorkflowRecord]| {
        let mut expected: Vec<_> = expected.iter().map(|record| record.id).collect();
        expected.sort_by(|a, b| b.cmp(a));
        assert_eq!(ids(&store.workflows(&tenant(), &filter, page(100)).unwrap()), expected, "{filter:?}");
        let count = u64::try_from(expected.len()).unwrap();
        assert_eq!(store.count_workflows(&tenant(), &filter, 100).unwrap(), count, "{filter:?}");
    };
    let any = WorkflowFilter::default;
    check(WorkflowFilter { name: Some("remove".to_owned()), ..any() }, &[&named]);
    check(WorkflowFilter { statuses: vec![WorkflowStatus::Failed, WorkflowStatus::Paused], ..any() }, &[&failed, &paused]);
    check(WorkflowFilter { correlation_id: Some("order-7".to_owned()), ..any() }, &[&correlated]);
    check(WorkflowFilter { version: Some(2), ..any() }, &[&second_version]);
    check(WorkflowFilter { started_from: Some(Timestamp(2_000)), ..any() }, &[&late]);
    let before = WorkflowFilter { started_before: Some(Timestamp(2_000)), name: Some("remove".to_owned()), ..any() };
    check(before, &[&named]);
}

pub fn tasks_are_listed_by_workflow_status_and_name(store: &dyn Store) {
    let (here, there) = (workflow("deploy"), workflow("deploy"));
    let open = task(&here, 1);
    let mut done = task(&here, 2);
    done.status = TaskStatus::Completed;
    let mut named = task(&there, 1);
    named.definition_name = "build".into();
    stored(store, &here, &[&open, &done]);
    stored(store, &there, &[&named]);
    let check = |filter: TaskFilter, expected: &[&conductor_model::TaskRecord]| {
        let found = store.tasks(&tenant(), &filter, page(100)).unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    };
    let any = TaskFilter::default;
    check(any(), &[&named, &done, &open]);
    check(TaskFilter { workflow: Some(here.id), ..any() }, &[&done, &open]);
    check(TaskFilter { statuses: vec![TaskStatus::Scheduled, TaskStatus::InProgress], ..any() }, &[&named, &open]);
    check(
        TaskFilter { statuses: vec![TaskStatus::Scheduled, TaskStatus::Completed], workflow: Some(here.id), ..any() },
        &[&done, &open],
    );
    check(TaskFilter { definition_name: Some("build".to_owned()), ..any() }, &[&named]);
    let second = Page { before: Some(named.id), offset: 1, limit: 1 };
    assert_eq!(store.tasks(&tenant(), &any(), second).unwrap(), [open]);
}

pub fn tasks_of_a_workflow_come_by_sequence(store: &dyn Store) {
    let workflow = workflow("deploy");
    let tasks: Vec<_> = (1..=5).rev().map(|seq| task(&workflow, seq)).collect();
    stored(store, &workflow, &tasks.iter().collect::<Vec<_>>());
    let seqs = |after, limit| -> Vec<u32> {
        let found = store.workflow_tasks(&tenant(), workflow.id, after, limit).unwrap();
        found.iter().map(|task| task.seq).collect()
    };
    assert_eq!(seqs(0, 3), [1, 2, 3]);
    assert_eq!(seqs(3, 3), [4, 5]);
    assert_eq!(seqs(5, 3), [0; 0]);
}

pub fn nobody_sees_another_tenants_rows(store: &dyn Store) {
    let mut theirs = workflow("deploy");
    theirs.tenant = other_tenant();
    let task = task(&theirs, 1);
    stored(store, &theirs, &[&task]);
    store.put_task_defs(&other_tenant(), vec![task_def("echo")]).unwrap();
    store.put_workflow_defs(&other_tenant(), vec![workflow_def("deploy", 1)], false).unwrap();
    let mut plugin = plugin("web", "1.0.0", 'a', 1);
    plugin.tenant = other_tenant();
    store.put_plugin(plugin.clone()).unwrap();
    let mut instance = node_instance("agent-1");
    instance.tenant = other_tenant();
    store.ensure_node_instance(instance.clone()).unwrap();
    store.append_worker_logs(&other_tenant(), task.id, vec![(Timestamp(1), "secret".to_owned())]).unwrap();
    store.commit(conductor_store::Batch { feed: vec![entry(1, other_tenant()).into()], ..Default::default() }).unwrap();

    let seen = |me: &conductor_model::TenantName| {
        [
            store.workflow(me, theirs.id).unwrap().is_some(),
            store.task(me, task.id).unwrap().is_some(),
            !store.workflow_tasks(me, theirs.id, 0, 10).unwrap().is_empty(),
            !store.workflows(me, &WorkflowFilter::default(), page(10)).unwrap().is_empty(),
            store.count_workflows(me, &WorkflowFilter::default(), 10).unwrap() > 0,
            !store.tasks(me, &TaskFilter::default(), page(10)).unwrap().is_empty(),
            store.task_def(me, "echo").unwrap().is_some(),
            !store.task_defs(me).unwrap().is_empty(),
            store.workflow_def(me, "deploy", None).unwrap().is_some(),
            !store.workflow_defs(me).unwrap().is_empty(),
            store.plugin(me, &plugin.name, None).unwrap().is_some(),
            store.plugin_by_digest(me, &plugin.digest).unwrap().is_some(),
            !store.plugins(me).unwrap().is_empty(),
            store.node_instance(me, "agent-1").unwrap().is_some(),
            !store.node_instances(me).unwrap().is_empty(),
            !store.logs(me, task.id, 0, 10).unwrap().is_empty(),
            !store.feed(me, 0, 10).unwrap().is_empty(),
        ]
    };
    assert_eq!(seen(&tenant()), [false; 17]);
    assert_eq!(seen(&other_tenant()), [true; 17]);
    assert!(!store.delete_task_def(&tenant(), "echo", "ops", Timestamp(9)).unwrap());
    assert!(!store.delete_workflow_def(&tenant(), "deploy", 1, "ops", Timestamp(9)).unwrap());
    assert!(!store.delete_plugin(&tenant(), &plugin.digest).unwrap());
    instance.tenant = tenant();
    assert!(store.update_node_instance(instance).unwrap().is_none());
    assert_eq!(seen(&other_tenant()), [true; 17]);
}
