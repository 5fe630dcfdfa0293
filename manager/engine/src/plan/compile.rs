//! From the nested definition to the flat plan.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use conductor_model::limits::{WORKFLOW_DEPTH_MAX, WORKFLOW_STEPS_MAX};
use conductor_model::{AgentKey, Snapshot, TaskDef, Violation, WorkflowTask};
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::{AgentTemplate, Block, BlockId, BlockPlace, Kind, Node, NodeId, Plan, Written, check, hand_over, order};
use crate::expression::{Template, TemplateFault};
use crate::task_type::{self, Role};

/// A plan being made, and what was found wrong so far.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) nodes: Vec<Node>,
    pub(super) blocks: Vec<Block>,
    pub(super) by_reference: FxHashMap<Arc<str>, NodeId>,
    pub(super) violations: Vec<Violation>,
    /// Read once for each definition, however many steps use it.
    definitions: FxHashMap<Arc<str>, Option<Definition>>,
    /// The loops around the block that is being read.
    loops: Arc<[NodeId]>,
    full: bool,
    /// Whether a workflow goes on by it already: nothing that could run is refused then, also what is by now.
    pub(super) stored: bool,
}

/// A task definition with its texts read.
#[derive(Clone, Debug)]
struct Definition {
    definition: Arc<TaskDef>,
    input_template: Option<Arc<Template>>,
    agent: Option<Arc<AgentTemplate>>,
}

pub(super) fn compile(snapshot: Arc<Snapshot>, stored: bool) -> Result<Plan, Vec<Violation>> {
    let mut compiler = Compiler { stored, ..Compiler::new(Arc::clone(&snapshot)) };
    check::workflow(&snapshot.workflow, &mut compiler.violations);
    compiler.block(&snapshot.workflow.tasks, None, BlockPlace::Workflow, 1);
    let mut faults = Vec::new();
    let output = (!snapshot.workflow.output_parameters.is_empty())
        .then(|| Template::compile_map(&snapshot.workflow.output_parameters, &mut faults));
    compiler.add_faults("outputParameters", faults);
    hand_over::workflow(&mut compiler);
    compiler.wire_joins();
    check::rounds(&mut compiler);
    check::references(&mut compiler, output.as_ref());
    order::check(&mut compiler);
    let Compiler { nodes, blocks, by_reference, violations, .. } = compiler;
    if violations.is_empty() { Ok(Plan { snapshot, nodes, blocks, by_reference, output }) } else { Err(violations) }
}

impl Compiler {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            nodes: Vec::new(),
            blocks: Vec::new(),
            by_reference: FxHashMap::default(),
            violations: Vec::new(),
            definitions: FxHashMap::default(),
            loops: Arc::from([]),
            full: false,
            stored: false,
        }
    }

    /// Reads the body of a loop: what stands in it has one more loop around it. Gives also which steps are in it.
    pub fn body(&mut self, steps: &[Arc<WorkflowTask>], parent: NodeId, depth: usize) -> (BlockId, Range<u32>) {
        let outside = Arc::clone(&self.loops);
        self.loops = outside.iter().copied().chain([parent]).collect();
        let from = self.node_count();
        let id = self.block(steps, Some(parent), BlockPlace::Body, depth);
        self.loops = outside;
        (id, from..self.node_count())
    }

    fn node_count(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    /// Reads a sequence of steps. `depth` is 1 for the workflow itself.
    pub fn block(&mut self, steps: &[Arc<WorkflowTask>], parent: Option<NodeId>, place: BlockPlace, depth: usize) -> BlockId {
        let id = BlockId(u32::try_from(self.blocks.len()).unwrap_or(u32::MAX));
        self.blocks.push(Block { parent, place, nodes: Vec::with_capacity(steps.len()), watched: Vec::new() });
        if depth > WORKFLOW_DEPTH_MAX {
            let path = self.block_path(id);
            self.fault(path, format!("is nested more than {WORKFLOW_DEPTH_MAX} blocks deep"), None);
            return id;
        }
        for (position, step) in steps.iter().enumerate() {
            if self.nodes.len() >= WORKFLOW_STEPS_MAX {
                if !self.full {
                    self.fault("tasks".to_owned(), format!("has more than {WORKFLOW_STEPS_MAX} steps over all levels"), None);
                }
                self.full = true;
                break;
            }
            let node = self.node(step, id, position);
            let kind = (task_type::of(step.task_type).compile)(self, node, step, steps.get(position + 1), depth);
            self.nodes[node.0 as usize].kind = kind;
        }
        id
    }

    /// Reads one step, without what its type adds.
    fn node(&mut self, step: &Arc<WorkflowTask>, block: BlockId, position: usize) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let reference: Arc<str> = Arc::from(step.task_reference_name.as_str());
        self.blocks[block.0 as usize].nodes.push(id);
        self.nodes.push(Node {
            step: Arc::clone(step),
            reference: Arc::clone(&reference),
            definition_name: Arc::from(step.name.as_str()),
            definition: None,
            input: Template::Literal(Value::Null),
            input_template: None,
            agent: None,
            texts: Vec::new(),
            loops: Arc::clone(&self.loops),
            block,
            position: u32::try_from(position).unwrap_or(u32::MAX),
            watchers: Vec::new(),
            kind: Kind::Leaf,
            step_json: Written::default(),
            definition_json: Written::default(),
        });
        let path = || self.node_path(id);
        let mut violations = Vec::new();
        check::step(step, &path, &mut violations);
        if let Some(other) = self.by_reference.get(&reference) {
            let message = format!("is already the name of {}; each step needs its own", self.node_path(*other));
            violations.push(Violation::new(format!("{}.taskReferenceName", path()), message, Some(reference.to_string())));
        }
        let mut faults = Vec::new();
        let input = Template::compile_map(&step.input_parameters, &mut faults);
        if !faults.is_empty() {
            self.add_faults(&format!("{}.inputParameters", self.node_path(id)), faults);
        }
        self.violations.append(&mut violations);
        self.by_reference.entry(reference).or_insert(id);
        let definition = self.definition(id, step);
        let node = &mut self.nodes[id.0 as usize];
        node.input = input;
        if let Some(Definition { definition, input_template, agent }) = definition {
            node.definition = Some(definition);
            node.input_template = input_template;
            node.agent = agent;
        }
        hand_over::step(self, id);
        id
    }

    /// The definition that a step runs by.
    fn definition(&mut self, id: NodeId, step: &WorkflowTask) -> Option<Definition> {
        if let Some(inline) = &step.task_definition {
            let path = format!("{}.taskDefinition", self.node_path(id));
            let mut definition = TaskDef::clone(inline);
            definition.name.clone_from(&step.name);
            return Some(self.read_definition(Arc::new(definition), &path));
        }
        let behaviour = task_type::of(step.task_type);
        if behaviour.named_late {
            return None;
        }
        let worked = behaviour.role == Role::Worker;
        let name: Arc<str> = Arc::clone(&self.nodes[id.0 as usize].definition_name);
        if let Some(known) = self.definitions.get(&name).filter(|known| known.is_some() || !worked) {
            return known.clone();
        }
        let stored = self.snapshot.tasks.get(&*name).cloned();
        let definition = stored.or_else(|| worked.then(|| ad_hoc(&name)));
        let read = definition.map(|definition| self.read_definition(definition, &format!("taskDefinitions[{name}]")));
        self.definitions.insert(name, read.clone());
        read
    }

    fn read_definition(&mut self, definition: Arc<TaskDef>, path: &str) -> Definition {
        let mut faults = Vec::new();
        let input_template = (!definition.input_template.is_empty())
            .then(|| Arc::new(Template::compile_map(&definition.input_template, &mut faults)));
        self.add_faults(&format!("{path}.inputTemplate"), faults);
        let mut faults = Vec::new();
        let agent = definition.agent.as_ref().map(|key| Arc::new(agent_template(key, &mut faults)));
        self.add_faults(&format!("{path}.agent"), faults);
        Definition { definition, input_template, agent }
    }

    /// The parameters of a step, with what its definition's template fills in where they have nothing.
    pub fn parameters<'s>(&self, id: NodeId, step: &'s WorkflowTask) -> Cow<'s, Map<String, Value>> {
        let definition = self.nodes[id.0 as usize].definition.as_ref();
        let Some(template) = definition.map(|found| &found.input_template).filter(|template| !template.is_empty()) else {
            return Cow::Borrowed(&step.input_parameters);
        };
        let own = step.input_parameters.iter().filter(|(_, value)| !value.is_null());
        let mut all = template.clone();
        all.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        Cow::Owned(all)
    }

    /// Reads a text beside the input.
    pub fn text(&mut self, id: NodeId, field: &'static str, value: &Value) {
        let mut faults = Vec::new();
        let template = Template::compile(value, &mut faults);
        let path = format!("{}.{field}", self.node_path(id));
        self.add_faults(&path, faults);
        self.nodes[id.0 as usize].texts.push((field, template));
    }

    pub(super) fn add_faults(&mut self, path: &str, faults: Vec<TemplateFault>) {
        for TemplateFault { at, message } in faults {
            self.fault(format!("{path}{at}"), message, None);
        }
    }

    /// Notes one thing that is wrong.
    pub fn fault(&mut self, path: String, message: impl Into<String>, value: Option<String>) {
        self.violations.push(Violation::new(path, message, value));
    }

    /// Where a block stands in the definition, as in `tasks[2].forkTasks[0]`.
    pub(super) fn block_path(&self, id: BlockId) -> String {
        let block = &self.blocks[id.0 as usize];
        let parent = block.parent.map(|parent| self.node_path(parent)).unwrap_or_default();
        match &block.place {
            BlockPlace::Workflow => "tasks".to_owned(),
            BlockPlace::Branch(index) => format!("{parent}.forkTasks[{index}]"),
            BlockPlace::Case(value) => format!("{parent}.decisionCases[{value}]"),
            BlockPlace::Default => format!("{parent}.defaultCase"),
            BlockPlace::Body => format!("{parent}.loopOver"),
            BlockPlace::Dynamic(index) => format!("branches[{index}]"),
        }
    }

    /// Where a step stands in the definition, as in `tasks[2].forkTasks[0][1]`.
    pub fn node_path(&self, id: NodeId) -> String {
        let node = &self.nodes[id.0 as usize];
        format!("{}[{}]", self.block_path(node.block), node.position)
    }
}

/// What a worker's step runs by where nobody said anything.
pub(crate) fn ad_hoc(name: &str) -> Arc<TaskDef> {
    Arc::new(TaskDef { retry_count: 0, ..TaskDef::named(name) })
}

/// Reads the texts of an `agent` key.
pub(crate) fn agent_template(key: &AgentKey, faults: &mut Vec<TemplateFault>) -> AgentTemplate {
    let mut read = |field: &str, text: &str| {
        let mut own = Vec::new();
        let template = Template::compile_text(text, &mut own);
        faults.extend(
            own.into_iter().map(|TemplateFault { at, message }| TemplateFault { at: format!(".{field}{at}"), message }),
        );
        template
    };
    AgentTemplate {
        plugin: read("plugin", &key.plugin),
        operation: read("operation", &key.operation),
        target: key.target.as_deref().map(|text| read("target", text)),
        requires: key.requires.as_deref().map(|text| read("requires", text)),
        node_instance: key.node_instance.as_deref().map(|text| read("nodeInstance", text)),
    }
}
