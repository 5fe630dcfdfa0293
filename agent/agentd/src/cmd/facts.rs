//! `conductor-agent facts`.

use std::path::PathBuf;

use conductor_boot::report;
use serde_json::Value;

use super::{Exit, own_name};
use crate::facts::{self, folder};

/// Flags of `facts`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How to show them
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// The folder whose disk is told of
    #[arg(long, value_name = "DIR", default_value = "/")]
    data_dir: PathBuf,
    /// The folder with what the host's owner adds
    #[arg(long, value_name = "DIR", default_value = folder::DEFAULT)]
    facts_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Table,
    Json,
}

pub(super) fn main(arguments: &Arguments) -> Exit {
    let (facts, faults) = facts::collect_all(&arguments.data_dir, &own_name(), &arguments.facts_dir);
    for fault in faults {
        eprintln!("left out: {}", report(&fault));
    }
    let facts = Value::Object(facts);
    match arguments.output {
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
