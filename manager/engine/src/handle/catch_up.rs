//! Going on where a workflow that was over had come to: what follows from finished steps and is not there is scheduled.

use crate::flow;
use crate::frame::{Next, Site};
use crate::load;
use crate::plan::Kind;
use crate::state::Ix;
use crate::task_type::{do_while, exclusive_join, fork_join, fork_join_dynamic, join, switch};
use crate::turn::{Turn, Work};

/// Looks at every task; then at the joins and loops that are in progress again.
pub(super) fn catch_up(turn: &mut Turn<'_, '_>, waiting: &[Ix]) {
    turn.push(Work::Schedule(Site::root(turn.run.plan().root().nodes[0])));
    let mut all: Vec<Ix> = turn.run.state.latest.values().copied().collect();
    all.sort_unstable();
    for ix in all {
        let record = turn.run.record(ix);
        if load::is_pending(record) {
            turn.push(Work::Ended(ix));
        } else if record.status.is_terminal() && record.executed && !record.retried {
            follow(turn, ix);
        }
    }
    for ix in waiting {
        look(turn, *ix);
    }
}

/// What comes behind a step that is finished. Scheduling what is there already does nothing.
fn follow(turn: &mut Turn<'_, '_>, ix: Ix) {
    let mut site = turn.run.site(ix);
    let plan = turn.run.plan_of(site);
    match &plan.node(site.node).kind {
        Kind::Fork { .. } => return fork_join::follow(turn, site),
        Kind::DynamicFork => return fork_join_dynamic::follow(turn, site),
        kind @ Kind::Switch { .. } => {
            if let Some(block) = switch::taken(kind, turn.run.record(ix)) {
                return turn.push(Work::Schedule(site.with(plan.first(block))));
            }
        }
        _ => {}
    }
    loop {
        match turn.run.frames.next(site) {
            Next::Step(next) => return turn.push(Work::Schedule(next)),
            Next::EndOfCase(switch) if flow::is_finished(turn.run, switch) => site = switch,
            Next::EndOfCase(_) | Next::EndOfRound(_) | Next::EndOfBranch(_) | Next::End => return,
        }
    }
}

/// A join counts anew; a loop goes on with its round, or behind it.
fn look(turn: &mut Turn<'_, '_>, ix: Ix) {
    let site = turn.run.site(ix);
    match &turn.run.node(site).kind {
        Kind::Join { .. } | Kind::ExclusiveJoin { .. } => {
            let exclusive = matches!(turn.run.node(site).kind, Kind::ExclusiveJoin { .. });
            let missing = flow::missing(turn.run, site);
            turn.run.state.missing.insert(site, missing);
            if exclusive { exclusive_join::look(turn, site, missing) } else { join::look(turn, site, missing) }
        }
        Kind::Loop { body, .. } => {
            let round = turn.run.frames.find_round(site, turn.run.record(ix).iteration);
            let last = turn.run.plan_of(site).block(*body).nodes.last().copied();
            let ended = round.zip(last).is_some_and(|(frame, node)| flow::is_finished(turn.run, Site { frame, node }));
            if ended { do_while::round_ended(turn, site) } else { do_while::schedule_round(turn, ix) }
        }
        _ => {}
    }
}
