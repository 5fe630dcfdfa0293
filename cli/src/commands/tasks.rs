//! `conductor tasks`.

use conductor_client::Client;

use super::workflows::task_rows;
use crate::args::{TasksArgs, TasksCommand};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, cell, put, show, show_tree};

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
    let placement = client.placement(id).await?;
    if format != Format::Table {
        return show_tree(format, &placement);
    }
    let status = cell(&placement["status"]);
    let Some(unplaced) = placement.get("unplaced") else {
        let agent = placement["agent"].as_str();
        let alternates: Vec<String> = placement["alternates"].as_array().into_iter().flatten().map(cell).collect();
        let beside = if alternates.is_empty() { String::new() } else { format!("; runners-up: {}", alternates.join(", ")) };
        return put(&match agent {
            Some(agent) => format!("{status}: given to {agent}{beside}\n"),
            None => format!("{status}: it needs no agent\n"),
        });
    };
    put(&format!("{status}: {}\n", cell(&unplaced["summary"])))?;
    show(format, &unplaced["agents"], |agents| {
        let mut rows = Rows::new(&["AGENT", "WHY NOT"], "there are no agents");
        for agent in agents.as_array().into_iter().flatten() {
            rows.push([cell(&agent["agent"]), cell(&agent["reason"])]);
        }
        rows
    })
}
