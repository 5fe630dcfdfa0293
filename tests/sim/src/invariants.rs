//! What must always hold.

use std::collections::{BTreeMap, BTreeSet};

use conductor_model::{
    ScheduleRunState, TaskId, TaskRecord, TaskStatus, TaskType, Timestamp, WorkflowId, WorkflowRecord, WorkflowStatus,
};
use conductor_store::{MemoryStore, OpenWork, Page, Store, WorkflowFilter};

use crate::agent::Agent;
use crate::manager::Manager;
use crate::people::waits_for_a_person;
use crate::scenario::{EVENTED, NARROW_MAX, SLOW_MAX, SLOW_WINDOW_MS, SOLE, TICK_SECONDS, TICKED, TURNS_MAX, tenant};

/// Workflows of one story at most.
const WORKFLOWS_MAX: usize = 5_000;
/// Due moments of one story at most.
const MOMENTS_MAX: usize = 1_000;

/// What is remembered from step to step.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Workflows whose start was answered well.
    pub(crate) acknowledged: BTreeSet<WorkflowId>,
    /// Stretches around a moment at which the clock was set: what is counted by the clock cannot be counted across it.
    unclear: Vec<(Timestamp, Timestamp)>,
    /// How often people asked for workflows to be run once more.
    again: BTreeMap<WorkflowId, usize>,
    /// Each workflow as it was looked at last, by its revision.
    revisions: BTreeMap<WorkflowId, u64>,
}

impl Seen {
    /// The clock was set.
    pub(crate) fn clock_was_set(&mut self, from: Timestamp, to: Timestamp) {
        self.unclear.push((from.min(to).plus_ms(-SLOW_WINDOW_MS), from.max(to).plus_ms(SLOW_WINDOW_MS)));
    }

    /// Somebody wants a workflow to run once more.
    pub(crate) fn asked_again(&mut self, workflow: WorkflowId) {
        *self.again.entry(workflow).or_default() += 1;
    }

    fn is_clear(&self, at: Timestamp) -> bool {
        self.unclear.iter().all(|(from, until)| at < *from || at > *until)
    }
}

/// All workflows.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn workflows(store: &MemoryStore) -> Result<Vec<WorkflowRecord>, String> {
    let page = Page { before: None, offset: 0, limit: WORKFLOWS_MAX };
    store.workflows(&tenant(), &WorkflowFilter::default(), page).map_err(|error| error.to_string())
}

/// Looks at what has changed, and at everything that is not over. How many workflows are not.
///
/// # Errors
/// What does not hold.
pub(crate) fn after_step(store: &MemoryStore, manager: &Manager, agents: &[Agent], seen: &mut Seen) -> Result<usize, String> {
    let work = store.open_work().map_err(|error| error.to_string())?;
    let all = workflows(store)?;
    nothing_is_lost(&all, seen)?;
    for workflow in &all {
        if seen.revisions.insert(workflow.id, workflow.revision) != Some(workflow.revision) {
            over_is_over(store, workflow)?;
        }
    }
    let open = all.iter().filter(|workflow| !workflow.status.is_terminal()).map(|workflow| (workflow.id, workflow)).collect();
    one_live_attempt(&work.tasks)?;
    one_live_process(&work.tasks, agents)?;
    known_holders(&work)?;
    limits(&work, seen)?;
    for task in &work.tasks {
        has_somebody(task, &work, &open, manager)?;
    }
    for workflow in open.values() {
        // A paused workflow waits for a person, one that is held back for its turn.
        let waits = workflow.status == WorkflowStatus::Paused
            || workflow.rate_limited
            || work.tasks.iter().any(|task| task.workflow_id == workflow.id);
        if !waits {
            return Err(format!("workflow {} goes on and has no open task", workflow.id));
        }
    }
    begun_once(agents)?;
    Ok(open.len())
}

/// What was answered is there. Nothing is removed in a story.
fn nothing_is_lost(all: &[WorkflowRecord], seen: &Seen) -> Result<(), String> {
    let there: BTreeSet<WorkflowId> = all.iter().map(|workflow| workflow.id).collect();
    match seen.acknowledged.iter().chain(seen.revisions.keys()).find(|id| !there.contains(id)) {
        Some(id) => Err(format!("workflow {id} was acknowledged or stored, and is not there")),
        None => Ok(()),
    }
}

/// A workflow that is over has only tasks that are over.
fn over_is_over(store: &MemoryStore, workflow: &WorkflowRecord) -> Result<(), String> {
    if !workflow.status.is_terminal() {
        return Ok(());
    }
    let tasks = store.workflow_tasks(&tenant(), workflow.id, 0, usize::MAX).map_err(|error| error.to_string())?;
    match tasks.iter().find(|task| !task.status.is_terminal()) {
        Some(task) => Err(format!(
            "workflow {} is {} and its task {} ({}) is {}",
            workflow.id, workflow.status, task.id, task.reference, task.status
        )),
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

/// What an agent says of a dispatch counts only while it is the task's current one: no two processes are of that.
fn one_live_process(tasks: &[TaskRecord], agents: &[Agent]) -> Result<(), String> {
    let current: BTreeMap<TaskId, u32> =
        tasks.iter().filter_map(|task| Some((task.id, task.agent.as_ref()?.dispatch))).collect();
    let mut running = BTreeSet::new();
    for key in agents.iter().flat_map(Agent::running) {
        if current.get(&key.task_id) == Some(&key.dispatch) && !running.insert(key.task_id) {
            return Err(format!("dispatch {} of task {} runs on two agents", key.dispatch, key.task_id));
        }
    }
    Ok(())
}

/// Who has a task is an agent that there is, with the journal that it was given the task by: what was given to one that was
/// removed, or has begun a new journal, was lost at that moment.
fn known_holders(work: &OpenWork) -> Result<(), String> {
    for task in &work.tasks {
        let Some(part) = &task.agent else { continue };
        let Some(holder) = &part.assigned else { continue };
        let Some(agent) = work.agents.iter().find(|agent| agent.id == *holder) else {
            return Err(format!("task {} is with agent {holder}, which was removed", task.id));
        };
        if part.incarnation.as_ref() != Some(&agent.incarnation) {
            let given = part.incarnation.as_deref().unwrap_or_default();
            return Err(format!("task {} was given to {holder} by {given}, which is {} now", task.id, agent.incarnation));
        }
    }
    Ok(())
}

/// What must not run twice was begun once, over all agents.
fn begun_once(agents: &[Agent]) -> Result<(), String> {
    let mut begun = BTreeMap::new();
    for (task, times) in agents.iter().flat_map(|agent| &agent.begun_once) {
        *begun.entry(task).or_insert(0) += times;
    }
    match begun.into_iter().find(|(_, times)| *times > 1) {
        Some((task, times)) => Err(format!("task {task} must not run twice and was begun {times} times")),
        None => Ok(()),
    }
}

fn limits(work: &OpenWork, seen: &Seen) -> Result<(), String> {
    let narrow = work.tasks.iter().filter(|task| &*task.definition_name == "narrow" && task.status == TaskStatus::InProgress);
    let out = narrow.count();
    if out > NARROW_MAX {
        return Err(format!("{out} tasks are out under a limit of {NARROW_MAX}"));
    }
    let starts: Vec<Timestamp> = work.starts.iter().map(|start| start.at).filter(|at| seen.is_clear(*at)).collect();
    most_within(&starts)?;
    let going = work.workflows.iter().filter(|workflow| workflow.name == "turns" && !workflow.rate_limited).count();
    if going > TURNS_MAX {
        return Err(format!("{going} runs go on under a limit of {TURNS_MAX}"));
    }
    Ok(())
}

/// No window has more hand-outs of `slow` than it may.
fn most_within(starts: &[Timestamp]) -> Result<(), String> {
    let within = |first: &Timestamp| starts.iter().filter(|at| (0..SLOW_WINDOW_MS).contains(&at.ms_since(*first))).count();
    let most = starts.iter().map(within).max().unwrap_or(0);
    if most > SLOW_MAX {
        return Err(format!("{most} tasks were handed out within {SLOW_WINDOW_MS} ms under a limit of {SLOW_MAX}: {starts:?}"));
    }
    Ok(())
}

/// Every open task has a timer, a lease, a place to wait in, a person, work of the manager's own, or other work that is open
/// and has one of these.
fn has_somebody(
    task: &TaskRecord,
    work: &OpenWork,
    open: &BTreeMap<WorkflowId, &WorkflowRecord>,
    manager: &Manager,
) -> Result<(), String> {
    let paused = open.get(&task.workflow_id).is_some_and(|workflow| workflow.status == WorkflowStatus::Paused);
    let child = || task.sub_workflow_id.is_some_and(|child| open.contains_key(&child));
    let others = || {
        gathers(task.task_type)
            && work.tasks.iter().any(|other| other.workflow_id == task.workflow_id && !gathers(other.task_type))
    };
    let somebody = task.timer_at.is_some()
        || manager.has_place(task.id)
        || task.performing
        || waits_for_a_person(task)
        || paused
        || child()
        || others();
    if somebody {
        return Ok(());
    }
    Err(format!(
        "nobody and nothing waits for task {} ({} {} of {}): {task:?}",
        task.id, task.task_type, task.reference, task.workflow_id
    ))
}

/// What is open only because other tasks of its workflow are.
fn gathers(task_type: TaskType) -> bool {
    matches!(task_type, TaskType::Join | TaskType::ExclusiveJoin | TaskType::DoWhile)
}

/// The workflows that are not over.
///
/// # Errors
/// When the store cannot be read.
pub(crate) fn open(store: &MemoryStore) -> Result<Vec<WorkflowId>, String> {
    Ok(workflows(store)?.into_iter().filter(|workflow| !workflow.status.is_terminal()).map(|workflow| workflow.id).collect())
}

/// Each message has started one workflow, and each moment of the schedules at most one: the one that makes up for what it
/// missed, exactly one.
///
/// # Errors
/// What does not hold.
pub(crate) fn at_the_end(
    store: &MemoryStore,
    seen: &Seen,
    messages: &BTreeSet<TaskId>,
    from: i64,
    until: i64,
) -> Result<(), String> {
    let all = workflows(store)?;
    let mut started: Vec<&str> = all
        .iter()
        .filter(|workflow| workflow.name == EVENTED)
        .filter_map(|workflow| workflow.idempotency_key.as_deref())
        .collect();
    started.sort_unstable();
    let mut published: Vec<String> = messages.iter().map(TaskId::to_string).collect();
    published.sort_unstable();
    if started != published {
        return Err(format!("{} messages were published, and started {} workflows", published.len(), started.len()));
    }
    let mut runs_of_all = 0;
    for schedule in ["every", "last"] {
        let runs = store.schedule_runs(&tenant(), Some(schedule), MOMENTS_MAX).map_err(|error| error.to_string())?;
        let moments: BTreeSet<Timestamp> = runs.iter().map(|run| run.scheduled_time).collect();
        if moments.len() != runs.len() {
            return Err(format!("schedule {schedule} acted on a moment twice"));
        }
        for run in &runs {
            let id = run.workflow_id.as_deref().unwrap_or_default();
            if run.state != ScheduleRunState::Executed || !all.iter().any(|workflow| workflow.id.to_string() == id) {
                return Err(format!("schedule {schedule} has a run without its workflow: {run:?}"));
            }
        }
        let due = (from / 1000 + 1..=until / 1000).filter(|second| second % 60 % TICK_SECONDS == 0).count();
        if schedule == "every" && runs.len() != due {
            return Err(format!("schedule {schedule} had {due} moments and acted on {}", runs.len()));
        }
        runs_of_all += runs.len();
    }
    let ticked = all.iter().filter(|workflow| workflow.name == TICKED).count();
    if ticked != runs_of_all {
        return Err(format!("schedules acted on {runs_of_all} moments and started {ticked} workflows"));
    }
    let tasks = all_tasks(store, &all)?;
    tried_once(&tasks, seen)?;
    let slow: Vec<Timestamp> = tasks
        .iter()
        .filter(|task| &*task.definition_name == "slow")
        .filter_map(|task| task.started_at)
        .filter(|at| seen.is_clear(*at))
        .collect();
    most_within(&slow)
}

/// What is not to be tried again was tried as often as people asked for its workflow, whatever it was lost with.
fn tried_once(tasks: &[TaskRecord], seen: &Seen) -> Result<(), String> {
    let mut tried = BTreeMap::new();
    for task in tasks.iter().filter(|task| &*task.definition_name == SOLE) {
        *tried.entry(task.workflow_id).or_insert(0) += 1;
    }
    match tried.into_iter().find(|(workflow, times)| *times > 1 + seen.again.get(workflow).copied().unwrap_or(0)) {
        Some((workflow, times)) => Err(format!("workflow {workflow} tried {SOLE} {times} times, more than anybody asked for")),
        None => Ok(()),
    }
}

fn all_tasks(store: &MemoryStore, workflows: &[WorkflowRecord]) -> Result<Vec<TaskRecord>, String> {
    let mut tasks = Vec::new();
    for workflow in workflows {
        tasks.extend(store.workflow_tasks(&tenant(), workflow.id, 0, usize::MAX).map_err(|error| error.to_string())?);
    }
    Ok(tasks)
}

/// A memory that is built anew from the store is the memory that there is. Tasks of paused workflows are left out: that they
/// are not to be had is found out when somebody comes for them, and each memory finds out for itself.
///
/// # Errors
/// Where they differ.
pub(crate) fn same_memory(store: &MemoryStore, manager: &Manager, anew: &Manager) -> Result<(), String> {
    let (mut ours, mut theirs) = (manager.standings(), anew.standings());
    let all = workflows(store)?;
    let paused: BTreeSet<WorkflowId> =
        all.iter().filter(|workflow| workflow.status == WorkflowStatus::Paused).map(|workflow| workflow.id).collect();
    for task in store.open_work().map_err(|error| error.to_string())?.tasks {
        if paused.contains(&task.workflow_id) {
            ours.remove(&task.id);
            theirs.remove(&task.id);
        }
    }
    if ours == theirs {
        return Ok(());
    }
    let differs = ours.keys().chain(theirs.keys()).find(|task| ours.get(task) != theirs.get(task));
    let Some(task) = differs else { return Ok(()) };
    Err(format!("memory differs on task {task}: {:?}, built anew: {:?}", ours.get(task), theirs.get(task)))
}
