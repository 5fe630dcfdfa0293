//! `conductor plugins`.

use std::fs;
use std::path::Path;

use conductor_client::{Client, PluginView};
use conductor_plugin::{MediaType, inspect, pack_dir};

use super::agents::moment;
use crate::args::PluginsCommand;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{Format, Rows, note, show};

pub async fn run(client: &Client, format: Format, command: Option<PluginsCommand>) -> Result<Exit, CliError> {
    match command.unwrap_or(PluginsCommand::List) {
        PluginsCommand::List => {
            let plugins = client.plugins().await?;
            show(format, &plugins, |plugins| rows(plugins))?;
        }
        PluginsCommand::Push { path } => push(client, format, &path).await?,
        PluginsCommand::Delete { plugin } => delete(client, &plugin).await?,
    }
    Ok(Exit::Success)
}

fn rows(plugins: &[PluginView]) -> Rows {
    let mut rows = Rows::new(&["PLUGIN", "VERSION", "OPERATIONS", "BYTES", "UPLOADED", "DIGEST"], "no plugins");
    for plugin in plugins {
        let operations = plugin.manifest.get("operations").and_then(|operations| operations.as_object());
        let names: Vec<&str> = operations.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
        rows.push([
            plugin.name.clone(),
            plugin.version.clone(),
            names.join(","),
            plugin.size_bytes.to_string(),
            moment(&plugin.uploaded_at),
            plugin.digest.clone(),
        ]);
    }
    rows
}

async fn push(client: &Client, format: Format, path: &Path) -> Result<(), CliError> {
    let mut archive = Vec::new();
    if path.is_dir() {
        pack_dir(path, &mut archive)?;
    } else {
        archive = fs::read(path).map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    }
    let fail = |message: String, hint| CliError::Archive { path: path.to_owned(), message, hint };
    let media_type = MediaType::detect(&archive).ok_or_else(|| {
        fail("it is neither .tar.gz nor .tar.zst".to_owned(), "give the plugin's directory; it is packed for you")
    })?;
    // What the manager would refuse is refused here, before it is sent.
    inspect(&archive[..], media_type).map_err(|error| fail(error.to_string(), error.hint()))?;
    let uploaded = client.upload_plugin(archive, media_type.as_str()).await?;
    let plugin = &uploaded.plugin;
    let what = if uploaded.created { "uploaded" } else { "was there already" };
    note(&format!("{}@{} {what}", plugin.name, plugin.version));
    show(format, &vec![plugin.clone()], |plugins| rows(plugins))
}

async fn delete(client: &Client, plugin: &str) -> Result<(), CliError> {
    let digests: Vec<String> = match plugin.split_once('@') {
        None => vec![plugin.to_owned()],
        Some((name, version)) => {
            let all = client.plugins().await?.into_iter();
            all.filter(|found| found.name == name && found.version == version).map(|found| found.digest).collect()
        }
    };
    if digests.is_empty() {
        let message = format!("there is no plugin {plugin}; `conductor plugins` lists all");
        return Err(CliError::Usage { message });
    }
    for digest in digests {
        client.delete_plugin(&digest).await?;
        note(&format!("{digest} is deleted"));
    }
    Ok(())
}
