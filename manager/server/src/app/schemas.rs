//! JSON Schemas: kept by name and version, and enforced on what goes into workflows and tasks and what comes out.

use std::sync::Arc;

use conductor_model::{SchemaDef, TaskDef, TenantName, Violation, WorkflowDef};
use conductor_store::{Document, DocumentKind, Putting, Store, StoreError};
use jsonschema::Validator;
use serde_json::{Map, Value};

use super::{App, AppError};
use crate::clock;

/// Faults named in one refusal.
pub const FAULTS_MAX: usize = 10;
/// Longest message of a fault in characters: it may quote the value.
pub const FAULT_CHARS_MAX: usize = 300;
/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 255;

impl App {
    /// Stores schemas, new or again; with `new_version` each gets the next version of its name.
    ///
    /// # Errors
    /// `schema-invalid`.
    pub async fn put_schemas(
        &self,
        tenant: &TenantName,
        schemas: Vec<SchemaDef>,
        new_version: bool,
        by: &str,
    ) -> Result<(), AppError> {
        let faults: Vec<_> = schemas.iter().enumerate().flat_map(|(at, schema)| faults(schema, &format!("[{at}]"))).collect();
        if let Some(first) = faults.first() {
            let message = format!("{} {}", first.path, first.message);
            return Err(AppError::Invalid { code: "schema-invalid", message, violations: faults });
        }
        let (owner, by) = (tenant.clone(), by.to_owned());
        self.read(move |store| schemas.into_iter().try_for_each(|schema| put(store, &owner, schema, new_version, &by))).await
    }

    /// All schemas of a tenant, or the versions of one name.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn schemas(&self, tenant: &TenantName, name: Option<&str>) -> Result<Vec<SchemaDef>, AppError> {
        let owner = tenant.clone();
        let documents = self.read(move |store| store.documents(Some(&owner), DocumentKind::Schema)).await?;
        let wanted = documents.iter().filter(|document| name.is_none_or(|name| name == document.name));
        Ok(wanted.filter_map(read).collect())
    }

    /// One schema; the highest version where none is named.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn schema(&self, tenant: &TenantName, name: &str, version: Option<i32>) -> Result<SchemaDef, AppError> {
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let found = self.read(move |store| store.document(&owner, DocumentKind::Schema, &wanted, version)).await?;
        found.as_ref().and_then(read).ok_or_else(|| AppError::not_found("schema", name))
    }

    /// Removes a version of a schema, or all.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_schema(&self, tenant: &TenantName, name: &str, version: Option<i32>) -> Result<(), AppError> {
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let was_there = self.read(move |store| store.delete_document(&owner, DocumentKind::Schema, &wanted, version)).await?;
        if was_there { Ok(()) } else { Err(AppError::not_found("schema", name)) }
    }

    /// Checks a value against a schema that a definition names.
    ///
    /// # Errors
    /// `schema-violated` with each fault and its place; `schema-missing` when the schema is nowhere.
    pub(super) async fn check_schema(
        &self,
        tenant: &TenantName,
        schema: &SchemaDef,
        what: &'static str,
        value: Map<String, Value>,
    ) -> Result<(), AppError> {
        let (owner, schema) = (tenant.clone(), schema.clone());
        let name = schema.name.clone();
        let found = self.read(move |store| violations(store, &owner, &schema, what, &Value::Object(value))).await?;
        match found {
            None => Err(AppError::invalid("schema-missing", format!("schema {name} of the {what} is not there; register it"))),
            Some(faults) => match faults.first() {
                None => Ok(()),
                Some(first) => {
                    let message = format!("the {what} does not fit its schema: {} {}", first.path, first.message);
                    Err(AppError::Invalid { code: "schema-violated", message, violations: faults })
                }
            },
        }
    }
}

/// Where a value breaks a schema; `None` = the schema is nowhere, or cannot be read any more.
pub(super) fn violations(
    store: &dyn Store,
    tenant: &TenantName,
    schema: &SchemaDef,
    what: &'static str,
    value: &Value,
) -> Result<Option<Vec<Violation>>, StoreError> {
    let data = match &schema.data {
        Some(data) => Some(data.clone()),
        None => {
            let stored = store.document(tenant, DocumentKind::Schema, &schema.name, Some(schema.version))?;
            stored.as_ref().and_then(read).and_then(|schema| schema.data)
        }
    };
    Ok(data.and_then(|data| misfits(data, what, value)))
}

/// Where a value breaks a schema, at most [`FAULTS_MAX`] places; `what` begins each. `None` = the schema is none.
#[must_use]
pub fn misfits(data: Map<String, Value>, what: &str, value: &Value) -> Option<Vec<Violation>> {
    let validator = compile(data).ok()?;
    let faults = validator.iter_errors(value).take(FAULTS_MAX).map(|error| {
        let message: String = error.to_string().chars().take(FAULT_CHARS_MAX).collect();
        Violation::new(format!("{what}{}", error.instance_path()), message, None)
    });
    Some(faults.collect())
}

/// What is wrong with the schemas that a workflow definition enforces, and those of task definitions in its steps.
pub(super) fn of_workflow(definition: &WorkflowDef) -> Vec<Violation> {
    let mut found = Vec::new();
    for (schema, key) in [(&definition.input_schema, "inputSchema"), (&definition.output_schema, "outputSchema")] {
        let schema = schema.as_ref().filter(|_| definition.enforce_schema);
        found.extend(schema.into_iter().flat_map(|schema| faults(schema, key)));
    }
    definition.each_step(&mut |step, path| {
        let own = step.task_definition.as_deref().map(of_task).unwrap_or_default();
        let below = |fault: Violation| Violation { path: format!("{path}.taskDefinition.{}", fault.path), ..fault };
        found.extend(own.into_iter().map(below));
    });
    found
}

/// What is wrong with the schemas that a task definition enforces.
pub(super) fn of_task(definition: &TaskDef) -> Vec<Violation> {
    let schemas = [(&definition.input_schema, "inputSchema"), (&definition.output_schema, "outputSchema")];
    let enforced = schemas.into_iter().filter(|_| definition.enforce_schema);
    enforced.filter_map(|(schema, key)| Some(faults(schema.as_deref()?, key))).flatten().collect()
}

/// What is wrong with a schema by itself; `path` begins each place.
#[must_use]
pub fn faults(schema: &SchemaDef, path: &str) -> Vec<Violation> {
    let mut faults = Vec::new();
    if schema.name.is_empty() && schema.data.is_none() || schema.name.len() > NAME_BYTES_MAX {
        faults.push(Violation::new(format!("{path}.name"), "must be a name of 1 to 255 bytes", None));
    }
    if schema.version < 1 {
        faults.push(Violation::new(format!("{path}.version"), "must be at least 1", Some(schema.version.to_string())));
    }
    if !schema.schema_type.eq_ignore_ascii_case("JSON") {
        let message = "must be JSON: this build enforces no other kind of schema";
        faults.push(Violation::new(format!("{path}.type"), message, Some(schema.schema_type.clone())));
    } else if let Some(Err(error)) = schema.data.clone().map(compile) {
        faults.push(Violation::new(format!("{path}.data"), format!("is no JSON Schema: {error}"), None));
    }
    faults
}

/// A schema made ready. Nothing is fetched: a reference to another document is an error.
fn compile(data: Map<String, Value>) -> Result<Arc<Validator>, String> {
    jsonschema::validator_for(&Value::Object(data)).map(Arc::new).map_err(|error| error.to_string())
}

fn read(document: &Document) -> Option<SchemaDef> {
    match serde_json::from_str(&document.body) {
        Ok(schema) => Some(schema),
        Err(error) => {
            tracing::error!(name = %document.name, %error, "a stored schema cannot be read");
            None
        }
    }
}

fn put(store: &dyn Store, tenant: &TenantName, mut schema: SchemaDef, new: bool, by: &str) -> Result<(), StoreError> {
    let kind = DocumentKind::Schema;
    if new && let Some(last) = store.document(tenant, kind, &schema.name, None)? {
        schema.version = last.version.saturating_add(1);
    }
    let before = store.document(tenant, kind, &schema.name, Some(schema.version))?.as_ref().and_then(read);
    let now = clock::now().0;
    schema.create_time = Some(before.as_ref().and_then(|before| before.create_time).unwrap_or(now));
    schema.update_time = Some(now);
    schema.created_by = Some(before.and_then(|before| before.created_by).unwrap_or_else(|| by.to_owned()));
    schema.updated_by = Some(by.to_owned());
    let body = serde_json::to_string(&schema)
        .map_err(|error| StoreError::Backend { operation: "schema", message: error.to_string() })?;
    let (name, version) = (schema.name, schema.version);
    store.put_document(Document { tenant: tenant.clone(), kind, name, version, body }, Putting::Either).map(|_| ())
}
