//! What must always hold.

use std::collections::{BTreeMap, BTreeSet};

use conductor_model::{TaskRecord, TaskStatus, TaskType, Timestamp, WorkflowId};
use conductor_store::{MemoryStore, OpenWork, Page, Store, WorkflowFilter};

use crate::agent::Agent;
use crate::manager::Manager;
use crate::scenario::{NARROW_MAX, SLOW_MAX, SLOW_WINDOW_MS, TURNS_MAX, tenant};

/// Workflows of one story at most.
const WORKFLOWS_MAX: usize = 1_000;

/// Looks at everything that is cheap to look at.
///
/// # Errors
/// What does not hold.
pub(crate) fn after_step(store: &MemoryStore, manager: &Manager, agents: &[Agent]) -> Result<(), String> {
    let work = store.open_work().map_err(|error| error.to_string())?;
    one_live_attempt(&work.tasks)?;
    limits(&work)?;
    for task in &work.tasks {
        has_somebody(task, manager)?;
    }
    for workflow in &work.workflows {
        let waits = workflow.rate_limited || work.tasks.iter().any(|task| task.workflow_id == workflow.id);
        if !waits {
            return Err(format!("workflow {} goes on and has no open task", workflow.id));
        }
    }
    let mut begun = BTreeMap::new();
    for (task, times) in agents.iter().flat_map(|agent| &agent.begun_once) {
        *begun.entry(task).or_insert(0) += times;
    }
    match begun.into_iter().find(|(_, times)| *times > 1) {
        Some((task, times)) => Err(format!("task {task} must not run twice and was begun {times} times")),
        None => Ok(()),
    }
}

fn one_live_attempt(tasks: &[TaskRecord]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for task in tasks {
        if !seen.insert((task.workflow_id, task.reference.to_string())) {
            return Err(format!("step {} of workflow {} has two live attempts", task.reference, task.workflow_id));
        }
    }
    Ok(())
}

fn limits(work: &OpenWork) -> Result<(), String> {
    let narrow = work.tasks.iter().filter(|task| &*task.definition_name == "narrow" && task.status == TaskStatus::InProgress);
    let out = narrow.count();
    if out > NARROW_MAX {
        return Err(format!("{out} tasks are out under a limit of {NARROW_MAX}"));
    }
    let starts: Vec<Timestamp> = work.starts.iter().map(|start| start.at).collect();
    let within = |first: &Timestamp| starts.iter().filter(|at| (0..SLOW_WINDOW_MS).contains(&at.ms_since(*first))).count();
    let most = starts.iter().map(within).max().unwrap_or(0);
    if most > SLOW_MAX {
        return Err(format!("{most} tasks were handed out within {SLOW_WINDOW_MS} ms under a limit of {SLOW_MAX}: {starts:?}"));
    }
    let going = work.workflows.iter().filter(|workflow| workflow.name == "turns" && !workflow.rate_limited).count();
    if going > TURNS_MAX {
        return Err(format!("{going} runs go on under a limit of {TURNS_MAX}"));
    }
    Ok(())
}

/// Every open task has a timer, a lease, a place to wait in, or other tasks that it waits for.
fn has_somebody(task: &TaskRecord, manager: &Manager) -> Result<(), String> {
    let waits_for_others = matches!(task.task_type, TaskType::Join) || task.sub_workflow_id.is_some();
    if waits_for_others || task.timer_at.is_some() || manager.has_place(task.id) {
        return Ok(());
    }
    Err(format!("nobody and nothing waits for task {} ({} of {})", task.id, task.reference, task.workflow_id))
}

/// A workflow that is over has only tasks that are over; how many are not over yet.
///
/// # Errors
/// What does not hold.
pub(crate) fn of_all(store: &MemoryStore) -> Result<Vec<WorkflowId>, String> {
    let page = Page { before: None, offset: 0, limit: WORKFLOWS_MAX };
    let all = store.workflows(&tenant(), &WorkflowFilter::default(), page).map_err(|error| error.to_string())?;
    let mut open = Vec::new();
    for workflow in all {
        if !workflow.status.is_terminal() {
            open.push(workflow.id);
            continue;
        }
        let tasks = store.workflow_tasks(&tenant(), workflow.id, 0, usize::MAX).map_err(|error| error.to_string())?;
        if let Some(task) = tasks.iter().find(|task| !task.status.is_terminal()) {
            return Err(format!("workflow {} is {} and its task {} is {}", workflow.id, workflow.status, task.id, task.status));
        }
    }
    Ok(open)
}

/// A memory that is built anew from the store is the memory that there is.
///
/// # Errors
/// Where they differ.
pub(crate) fn same_memory(manager: &Manager, anew: &Manager) -> Result<(), String> {
    let (ours, theirs) = (manager.standings(), anew.standings());
    if ours == theirs {
        return Ok(());
    }
    let differs = ours.keys().chain(theirs.keys()).find(|task| ours.get(task) != theirs.get(task));
    let Some(task) = differs else { return Ok(()) };
    Err(format!("memory differs on task {task}: {:?}, built anew: {:?}", ours.get(task), theirs.get(task)))
}
