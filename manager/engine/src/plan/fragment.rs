//! The branches of a dynamic fork, made ready to run when the fork is reached.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{Snapshot, TaskDef, Violation, WorkflowTask};

use super::{BlockPlace, Compiler, Plan, order};
use crate::task_type;

/// Makes a plan of the branches, one step and one block each. Task definitions are taken from `definitions`.
///
/// # Errors
/// What is wrong with the branches.
pub(crate) fn fragment(
    snapshot: &Arc<Snapshot>,
    definitions: BTreeMap<String, Arc<TaskDef>>,
    branches: Vec<Arc<WorkflowTask>>,
) -> Result<Plan, Vec<Violation>> {
    let own = Snapshot { digest: String::new(), workflow: Arc::clone(&snapshot.workflow), tasks: definitions };
    let mut compiler = Compiler::new(Arc::new(own));
    for (index, step) in branches.into_iter().enumerate() {
        let block = compiler.block(std::slice::from_ref(&step), None, BlockPlace::Dynamic(index), 1);
        let Some(first) = compiler.blocks[block.0 as usize].nodes.first().copied() else { continue };
        if !task_type::of(step.task_type).forkable {
            let path = compiler.node_path(first);
            compiler.fault(path, format!("a step of type {} cannot be a branch by itself", step.task_type), None);
        }
    }
    compiler.wire_joins();
    order::check(&mut compiler);
    let Compiler { nodes, blocks, by_reference, violations, .. } = compiler;
    let snapshot = Arc::clone(snapshot);
    if violations.is_empty() { Ok(Plan { snapshot, nodes, blocks, by_reference, output: None }) } else { Err(violations) }
}
