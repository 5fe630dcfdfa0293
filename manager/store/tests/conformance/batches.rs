//! What is decided together is stored together.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use conductor_model::{TaskStatus, Timestamp, WorkflowRecord, WorkflowStatus};
use conductor_store::{Batch, LimitedStart, OpenWorkflow, Store, StoreError};
use serde_json::json;

use crate::fixtures::*;

pub fn a_new_workflow_is_found_again_as_it_was_stored(store: &dyn Store) {
    let workflow = workflow("deploy");
    let (one, two) = (task(&workflow, 1), task(&workflow, 2));
    stored(store, &workflow, &[&two, &one]);

    let run = store.load_run(workflow.id).unwrap().unwrap();
    assert_eq!(run.workflow, workflow);
    assert_eq!(run.tasks, [one.clone(), two]);
    assert_eq!(run.snapshot, snapshot("deploy"));
    assert_eq!(store.workflow(&tenant(), workflow.id).unwrap(), Some(workflow));
    assert_eq!(store.task(&tenant(), one.id).unwrap(), Some(one));
    assert!(store.load_run(new_workflow_id()).unwrap().is_none());
}

pub fn a_changed_workflow_replaces_the_old_one(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    let mut done = task(&workflow, 1);
    stored(store, &workflow, &[&done]);

    done.status = TaskStatus::Completed;
    done.output = Arc::new(json!({"url": "http://a"}));
    let next = task(&workflow, 2);
    workflow.variables = Arc::new(json!({"v": 1}));
    let write = step(&mut workflow, vec![changed(&done), inserted(&next)]);
    store.commit(batch(vec![write])).unwrap();

    workflow.status = WorkflowStatus::Completed;
    workflow.output = Arc::new(json!({"ok": true}));
    let write = step(&mut workflow, vec![]);
    store.commit(batch(vec![write])).unwrap();

    let run = store.load_run(workflow.id).unwrap().unwrap();
    assert_eq!(run.workflow, workflow);
    assert_eq!(run.tasks, [done, next]);
}

pub fn a_stale_revision_rolls_back_the_whole_batch(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    let first = task(&workflow, 1);
    stored(store, &workflow, &[&first]);
    let neighbour = crate::fixtures::workflow("deploy");
    let mut seen_before = workflow.clone();
    let ahead = step(&mut workflow, vec![]);
    store.commit(batch(vec![ahead])).unwrap();

    let stale = step(&mut seen_before, vec![inserted(&task(&workflow, 2))]);
    let refused = Batch {
        decisions: vec![start(&neighbour, &[&task(&neighbour, 1)]), stale],
        outbox: vec![message(1, &first)],
        outbox_done: vec![],
        agents: vec![agent("agent-1")],
        feed: vec![entry(1, tenant()).into()],
        ..Batch::default()
    };
    let error = store.commit(refused).unwrap_err();
    assert!(matches!(error, StoreError::Conflict { workflow: id } if id == workflow.id), "{error}");

    assert!(store.workflow(&tenant(), neighbour.id).unwrap().is_none());
    assert_eq!(store.load_run(workflow.id).unwrap().unwrap().tasks.len(), 1);
    let work = store.open_work().unwrap();
    assert!(work.outbox.is_empty() && work.agents.is_empty());
    assert_eq!((work.last_outbox_id, work.last_feed_id), (0, 0));
    assert!(store.feed(&tenant(), 0, 10).unwrap().is_empty());
}

pub fn a_failing_batch_leaves_its_neighbours_alone(store: &dyn Store) {
    let (answers, results) = channel();
    let mut good = Vec::new();
    let mut unknown = workflow("deploy");
    for round in 0..60 {
        let fine = workflow("deploy");
        let write = if round % 3 == 1 { step(&mut unknown, vec![]) } else { start(&fine, &[&task(&fine, 1)]) };
        if round % 3 != 1 {
            good.push(fine);
        }
        let answers = answers.clone();
        store.submit(batch(vec![write]), Box::new(move |result| answers.send((round, result)).unwrap()));
    }
    drop(answers);
    for (round, result) in results {
        assert_eq!(result.is_err(), round % 3 == 1, "batch {round}: {result:?}");
    }
    for workflow in good {
        assert_eq!(store.load_run(workflow.id).unwrap().unwrap().tasks.len(), 1);
    }
}

pub fn batches_are_stored_in_the_order_in_which_they_come(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    stored(store, &workflow, &[]);
    let order = Arc::new(Mutex::new(Vec::new()));
    for round in 0..500 {
        // Each is possible only right behind the one before.
        let write = step(&mut workflow, vec![]);
        let order = Arc::clone(&order);
        store.submit(
            batch(vec![write]),
            Box::new(move |result| {
                result.unwrap();
                order.lock().unwrap().push(round);
            }),
        );
    }
    let write = step(&mut workflow, vec![]);
    store.commit(batch(vec![write])).unwrap();
    assert_eq!(*order.lock().unwrap(), (0..500).collect::<Vec<_>>());
    assert_eq!(store.workflow(&tenant(), workflow.id).unwrap().unwrap().revision, 502);
}

pub fn several_decisions_on_one_workflow_follow_each_other_in_one_batch(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    let mut task = task(&workflow, 1);
    let first = start(&workflow, &[&task]);
    task.status = TaskStatus::InProgress;
    let second = step(&mut workflow, vec![changed(&task)]);
    // Two decisions that were merged raise the revision by two.
    task.status = TaskStatus::Completed;
    let mut third = step(&mut workflow, vec![changed(&task)]);
    workflow.revision += 1;
    third.workflow.as_mut().unwrap().record.revision = workflow.revision;
    store.commit(batch(vec![first, second, third])).unwrap();
    let run = store.load_run(workflow.id).unwrap().unwrap();
    assert_eq!((run.workflow.revision, run.tasks[0].status), (4, TaskStatus::Completed));
}

pub fn a_workflow_is_not_inserted_twice(store: &dyn Store) {
    let workflow = workflow("deploy");
    stored(store, &workflow, &[]);
    let error = store.commit(batch(vec![start(&workflow, &[])])).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }), "{error}");
}

pub fn a_task_is_neither_inserted_twice_nor_changed_unknown(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    let known = task(&workflow, 1);
    stored(store, &workflow, &[&known]);
    let again = step(&mut workflow.clone(), vec![inserted(&known)]);
    assert!(matches!(store.commit(batch(vec![again])), Err(StoreError::Exists { .. })));
    let never_stored = task(&workflow, 2);
    let unknown = step(&mut workflow, vec![changed(&never_stored)]);
    assert!(matches!(store.commit(batch(vec![unknown])), Err(StoreError::Backend { .. })));
    assert_eq!(store.load_run(known.workflow_id).unwrap().unwrap().workflow.revision, 1);
}

pub fn an_idempotency_key_leads_to_the_newest_workflow_of_a_name_and_tenant(store: &dyn Store) {
    let with_key = |name: &str| {
        let mut workflow = workflow(name);
        workflow.idempotency_key = Some("monday".to_owned());
        workflow
    };
    let first = with_key("deploy");
    stored(store, &first, &[]);
    let newer = with_key("deploy");
    stored(store, &newer, &[]);
    stored(store, &with_key("remove"), &[]);
    let mut foreign = with_key("deploy");
    foreign.tenant = other_tenant();
    stored(store, &foreign, &[]);
    let found = |tenant| store.workflow_by_idempotency_key(&tenant, "deploy", "monday").unwrap().map(|record| record.id);
    assert_eq!(found(tenant()), Some(newer.id), "the newest holds the key");
    assert_ne!(first.id, newer.id);
    assert_eq!(found(other_tenant()), Some(foreign.id));
    assert!(store.workflow_by_idempotency_key(&tenant(), "deploy", "tuesday").unwrap().is_none());
}

pub fn a_snapshot_is_stored_once_and_shared(store: &dyn Store) {
    let (one, two) = (workflow("deploy"), workflow("deploy"));
    store.commit(batch(vec![start(&one, &[]), start(&two, &[])])).unwrap();
    // A later run may come without the definitions, which are known by their digest.
    let three = workflow("deploy");
    let mut write = start(&three, &[]);
    write.workflow.as_mut().unwrap().snapshot = None;
    store.commit(batch(vec![write])).unwrap();
    for id in [one.id, two.id, three.id] {
        assert_eq!(store.load_run(id).unwrap().unwrap().snapshot, snapshot("deploy"));
    }
    assert_eq!(store.snapshot("digest-of-deploy").unwrap(), Some(snapshot("deploy")));
    assert!(store.snapshot("digest-of-nothing").unwrap().is_none());
}

pub fn large_payloads_come_back(store: &dyn Store) {
    let large = |letter: &str| Arc::new(json!({"text": letter.repeat(100_000)}));
    let mut workflow = workflow("deploy");
    workflow.input = large("i");
    workflow.variables = large("v");
    let mut task = task(&workflow, 1);
    task.input = large("t");
    stored(store, &workflow, &[&task]);
    for output in [large("o"), Arc::new(json!({"small": 1})), large("p")] {
        task.output = Arc::clone(&output);
        workflow.output = output;
        let write = step(&mut workflow, vec![changed(&task)]);
        store.commit(batch(vec![write])).unwrap();
        let run = store.load_run(workflow.id).unwrap().unwrap();
        assert!(run.workflow == workflow && run.tasks == [task.clone()]);
    }
}

pub fn open_work_is_what_is_not_over(store: &dyn Store) {
    let mut over = workflow("deploy");
    let left_open = task(&over, 1);
    stored(store, &over, &[&left_open]);
    over.status = WorkflowStatus::Failed;
    let write = step(&mut over, vec![]);
    store.commit(batch(vec![write])).unwrap();

    let mut paused = workflow("deploy");
    paused.status = WorkflowStatus::Paused;
    paused.tenant = other_tenant();
    paused.priority = 7;
    paused.rate_limit_key = Some("shop-1".to_owned());
    paused.rate_limited = true;
    let mut done = task(&paused, 1);
    done.status = TaskStatus::Completed;
    let waiting = task(&paused, 2);
    let rest = Batch {
        decisions: vec![start(&paused, &[&done, &waiting])],
        outbox: vec![message(2, &waiting), message(1, &waiting), message(3, &waiting)],
        agents: vec![agent("agent-2"), agent("agent-1")],
        ..Batch::default()
    };
    store.commit(rest).unwrap();
    let mut drained = agent("agent-2");
    drained.state = conductor_model::AgentState::Draining;
    store.commit(Batch { outbox_done: vec![2, 77], agents: vec![drained.clone()], ..Batch::default() }).unwrap();

    let work = store.open_work().unwrap();
    assert_eq!(work.workflows, [OpenWorkflow::from(&paused)]);
    assert_eq!(work.tasks, std::slice::from_ref(&waiting));
    assert_eq!(work.outbox, [message(1, &waiting), message(3, &waiting)]);
    assert_eq!(work.agents, [agent("agent-1"), drained.clone()]);
    store.commit(Batch { agents_gone: vec![agent("agent-1").id], ..Batch::default() }).unwrap();
    assert_eq!(store.open_work().unwrap().agents, [drained]);
}

pub fn numbers_survive_their_rows(store: &dyn Store) {
    let workflow = workflow("deploy");
    let task = task(&workflow, 1);
    let full = Batch {
        decisions: vec![start(&workflow, &[&task])],
        outbox: vec![message(7, &task)],
        feed: vec![entry(40, tenant()).into(), entry(41, tenant()).into()],
        ..Batch::default()
    };
    store.commit(full).unwrap();
    store.commit(Batch { outbox_done: vec![7], ..Batch::default() }).unwrap();
    store.trim_feed(41).unwrap();
    let work = store.open_work().unwrap();
    assert_eq!((work.last_outbox_id, work.last_feed_id), (7, 41));
    assert!(work.outbox.is_empty());
}

pub fn a_closed_store_refuses(store: &dyn Store) {
    let workflow = workflow("deploy");
    stored(store, &workflow, &[]);
    store.close();
    store.close();
    assert!(matches!(store.commit(batch(vec![])), Err(StoreError::Closed)));
    assert!(matches!(store.workflow(&tenant(), workflow.id), Err(StoreError::Closed)));
    assert!(matches!(store.trim_feed(1), Err(StoreError::Closed)));
}

pub fn hand_outs_under_a_limit_are_kept_until_they_no_longer_count(store: &dyn Store) {
    let start = |name: &str, at: i64| LimitedStart { tenant: tenant(), name: Arc::from(name), at: Timestamp(at) };
    let starts = vec![start("b", 10), start("a", 30), start("a", 10), start("a", 10)];
    store.commit(Batch { starts, ..Batch::default() }).unwrap();
    let kept = store.open_work().unwrap().starts;
    assert_eq!(kept, [start("a", 10), start("a", 10), start("a", 30), start("b", 10)]);
    let (starts, starts_over) = (vec![start("a", 40)], vec![start("a", 10)]);
    store.commit(Batch { starts, starts_over, ..Batch::default() }).unwrap();
    assert_eq!(store.open_work().unwrap().starts, [start("a", 30), start("a", 40), start("b", 10)]);
}

pub fn a_removed_workflow_leaves_nothing_behind(store: &dyn Store) {
    let (mut gone, stays) = (workflow("deploy"), workflow("deploy"));
    gone.idempotency_key = Some("once".to_owned());
    gone.output = json!("x".repeat(3_000)).into();
    let (theirs, kept) = (task(&gone, 1), task(&stays, 1));
    stored(store, &gone, &[&theirs]);
    stored(store, &stays, &[&kept]);
    store.append_worker_logs(&tenant(), theirs.id, vec![(Timestamp(1), "line".to_owned())]).unwrap();
    store.commit(Batch { outbox: vec![message(1, &theirs), message(2, &kept)], ..Batch::default() }).unwrap();
    let removed = vec![gone.id, new_workflow_id()];
    store.commit(Batch { workflows_removed: removed, ..Batch::default() }).unwrap();
    assert!(store.load_run(gone.id).unwrap().is_none());
    assert!(store.task(&tenant(), theirs.id).unwrap().is_none());
    assert!(store.logs(&tenant(), theirs.id, 0, 9).unwrap().is_empty());
    assert!(store.workflow_by_idempotency_key(&tenant(), "deploy", "once").unwrap().is_none());
    let work = store.open_work().unwrap();
    assert_eq!(work.tasks, std::slice::from_ref(&kept));
    assert_eq!(work.outbox, [message(2, &kept)]);
    assert_eq!(store.workflows(&tenant(), &Default::default(), page(9)).unwrap(), [stays]);
    // Its place and its id are free again, and its words lead nowhere.
    stored(store, &gone, &[&theirs]);
    assert_eq!(store.load_run(gone.id).unwrap().unwrap().workflow, gone);
}

pub fn what_ended_long_ago_is_found_by_how_it_ended_unless_something_above_it_is_there(store: &dyn Store) {
    let over = |created: i64, ended: i64| {
        let mut over = workflow("deploy");
        over.status = WorkflowStatus::Completed;
        (over.created_at, over.ended_at) = (Timestamp(created), Some(Timestamp(ended)));
        over
    };
    let (late, early, recent) = (over(2_000, 2_500), over(1_000, 9_000), over(8_000, 10_000));
    let mut goes_on = workflow("deploy");
    goes_on.created_at = Timestamp(500);
    let (mut below, mut below_over, mut left) = (over(600, 700), over(600, 700), over(600, 700));
    below.parent_workflow_id = Some(goes_on.id);
    below_over.parent_workflow_id = Some(early.id);
    left.parent_workflow_id = Some(new_workflow_id());
    let (mut failed, mut theirs) = (over(100, 200), over(100, 200));
    failed.status = WorkflowStatus::Failed;
    theirs.tenant = "other".parse().unwrap();
    for record in [&late, &early, &recent, &goes_on, &below, &below_over, &left, &failed, &theirs] {
        stored(store, record, &[]);
    }
    let found = |status: WorkflowStatus, before: i64, limit: usize| {
        let found = store.workflows_ended_before(status, Timestamp(before), limit).unwrap();
        found.into_iter().collect::<std::collections::BTreeSet<_>>()
    };
    let ids = |records: &[&WorkflowRecord]| records.iter().map(|record| (record.tenant.clone(), record.id)).collect();
    let completed = WorkflowStatus::Completed;
    assert_eq!(found(completed, 10_000, 9), ids(&[&left, &early, &late, &theirs]));
    assert_eq!(found(completed, 9_000, 9), ids(&[&left, &late, &theirs]), "what ended at the moment itself is not before it");
    assert_eq!(found(completed, 10_000, 2).len(), 2);
    assert_eq!(found(WorkflowStatus::Failed, 10_000, 9), ids(&[&failed]));
    store.commit(Batch { workflows_removed: vec![early.id], ..Batch::default() }).unwrap();
    assert!(found(completed, 10_000, 9).contains(&(tenant(), below_over.id)), "it goes once what is above it is gone");
}

pub fn removed_tasks_are_gone_and_an_input_can_be_replaced(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    let mut large = task(&workflow, 1);
    large.input = Arc::new(json!({"large": "x".repeat(100_000)}));
    let kept = task(&workflow, 2);
    stored(store, &workflow, &[&large, &kept]);
    let again = task(&workflow, 3);
    workflow.input = Arc::new(json!({"other": true}));
    let mut write = step(&mut workflow, vec![inserted(&again)]);
    write.workflow.as_mut().unwrap().input_replaced = true;
    let write = conductor_store::DecisionWrite { removed: vec![large.id], ..write };
    store.commit(batch(vec![write])).unwrap();
    let run = store.load_run(workflow.id).unwrap().unwrap();
    assert_eq!(run.tasks, [kept, again]);
    assert_eq!(run.workflow.input, workflow.input);
    assert_eq!(store.task(&tenant(), large.id).unwrap(), None);

    workflow.input = Arc::new(json!({"not": "stored"}));
    let write = step(&mut workflow, vec![]);
    store.commit(batch(vec![write])).unwrap();
    assert_eq!(store.load_run(workflow.id).unwrap().unwrap().workflow.input, Arc::new(json!({"other": true})));
}

pub fn a_workflow_can_go_on_with_other_definitions(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    stored(store, &workflow, &[]);
    let newer = snapshot("newer");
    workflow.snapshot = Arc::from(newer.digest.as_str());
    let mut write = step(&mut workflow, vec![]);
    write.workflow.as_mut().unwrap().snapshot = Some(Arc::clone(&newer));
    store.commit(batch(vec![write])).unwrap();
    assert_eq!(store.load_run(workflow.id).unwrap().unwrap().snapshot, newer);
}

pub fn tasks_change_without_their_workflow(store: &dyn Store) {
    let workflow = workflow("deploy");
    let mut first = task(&workflow, 1);
    stored(store, &workflow, &[&first]);
    first.status = TaskStatus::Completed;
    let second = task(&workflow, 2);
    store.commit(batch(vec![tasks_alone(vec![changed(&first), inserted(&second)])])).unwrap();
    let run = store.load_run(workflow.id).unwrap().unwrap();
    assert_eq!((&run.workflow, run.tasks), (&workflow, vec![first, second]));

    // Nothing is stored of a write that cannot be.
    let (unknown, third) = (task(&workflow, 3), task(&workflow, 4));
    let refused = store.commit(batch(vec![tasks_alone(vec![inserted(&third)]), tasks_alone(vec![changed(&unknown)])]));
    assert!(refused.is_err());
    assert_eq!(store.load_run(workflow.id).unwrap().unwrap().tasks.len(), 2);
}
