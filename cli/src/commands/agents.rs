//! `conductor agents`.

use std::time::Duration;

use conductor_client::{AgentView, Client, NewEnrolmentToken};
use serde_json::Value;

use crate::args::{AgentsCommand, TokenCommand};
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
        AgentsCommand::Token(command) => token(client, format, command).await?,
        AgentsCommand::Approve { id } => {
            client.decide_enrolment(&id, true).await?;
            eprintln!("{id} is let in");
        }
        AgentsCommand::Reject { id } => {
            client.decide_enrolment(&id, false).await?;
            eprintln!("{id} is turned away");
        }
        AgentsCommand::Revoke { id } => {
            client.revoke_agent(&id).await?;
            eprintln!("the identity of {id} is good for nothing any more");
        }
        AgentsCommand::Delete { id, force } => {
            client.remove_agent(&id, force).await?;
            eprintln!("{id} is forgotten");
        }
    }
    Ok(Exit::Success)
}

async fn token(client: &Client, format: Format, command: TokenCommand) -> Result<(), CliError> {
    match command {
        TokenCommand::Create { labels, pool, ttl, uses, networks, manual } => {
            let new = NewEnrolmentToken {
                labels: labels.into_iter().collect(),
                pool,
                ttl_seconds: ttl,
                uses,
                networks,
                approval: if manual { "manual" } else { "automatic" }.to_owned(),
            };
            let made = client.create_enrolment_token(&new).await?;
            match format {
                Format::Json | Format::Yaml => show_tree(format, &made)?,
                Format::Table => {
                    // The string alone on standard output, for scripts.
                    println!("{}", text_of(&made, "enrolment_string"));
                    eprintln!("on a host with the agent:  conductor-agent enroll STRING");
                    eprintln!("on a host without:         {}", text_of(&made, "installer"));
                }
            }
        }
        TokenCommand::List => {
            let tokens = client.enrolment_tokens().await?;
            show(format, &tokens, |tokens| token_rows(tokens))?;
        }
        TokenCommand::Delete { id } => {
            client.delete_enrolment_token(&id).await?;
            eprintln!("token {id} is deleted");
        }
    }
    Ok(())
}

fn token_rows(tokens: &[Value]) -> Rows {
    let mut rows = Rows::new(&["TOKEN", "USED", "EXPIRES", "APPROVAL", "LABELS", "NETWORKS"], "no tokens");
    for token in tokens {
        rows.push([
            text_of(token, "id"),
            format!("{}/{}", cell(&token["used"]), cell(&token["uses"])),
            moment(&token["expires_at"]),
            text_of(token, "approval"),
            cell(&token["labels"]),
            cell(&token["networks"]),
        ]);
    }
    rows
}

fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
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
            state(agent),
            agent.tasks.len().to_string(),
            agent.slots.to_string(),
            labels.join(","),
            agent.version.clone(),
            moment(&agent.last_seen_at),
        ]);
    }
    rows
}

fn state(agent: &AgentView) -> String {
    let cordoned = if agent.cordon.is_some() { ", cordoned" } else { "" };
    let reason = agent.state_reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}{cordoned}{reason}", agent.state)
}

/// A time that the API gives in ms or as a text.
pub fn moment(value: &Value) -> String {
    value.as_i64().map_or_else(|| cell(value), time::utc)
}
