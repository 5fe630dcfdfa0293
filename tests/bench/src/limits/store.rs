//! Decisions into the database: what one step of a workflow writes, many steps to a commit.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use conductor_engine::TaskChange;
use conductor_model::definition::{TaskType, WorkflowDef};
use conductor_model::{
    AgentId, Details, FeedEntry, Snapshot, TaskId, TaskRecord, TaskStatus, TenantName, Timestamp, WorkflowId, WorkflowRecord,
    WorkflowStatus,
};
use conductor_store::{Batch, DecisionWrite, OutboxKind, OutboxMessage, SqliteStore, Store, StoreError, WorkflowWrite};
use serde_json::{Value, json};
use uuid::Uuid;

use super::ROUNDS;
use crate::clock::now_us;
use crate::error::BenchError;
use crate::stats::median;

/// Workflows that go on side by side: as many decisions are in one batch.
const DECISIONS_PER_BATCH: usize = 64;
/// Batches that are submitted and not yet stored: the next is made while one is written.
const BATCHES_WAITING: usize = 2;
const ROUND: Duration = Duration::from_secs(1);
const ORDER_BYTES: usize = 400;

/// How many decisions a database of its own below `dir` takes in a second. Each one ends a task, begins the next, and brings
/// an order for an agent and three feed entries.
///
/// # Errors
/// When the database refuses.
pub fn decisions_per_s(dir: &Path) -> Result<f64, BenchError> {
    let store = SqliteStore::open(&dir.join("limit.db"))?;
    let mut writer = Writer::new();
    store.commit(writer.start()?)?;
    let rates = (0..ROUNDS).map(|_| writer.round(&store)).collect::<Result<Vec<f64>, StoreError>>();
    store.close();
    Ok(median(&rates?))
}

/// Makes the batches.
struct Writer {
    runs: Vec<(WorkflowRecord, TaskRecord)>,
    last_id: u64,
    /// Orders of the last batch, which the next one takes out of the outbox.
    sent: Vec<u64>,
    ids: u128,
    agent: Option<AgentId>,
}

impl Writer {
    fn new() -> Self {
        // The high bits grow with time as in a version 7 id.
        let ids = u128::from(now_us().unsigned_abs() / 1000) << 80;
        Self { runs: Vec::new(), last_id: 0, sent: Vec::new(), ids, agent: "agent-1".parse().ok() }
    }

    fn next_uuid(&mut self) -> Uuid {
        self.ids += 1 << 64;
        Uuid::from_u128(self.ids)
    }

    fn start(&mut self) -> Result<Batch, BenchError> {
        let snapshot = snapshot()?;
        for _ in 0..DECISIONS_PER_BATCH {
            let workflow = new_workflow(WorkflowId(self.next_uuid()), &snapshot.digest);
            let task = new_task(TaskId(self.next_uuid()), &workflow);
            self.runs.push((workflow, task));
        }
        let decisions = self.runs.iter().map(|(workflow, task)| DecisionWrite {
            workflow: Some(WorkflowWrite {
                snapshot: Some(Arc::clone(&snapshot)),
                stored_revision: None,
                record: workflow.clone(),
                input_replaced: false,
            }),
            tasks: vec![TaskChange { record: task.clone(), inserted: true }],
            removed: Vec::new(),
        });
        Ok(Batch { decisions: decisions.collect(), ..Batch::default() })
    }

    /// Each workflow's task is done and the next one begins.
    fn step(&mut self) -> Batch {
        let mut batch = Batch { outbox_done: std::mem::take(&mut self.sent), ..Batch::default() };
        for at in 0..self.runs.len() {
            let id = TaskId(self.next_uuid());
            let (workflow, task) = &mut self.runs[at];
            workflow.next_seq += 1;
            task.status = TaskStatus::Completed;
            task.ended_at = Some(Timestamp(now_us() / 1000));
            task.output = Arc::new(json!({"exitCode": 0}));
            let done = task.clone();
            *task = new_task(id, workflow);
            let next = task.clone();
            let tenant = workflow.tenant.clone();
            self.tell(&mut batch, &done, &["task.completed"]);
            self.tell(&mut batch, &next, &["task.scheduled", "task.assigned"]);
            if let Some(agent) = self.agent.clone() {
                self.last_id += 1;
                self.sent.push(self.last_id);
                let body = Arc::from("x".repeat(ORDER_BYTES));
                let order = OutboxMessage { id: self.last_id, tenant, agent, task: next.id, kind: OutboxKind::Task, body };
                batch.outbox.push(order);
            }
            let tasks = vec![TaskChange { record: done, inserted: false }, TaskChange { record: next, inserted: true }];
            batch.decisions.push(DecisionWrite { tasks, ..DecisionWrite::default() });
        }
        batch
    }

    fn tell(&mut self, batch: &mut Batch, task: &TaskRecord, kinds: &[&str]) {
        for kind in kinds {
            self.last_id += 1;
            batch.feed.push(Arc::new(FeedEntry {
                id: self.last_id,
                tenant: task.tenant.clone(),
                at: task.updated_at,
                kind: (*kind).to_owned().into(),
                workflow_id: Some(task.workflow_id),
                task_id: Some(task.id),
                agent_id: self.agent.clone(),
                data: Details::of(
                    &json!({"reference": &*task.reference, "definitionName": &*task.definition_name, "attempt": 0}),
                ),
            }));
        }
    }

    fn round(&mut self, store: &SqliteStore) -> Result<f64, StoreError> {
        let (sender, stored): (SyncSender<Result<(), StoreError>>, Receiver<_>) = sync_channel(BATCHES_WAITING + 1);
        let begin = Instant::now();
        let (mut submitted, mut finished) = (0_usize, 0_usize);
        while begin.elapsed() < ROUND || finished < submitted {
            if begin.elapsed() < ROUND && submitted - finished < BATCHES_WAITING {
                let sender = sender.clone();
                store.submit(self.step(), Box::new(move |result| drop(sender.send(result))));
                submitted += 1;
            } else {
                stored.recv().unwrap_or(Err(StoreError::Closed))?;
                finished += 1;
            }
        }
        Ok((finished * DECISIONS_PER_BATCH) as f64 / begin.elapsed().as_secs_f64())
    }
}

fn snapshot() -> Result<Arc<Snapshot>, BenchError> {
    let workflow: WorkflowDef = serde_json::from_value(json!({"name": "limit", "tasks": []}))
        .map_err(|error| BenchError::Shape { what: "the measured definition", reason: error.to_string() })?;
    Ok(Arc::new(Snapshot { digest: "limit".to_owned(), workflow: Arc::new(workflow), tasks: [].into() }))
}

fn new_workflow(id: WorkflowId, snapshot: &str) -> WorkflowRecord {
    let now = Timestamp(now_us() / 1000);
    let empty: Arc<Value> = Arc::new(json!({}));
    WorkflowRecord {
        id,
        tenant: TenantName::default_tenant(),
        name: "limit".to_owned(),
        version: 1,
        snapshot: Arc::from(snapshot),
        revision: 1,
        status: WorkflowStatus::Running,
        created_at: now,
        updated_at: now,
        ended_at: None,
        last_retried_at: None,
        input: Arc::clone(&empty),
        output: Arc::clone(&empty),
        variables: empty,
        correlation_id: None,
        idempotency_key: None,
        priority: 0,
        task_to_domain: [].into(),
        parent_workflow_id: None,
        parent_task_id: None,
        created_by: None,
        reason: None,
        failed_references: [].into(),
        failed_task_names: [].into(),
        next_seq: 2,
        timer_at: None,
        tolerated: 0,
        event: None,
        rate_limit_key: None,
        rate_limited: false,
    }
}

fn new_task(id: TaskId, workflow: &WorkflowRecord) -> TaskRecord {
    let now = workflow.updated_at;
    TaskRecord {
        id,
        workflow_id: workflow.id,
        tenant: workflow.tenant.clone(),
        seq: workflow.next_seq - 1,
        reference: Arc::from("step"),
        task_type: TaskType::Simple,
        definition_name: Arc::from("limit"),
        status: TaskStatus::InProgress,
        outcome: None,
        attempt: 0,
        retried_task_id: None,
        retried: false,
        iteration: 0,
        scheduled_at: now,
        first_scheduled_at: now,
        visible_at: now,
        first_started_at: None,
        started_at: Some(now),
        ended_at: None,
        updated_at: now,
        callback_after_seconds: 0,
        poll_count: 1,
        worker_id: Some("agent-1".to_owned()),
        domain: None,
        priority: 0,
        input: Arc::new(json!({})),
        output: Arc::new(json!({})),
        reason: None,
        agent: None,
        timer_at: Some(now.plus_seconds(120)),
        alerted_at: None,

        executed: false,
        performing: false,
        turn: 0,
        due_at: None,
        sub_workflow_id: None,
        definition: None,
    }
}
