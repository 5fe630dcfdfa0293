//! `conductor agents`.

use conductor_client::{AgentView, Client};
use serde_json::Value;

use crate::args::AgentsCommand;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, cell, show, show_tree};
use crate::time;

pub async fn run(client: &Client, format: Format, command: Option<AgentsCommand>) -> Result<Exit, CliError> {
    match command.unwrap_or(AgentsCommand::List) {
        AgentsCommand::List => {
            let agents = client.agents().await?;
            show(format, &agents, |agents| rows(agents))?;
        }
        AgentsCommand::Get { id } => show_tree(format, &client.agent_json(&id).await?)?,
    }
    Ok(Exit::Success)
}

fn rows(agents: &[AgentView]) -> Rows {
    let mut rows = Rows::new(&["AGENT", "STATE", "TASKS", "SLOTS", "LABELS", "VERSION", "LAST SEEN"], "no agents");
    for agent in agents {
        let labels: Vec<String> = agent.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        rows.push([
            agent.id.clone(),
            agent.state.clone(),
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
