//! Task and workflow definitions: checked as a whole before anything is stored, compiled once, kept in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use conductor_engine::{Plan, PlanError};
use conductor_model::{PluginName, Snapshot, TaskDef, TenantName, Violation, WorkflowDef, WorkflowTask};
use conductor_store::{Store, StoreError};
use sha2::{Digest, Sha256};

use super::core::Message;
use super::perform::{Scripts, script_faults};
use super::{App, AppError, schemas};
use crate::clock;

/// Compiled definitions kept for reading and starting.
const PLANS_MAX: usize = 512;

type StartName = (TenantName, String, Option<i32>);

/// Compiled definitions, by what they are started by and by their digest.
#[derive(Debug, Default)]
pub(super) struct PlanCache {
    /// Grows whenever definitions change: what was read before is not kept then.
    generation: AtomicU64,
    plans: Mutex<Plans>,
}

#[derive(Debug, Default)]
struct Plans {
    by_name: HashMap<StartName, Arc<Plan>>,
    by_digest: HashMap<String, Arc<Plan>>,
}

impl PlanCache {
    /// The definitions with this digest.
    pub(super) fn by_digest(&self, digest: &str) -> Option<Arc<Plan>> {
        self.lock().by_digest.get(digest).cloned()
    }

    /// Keeps compiled definitions.
    pub(super) fn keep(&self, plan: &Arc<Plan>) {
        let mut plans = self.lock();
        if plans.by_digest.len() >= PLANS_MAX {
            plans.by_digest.clear();
        }
        plans.by_digest.insert(plan.snapshot().digest.clone(), Arc::clone(plan));
    }

    fn by_name(&self, name: &StartName) -> (u64, Option<Arc<Plan>>) {
        let plans = self.lock();
        (self.generation.load(Ordering::SeqCst), plans.by_name.get(name).cloned())
    }

    fn keep_by_name(&self, generation: u64, name: StartName, plan: &Arc<Plan>) {
        self.keep(plan);
        let mut plans = self.lock();
        if self.generation.load(Ordering::SeqCst) == generation && plans.by_name.len() < PLANS_MAX {
            plans.by_name.insert(name, Arc::clone(plan));
        }
    }

    fn definitions_changed(&self) {
        let mut plans = self.lock();
        self.generation.fetch_add(1, Ordering::SeqCst);
        plans.by_name.clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Plans> {
        self.plans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Stores task definitions, new or again; all or none.
    ///
    /// # Errors
    /// `definition-invalid` with every fault (paths begin with `[i].`), also for a plugin or operation that is not there;
    /// `definition-locked`.
    pub async fn put_task_defs(&self, tenant: &TenantName, definitions: Vec<TaskDef>, by: &str) -> Result<(), AppError> {
        let (owner, by) = (tenant.clone(), by.to_owned());
        let faults = self
            .read(move |store| {
                let mut faults = Vec::new();
                for (index, definition) in definitions.iter().enumerate() {
                    let mut own = definition.validate();
                    own.extend(schemas::of_task(definition));
                    if own.is_empty() {
                        own.extend(check_plugin(store, &owner, definition)?);
                    }
                    faults.extend(own.into_iter().map(|fault| below(index, fault)));
                }
                if faults.is_empty() {
                    let definitions = definitions
                        .into_iter()
                        .map(|definition| stamp_task(store, &owner, definition, &by))
                        .collect::<Result<_, _>>()?;
                    store.put_task_defs(&owner, definitions)?;
                }
                Ok(faults)
            })
            .await?;
        self.definitions_changed();
        refuse_faults(faults)
    }

    /// Stores workflow definitions; all or none.
    ///
    /// # Errors
    /// `definition-invalid` with every fault; `exists` without `overwrite`; `definition-locked`.
    pub async fn put_workflow_defs(
        &self,
        tenant: &TenantName,
        definitions: Vec<WorkflowDef>,
        overwrite: bool,
        by: &str,
    ) -> Result<(), AppError> {
        let (owner, by) = (tenant.clone(), by.to_owned());
        let performers = self.inner.performers.clone();
        let faults = self
            .read(move |store| {
                let mut faults = Vec::new();
                for (index, definition) in definitions.iter().enumerate() {
                    let several = definitions.len() > 1;
                    let own = faults_of(store, performers.scripts(), &owner, definition.clone())?;
                    faults.extend(own.into_iter().map(|fault| if several { below(index, fault) } else { fault }));
                }
                if faults.is_empty() {
                    definitions.iter().for_each(|definition| warn_of_what_has_no_effect(&owner, definition));
                    let definitions = definitions
                        .into_iter()
                        .map(|definition| stamp_workflow(store, &owner, definition, &by))
                        .collect::<Result<_, _>>()?;
                    store.put_workflow_defs(&owner, definitions, overwrite)?;
                }
                Ok(faults)
            })
            .await?;
        self.definitions_changed();
        refuse_faults(faults)
    }

    /// Checks a workflow definition without storing it.
    ///
    /// # Errors
    /// `definition-invalid` with every fault.
    pub async fn validate_workflow_def(&self, tenant: &TenantName, definition: WorkflowDef) -> Result<(), AppError> {
        let (owner, performers) = (tenant.clone(), self.inner.performers.clone());
        refuse_faults(self.read(move |store| faults_of(store, performers.scripts(), &owner, definition)).await?)
    }

    /// Removes a task definition. Workflows that run keep theirs.
    ///
    /// # Errors
    /// `not-found`; `definition-locked`.
    pub async fn delete_task_def(&self, tenant: &TenantName, name: &str, by: &str) -> Result<(), AppError> {
        let (owner, id, by) = (tenant.clone(), name.to_owned(), by.to_owned());
        let was_there = self.read(move |store| store.delete_task_def(&owner, &id, &by, clock::now())).await?;
        self.definitions_changed();
        if was_there { Ok(()) } else { Err(AppError::not_found("task definition", name)) }
    }

    /// Removes a version of a workflow definition. Workflows that run keep theirs.
    ///
    /// # Errors
    /// `not-found`; `definition-locked`.
    pub async fn delete_workflow_def(&self, tenant: &TenantName, name: &str, version: i32, by: &str) -> Result<(), AppError> {
        let (owner, id, by) = (tenant.clone(), name.to_owned(), by.to_owned());
        let was_there = self.read(move |store| store.delete_workflow_def(&owner, &id, version, &by, clock::now())).await?;
        self.definitions_changed();
        if was_there { Ok(()) } else { Err(AppError::not_found("workflow definition", format!("{name} version {version}"))) }
    }

    /// What was read of definitions is read anew: compiled plans, and limits that tasks are held back by.
    fn definitions_changed(&self) {
        self.inner.plans.definitions_changed();
        self.inner.core.tell(Message::DefinitionsChanged);
    }

    /// The compiled definitions that a workflow is started by.
    pub(super) async fn plan_to_start(
        &self,
        tenant: &TenantName,
        name: &str,
        version: Option<i32>,
        given: Option<WorkflowDef>,
    ) -> Result<Arc<Plan>, AppError> {
        let key = (tenant.clone(), name.to_owned(), version);
        let (generation, cached) = self.inner.plans.by_name(&key);
        if let (Some(plan), None) = (cached, &given) {
            return Ok(plan);
        }
        let in_place = given.is_some();
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let performers = self.inner.performers.clone();
        let compiled = self
            .read(move |store| {
                let definition = match given {
                    Some(definition) => {
                        let mut faults = script_faults(performers.scripts(), &definition);
                        faults.extend(schemas::of_workflow(&definition));
                        if !faults.is_empty() {
                            return Ok(Some(Err(PlanError::Invalid(faults))));
                        }
                        Some(definition)
                    }
                    None => store.workflow_def(&owner, &wanted, version)?,
                };
                definition.map(|definition| compile(store, &owner, definition)).transpose()
            })
            .await?;
        match compiled {
            None => {
                let id = version.map_or_else(|| name.to_owned(), |version| format!("{name} version {version}"));
                Err(AppError::not_found("workflow definition", id))
            }
            Some(Err(PlanError::Invalid(faults))) => Err(invalid(faults)),
            Some(Ok(plan)) => {
                let plan = Arc::new(plan);
                if in_place {
                    self.inner.plans.keep(&plan);
                } else {
                    self.inner.plans.keep_by_name(generation, key, &plan);
                }
                Ok(plan)
            }
        }
    }
}

fn faults_of(
    store: &dyn Store,
    scripts: &Scripts,
    tenant: &TenantName,
    definition: WorkflowDef,
) -> Result<Vec<Violation>, StoreError> {
    Ok(match compile(store, tenant, definition)? {
        Ok(plan) => {
            let workflow = &plan.snapshot().workflow;
            let mut faults = script_faults(scripts, workflow);
            faults.extend(schemas::of_workflow(workflow));
            faults
        }
        Err(PlanError::Invalid(faults)) => faults,
    })
}

/// Puts a workflow definition together with the task definitions that it names, and compiles both.
pub(super) fn compile(
    store: &dyn Store,
    tenant: &TenantName,
    definition: WorkflowDef,
) -> Result<Result<Plan, PlanError>, StoreError> {
    let mut names = BTreeSet::new();
    for task in &definition.tasks {
        definition_names(task, &mut names);
    }
    let mut tasks = BTreeMap::new();
    for name in names {
        if let Some(definition) = store.task_def(tenant, &name)? {
            tasks.insert(name, Arc::new(definition));
        }
    }
    let workflow = Arc::new(definition);
    let text = serde_json::to_vec(&(&workflow, &tasks))
        .map_err(|error| StoreError::Corrupt { what: "definition".to_owned(), message: error.to_string() })?;
    let digest = hex::encode(Sha256::digest(&text));
    Ok(Plan::compile(Arc::new(Snapshot { digest, workflow, tasks })))
}

/// The names of all task definitions that a step and what is inside it asks for.
fn definition_names(task: &WorkflowTask, names: &mut BTreeSet<String>) {
    if task.task_definition.is_none() {
        names.insert(task.name.clone());
    }
    for task in task.blocks().flatten() {
        definition_names(task, names);
    }
}

/// A definition that sends tasks to agents must name an operation of a plugin that is there.
fn check_plugin(store: &dyn Store, tenant: &TenantName, definition: &TaskDef) -> Result<Vec<Violation>, StoreError> {
    let Some(agent) = definition.agent.as_ref().filter(|agent| !agent.plugin.contains("${")) else { return Ok(Vec::new()) };
    let (name, version) = agent.plugin_and_version();
    let Ok(name) = name.parse::<PluginName>() else { return Ok(Vec::new()) };
    let Some(plugin) = store.plugin(tenant, &name, version)? else {
        let message = "names a plugin or version that was not uploaded; upload it first";
        return Ok(vec![Violation::new("agent.plugin", message, Some(agent.plugin.clone()))]);
    };
    let operations = plugin.manifest.get("operations").and_then(serde_json::Value::as_object);
    if agent.operation.contains("${") || operations.is_some_and(|operations| operations.contains_key(&agent.operation)) {
        return Ok(Vec::new());
    }
    let known = operations.map(|operations| operations.keys().cloned().collect::<Vec<_>>().join(", ")).unwrap_or_default();
    let message = format!("is not an operation of plugin {} {}; it has: {known}", plugin.name, plugin.version);
    Ok(vec![Violation::new("agent.operation", message, Some(agent.operation.clone()))])
}

fn stamp_task(store: &dyn Store, tenant: &TenantName, mut definition: TaskDef, by: &str) -> Result<TaskDef, StoreError> {
    let before = store.task_def(tenant, &definition.name)?;
    let now = clock::now().0;
    definition.create_time = Some(before.as_ref().and_then(|before| before.create_time).unwrap_or(now));
    definition.update_time = Some(now);
    definition.created_by = Some(before.and_then(|before| before.created_by).unwrap_or_else(|| by.to_owned()));
    definition.updated_by = Some(by.to_owned());
    Ok(definition)
}

fn stamp_workflow(
    store: &dyn Store,
    tenant: &TenantName,
    mut definition: WorkflowDef,
    by: &str,
) -> Result<WorkflowDef, StoreError> {
    let before = store.workflow_def(tenant, &definition.name, Some(definition.version))?;
    let now = clock::now().0;
    definition.create_time = Some(before.as_ref().and_then(|before| before.create_time).unwrap_or(now));
    definition.update_time = Some(now);
    definition.created_by = Some(before.and_then(|before| before.created_by).unwrap_or_else(|| by.to_owned()));
    definition.updated_by = Some(by.to_owned());
    Ok(definition)
}

/// Conductor only keeps these fields, and SDKs send some of them unasked: refusing them would keep programs out.
fn warn_of_what_has_no_effect(tenant: &TenantName, definition: &WorkflowDef) {
    let places = definition.without_effect();
    if !places.is_empty() {
        tracing::warn!(%tenant, workflow = definition.name, version = definition.version, fields = places.join(", "),
            "a workflow definition has fields that are kept and have no effect");
    }
}

fn below(index: usize, mut fault: Violation) -> Violation {
    fault.path = format!("[{index}].{}", fault.path);
    fault
}

fn refuse_faults(faults: Vec<Violation>) -> Result<(), AppError> {
    if faults.is_empty() { Ok(()) } else { Err(invalid(faults)) }
}

fn invalid(violations: Vec<Violation>) -> AppError {
    let message = match violations.as_slice() {
        [only] => format!("{} {}", only.path, only.message),
        [first, ..] => format!("{} {} (and {} more)", first.path, first.message, violations.len() - 1),
        [] => "the definition is invalid".to_owned(),
    };
    AppError::Invalid { code: "definition-invalid", message, violations }
}
