//! People and programs that steer workflows: they pause, resume, retry, skip and end them, and signal those that wait.

use conductor_engine::{Event, WorkerStatus, WorkerUpdate};
use conductor_manager::app::core::{CoreHandle, Message, UpdateOrder};
use conductor_model::{TaskId, TaskRecord, TaskType, WorkflowId, WorkflowRecord, WorkflowStatus};
use conductor_store::{MemoryStore, Store};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::invariants::workflows;
use crate::scenario::tenant;

/// Does one thing to one workflow. Nobody waits for the answer: what is refused changes nothing. Says which workflow it wants
/// to run once more.
///
/// # Errors
/// When the store cannot be read.
pub fn meddle(store: &MemoryStore, manager: &CoreHandle, random: &mut StdRng) -> Result<Option<WorkflowId>, String> {
    let all = workflows(store)?;
    let Some(workflow) = all.choose(random) else { return Ok(None) };
    let tasks = store.workflow_tasks(&tenant(), workflow.id, 0, usize::MAX).map_err(|error| error.to_string())?;
    let event = match random.random_range(0..40) {
        0..=9 => Event::Pause,
        10..=19 => Event::Resume,
        20 => Event::Terminate { reason: Some("somebody did not want it".to_owned()) },
        21..=24 => Event::Retry { resume_subworkflows: random.random_bool(0.5) },
        25 => Event::Restart { plan: None },
        26 | 27 => {
            // From a task of its own, or of a workflow inside it.
            let child = tasks.choose(random).and_then(|task| task.sub_workflow_id).filter(|_| random.random_bool(0.5));
            let inside = child.map(|child| store.workflow_tasks(&tenant(), child, 0, usize::MAX)).transpose();
            let inside = inside.map_err(|error| error.to_string())?;
            let from = inside.as_ref().unwrap_or(&tasks).choose(random).map(|task| task.id);
            let task_input = random.random_bool(0.3).then(|| object(json!({ "again": true })));
            Event::Rerun { from, task_input, workflow_input: None, correlation_id: None }
        }
        28..=30 => {
            let reference = ["a", "b", "c", "e", "last"][random.random_range(0..5)].to_owned();
            Event::Skip { reference, input: Map::new(), output: object(json!({ "skipped": true })) }
        }
        31 | 32 => Event::ResetCallbacks,
        33 | 34 => Event::SetVariables { variables: object(json!({ "v": random.random_range(0..9) })), append: false },
        35 => {
            let (reply, _) = oneshot::channel();
            manager.tell(Message::LookAgain { tenant: tenant(), workflow: workflow.id, reply });
            return Ok(None);
        }
        36 => {
            let (reply, _) = oneshot::channel();
            let task_type = "plain".to_owned();
            manager.tell(Message::Requeue { tenant: tenant(), task_type, reply });
            return Ok(None);
        }
        _ => {
            for task in tasks.iter().filter(|task| waits_for_a_person(task)) {
                signal(manager, task.id, if random.random_bool(0.2) { WorkerStatus::Failed } else { WorkerStatus::Completed });
            }
            return Ok(None);
        }
    };
    let again = matches!(event, Event::Retry { .. } | Event::Restart { .. } | Event::Rerun { .. });
    control(manager, workflow, event);
    Ok(again.then_some(workflow.id))
}

/// Lets go on what waits for somebody.
///
/// # Errors
/// When the store cannot be read.
pub fn let_all_go_on(store: &MemoryStore, manager: &CoreHandle) -> Result<(), String> {
    for workflow in workflows(store)?.iter().filter(|workflow| workflow.status == WorkflowStatus::Paused) {
        control(manager, workflow, Event::Resume);
    }
    let work = store.open_work().map_err(|error| error.to_string())?;
    for task in work.tasks.iter().filter(|task| waits_for_a_person(task)) {
        signal(manager, task.id, WorkerStatus::Completed);
    }
    Ok(())
}

/// Whether nothing but a person, or a program that signals, ends the task.
pub fn waits_for_a_person(task: &TaskRecord) -> bool {
    matches!(task.task_type, TaskType::Wait | TaskType::Human) && !task.status.is_terminal() && task.due_at.is_none()
}

fn control(manager: &CoreHandle, workflow: &WorkflowRecord, event: Event) {
    let (reply, _) = oneshot::channel();
    manager.tell(Message::Control { tenant: tenant(), workflow: workflow.id, event, reply });
}

fn signal(manager: &CoreHandle, task: TaskId, status: WorkerStatus) {
    let (reply, _) = oneshot::channel();
    let update = WorkerUpdate {
        task,
        status,
        output: Map::new(),
        merge_output: false,
        reason: None,
        worker_id: None,
        callback_after_seconds: 0,
        extend_lease: false,
    };
    manager.tell(Message::Update(UpdateOrder { tenant: tenant(), update, claimed: None, next_for: None, reply }));
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}
