//! `conductor version`.

use conductor_client::Client;
use serde_json::json;

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, cell, show};

pub async fn run(client: &Client, format: Format) -> Result<Exit, CliError> {
    let manager = client.version().await?;
    let value = json!({"client": env!("CARGO_PKG_VERSION"), "manager": manager.get("version").unwrap_or(&manager)});
    show(format, &value, |value| {
        let mut rows = Rows::new(&["PROGRAM", "VERSION"], "");
        rows.push(["conductor".to_owned(), cell(&value["client"])]);
        rows.push(["manager".to_owned(), cell(&value["manager"])]);
        rows
    })?;
    Ok(Exit::Success)
}
