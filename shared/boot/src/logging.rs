//! Logs: one line per event on standard error, for people or as JSON.

use std::fs::File;
use std::io::IsTerminal;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::{EnvFilter, fmt};

/// Overrides the level of the settings while it is set: a level, or a filter as in `info,conductor_manager=debug`.
const LOG_VARIABLE: &str = "CONDUCTOR_LOG";

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The `log` section of a binary's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: a level, or a filter by module.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error(
        "{origin} is {filter:?}, which is not a log filter; write error, warn, info, debug or trace, or a list as in info,lapin=warn"
    )]
    Filter {
        /// Where it came from.
        origin: &'static str,
        /// As given.
        filter: String,
        /// Why.
        #[source]
        source: ParseError,
    },
    /// Somebody has set up logging before.
    #[error("logging is set up already")]
    Twice,
}

/// Sends the process's log events to standard error.
///
/// # Errors
/// When the filter cannot be read, and when it is called twice.
pub fn init_logging(settings: &LogSettings) -> Result<(), LoggingError> {
    init(settings, std::io::stderr, std::io::stderr().is_terminal())
}

/// Sends the process's log events to a file.
///
/// # Errors
/// When the filter cannot be read, and when it is called twice.
pub fn init_logging_to(settings: &LogSettings, file: File) -> Result<(), LoggingError> {
    init(settings, Mutex::new(file), false)
}

fn init<W>(settings: &LogSettings, writer: W, colours: bool) -> Result<(), LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter(settings, std::env::var(LOG_VARIABLE).ok())?;
    let builder = fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours);
    let done = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| LoggingError::Twice)
}

fn filter(settings: &LogSettings, variable: Option<String>) -> Result<EnvFilter, LoggingError> {
    let (origin, filter) = match variable.filter(|text| !text.is_empty()) {
        Some(text) => (LOG_VARIABLE, text),
        None => ("log.level", settings.level.clone()),
    };
    EnvFilter::builder().parse(&filter).map_err(|source| LoggingError::Filter { origin, filter, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_wins_over_the_setting() {
        let settings = LogSettings { level: "warn".to_owned(), ..LogSettings::default() };
        assert_eq!(filter(&settings, None).unwrap().to_string(), "warn");
        assert_eq!(filter(&settings, Some("debug".to_owned())).unwrap().to_string(), "debug");
        assert_eq!(filter(&settings, Some(String::new())).unwrap().to_string(), "warn");
    }

    #[test]
    fn a_wrong_filter_says_where_it_stands() {
        let settings = LogSettings { level: "conductor=loud".to_owned(), ..LogSettings::default() };
        let error = filter(&settings, None).unwrap_err().to_string();
        assert!(error.contains("log.level") && error.contains("loud"), "{error}");
    }
}
