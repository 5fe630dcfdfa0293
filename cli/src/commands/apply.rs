//! `conductor apply`: stores definitions and says what became of each.

use conductor_client::Client;
use conductor_model::{TaskDef, WorkflowDef};
use serde::Serialize;
use serde_json::Value;

use crate::args::ApplyArgs;
use crate::definitions::{Definitions, Found};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, show};

/// What became of one definition.
#[derive(Debug, Serialize)]
struct Applied {
    kind: &'static str,
    name: String,
    version: Option<i32>,
    action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Created,
    Updated,
    Unchanged,
}

impl Action {
    fn of<T: PartialEq>(before: Option<&T>, now: &T) -> Self {
        match before {
            None => Self::Created,
            Some(before) if before == now => Self::Unchanged,
            Some(_) => Self::Updated,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
        }
    }
}

pub async fn run(client: &Client, format: Format, args: &ApplyArgs) -> Result<Exit, CliError> {
    let all = Definitions::read(&args.files)?;
    // Workflow definitions name task definitions, so those go first.
    let mut applied = apply_tasks(client, &all.tasks).await?;
    applied.extend(apply_workflows(client, &all.workflows).await?);
    show(format, &applied, |applied| {
        let mut rows = Rows::new(&["KIND", "NAME", "VERSION", "ACTION"], "nothing to apply");
        for one in applied {
            let version = one.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
            rows.push([one.kind.to_owned(), one.name.clone(), version, one.action.as_str().to_owned()]);
        }
        rows
    })?;
    Ok(Exit::Success)
}

async fn apply_tasks(client: &Client, found: &[Found<TaskDef>]) -> Result<Vec<Applied>, CliError> {
    let mut applied = Vec::new();
    let mut changed: Vec<&Value> = Vec::new();
    for Found { raw, definition, .. } in found {
        let before = client.task_def(&definition.name).await?.map(without_history);
        let action = Action::of(before.as_ref(), &without_history(definition.clone()));
        if action != Action::Unchanged {
            changed.push(raw);
        }
        applied.push(Applied { kind: "task", name: definition.name.clone(), version: None, action });
    }
    if !changed.is_empty() {
        client.put_task_defs(&changed).await?;
    }
    Ok(applied)
}

async fn apply_workflows(client: &Client, found: &[Found<WorkflowDef>]) -> Result<Vec<Applied>, CliError> {
    let mut applied = Vec::new();
    let mut changed: Vec<&Value> = Vec::new();
    let mut faults = Vec::new();
    for Found { raw, definition, .. } in found {
        let before = client.workflow_def(&definition.name, Some(definition.version)).await?.map(workflow_without_history);
        let action = Action::of(before.as_ref(), &workflow_without_history(definition.clone()));
        if action != Action::Unchanged {
            changed.push(raw);
        }
        let (name, version) = (definition.name.clone(), Some(definition.version));
        applied.push(Applied { kind: "workflow", name, version, action });
    }
    if !changed.is_empty() {
        let answer = client.put_workflow_defs(&changed).await?;
        faults.extend(answer.bulk_error_results.into_iter().map(|(name, reason)| format!("{name}: {reason}")));
    }
    if faults.is_empty() { Ok(applied) } else { Err(CliError::Definitions { faults }) }
}

/// A definition without what the manager notes on it.
fn without_history(definition: TaskDef) -> TaskDef {
    TaskDef { create_time: None, update_time: None, created_by: None, updated_by: None, ..definition }
}

fn workflow_without_history(definition: WorkflowDef) -> WorkflowDef {
    WorkflowDef { create_time: None, update_time: None, created_by: None, updated_by: None, ..definition }
}
