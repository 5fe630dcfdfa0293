//! DYNAMIC: a SIMPLE task whose name is found when the step is reached.

use std::sync::Arc;

use conductor_model::definition::TaskType;
use conductor_model::{TaskDef, TaskRecord, WorkflowTask};
use serde_json::Value;

use super::{Behaviour, Role, parameter, simple};
use crate::expression::TemplateFault;
use crate::frame::Site;
use crate::plan::{Compiler, Kind, NodeId, ad_hoc, agent_template};
use crate::turn::Turn;
use crate::{attempt, flow};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    prepare,
    hands_over,
    named_late: true,
    completes_outside: true,
    ..Behaviour::base(Role::Worker, None)
};

/// The input key that holds the name, where the step does not say.
const NAME_KEY: &str = "taskToExecute";

/// The worker gets everything; the name is read here.
fn hands_over(step: &WorkflowTask, place: &str) -> bool {
    parameter(place) != step.dynamic_task_name_param.as_deref().unwrap_or(NAME_KEY)
}

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    let key = step.dynamic_task_name_param.as_deref().unwrap_or(NAME_KEY);
    if !step.input_parameters.contains_key(key) {
        let path = format!("{}.dynamicTaskNameParam", compiler.node_path(node));
        compiler.fault(path, "must name one of the step's inputParameters", Some(key.to_owned()));
    }
    Kind::Leaf
}

fn prepare(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    attempt::resolve(turn, site, record)?;
    let node = turn.run.node(site);
    let key = node.step.dynamic_task_name_param.as_deref().unwrap_or(NAME_KEY);
    let Some(name) = record.input.get(key).and_then(Value::as_str).filter(|name| !name.trim().is_empty()) else {
        let found = record.input.get(key).unwrap_or(&Value::Null);
        return Err(format!("the input parameter {key:?} must hold the name of the task to run; it holds {found}"));
    };
    let name: Arc<str> = Arc::from(name);
    let definition = match &node.definition {
        Some(inline) => Arc::new(TaskDef { name: name.to_string(), ..TaskDef::clone(inline) }),
        None => turn.look_up(&name).unwrap_or_else(|| ad_hoc(&name)),
    };
    record.task_type = TaskType::Simple;
    record.domain = flow::domain(&turn.run.workflow().task_to_domain, &name, turn.catalogue());
    record.definition_name = name;
    if let Some(key) = &definition.agent {
        let mut faults = Vec::new();
        let template = agent_template(key, &mut faults);
        if let Some(TemplateFault { at, message }) = faults.into_iter().next() {
            return Err(format!("agent{at}: {message}"));
        }
        record.agent = Some(Box::new(simple::agent_part(turn.run, record, &template, key)?));
    }
    record.definition = Some(definition);
    Ok(())
}
