//! EXCLUSIVE_JOIN: waits for the first of several steps, of which one is expected to come, and takes over its output.
//!
//! The steps in `joinOn` count in their order. When none of them comes, those in `defaultExclusiveJoinTask` do.

use std::sync::Arc;

use conductor_model::{Outcome, TaskStatus, WorkflowTask};
use serde_json::Value;

use super::{Behaviour, Role, join};
use crate::ending::Ending;
use crate::flow;
use crate::plan::{Compiler, Kind, NodeId};
use crate::state::Ix;
use crate::turn::Turn;

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    begin: join::begin,
    reopens: |_| true,
    look,
    forkable: false,
    ..Behaviour::base(Role::Operator, Some("EXCLUSIVE_JOIN"))
};

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    if step.join_on.is_empty() {
        let path = format!("{}.joinOn", compiler.node_path(node));
        compiler.fault(path, "must name the steps of which one is waited for", None);
    }
    Kind::ExclusiveJoin { candidates: Vec::new(), waits_for: Vec::new() }
}

/// Takes the first that is finished; waits while one may still come.
fn look(turn: &mut Turn<'_, '_>, ix: Ix) {
    let site = turn.run.site(ix);
    let all_settled = turn.run.state.missing.get(&site) == Some(&0);
    let named = turn.run.node(site).step.join_on.len();
    let Kind::ExclusiveJoin { candidates, .. } = &turn.run.node(site).kind else { return };
    // A default only counts when nothing else can come any more.
    let now = if all_settled { candidates.len() } else { named.min(candidates.len()) };
    let first = candidates[..now].iter().map(|step| site.with(*step)).find(|step| flow::is_finished(turn.run, *step));
    let Some(record) = first.and_then(|step| turn.run.latest_of(step)) else {
        if all_settled {
            turn.end_task(ix, Ending::completed());
        }
        return;
    };
    let well = matches!(record.status, TaskStatus::Completed | TaskStatus::Skipped);
    let status = if well { TaskStatus::Completed } else { TaskStatus::CompletedWithErrors };
    let output = Value::clone(&record.output);
    turn.end_task(ix, Ending { output: Some(output), ..Ending::new(status, Outcome::Succeeded) });
}
