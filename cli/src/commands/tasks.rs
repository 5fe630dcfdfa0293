//! `conductor tasks`.

use conductor_client::Client;

use super::workflows::task_rows;
use crate::args::{TasksArgs, TasksCommand};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, note, show, show_tree};

pub async fn run(client: &Client, format: Format, args: TasksArgs) -> Result<Exit, CliError> {
    match (args.command, args.workflow) {
        (Some(TasksCommand::List { workflow }), _) | (None, Some(workflow)) => {
            let tasks = client.workflow(&workflow, true).await?.tasks;
            show(format, &tasks, |tasks| task_rows(tasks))?;
        }
        (Some(TasksCommand::Get { id }), _) => show_tree(format, &client.task_json(&id).await?)?,
        (Some(TasksCommand::Why { id }), _) => why(client, format, &id).await?,
        (None, None) => {
            return Err(CliError::Usage { message: "name a workflow, as in: conductor tasks WORKFLOW_ID".to_owned() });
        }
    }
    Ok(Exit::Success)
}

async fn why(client: &Client, format: Format, id: &str) -> Result<(), CliError> {
    match client.placement(id).await? {
        Some(explanation) => show_tree(format, &explanation),
        None => {
            let task = client.task(id).await?;
            let has = task.worker_id.map_or_else(|| "it waits for no agent".to_owned(), |worker| format!("{worker} has it"));
            note(&format!("{id} is {}; {has}", task.status));
            Ok(())
        }
    }
}
