//! What must be true of a definition, apart from the order of its steps.

use conductor_model::limits::DEFINITION_NAME_BYTES_MAX;
use conductor_model::{TaskDef, Violation, WorkflowDef, WorkflowTask};

use super::{AgentTemplate, Compiler, Kind, NodeId};
use crate::expression::Template;
use crate::{rate_limit, task_type};

/// The names that expressions may begin with beside references.
const RESERVED: [&str; 3] = ["workflow", "task", OWN_TASK_ID];
/// `${CPEWF_TASK_ID}`: the task's own id.
pub(crate) const OWN_TASK_ID: &str = "CPEWF_TASK_ID";

impl Compiler {
    /// The step of a reference, which may be that of a round: `ref__3`.
    pub(super) fn find(&self, reference: &str) -> Option<NodeId> {
        if let Some(id) = self.by_reference.get(reference) {
            return Some(*id);
        }
        let (base, _) = reference.rsplit_once("__").filter(|_| like_a_round(reference))?;
        self.find(base).filter(|id| !self.nodes[id.0 as usize].loops.is_empty())
    }
}

/// Checks what belongs to the workflow as a whole.
pub(super) fn workflow(definition: &WorkflowDef, out: &mut Vec<Violation>) {
    name("name", &definition.name, out);
    if definition.version < 1 {
        out.push(Violation::new("version", "must be at least 1", Some(definition.version.to_string())));
    }
    if definition.schema_version != 2 {
        out.push(Violation::new("schemaVersion", "must be 2", Some(definition.schema_version.to_string())));
    }
    if definition.timeout_seconds < 0 {
        out.push(Violation::new("timeoutSeconds", "must be at least 0", Some(definition.timeout_seconds.to_string())));
    }
    if let Some(config) = &definition.rate_limit_config {
        rate_limit::check(config, out);
    }
    if definition.tasks.is_empty() {
        out.push(Violation::new("tasks", "must have at least one step", None));
    }
}

/// Checks what every step has, whatever its type. `path` says where the step stands.
pub(super) fn step(step: &WorkflowTask, path: &dyn Fn() -> String, out: &mut Vec<Violation>) {
    let mut found = Vec::new();
    name("name", &step.name, &mut found);
    let reference = step.task_reference_name.as_str();
    name("taskReferenceName", reference, &mut found);
    if RESERVED.contains(&reference) {
        let message = "is a word of the expression language; choose another name";
        found.push(Violation::new("taskReferenceName", message, Some(reference.to_owned())));
    }
    if step.async_complete && !task_type::of(step.task_type).completes_outside {
        let message =
            "has no effect on a step of this type; leave it out, or let a step of type HTTP, EVENT, WAIT or HUMAN wait";
        found.push(Violation::new("asyncComplete", message, Some("true".to_owned())));
    }
    if step.start_delay < 0 {
        found.push(Violation::new("startDelay", "must be at least 0", Some(step.start_delay.to_string())));
    }
    if let Some(count) = step.retry_count.filter(|count| *count < 0) {
        found.push(Violation::new("retryCount", "must be at least 0", Some(count.to_string())));
    }
    if let Some(inline) = &step.task_definition {
        // An inline definition may leave out its name: it is the step's.
        let mut named = TaskDef::clone(inline);
        named.name.clone_from(&step.name);
        for violation in named.validate().into_iter().filter(|violation| violation.path != "name") {
            found.push(Violation { path: format!("taskDefinition.{}", violation.path), ..violation });
        }
    }
    out.extend(found.into_iter().map(|violation| Violation { path: format!("{}.{}", path(), violation.path), ..violation }));
}

/// Whether a reference reads like that of a round of a loop, `ref__3`.
fn like_a_round(reference: &str) -> bool {
    reference.rsplit_once("__").is_some_and(|(base, number)| {
        !base.is_empty() && !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
    })
}

fn name(path: &str, text: &str, out: &mut Vec<Violation>) {
    if text.trim().is_empty() {
        out.push(Violation::new(path, "must not be empty", None));
    } else if text.len() > DEFINITION_NAME_BYTES_MAX {
        let message = format!("is {} bytes long; at most {DEFINITION_NAME_BYTES_MAX} are allowed", text.len());
        out.push(Violation::new(path, message, None));
    } else if text.contains(char::is_control) {
        out.push(Violation::new(path, "must not have control characters", Some(text.to_owned())));
    }
}

/// Checks that no step has the name that a round of another will have.
pub(super) fn rounds(compiler: &mut Compiler) {
    let mut found = Vec::new();
    for (reference, id) in compiler.by_reference.iter().filter(|(reference, _)| like_a_round(reference)) {
        let mut base = &**reference;
        while let Some((before, _)) = base.rsplit_once("__") {
            base = before;
            if compiler.by_reference.get(base).is_some_and(|base| !compiler.nodes[base.0 as usize].loops.is_empty()) {
                let message = format!("is what a round of `{base}` is called; choose another name");
                found.push(Violation::new(
                    format!("{}.taskReferenceName", compiler.node_path(*id)),
                    message,
                    Some(reference.to_string()),
                ));
                break;
            }
        }
    }
    compiler.violations.append(&mut found);
}

/// Checks that every expression begins with a name that there is.
pub(super) fn references(compiler: &mut Compiler, output: Option<&Template>) {
    let mut found = Vec::new();
    // What a dynamic fork will call its branches is not known yet.
    let forks = compiler.nodes.iter().any(|node| matches!(node.kind, Kind::DynamicFork));
    let known = |root: &str| forks || RESERVED.contains(&root) || compiler.find(root).is_some();
    for (index, node) in compiler.nodes.iter().enumerate() {
        let path = || compiler.node_path(NodeId(u32::try_from(index).unwrap_or(u32::MAX)));
        node.input.visit_roots(&mut |root, at| {
            if root == "task" {
                let message = "`${task…}` is the step's own input; it can only be used in the texts of an `agent` key";
                found.push(Violation::new(format!("{}.inputParameters{}", path(), at()), message, None));
            } else if !known(root) {
                found.push(unknown(format!("{}.inputParameters{}", path(), at()), root));
            }
        });
        for (field, template) in &node.texts {
            template.visit_roots(&mut |root, at| {
                if !known(root) {
                    found.push(unknown(format!("{}.{field}{}", path(), at()), root));
                }
            });
        }
        for (field, template) in node.agent.iter().flat_map(|agent| agent_texts(agent)) {
            template.visit_roots(&mut |root, _| {
                if !known(root) {
                    found.push(unknown(format!("{}.taskDefinition.agent.{field}", path()), root));
                }
            });
        }
    }
    if let Some(output) = output {
        output.visit_roots(&mut |root, at| {
            if root == "task" || root == OWN_TASK_ID {
                let message = format!("`${{{root}}}` belongs to one step; a workflow's output names `workflow` or a step");
                found.push(Violation::new(format!("outputParameters{}", at()), message, None));
            } else if !known(root) {
                found.push(unknown(format!("outputParameters{}", at()), root));
            }
        });
    }
    compiler.violations.append(&mut found);
}

/// The texts of an `agent` key with their names.
pub(super) fn agent_texts(agent: &AgentTemplate) -> impl Iterator<Item = (&'static str, &Template)> {
    [("plugin", Some(&agent.plugin)), ("operation", Some(&agent.operation))]
        .into_iter()
        .chain([
            ("target", agent.target.as_ref()),
            ("requires", agent.requires.as_ref()),
            ("nodeInstance", agent.node_instance.as_ref()),
        ])
        .filter_map(|(field, template)| template.map(|template| (field, template)))
}

fn unknown(path: String, root: &str) -> Violation {
    let message = format!(
        "`{root}` is neither `workflow` nor the taskReferenceName of a step of this workflow; write `$${{` for a plain `${{`"
    );
    Violation::new(path, message, Some(root.to_owned()))
}
