//! What people ask of a workflow that is over: retry, restart, rerun. It goes on under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use conductor_model::{TaskId, TaskStatus, Timestamp, WorkflowStatus};
use serde_json::{Map, Value, json};

use super::catch_up::catch_up;
use crate::decision::Effect;
use crate::event::Refusal;
use crate::frame::{Frames, Site};
use crate::plan::{Kind, Plan};
use crate::run::Run;
use crate::state::{Ix, State};
use crate::task_type::{self, awaited_workflow};
use crate::turn::{Turn, Work};
use crate::{attempt, flow, load};

/// What is done with the tasks of a workflow that goes on.
#[derive(Debug, Default)]
struct Again {
    /// Whether failed sub-workflows are retried themselves.
    resume_subworkflows: bool,
    /// The sub-workflow task whose workflow goes on already.
    child: Option<Ix>,
    /// Joins and loops that were finished and are not any more.
    reopen: Vec<Ix>,
}

/// Tries again what failed or was canceled.
pub(super) fn retry(turn: &mut Turn<'_, '_>, resume_subworkflows: bool) -> Result<(), Refusal> {
    match turn.run.workflow().status {
        WorkflowStatus::Failed | WorkflowStatus::TimedOut | WorkflowStatus::Terminated => {}
        WorkflowStatus::Completed => return Err(Refusal::NothingToRetry),
        WorkflowStatus::Running | WorkflowStatus::Paused => return Err(turn.workflow_refusal()),
    }
    if !turn.run.state.all().any(|(_, task)| failed(task) || load::is_pending(task)) {
        return Err(Refusal::NothingToRetry);
    }
    revive(turn, Again { resume_subworkflows, ..Again::default() });
    turn.tell_workflow("workflow.retried");
    Ok(())
}

/// The workflow of a sub-workflow task goes on again.
pub(super) fn child_revived(turn: &mut Turn<'_, '_>, task: TaskId) -> Result<(), Refusal> {
    let ix = turn.find(task)?;
    let record = turn.run.record(ix);
    if record.retried || !failed(record) || record.sub_workflow_id.is_none() {
        return Err(Refusal::StaleTurn { task });
    }
    match turn.run.workflow().status {
        WorkflowStatus::Failed | WorkflowStatus::TimedOut | WorkflowStatus::Terminated => {}
        WorkflowStatus::Completed | WorkflowStatus::Running | WorkflowStatus::Paused => {
            return Err(turn.workflow_refusal());
        }
    }
    revive(turn, Again { child: Some(ix), ..Again::default() });
    turn.tell_workflow("workflow.retried");
    Ok(())
}

/// Runs the workflow once more from its start, perhaps by other definitions.
pub(super) fn restart(turn: &mut Turn<'_, '_>, plan: Option<Arc<Plan>>) -> Result<(), Refusal> {
    turn.expect_over()?;
    let (id, status) = (turn.run.workflow().id, turn.run.workflow().status);
    if status == WorkflowStatus::Completed && !turn.run.plan().snapshot().workflow.restartable {
        return Err(Refusal::NotRestartable { workflow: id });
    }
    if let Some(plan) = plan {
        turn.run.workflow.version = plan.snapshot().workflow.version;
        turn.run.workflow.snapshot = Arc::from(plan.snapshot().digest.as_str());
        turn.snapshot = Some(Arc::clone(plan.snapshot()));
        turn.run.plan = plan;
        let input = turn.run.workflow.input.as_object().cloned();
        replace(turn, input, None);
    }
    from_start(turn);
    Ok(())
}

fn from_start(turn: &mut Turn<'_, '_>) {
    let all: Vec<Ix> = turn.run.state.all().map(|(ix, _)| ix).collect();
    turn.remove(all);
    let plan = Arc::clone(&turn.run.plan);
    turn.run.workflow.variables = Arc::new(Value::Object(plan.snapshot().workflow.variables.clone()));
    go_on(turn);
    turn.run.workflow.last_retried_at = None;
    turn.run.frames = Frames::new(Arc::clone(&plan));
    turn.run.state = State::of(&turn.run.workflow);
    turn.tell_workflow("workflow.restarted");
    // One that never had its turn waits for it still.
    if !turn.run.workflow.rate_limited {
        turn.push(Work::Schedule(Site::root(plan.root().nodes[0])));
    }
}

/// Runs the workflow once more from a task on: that one and all that were scheduled after it are removed.
pub(super) fn rerun(
    turn: &mut Turn<'_, '_>,
    from: Option<TaskId>,
    task_input: Option<Map<String, Value>>,
    workflow_input: Option<Map<String, Value>>,
    correlation_id: Option<String>,
) -> Result<(), Refusal> {
    turn.expect_over()?;
    let from = from.map(|task| turn.find(task)).transpose()?;
    replace(turn, workflow_input, correlation_id);
    let Some(from) = from else {
        from_start(turn);
        return Ok(());
    };
    let reference = Arc::clone(&turn.run.record(from).reference);
    let loops = without(turn, |turn| take_back(turn, from));
    let reopen = reopened(turn, loops);
    if let (Some(site), Some(input)) = (turn.run.frames.resolve(&reference), task_input) {
        turn.input_override = Some((site, input));
    }
    revive(turn, Again { reopen, ..Again::default() });
    turn.tell_workflow("workflow.rerun");
    Ok(())
}

/// The workflow of a sub-workflow task is run once more from within: what was scheduled after the task is removed, and it
/// waits again.
pub(super) fn rerun_child(
    turn: &mut Turn<'_, '_>,
    task: TaskId,
    workflow_input: Option<Map<String, Value>>,
    correlation_id: Option<String>,
) -> Result<(), Refusal> {
    turn.expect_over()?;
    let from = turn.find(task)?;
    let record = turn.run.record(from);
    let Some(child) = awaited_workflow(record).filter(|_| !record.retried) else {
        return Err(Refusal::StaleTurn { task });
    };
    replace(turn, workflow_input, correlation_id);
    let loops = without(turn, |turn| take_back_later(turn, from));
    let from = turn.find(task)?;
    reopen(turn, from);
    turn.set_output(from, json!({"subWorkflowId": child}));
    let reopen = reopened(turn, loops);
    revive(turn, Again { reopen, ..Again::default() });
    turn.tell_workflow("workflow.rerun");
    Ok(())
}

fn replace(turn: &mut Turn<'_, '_>, workflow_input: Option<Map<String, Value>>, correlation_id: Option<String>) {
    if let Some(input) = workflow_input {
        // As at a start, so that a check of a whole input speaks of what the steps will see.
        turn.run.workflow.input = Arc::new(Value::Object(turn.run.plan.whole_input(input)));
        turn.input_replaced = true;
    }
    if correlation_id.is_some() {
        turn.run.workflow.correlation_id = correlation_id;
    }
}

/// Takes tasks back, and works the indices out anew of what is left. Gives the loops around what was removed.
fn without(turn: &mut Turn<'_, '_>, take_back: impl FnOnce(&mut Turn<'_, '_>) -> TakenBack) -> BTreeMap<TaskId, u32> {
    let TakenBack { loops, last_again } = take_back(turn);
    let records = std::mem::take(&mut turn.run.state).into_records();
    *turn.run = load::load(Arc::clone(&turn.run.plan), turn.run.workflow.clone(), records);
    turn.run.workflow.must_be_stored();
    for task in last_again {
        if let Ok(ix) = turn.find(task) {
            turn.note(ix).retried = false;
        }
    }
    loops
}

/// What removing tasks means for those that are left.
#[derive(Debug)]
struct TakenBack {
    /// The loops around what is removed, with the round that they are in then.
    loops: BTreeMap<TaskId, u32>,
    /// Attempts that are the last at their step again.
    last_again: Vec<TaskId>,
}

/// Removes a task, the earlier attempts at its step, and what was scheduled later.
fn take_back(turn: &mut Turn<'_, '_>, from: Ix) -> TakenBack {
    let (seq, site) = (turn.run.record(from).seq, turn.run.site(from));
    remove_all(turn, from, |run, ix| run.record(ix).seq >= seq || run.site(ix) == site)
}

/// Removes what was scheduled later than a task, which stays.
fn take_back_later(turn: &mut Turn<'_, '_>, from: Ix) -> TakenBack {
    let seq = turn.run.record(from).seq;
    remove_all(turn, from, |run, ix| run.record(ix).seq > seq)
}

fn remove_all(turn: &mut Turn<'_, '_>, from: Ix, is_gone: impl Fn(&Run, Ix) -> bool) -> TakenBack {
    let run = &*turn.run;
    let (gone, left): (Vec<Ix>, Vec<Ix>) = run.state.all().map(|(ix, _)| ix).partition(|ix| is_gone(run, *ix));
    let mut loops: BTreeMap<TaskId, u32> = BTreeMap::new();
    for ix in &gone {
        for (owner, _) in loops_around(turn, *ix) {
            loops.entry(owner).or_insert(1);
        }
    }
    for ix in left.iter().chain([&from]) {
        for (owner, round) in loops_around(turn, *ix) {
            loops.entry(owner).and_modify(|last| *last = round.max(*last));
        }
    }
    let last_again = gone.iter().filter_map(|ix| turn.run.record(*ix).retried_task_id).collect();
    turn.remove(gone);
    TakenBack { loops, last_again }
}

/// The loops that a task is in, with its rounds.
fn loops_around(turn: &Turn<'_, '_>, ix: Ix) -> Vec<(TaskId, u32)> {
    let mut found = Vec::new();
    let mut frame = turn.run.frames.get(turn.run.site(ix).frame);
    while let Some(owner) = frame.owner {
        if let Some(record) = turn.run.latest_of(owner).filter(|_| matches!(turn.run.node(owner).kind, Kind::Loop { .. })) {
            found.push((record.id, frame.round));
        }
        frame = turn.run.frames.get(owner.frame);
    }
    found
}

/// Which joins and loops are not finished any more.
fn reopened(turn: &mut Turn<'_, '_>, loops: BTreeMap<TaskId, u32>) -> Vec<Ix> {
    let mut reopen = BTreeSet::new();
    for (task, round) in loops {
        if let Ok(ix) = turn.find(task) {
            turn.note(ix).iteration = round;
            turn.set_output(ix, json!({"iteration": round}));
            reopen.insert(ix);
        }
    }
    let joins = turn.run.state.latest.iter().filter(|(site, ix)| {
        let join = turn.run.node(**site).kind.is_join();
        join && turn.run.record(**ix).status.is_successful() && flow::missing(turn.run, **site) > 0
    });
    reopen.extend(joins.map(|(_, ix)| *ix));
    reopen.into_iter().collect()
}

/// Whether a task is tried again when its workflow is.
fn failed(record: &conductor_model::TaskRecord) -> bool {
    !record.retried
        && matches!(
            record.status,
            TaskStatus::Failed | TaskStatus::TimedOut | TaskStatus::FailedWithTerminalError | TaskStatus::Canceled
        )
}

/// The workflow runs again.
fn go_on(turn: &mut Turn<'_, '_>) {
    let now = turn.now();
    let timeout = turn.run.plan().snapshot().workflow.timeout_seconds;
    turn.set_workflow_output(json!({}));
    let workflow = &mut turn.run.workflow;
    workflow.status = WorkflowStatus::Running;
    workflow.reason = None;
    workflow.ended_at = None;
    workflow.last_retried_at = Some(now);
    workflow.timer_at = due(now, timeout);
    workflow.tolerated = 0;
    workflow.failed_references.clear();
    workflow.failed_task_names.clear();
}

fn due(now: Timestamp, timeout_seconds: i64) -> Option<Timestamp> {
    (timeout_seconds > 0).then(|| now.plus_seconds(timeout_seconds))
}

/// Goes on with a workflow that is over: joins and loops wait again, what failed or was canceled gets another attempt, and
/// what was never scheduled is.
fn revive(turn: &mut Turn<'_, '_>, again: Again) {
    go_on(turn);
    let mut waiting = again.reopen;
    let mut attempts = Vec::new();
    for (ix, record) in turn.run.state.all().filter(|(_, record)| failed(record)) {
        // One that never began gets another attempt, too.
        let reopens = record.started_at.is_some() && (task_type::of(record.task_type).reopens)(record);
        if reopens { waiting.push(ix) } else { attempts.push(ix) }
    }
    waiting.sort_unstable();
    waiting.dedup();
    for ix in &waiting {
        reopen(turn, *ix);
    }
    for ix in attempts {
        // A TERMINATE that begins at once has ended it: there is nothing more to catch up with.
        if turn.run.workflow.status.is_terminal() {
            return;
        }
        let record = turn.run.record(ix);
        let (task, child) = (record.id, awaited_workflow(record));
        match child {
            Some(_) if again.child == Some(ix) => reopen(turn, ix),
            Some(workflow) if again.resume_subworkflows => {
                reopen(turn, ix);
                turn.effect(Effect::RetryWorkflow { workflow, task });
            }
            _ => attempt::again(turn, ix, 0, 0),
        }
    }
    if !turn.run.workflow.status.is_terminal() {
        catch_up(turn, &waiting);
    }
}

/// A task that was over is in progress again.
fn reopen(turn: &mut Turn<'_, '_>, ix: Ix) {
    let record = turn.change(ix);
    record.status = TaskStatus::InProgress;
    record.outcome = None;
    record.ended_at = None;
    record.reason = None;
    record.executed = false;
    record.performing = false;
    turn.run.state.open.insert(ix);
}
