//! `conductor agents`.

use std::time::Duration;

use conductor_client::{AgentView, Client};
use serde_json::Value;

use crate::args::AgentsCommand;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, cell, show, show_tree};
use crate::time;

/// How often is looked whether an agent that is drained still has tasks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub async fn run(client: &Client, format: Format, command: Option<AgentsCommand>) -> Result<Exit, CliError> {
    match command.unwrap_or(AgentsCommand::List) {
        AgentsCommand::List => {
            let agents = client.agents().await?;
            show(format, &agents, |agents| rows(agents))?;
        }
        AgentsCommand::Get { id } => show_tree(format, &client.agent_json(&id).await?)?,
        AgentsCommand::Cordon { id, reason } => {
            client.cordon_agent(&id, reason.as_deref()).await?;
            eprintln!("{id} is given nothing new");
        }
        AgentsCommand::Uncordon { id } => {
            client.uncordon_agent(&id).await?;
            eprintln!("{id} takes tasks again");
        }
        AgentsCommand::Drain { id, reason, timeout_seconds } => {
            client.cordon_agent(&id, reason.as_deref()).await?;
            let drained = tokio::time::timeout(Duration::from_secs(timeout_seconds), drained(client, &id)).await;
            drained.unwrap_or_else(|_| Err(CliError::StillBusy { agent: id.clone(), timeout_seconds }))?;
            eprintln!("{id} has no tasks and is given nothing new; `conductor agents uncordon {id}` ends that");
        }
        AgentsCommand::Delete { id, force } => {
            client.remove_agent(&id, force).await?;
            eprintln!("{id} is forgotten");
        }
    }
    Ok(Exit::Success)
}

/// Waits until an agent has no tasks, saying how many are left whenever that changes.
async fn drained(client: &Client, id: &str) -> Result<(), CliError> {
    let mut told = None;
    loop {
        let left = client.agent(id).await?.tasks.len();
        if left == 0 {
            return Ok(());
        }
        if told != Some(left) {
            eprintln!("{id} still has {left} task{}", if left == 1 { "" } else { "s" });
            told = Some(left);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn rows(agents: &[AgentView]) -> Rows {
    let mut rows = Rows::new(&["AGENT", "STATE", "TASKS", "SLOTS", "LABELS", "VERSION", "LAST SEEN"], "no agents");
    for agent in agents {
        let labels: Vec<String> = agent.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        rows.push([
            agent.id.clone(),
            if agent.cordon.is_some() { format!("{}, cordoned", agent.state) } else { agent.state.clone() },
            agent.tasks.len().to_string(),
            agent.slots.to_string(),
            labels.join(","),
            agent.version.clone(),
            moment(&agent.last_seen_at),
        ]);
    }
    rows
}

/// A time that the API gives in ms or as a text.
pub fn moment(value: &Value) -> String {
    value.as_i64().map_or_else(|| cell(value), time::utc)
}
