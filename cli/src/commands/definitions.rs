//! `conductor definitions`.

use conductor_client::{Client, DifferenceView, LockView, RevisionView};
use serde_json::Value;

use crate::args::{DefinitionArgs, DefinitionsCommand};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, cell, note, show, show_tree};
use crate::time;

pub async fn run(client: &Client, format: Format, command: DefinitionsCommand) -> Result<Exit, CliError> {
    match command {
        DefinitionsCommand::History { of } => {
            let revisions = client.revisions(kind(&of), &of.name).await?;
            show(format, &revisions, |revisions| revision_rows(revisions))?;
        }
        DefinitionsCommand::Show { of, revision } => {
            let found = client.revision(kind(&of), &of.name, revision).await?;
            let Some(definition) = found.definition else {
                let message = format!("revision {revision} of {} is its removal; there is nothing to show", of.name);
                return Err(CliError::Usage { message });
            };
            show_tree(format, &definition)?;
        }
        DefinitionsCommand::Diff { of, from, to } => {
            let difference = client.difference(kind(&of), &of.name, from.as_deref(), to.as_deref()).await?;
            if format == Format::Table {
                let from = difference.from.as_deref().unwrap_or("nothing");
                note(&format!("from {from} to {}:", difference.to));
            }
            show(format, &difference, change_rows)?;
        }
        DefinitionsCommand::Lock { of, version, reason } => {
            let lock = client.lock_definition(kind(&of), &of.name, version, reason.as_deref()).await?;
            show(format, &vec![lock], |locks| lock_rows(locks))?;
        }
        DefinitionsCommand::Unlock { of, version } => {
            client.unlock_definition(kind(&of), &of.name, version).await?;
            note(&format!("{} is unlocked", of.name));
        }
        DefinitionsCommand::Locks => {
            let locks = client.definition_locks().await?;
            show(format, &locks, |locks| lock_rows(locks))?;
        }
    }
    Ok(Exit::Success)
}

fn kind(of: &DefinitionArgs) -> &'static str {
    if of.task { "task" } else { "workflow" }
}

fn version(version: Option<i32>) -> String {
    version.map_or_else(|| "-".to_owned(), |version| version.to_string())
}

fn revision_rows(revisions: &[RevisionView]) -> Rows {
    let mut rows = Rows::new(&["REVISION", "VERSION", "WHAT", "WHEN", "BY"], "no revisions");
    for revision in revisions {
        let what = if revision.deleted { "removed" } else { "stored" };
        rows.push([
            revision.number.to_string(),
            version(revision.version),
            what.to_owned(),
            time::utc(revision.at.0),
            revision.by.clone(),
        ]);
    }
    rows
}

fn change_rows(difference: &DifferenceView) -> Rows {
    let mut rows = Rows::new(&["CHANGE", "PATH", "BEFORE", "AFTER"], "they are the same");
    for change in &difference.changes {
        let text = |key: &str| cell(change.get(key).unwrap_or(&Value::Null));
        rows.push([text("op"), text("path"), text("before"), text("value")]);
    }
    rows
}

fn lock_rows(locks: &[LockView]) -> Rows {
    let mut rows = Rows::new(&["KIND", "NAME", "VERSION", "LOCKED BY", "SINCE", "REASON"], "nothing is locked");
    for lock in locks {
        rows.push([
            lock.kind.clone(),
            lock.name.clone(),
            version(lock.version),
            lock.by.clone(),
            time::utc(lock.at.0),
            lock.reason.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    rows
}
