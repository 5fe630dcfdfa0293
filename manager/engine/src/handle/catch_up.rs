//! Going on where a workflow that was over had come to: what follows from finished steps and is not there is scheduled.

use crate::flow;
use crate::frame::{Next, Site};
use crate::load;
use crate::state::Ix;
use crate::task_type;
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
        flow::count(turn, *ix);
        flow::look(turn, *ix);
    }
}

/// What comes behind a step that is finished. Scheduling what is there already does nothing.
fn follow(turn: &mut Turn<'_, '_>, ix: Ix) {
    let mut site = turn.run.site(ix);
    if (task_type::of(turn.run.record(ix).task_type).enter)(turn, site) {
        return;
    }
    loop {
        match turn.run.frames.next(site) {
            Next::Step(next) => return turn.push(Work::Schedule(next)),
            Next::EndOfCase(switch) if flow::is_finished(turn.run, switch) => site = switch,
            Next::EndOfCase(_) | Next::EndOfRound(_) | Next::EndOfBranch(_) | Next::End => return,
        }
    }
}
