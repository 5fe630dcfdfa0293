//! `conductor workflows`.

use conductor_client::{Client, EventQuery, TaskView, WorkflowSummary, WorkflowView};
use conductor_model::{WorkflowId, WorkflowStatus};

use crate::args::{ListArgs, WorkflowsArgs, WorkflowsCommand};
use crate::error::CliError;
use crate::exit::Exit;
use crate::follow;
use crate::output::{Format, Rows, cell, note, put, show, show_tree};
use crate::time;

pub async fn run(client: &Client, format: Format, args: WorkflowsArgs) -> Result<Exit, CliError> {
    match args.command.unwrap_or(WorkflowsCommand::List(args.list)) {
        WorkflowsCommand::List(list) => self::list(client, format, &list).await?,
        WorkflowsCommand::Get { id } => get(client, format, &id).await?,
        WorkflowsCommand::Follow { id } => {
            let id: WorkflowId = id.parse().map_err(|_| CliError::Usage { message: format!("{id:?} is no workflow id") })?;
            let events = client.events(EventQuery { after: None, workflow_id: Some(id) }).await?;
            return follow::follow(client, format, id, events, follow::Since::Now).await;
        }
        WorkflowsCommand::Pause { id } => {
            client.pause(&id).await?;
            note(&format!("{id} is paused; `conductor workflows resume {id}` goes on with it"));
        }
        WorkflowsCommand::Resume { id } => {
            client.resume(&id).await?;
            note(&format!("{id} goes on"));
        }
        WorkflowsCommand::Terminate { id, reason } => {
            client.terminate(&id, reason.as_deref()).await?;
            note(&format!("{id} is terminated"));
        }
    }
    Ok(Exit::Success)
}

async fn list(client: &Client, format: Format, list: &ListArgs) -> Result<(), CliError> {
    let mut query = Vec::new();
    if let Some(name) = &list.name {
        query.push(format!("workflowType='{name}'"));
    }
    if let Some(status) = &list.status {
        let status: WorkflowStatus = status
            .to_ascii_uppercase()
            .replace('-', "_")
            .parse()
            .map_err(|error| CliError::Usage { message: format!("--status: {error}") })?;
        query.push(format!("status='{status}'"));
    }
    let page = client.search(&query.join(" AND "), 0, list.limit).await?;
    show(format, &page.results, |results: &Vec<WorkflowSummary>| {
        let mut rows = Rows::new(&["WORKFLOW", "NAME", "VERSION", "STATUS", "STARTED", "ENDED", "REASON"], "no workflows");
        for one in results {
            rows.push([
                one.workflow_id.to_string(),
                one.workflow_type.clone(),
                one.version.to_string(),
                one.status.to_string(),
                one.start_time.clone().unwrap_or_else(|| "-".to_owned()),
                one.end_time.clone().unwrap_or_else(|| "-".to_owned()),
                one.reason_for_incompletion.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        rows
    })
}

async fn get(client: &Client, format: Format, id: &str) -> Result<(), CliError> {
    if format != Format::Table {
        return show_tree(format, &client.workflow_json(id, true).await?);
    }
    let view = client.workflow(id, true).await?;
    put(&head(&view))?;
    show(format, &view.tasks, |tasks| task_rows(tasks))
}

fn head(view: &WorkflowView) -> String {
    let end = if view.end_time == 0 { view.update_time } else { view.end_time };
    let mut text = format!(
        "workflow  {}\nname      {} version {}\nstatus    {}\nstarted   {}\nended     {}\ntook      {}\ninput     {}\noutput    {}\n",
        view.workflow_id,
        view.workflow_name,
        view.workflow_version,
        view.status,
        time::utc(view.create_time),
        time::utc(view.end_time),
        time::span(end - view.create_time),
        view.input,
        cell(&view.output),
    );
    if let Some(reason) = &view.reason_for_incompletion {
        text.push_str(&format!("reason    {reason}\n"));
    }
    text.push('\n');
    text
}

/// Tasks as rows, in order of scheduling.
pub fn task_rows(tasks: &[TaskView]) -> Rows {
    let head = ["TASK", "STEP", "DEFINITION", "STATUS", "ATTEMPT", "WORKER", "STARTED", "TOOK", "REASON"];
    let mut rows = Rows::new(&head, "no tasks");
    for task in tasks {
        let took =
            if task.start_time > 0 && task.end_time > 0 { time::span(task.end_time - task.start_time) } else { "-".to_owned() };
        rows.push([
            task.task_id.to_string(),
            task.reference_task_name.clone(),
            if task.task_def_name.is_empty() { task.task_type.clone() } else { task.task_def_name.clone() },
            task.status.to_string(),
            (task.retry_count + 1).to_string(),
            task.worker_id.clone().unwrap_or_else(|| "-".to_owned()),
            time::utc(task.start_time),
            took,
            task.reason_for_incompletion.clone().unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    rows
}
