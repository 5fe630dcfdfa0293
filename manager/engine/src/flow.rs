//! What follows from what: the flow of a workflow through its steps.

use std::collections::BTreeMap;

use conductor_model::{TaskRecord, TaskStatus, Timestamp, WorkflowStatus};
use serde_json::{Map, Value};

use crate::document::Scope;
use crate::ending::Ending;
use crate::event::Catalogue;
use crate::expression::{Budget, Unresolved};
use crate::frame::{Next, Site};
use crate::plan::{BlockId, BlockPlace, Kind};
use crate::run::Run;
use crate::state::Ix;
use crate::task_type::{self, do_while, switch};
use crate::turn::{Turn, Work};
use crate::{attempt, child, retry};

/// Largest output of a join, a loop or a workflow in bytes of JSON: they bring the outputs of many tasks together.
pub(crate) const GATHERED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Draws everything that follows from the changes made so far, and ends the workflow when nothing is left.
pub(crate) fn follow_up(turn: &mut Turn<'_, '_>) {
    while let Some(work) = turn.next_work() {
        match work {
            Work::Schedule(site) => attempt::first(turn, site),
            Work::Ended(ix) => ended(turn, ix),
        }
    }
    let (workflow, state) = (&turn.run.workflow, &turn.run.state);
    if workflow.status == WorkflowStatus::Running && state.open.is_empty() && !workflow.rate_limited {
        if workflow.tolerated == 0 {
            turn.end_workflow(WorkflowStatus::Completed, None);
        } else {
            let failed = workflow.failed_references.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let reason = format!("steps failed that the workflow went on without: {failed}");
            turn.end_workflow(WorkflowStatus::Failed, Some(reason));
        }
        if turn.run.workflow.status != WorkflowStatus::Completed {
            child::start_failure_workflow(turn, None);
        }
    }
}

/// A task is over: another attempt, the next step, or the end of the workflow.
fn ended(turn: &mut Turn<'_, '_>, ix: Ix) {
    if turn.run.record(ix).executed {
        return;
    }
    if !turn.run.record(ix).status.is_successful() {
        if retry_allowed(turn.run, ix, turn.now()) {
            return attempt::again_by_rules(turn, ix);
        }
        // A workflow that was paused may have used up the budget for the attempt meanwhile.
        turn.give_way_to_optional(ix);
    }
    turn.note(ix).executed = true;
    let site = turn.run.site(ix);
    let goes_on = turn.run.record(ix).status.is_successful() || turn.run.node(site).step.permissive;
    if goes_on {
        // A switch that failed takes no case.
        switch::leave_out(turn, site, None);
    }
    if turn.run.record(ix).status.is_successful() {
        finished(turn, site);
    } else if turn.run.node(site).step.permissive {
        turn.run.workflow.tolerated += 1;
        finished(turn, site);
    } else {
        give_up(turn, ix);
    }
}

/// Whether a failed task is tried again.
pub(crate) fn retry_allowed(run: &Run, ix: Ix, now: Timestamp) -> bool {
    retry::allowed(run.record(ix), &run.node(run.site(ix)).step, run.definition(ix), now)
}

/// A step failed for good: so have the loops around it, up to one that the workflow can do without.
fn give_up(turn: &mut Turn<'_, '_>, ix: Ix) {
    let record = turn.run.record(ix);
    let told = record.reason.as_deref().unwrap_or("no reason was given");
    let reason = format!("step {} failed: {told}", record.reference);
    let mut around = Vec::new();
    let mut frame = turn.run.site(ix).frame;
    while let Some(owner) = turn.run.frames.get(frame).owner {
        frame = owner.frame;
        let node = turn.run.node(owner);
        let Some(failed) = turn.run.state.latest.get(&owner).copied() else { continue };
        if !matches!(node.kind, Kind::Loop { .. }) || turn.run.record(failed).status.is_terminal() {
            continue;
        }
        if node.step.optional || node.step.permissive {
            for inner in around {
                turn.close(inner, Ending::failed(reason.clone(), false));
                turn.note(inner).executed = true;
            }
            cancel_inside(turn, owner, &reason);
            return turn.end_task(failed, Ending::failed(reason, false));
        }
        around.push(failed);
    }
    for failed in around {
        turn.close(failed, Ending::failed(reason.clone(), false));
        turn.note(failed).executed = true;
    }
    fail(turn, ix);
}

/// Ends what is still open in a loop.
fn cancel_inside(turn: &mut Turn<'_, '_>, owner: Site, reason: &str) {
    let inside = |ix: &Ix| {
        let mut frame = turn.run.site(*ix).frame;
        while let Some(around) = turn.run.frames.get(frame).owner {
            if around == owner {
                return true;
            }
            frame = around.frame;
        }
        false
    };
    let open: Vec<Ix> = turn.run.state.open.iter().copied().filter(inside).collect();
    for ix in open {
        turn.close(ix, Ending::canceled(reason.to_owned()));
        turn.note(ix).executed = true;
    }
}

/// Ends the workflow because of a task.
pub(crate) fn fail(turn: &mut Turn<'_, '_>, ix: Ix) {
    turn.note(ix).executed = true;
    let record = turn.run.record(ix);
    let status = match record.status {
        TaskStatus::Canceled => WorkflowStatus::Terminated,
        TaskStatus::TimedOut => WorkflowStatus::TimedOut,
        TaskStatus::Scheduled
        | TaskStatus::InProgress
        | TaskStatus::Completed
        | TaskStatus::CompletedWithErrors
        | TaskStatus::Failed
        | TaskStatus::FailedWithTerminalError
        | TaskStatus::Skipped => WorkflowStatus::Failed,
    };
    let reason = record.reason.as_deref().unwrap_or("no reason was given");
    let reason = format!("Task {} failed with status: {status} and reason: '{reason}'", record.id);
    turn.end_workflow(status, Some(reason));
    child::start_failure_workflow(turn, Some(ix));
}

/// A step is finished: joins are told, and the flow goes on behind it.
pub(crate) fn finished(turn: &mut Turn<'_, '_>, mut site: Site) {
    loop {
        settle(turn, site);
        match turn.run.frames.next(site) {
            Next::Step(next) => return turn.push(Work::Schedule(next)),
            Next::EndOfCase(switch) => site = switch,
            Next::EndOfRound(owner) => return do_while::round_ended(turn, owner),
            Next::EndOfBranch(fork) => {
                if let Next::Step(join) = turn.run.frames.next(fork) {
                    tell_join(turn, join);
                }
                return;
            }
            Next::End => return,
        }
    }
}

/// Tells the joins that wait for a step that it is finished or can no longer come.
pub(crate) fn settle(turn: &mut Turn<'_, '_>, site: Site) {
    if turn.run.node(site).watchers.is_empty() {
        return;
    }
    let plan = turn.run.plan_of(site);
    for join in &plan.node(site.node).watchers {
        tell_join(turn, site.with(*join));
    }
}

/// One of the steps that a join waits for is settled. A join that has not begun counts when it does.
fn tell_join(turn: &mut Turn<'_, '_>, join: Site) {
    let Some(missing) = turn.run.state.missing.get_mut(&join) else { return };
    *missing = missing.saturating_sub(1);
    if let Some(ix) = turn.run.state.latest.get(&join).copied() {
        look(turn, ix);
    }
}

/// What a task waits for has come further.
pub(crate) fn look(turn: &mut Turn<'_, '_>, ix: Ix) {
    let record = turn.run.record(ix);
    // What was settled may be the end of the workflow, which has ended the task as well.
    if !record.status.is_terminal() {
        (task_type::of(record.task_type).look)(turn, ix);
    }
}

/// A join counts what it waits for, from now on.
pub(crate) fn count(turn: &mut Turn<'_, '_>, ix: Ix) {
    let site = turn.run.site(ix);
    if turn.run.node(site).kind.is_join() {
        let missing = missing(turn.run, site);
        turn.run.state.missing.insert(site, missing);
    }
}

/// How many of the steps that a join waits for are not settled.
pub(crate) fn missing(run: &Run, join: Site) -> usize {
    let kind = &run.node(join).kind;
    let named = kind.waits_for().iter().filter(|step| !is_settled(run, join.with(**step))).count();
    let forked = match kind {
        Kind::Join { fork: Some(fork), .. } => {
            run.frames.branch_ends(join.with(*fork)).filter(|end| !is_settled(run, *end)).count()
        }
        _ => 0,
    };
    named + forked
}

/// Whether a step is finished or can no longer come because another case was taken.
fn is_settled(run: &Run, site: Site) -> bool {
    if is_finished(run, site) {
        return true;
    }
    let plan = &run.frames.get(site.frame).plan;
    let mut id = plan.node(site.node).block;
    loop {
        let block = plan.block(id);
        let Some(parent) = block.parent else { return false };
        match block.place {
            BlockPlace::Case(_) | BlockPlace::Default => {
                let record = run.latest_of(site.with(parent));
                let decided = record.filter(|record| record.status.is_terminal() && record.executed && !record.retried);
                if decided.is_some_and(|record| switch::taken(&plan.node(parent).kind, record) != Some(id)) {
                    return true;
                }
            }
            // Outside of the round is another frame.
            BlockPlace::Body => return false,
            BlockPlace::Workflow | BlockPlace::Branch(_) | BlockPlace::Dynamic(_) => {}
        }
        id = plan.node(parent).block;
    }
}

/// Whether a step is finished: the flow has gone on behind it.
pub(crate) fn is_finished(run: &Run, site: Site) -> bool {
    let Some(record) = run.latest_of(site) else { return false };
    if !record.status.is_terminal() || !record.executed || record.retried {
        return false;
    }
    let plan = &run.frames.get(site.frame).plan;
    match &plan.node(site.node).kind {
        kind @ Kind::Switch { .. } => match switch::taken(kind, record) {
            Some(block) => plan.block(block).nodes.last().is_some_and(|last| is_finished(run, site.with(*last))),
            None => true,
        },
        _ => true,
    }
}

/// The domain of workers that a task is for: of the type's entry, else of `*`; see [`domain_of`].
pub(crate) fn domain(
    task_to_domain: &BTreeMap<String, String>,
    definition_name: &str,
    catalogue: &dyn Catalogue,
) -> Option<String> {
    let listed = task_to_domain.get(definition_name).or_else(|| task_to_domain.get("*"))?;
    domain_of(listed, definition_name, catalogue)
}

/// The domain of workers that a task of `definition_name` is for where `listed`, separated by commas, are to be had: the first
/// that workers poll, else the last. `NO_DOMAIN` = none.
pub fn domain_of(listed: &str, definition_name: &str, catalogue: &dyn Catalogue) -> Option<String> {
    let domains = listed.split(',').map(str::trim).filter(|domain| !domain.is_empty());
    let mut domains = domains.map(|domain| (domain != "NO_DOMAIN").then_some(domain)).peekable();
    let mut chosen = None;
    while let Some(domain) = domains.next() {
        chosen = domain;
        // The last one needs no worker.
        if domains.peek().is_some() && catalogue.is_polled(definition_name, domain) {
            break;
        }
    }
    chosen.map(str::to_owned)
}

/// The workflow's output: its parameters resolved, else the output of its last task.
///
/// # Errors
/// When it becomes too large, or the workflow has done well and an expression finds nothing and must. Of one that did not do
/// well, not all steps were reached, and why it failed is to be told.
pub(crate) fn output(run: &Run) -> Result<Value, Unresolved> {
    if let Some(template) = &run.plan.output {
        let scope = Scope { run, own_id: None, own_input: None };
        let strict = run.is_strict() && run.workflow.status == WorkflowStatus::Completed;
        let mut budget = Budget::new(GATHERED_BYTES_MAX).strict(strict);
        return template.resolve(&scope, &mut budget).map_err(|error| error.below("outputParameters"));
    }
    let last = last_of(run, BlockId(0)).or_else(|| run.state.all().next_back().map(|(_, record)| record));
    Ok(last.map_or_else(|| Value::Object(Map::new()), |record| Value::clone(&record.output)))
}

/// The last task of a block, if the flow has come so far: that of the case taken where the last step is a switch.
fn last_of(run: &Run, block: BlockId) -> Option<&TaskRecord> {
    let node = *run.plan.block(block).nodes.last()?;
    let record = run.latest_of(Site::root(node))?;
    match switch::taken(&run.plan.node(node).kind, record) {
        Some(taken) => last_of(run, taken),
        None => Some(record),
    }
}
