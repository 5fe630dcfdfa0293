//! `conductor run`: starts a workflow.

use conductor_client::{Client, EventQuery, StartRequest};
use serde_json::json;

use crate::args::RunArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::follow;
use crate::input::workflow_input;
use crate::output::{Format, note, put, show_tree};

/// With a key of one's own, a second start means the first run.
const SAME_KEY_SAME_RUN: &str = "RETURN_EXISTING";

pub async fn run(client: &Client, format: Format, args: RunArgs) -> Result<Exit, CliError> {
    let input = workflow_input(args.input_file.as_deref(), &args.inputs)?;
    let request = StartRequest {
        name: args.name,
        version: args.version,
        input,
        correlation_id: args.correlation_id,
        idempotency_strategy: args.idempotency_key.as_ref().map(|_| SAME_KEY_SAME_RUN.to_owned()),
        idempotency_key: args.idempotency_key,
        priority: args.priority,
        workflow_def: None,
    };
    if !args.follow {
        let id = client.start(&request).await?;
        match format {
            Format::Table => put(&format!("{id}\n"))?,
            Format::Json | Format::Yaml => show_tree(format, &json!({"workflowId": id}))?,
        }
        return Ok(Exit::Success);
    }
    // The stream is open before the start, so that the first event is seen.
    let events = client.events(EventQuery::default()).await?;
    let id = client.start(&request).await?;
    note(&format!("started {} as {id}", request.name));
    follow::follow(client, format, id, events, follow::Since::Start).await
}
