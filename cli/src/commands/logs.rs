//! `conductor logs`.

use std::time::Duration;

use conductor_client::{Client, ClientError, TaskView};

use crate::args::LogsArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::follow::LogReader;
use crate::output::{Format, put, show_element};

/// How often a followed log is asked for more.
const POLL_INTERVAL: Duration = Duration::from_millis(300);

pub async fn run(client: &Client, format: Format, args: &LogsArgs) -> Result<Exit, CliError> {
    let mut reader = LogReader::default();
    loop {
        // What is over before its lines are read is over for good, and so are its lines.
        let (tasks, is_over, several) = match look(client, &args.id).await {
            Err(error) if error.is_temporary() && args.follow => {
                tokio::time::sleep(POLL_INTERVAL).await;
                continue;
            }
            other => other?,
        };
        for task in &tasks {
            for line in reader.more(client, task.task_id).await? {
                match format {
                    Format::Table if several => put(&format!("{} | {}\n", task.reference_task_name, line.text))?,
                    Format::Table => put(&format!("{}\n", line.text))?,
                    Format::Json | Format::Yaml => show_element(format, &line)?,
                }
            }
        }
        if is_over || !args.follow {
            return Ok(Exit::Success);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The tasks behind an id, whether all is over, and whether the id is a workflow's.
async fn look(client: &Client, id: &str) -> Result<(Vec<TaskView>, bool, bool), ClientError> {
    match client.task(id).await {
        Ok(task) => {
            let is_over = task.status.is_terminal();
            Ok((vec![task], is_over, false))
        }
        Err(error) if error.is_not_found() => {
            let workflow = client.workflow(id, true).await?;
            Ok((workflow.tasks, workflow.status.is_terminal(), true))
        }
        Err(error) => Err(error),
    }
}
