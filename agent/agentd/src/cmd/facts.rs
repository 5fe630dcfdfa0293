//! `conductor-agent facts`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use conductor_boot::report;
use nix::unistd::User;
use serde_json::{Value, json};

use super::{Exit, fail};
use crate::facts;
use crate::identity::{self, Identity};
use crate::instance::{self, ACCOUNT};
use crate::settings::Settings;

/// Flags of `facts`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How to show them
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// The folder whose disk is told of [default: the agent's]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The folder with what the host's owner adds [default: the agent's]
    #[arg(long, value_name = "DIR")]
    facts_dir: Option<PathBuf>,
    /// Settings file [default: /etc/conductor/agent.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Table,
    Json,
}

pub(super) fn main(arguments: Arguments) -> Exit {
    let Arguments { output, data_dir, facts_dir, config } = arguments;
    let facts_dir = facts_dir.map(|path| path.display().to_string());
    let loader = instance::loader(config, data_dir).flag("--facts-dir", "facts_dir", facts_dir);
    let settings: Settings = match loader.load() {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(&error),
    };
    // As the service has it: its tasks run as the runner's user, and by default that is its own.
    let user = match settings.runner.user.as_str() {
        "" if User::from_name(ACCOUNT).is_ok_and(|found| found.is_some()) => ACCOUNT.to_owned(),
        _ => settings.runner.effective_user(),
    };
    let (facts, faults) = facts::collect_all(&settings.data_dir, &user, &settings.facts_dir);
    for fault in faults {
        eprintln!("left out: {}", report(&fault));
    }
    let mut facts = facts;
    let labels = labels(&settings);
    if !labels.is_empty() {
        facts.insert("labels".to_owned(), json!(labels));
    }
    let facts = Value::Object(facts);
    match output {
        Form::Json => println!("{facts:#}"),
        Form::Table => {
            let mut lines = Vec::new();
            flatten("", &facts, &mut lines);
            let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, value) in lines {
                println!("{name:width$}  {value}");
            }
        }
    }
    Exit::Done
}

/// What operators say of this host: in its settings, and when they let it in, which counts more.
fn labels(settings: &Settings) -> BTreeMap<String, String> {
    let mut labels = settings.labels.clone();
    // Who may not read the identity sees the rest.
    if let Ok(Some(identity)) = Identity::load(&identity::folder(&settings.data_dir)) {
        labels.extend(identity.note.labels);
    }
    labels
}

/// Names as selectors write them: `memory.total`.
fn flatten(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(&name, value, lines);
            }
        }
        Value::String(text) => lines.push((name.to_owned(), text.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => lines.push((name.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_those_of_the_settings() {
        let dir = tempfile::tempdir().unwrap();
        let labels_set = BTreeMap::from([("role".to_owned(), "web".to_owned())]);
        let settings = Settings { labels: labels_set.clone(), data_dir: dir.path().to_owned(), ..Settings::default() };
        assert_eq!(labels(&settings), labels_set);
        let mut lines = Vec::new();
        flatten("", &json!({"labels": labels(&settings), "memory": {"total": 1}}), &mut lines);
        assert_eq!(lines, [("labels.role".to_owned(), "web".to_owned()), ("memory.total".to_owned(), "1".to_owned())]);
    }
}
