//! FORK_JOIN_DYNAMIC: a fork whose branches are found when it is reached. Each branch is one step.
//!
//! The branches are kept in the task's input: `forkedTaskDefs`, `forkedTasks` (their references), `forkedTaskInputs`, and
//! `taskDefinitions` as they stood then. From these the plan of the branches is made, now and whenever the run is loaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{Snapshot, TaskDef, TaskRecord, WorkflowTask};
use serde_json::{Map, Value, json};

use super::{Behaviour, Role, fork_join};
use crate::attempt;
use crate::ending::Ending;
use crate::expression::{as_text, escaped};
use crate::frame::{Next, Site};
use crate::plan::{Compiler, Kind, NodeId, Plan, fragment};
use crate::state::Ix;
use crate::turn::{Turn, Work};

pub(super) const BEHAVIOUR: Behaviour =
    Behaviour { compile, prepare, begin, enter, forkable: false, ..Behaviour::base(Role::Operator, Some("FORK")) };

/// Most branches of one fork.
const BRANCHES_MAX: usize = 50_000;

fn compile(
    compiler: &mut Compiler,
    node: NodeId,
    step: &Arc<WorkflowTask>,
    next: Option<&Arc<WorkflowTask>>,
    _: usize,
) -> Kind {
    let path = compiler.node_path(node);
    fork_join::expect_join(compiler, node, next);
    for (field, key) in [
        ("dynamicForkTasksParam", &step.dynamic_fork_tasks_param),
        ("dynamicForkJoinTasksParam", &step.dynamic_fork_join_tasks_param),
    ] {
        if let Some(key) = key.as_deref().filter(|key| !step.input_parameters.contains_key(*key)) {
            compiler.fault(format!("{path}.{field}"), "must name one of the step's inputParameters", Some(key.to_owned()));
        }
    }
    let named = step.dynamic_fork_tasks_param.is_some() || step.dynamic_fork_join_tasks_param.is_some();
    if !named && !step.input_parameters.contains_key("forkTaskInputs") {
        let message = "must name the input parameter that holds the branches; or give `forkTaskInputs` as an input";
        compiler.fault(format!("{path}.dynamicForkTasksParam"), message, None);
    }
    Kind::DynamicFork
}

/// The branches: steps as JSON, and their inputs by reference.
#[derive(Debug, Default)]
struct Found {
    steps: Vec<Value>,
    inputs: Map<String, Value>,
}

fn prepare(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    attempt::resolve(turn, site, record)?;
    let input = record.input.as_object().cloned().unwrap_or_default();
    let step = &turn.run.node(site).step;
    let found = if let Some(key) = step.dynamic_fork_tasks_param.as_deref() {
        of_lists(&input, key, step.dynamic_fork_tasks_input_param_name.as_deref())
    } else if let Some(key) = step.dynamic_fork_join_tasks_param.as_deref() {
        of_pairs(input.get(key).unwrap_or(&Value::Null))
    } else {
        let frame = turn.run.frames.get(site.frame);
        let taken = |reference: &str| turn.run.frames.knows(&format!("{reference}{}", frame.suffix));
        of_inputs(&input, &step.task_reference_name, &taken)
    }?;
    if found.steps.len() > BRANCHES_MAX {
        return Err(format!("it has {} branches; at most {BRANCHES_MAX} are allowed", found.steps.len()));
    }
    let references: Vec<&Value> = found.steps.iter().filter_map(|step| step.get("taskReferenceName")).collect();
    let mut definitions = Map::new();
    for step in &found.steps {
        look_up(turn, step, &mut definitions);
    }
    record.input = Arc::new(json!({
        "forkedTasks": references, "forkedTaskDefs": found.steps, "forkedTaskInputs": found.inputs,
        "taskDefinitions": definitions,
    }));
    Ok(())
}

/// The definitions that a step and what is in it name, as they stand now.
fn look_up(turn: &Turn<'_, '_>, step: &Value, definitions: &mut Map<String, Value>) {
    if let Some(name) = step.get("name").and_then(Value::as_str)
        && step.get("taskDefinition").is_none_or(Value::is_null)
        && !definitions.contains_key(name)
    {
        let found = turn.look_up(name).and_then(|definition| serde_json::to_value(&*definition).ok());
        definitions.insert(name.to_owned(), found.unwrap_or(Value::Null));
    }
    let cases = step.get("decisionCases").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let branches = step.get("forkTasks").and_then(Value::as_array).into_iter().flatten();
    let blocks = cases.chain(branches).chain(step.get("defaultCase")).chain(step.get("loopOver"));
    for inner in blocks.filter_map(Value::as_array).flatten() {
        look_up(turn, inner, definitions);
    }
}

/// A list of steps, and an object of their inputs.
fn of_lists(input: &Map<String, Value>, steps: &str, inputs: Option<&str>) -> Result<Found, String> {
    let Some(Value::Array(steps)) = input.get(steps) else {
        let found = input.get(steps).unwrap_or(&Value::Null);
        return Err(format!("the input parameter {steps:?} must hold the list of steps to fork; it holds {found}"));
    };
    let inputs = match inputs.and_then(|key| input.get(key)) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(inputs)) => {
            inputs.iter().map(|(reference, input)| (reference.clone(), wrapped(input.clone()))).collect()
        }
        Some(other) => return Err(format!("the inputs of the steps to fork must be an object by reference; they are {other}")),
    };
    Ok(Found { steps: steps.clone(), inputs })
}

/// A list of `{taskName, referenceName, type, input}`.
fn of_pairs(value: &Value) -> Result<Found, String> {
    let list = value.get("dynamicTasks").unwrap_or(value);
    let Value::Array(list) = list else {
        return Err(format!("the steps to fork must be an object with the list `dynamicTasks`; they are {value}"));
    };
    let mut found = Found::default();
    for (index, one) in list.iter().enumerate() {
        let text = |key: &str| one.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let name = text("taskName").ok_or_else(|| format!("dynamicTasks[{index}] has no `taskName`"))?;
        let reference = text("referenceName").unwrap_or(name);
        let step = json!({"name": name, "taskReferenceName": reference, "type": text("type").unwrap_or("SIMPLE")});
        found.inputs.insert(reference.to_owned(), wrapped(one.get("input").cloned().unwrap_or(Value::Null)));
        found.steps.push(step);
    }
    Ok(found)
}

/// The same task or workflow for each input of a list.
fn of_inputs(input: &Map<String, Value>, fork: &str, taken: &dyn Fn(&str) -> bool) -> Result<Found, String> {
    let Some(Value::Array(list)) = input.get("forkTaskInputs") else {
        let given = input.get("forkTaskInputs").unwrap_or(&Value::Null);
        return Err(format!("`forkTaskInputs` must be the list of inputs, one for each branch; it is {given}"));
    };
    let text = |key: &str| input.get(key).filter(|value| !value.is_null()).map(|value| as_text(value).into_owned());
    let workflow = text("forkTaskWorkflow");
    let name = workflow.clone().or_else(|| text("forkTaskName")).ok_or("needs `forkTaskName` or `forkTaskWorkflow`")?;
    let task_type = text("forkTaskType").unwrap_or_else(|| "SIMPLE".to_owned());
    let mut prefix = format!("_{name}");
    if taken(&format!("{prefix}_0")) {
        // Another fork of the same task was here before.
        prefix = format!("_{fork}_{name}");
    }
    let mut found = Found::default();
    for (index, item) in list.iter().enumerate() {
        let reference = format!("{prefix}_{index}");
        found.steps.push(match &workflow {
            Some(workflow) => json!({
                "name": workflow, "taskReferenceName": reference, "type": "SUB_WORKFLOW",
                "subWorkflowParam": {"name": workflow, "version": input.get("forkTaskWorkflowVersion")},
            }),
            None => json!({"name": name, "taskReferenceName": reference, "type": task_type}),
        });
        let mut own = wrapped(item.clone());
        own["__index"] = json!(index);
        found.inputs.insert(reference, own);
    }
    Ok(found)
}

/// An input is an object: anything else becomes one.
fn wrapped(value: Value) -> Value {
    match value {
        Value::Object(_) => value,
        Value::Null => json!({}),
        other => json!({"input": other}),
    }
}

/// The plan of the branches that a task's input holds. The error is for people.
pub(crate) fn plan_of(snapshot: &Arc<Snapshot>, input: &Value) -> Result<Plan, String> {
    let definitions: BTreeMap<String, Option<Arc<TaskDef>>> = input
        .get("taskDefinitions")
        .map_or_else(|| Ok(BTreeMap::new()), serde::Deserialize::deserialize)
        .map_err(|error| format!("a task definition cannot be read: {error}"))?;
    let inputs = input.get("forkedTaskInputs");
    let mut branches = Vec::new();
    for (index, step) in input.get("forkedTaskDefs").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let mut step: WorkflowTask =
            serde::Deserialize::deserialize(step).map_err(|error| format!("branch {index} cannot be read: {error}"))?;
        // What is given counts as the step's own, so that its type finds there what it must have. It is data: nothing in it is
        // looked up.
        let given = inputs.and_then(|inputs| inputs.get(&step.task_reference_name)).and_then(Value::as_object);
        step.input_parameters.extend(given.into_iter().flatten().map(|(key, value)| (key.clone(), escaped(value))));
        branches.push(Arc::new(step));
    }
    let definitions = definitions.into_iter().filter_map(|(name, definition)| Some((name, definition?))).collect();
    fragment(snapshot, definitions, branches).map_err(|violations| match violations.first() {
        Some(first) if violations.len() > 1 => format!("{} {} (and {} more)", first.path, first.message, violations.len() - 1),
        Some(first) => format!("{} {}", first.path, first.message),
        None => "its branches are not valid".to_owned(),
    })
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    turn.start(ix);
    let site = turn.run.site(ix);
    let plan = match plan_of(turn.run.plan().snapshot(), &turn.run.record(ix).input) {
        Ok(plan) => plan,
        Err(message) => return turn.end_task(ix, Ending::refused(message)),
    };
    let frame = turn.run.frames.get(site.frame);
    let taken = plan.references().find(|reference| turn.run.frames.knows(&format!("{reference}{}", frame.suffix)));
    if let Some(reference) = taken {
        let message = format!("`{reference}` is already the name of another step; each branch needs its own");
        return turn.end_task(ix, Ending::refused(message));
    }
    turn.run.frames.add_fork(site, Arc::new(plan));
    turn.finish_at_once(ix, json!({}));
    enter(turn, site);
}

/// The branches are scheduled, and the join.
fn enter(turn: &mut Turn<'_, '_>, site: Site) -> bool {
    let Some(frame) = turn.run.frames.fork(site) else { return true };
    let plan = Arc::clone(&turn.run.frames.get(frame).plan);
    for node in plan.branches().filter_map(|block| block.nodes.first()) {
        turn.push(Work::Schedule(Site { frame, node: *node }));
    }
    if let Next::Step(join) = turn.run.frames.next(site) {
        turn.push(Work::Schedule(join));
    }
    true
}
