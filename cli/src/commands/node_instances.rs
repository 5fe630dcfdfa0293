//! `conductor node-instances`.

use conductor_client::Client;
use serde_json::Value;

use crate::args::NodeInstancesCommand;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, cell, put, show, show_tree};

pub async fn run(client: &Client, format: Format, command: Option<NodeInstancesCommand>) -> Result<Exit, CliError> {
    match command.unwrap_or(NodeInstancesCommand::List) {
        NodeInstancesCommand::List => {
            let instances = client.node_instances().await?;
            show(format, &instances, |instances| rows(instances))?;
        }
        NodeInstancesCommand::Get { id } => {
            let instance = client.node_instance(&id).await?;
            if format != Format::Table {
                show_tree(format, &instance)?;
                return Ok(Exit::Success);
            }
            let text = |key: &str| cell(&instance[key]);
            put(&format!(
                "node instance  {}\nstate          {}\nversion        {}\n\n",
                text("id"),
                text("state"),
                text("version")
            ))?;
            show(format, &instance["runtime_properties"], properties)?;
        }
    }
    Ok(Exit::Success)
}

fn rows(instances: &[Value]) -> Rows {
    let mut rows = Rows::new(&["NODE INSTANCE", "NODE", "STATE", "VERSION", "RUNTIME PROPERTIES"], "no node instances");
    for instance in instances {
        let properties = instance["runtime_properties"].as_object();
        let keys: Vec<&str> = properties.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
        rows.push([
            cell(&instance["id"]),
            cell(&instance["node_id"]),
            cell(&instance["state"]),
            cell(&instance["version"]),
            keys.join(","),
        ]);
    }
    rows
}

fn properties(value: &Value) -> Rows {
    let mut rows = Rows::new(&["PROPERTY", "VALUE"], "no runtime properties");
    for (key, value) in value.as_object().into_iter().flatten() {
        rows.push([key.clone(), cell(value)]);
    }
    rows
}
