//! Records to store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conductor_engine::TaskChange;
use conductor_model::definition::TaskType;
use conductor_model::{
    AgentId, AgentRecord, AgentState, Details, FeedEntry, NodeInstance, PluginRecord, Snapshot, TaskDef, TaskId, TaskRecord,
    TaskStatus, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord, WorkflowStatus,
};
use conductor_store::{Batch, DecisionWrite, OutboxKind, OutboxMessage, Page, Store, WorkflowWrite};
use serde_json::{Map, json};
use uuid::Uuid;

static NEXT: AtomicU64 = AtomicU64::new(1);

/// Ids that grow, as version 7 ids do.
fn next_uuid() -> Uuid {
    Uuid::from_u128(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)) << 64)
}

pub fn new_workflow_id() -> WorkflowId {
    WorkflowId(next_uuid())
}

pub fn tenant() -> TenantName {
    TenantName::default_tenant()
}

pub fn other_tenant() -> TenantName {
    "other".parse().unwrap()
}

pub fn workflow_def(name: &str, version: i32) -> WorkflowDef {
    serde_json::from_value(json!({"name": name, "version": version, "tasks": []})).unwrap()
}

pub fn task_def(name: &str) -> TaskDef {
    serde_json::from_value(json!({"name": name})).unwrap()
}

pub fn snapshot(name: &str) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        digest: format!("digest-of-{name}"),
        workflow: Arc::new(workflow_def(name, 1)),
        tasks: [("echo".to_owned(), Arc::new(task_def("echo")))].into(),
    })
}

pub fn workflow(name: &str) -> WorkflowRecord {
    WorkflowRecord {
        id: new_workflow_id(),
        tenant: tenant(),
        name: name.to_owned(),
        version: 1,
        snapshot: Arc::from(snapshot(name).digest.as_str()),
        revision: 1,
        status: WorkflowStatus::Running,
        created_at: Timestamp(1_000),
        updated_at: Timestamp(1_000),
        ended_at: None,
        last_retried_at: None,
        input: Arc::new(json!({"site": "a", "n": 1})),
        output: Arc::new(json!(null)),
        variables: Arc::new(json!({})),
        correlation_id: None,
        idempotency_key: None,
        priority: 0,
        task_to_domain: [("echo".to_owned(), "eu".to_owned())].into(),
        parent_workflow_id: None,
        parent_task_id: None,
        created_by: Some("tester".to_owned()),
        reason: None,
        failed_references: ["step_one".to_owned()].into(),
        failed_task_names: Default::default(),
        next_seq: 2,
        timer_at: Some(Timestamp(9_000)),
        tolerated: 0,
        event: None,
        rate_limit_key: None,
        rate_limited: false,
    }
}

pub fn task(of: &WorkflowRecord, seq: u32) -> TaskRecord {
    TaskRecord {
        id: TaskId(next_uuid()),
        workflow_id: of.id,
        tenant: of.tenant.clone(),
        seq,
        reference: Arc::from(format!("step_{seq}")),
        task_type: TaskType::Simple,
        definition_name: Arc::from("echo"),
        status: TaskStatus::Scheduled,
        outcome: None,
        attempt: 0,
        retried_task_id: None,
        retried: false,
        iteration: 0,
        scheduled_at: Timestamp(1_000),
        first_scheduled_at: Timestamp(1_000),
        visible_at: Timestamp(1_000),
        first_started_at: None,
        started_at: None,
        ended_at: None,
        updated_at: Timestamp(1_000),
        callback_after_seconds: 0,
        poll_count: 0,
        worker_id: None,
        domain: None,
        priority: 0,
        input: Arc::new(json!({"text": "ü", "list": [1, 2.5, null]})),
        output: Arc::new(json!({})),
        reason: None,
        agent: None,
        timer_at: Some(Timestamp(4_000)),
        alerted_at: None,

        executed: false,
        performing: false,
        turn: 0,
        due_at: None,
        sub_workflow_id: None,
        definition: None,
    }
}

pub fn inserted(record: &TaskRecord) -> TaskChange {
    TaskChange { record: record.clone(), inserted: true }
}

pub fn changed(record: &TaskRecord) -> TaskChange {
    TaskChange { record: record.clone(), inserted: false }
}

/// The first write of a workflow and its tasks.
pub fn start(workflow: &WorkflowRecord, tasks: &[&TaskRecord]) -> DecisionWrite {
    let snapshot = Some(snapshot(&workflow.name));
    let write = WorkflowWrite { snapshot, stored_revision: None, record: workflow.clone(), input_replaced: false };
    DecisionWrite { workflow: Some(write), tasks: tasks.iter().map(|task| inserted(task)).collect(), removed: Vec::new() }
}

/// A later write: `record.revision` is raised by one.
pub fn step(record: &mut WorkflowRecord, tasks: Vec<TaskChange>) -> DecisionWrite {
    let stored = record.revision;
    record.revision += 1;
    let write = WorkflowWrite { snapshot: None, stored_revision: Some(stored), record: record.clone(), input_replaced: false };
    DecisionWrite { workflow: Some(write), tasks, removed: Vec::new() }
}

/// A write of tasks alone.
pub fn tasks_alone(tasks: Vec<TaskChange>) -> DecisionWrite {
    DecisionWrite { tasks, ..DecisionWrite::default() }
}

pub fn batch(decisions: Vec<DecisionWrite>) -> Batch {
    Batch { decisions, ..Batch::default() }
}

/// Stores a new workflow with its tasks.
pub fn stored(store: &dyn Store, workflow: &WorkflowRecord, tasks: &[&TaskRecord]) {
    store.commit(batch(vec![start(workflow, tasks)])).unwrap();
}

pub fn message(id: u64, task: &TaskRecord) -> OutboxMessage {
    OutboxMessage {
        id,
        tenant: task.tenant.clone(),
        agent: "agent-1".parse().unwrap(),
        task: task.id,
        kind: if id.is_multiple_of(2) { OutboxKind::Cancel } else { OutboxKind::Task },
        body: Arc::from(format!("{{\"n\":{id}}}")),
    }
}

pub fn entry(id: u64, tenant: TenantName) -> FeedEntry {
    FeedEntry {
        id,
        tenant,
        at: Timestamp(5),
        kind: "agent.online".into(),
        workflow_id: None,
        task_id: None,
        agent_id: Some("agent-1".parse().unwrap()),
        data: Details::of(&json!({"n": id})),
    }
}

pub fn agent(id: &str) -> AgentRecord {
    let id: AgentId = id.parse().unwrap();
    AgentRecord {
        name: id.to_string(),
        id,
        tenant: tenant(),
        state: AgentState::Active,
        state_reason: None,
        labels: [("role".to_owned(), "web".to_owned())].into(),
        facts: Map::from_iter([("memory".to_owned(), json!({"total": 1}))]),
        slots: 4,
        version: "0.1.0".to_owned(),
        protocol: 1,
        incarnation: "one".to_owned(),
        registered_at: Timestamp(1),
        last_seen_at: Timestamp(2),
        cordon: None,
    }
}

pub fn plugin(name: &str, version: &str, digit: char, uploaded_at: i64) -> PluginRecord {
    PluginRecord {
        tenant: tenant(),
        name: name.parse().unwrap(),
        version: version.to_owned(),
        digest: digit.to_string().repeat(64).parse().unwrap(),
        size_bytes: 12,
        media_type: "application/gzip".to_owned(),
        manifest: json!({"name": name}),
        uploaded_at: Timestamp(uploaded_at),
    }
}

pub fn node_instance(id: &str) -> NodeInstance {
    NodeInstance {
        id: id.to_owned(),
        tenant: tenant(),
        node_id: "host".to_owned(),
        deployment_id: String::new(),
        host_id: Some(id.to_owned()),
        state: "started".to_owned(),
        version: 1,
        index: 1,
        runtime_properties: Map::new(),
        system_properties: Map::new(),
        relationships: Vec::new(),
        scaling_groups: Vec::new(),
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    }
}

pub fn page<I>(limit: usize) -> Page<I> {
    Page { before: None, offset: 0, limit }
}
