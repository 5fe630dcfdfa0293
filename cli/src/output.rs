//! What the program says, and where.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;

/// How data is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Rows for people.
#[derive(Debug)]
pub struct Rows {
    table: Table,
    empty: &'static str,
}

impl Rows {
    /// Rows with a head. `empty` is said, on standard error, when there are none.
    pub fn new(head: &[&str], empty: &'static str) -> Self {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(head.to_vec());
        Self { table, empty }
    }

    /// Adds a row.
    pub fn push<const N: usize>(&mut self, cells: [String; N]) {
        self.table.add_row(cells);
    }
}

/// Writes `value` in the format asked for; as a table it is what `rows` makes of it.
pub fn show<T: Serialize>(format: Format, value: &T, rows: impl FnOnce(&T) -> Rows) -> Result<(), CliError> {
    match format {
        Format::Table => {
            let rows = rows(value);
            if rows.table.row_count() == 0 {
                note(rows.empty);
                return Ok(());
            }
            let text: String = rows.table.lines().fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{}", line.strip_prefix(' ').unwrap_or(&line).trim_end());
                text
            });
            put(&text)
        }
        Format::Json | Format::Yaml => put(&render(format, value)?),
    }
}

/// Writes `value` for which there is no table: as JSON unless YAML is asked for.
pub fn show_tree(format: Format, value: &Value) -> Result<(), CliError> {
    let format = if format == Format::Yaml { Format::Yaml } else { Format::Json };
    put(&render(format, value)?)
}

fn render<T: Serialize>(format: Format, value: &T) -> Result<String, CliError> {
    let fail = |format, message| CliError::Format { format, message };
    match format {
        Format::Yaml => serde_saphyr::to_string(value).map_err(|error| fail("YAML", error.to_string())),
        Format::Json | Format::Table => {
            let mut text = serde_json::to_string_pretty(value).map_err(|error| fail("JSON", error.to_string()))?;
            text.push('\n');
            Ok(text)
        }
    }
}

/// One element of an unending list: a line of JSON, or a document of YAML.
pub fn show_element<T: Serialize>(format: Format, value: &T) -> Result<(), CliError> {
    match format {
        Format::Yaml => put(&format!("---\n{}", render(Format::Yaml, value)?)),
        Format::Json | Format::Table => {
            let text = serde_json::to_string(value)
                .map_err(|error| CliError::Format { format: "JSON", message: error.to_string() })?;
            put(&format!("{text}\n"))
        }
    }
}

/// Writes to standard output. A reader that went away (`| head`) is no error: nobody is left to tell.
pub fn put(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(source) => Err(CliError::Write { path: "standard output".into(), source }),
    }
}

/// Says something to the person, on standard error.
pub fn note(text: &str) {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Tells a failure: what, why, and what to do.
pub fn complain(error: &CliError) {
    let mut text = match error.code() {
        Some(code) => format!("error[{code}]: {error}"),
        None => format!("error: {error}"),
    };
    // The layers of an HTTP client between the request and what the system said are of no use to a person.
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    if let Some(cause) = causes.last() {
        let _ = write!(text, "\n  because: {cause}");
    }
    if !error.hint().is_empty() {
        let _ = write!(text, "\n  hint: {}", error.hint());
    }
    note(&text);
}

/// Whether standard error shows colours: a terminal, and `NO_COLOR` is not set.
pub fn colours() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A value in one cell: texts without quotes, everything else as JSON.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
