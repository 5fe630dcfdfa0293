//! A small run to show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conductor_engine::Plan;
use conductor_model::definition::TaskType;
use conductor_model::{
    Snapshot, TaskDef, TaskId, TaskRecord, TaskStatus, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord,
    WorkflowStatus,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// A running workflow: a fork that is done, and one worker's task in its first branch.
pub(in crate::api) fn forked_run() -> (WorkflowRecord, Plan, Vec<TaskRecord>) {
    let definition: WorkflowDef = serde_json::from_value(json!({
        "name": "greetings",
        "tasks": [
            {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [
                [{"name": "greet", "taskReferenceName": "g1"}], [{"name": "greet", "taskReferenceName": "g2"}]
            ]},
            {"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["g1", "g2"]},
        ],
    }))
    .unwrap();
    let mut greet = TaskDef::named("greet");
    greet.response_timeout_seconds = 10;
    let snapshot = Snapshot {
        digest: "d1".to_owned(),
        workflow: Arc::new(definition),
        tasks: BTreeMap::from([("greet".to_owned(), Arc::new(greet))]),
    };
    let plan = Plan::compile(Arc::new(snapshot)).unwrap();
    let workflow = workflow();
    let tasks = vec![fork(&workflow), greeting(&workflow)];
    (workflow, plan, tasks)
}

fn workflow() -> WorkflowRecord {
    let at = Timestamp(1_795_327_175_426);
    WorkflowRecord {
        id: WorkflowId(Uuid::from_u128(1)),
        tenant: TenantName::default_tenant(),
        name: "greetings".to_owned(),
        version: 1,
        snapshot: Arc::from("d1"),
        revision: 2,
        status: WorkflowStatus::Running,
        created_at: at,
        updated_at: at.plus_ms(250),
        ended_at: None,
        last_retried_at: None,
        input: Arc::new(json!({"name": "Bob"})),
        output: Arc::new(json!({})),
        variables: Arc::new(json!({})),
        correlation_id: Some("c-1".to_owned()),
        idempotency_key: None,
        priority: 0,
        task_to_domain: BTreeMap::new(),
        parent_workflow_id: None,
        parent_task_id: None,
        created_by: None,
        reason: None,
        failed_references: BTreeSet::new(),
        failed_task_names: BTreeSet::new(),
        next_seq: 3,
        timer_at: None,
        tolerated: 0,
        event: None,
        rate_limit_key: None,
        rate_limited: false,
    }
}

fn fork(workflow: &WorkflowRecord) -> TaskRecord {
    task(workflow, 1, "f", TaskType::ForkJoin, TaskStatus::Completed)
}

fn greeting(workflow: &WorkflowRecord) -> TaskRecord {
    TaskRecord {
        started_at: Some(workflow.created_at.plus_ms(250)),
        ended_at: None,
        poll_count: 1,
        worker_id: Some("w1".to_owned()),
        definition_name: Arc::from("greet"),
        ..task(workflow, 2, "g1", TaskType::Simple, TaskStatus::InProgress)
    }
}

fn task(workflow: &WorkflowRecord, seq: u32, reference: &str, task_type: TaskType, status: TaskStatus) -> TaskRecord {
    let at = workflow.created_at;
    // Through JSON, so that fields that are added with a default need no change here.
    serde_json::from_value(json!({
        "id": TaskId(Uuid::from_u128(u128::from(seq) + 100)), "workflow_id": workflow.id, "tenant": workflow.tenant, "seq": seq,
        "reference": reference, "task_type": task_type, "definition_name": reference, "status": status, "outcome": null,
        "attempt": 0, "retried_task_id": null, "retried": false, "iteration": 0, "scheduled_at": at, "first_scheduled_at": at,
        "visible_at": at, "started_at": at, "ended_at": at, "updated_at": at, "callback_after_seconds": 0, "poll_count": 0,
        "worker_id": null, "domain": null, "priority": 0, "input": {"name": "Bob"}, "output": Value::Object(serde_json::Map::new()),
        "reason": null, "agent": null, "timer_at": null, "alerted_at": null,
    }))
    .unwrap()
}
