//! What a plugin says of its task while it runs.

use conductor_model::json::nests_too_deep;
use conductor_model::limits::{JSON_DEPTH_MAX, TASK_PAYLOAD_BYTES_MAX};
use conductor_wire::plugin_io::PluginEvent;
use serde_json::{Map, Value, json};

/// Most links, metrics or artifacts that one task may have.
const LISTED_MAX: usize = 1000;
/// Longest piece of a log line that is quoted as the reason of a failure.
const QUOTED_BYTES_MAX: usize = 400;

/// An error as the plugin told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldError {
    /// Its class, as in `ConfigError`.
    pub class: Option<String>,
    /// For people.
    pub message: String,
    /// Whether another attempt may help, where the plugin said so.
    pub retryable: Option<bool>,
}

/// What the plugin has said so far.
#[derive(Debug, Default)]
pub struct Collector {
    output: Map<String, Value>,
    output_bytes: usize,
    links: Vec<Value>,
    metrics: Map<String, Value>,
    /// Path below the working directory, and the name in the store.
    pub artifacts: Vec<(String, String)>,
    /// Where artifacts were stored.
    stored: Vec<Value>,
    /// Runtime properties that are not stored yet.
    pub properties: Map<String, Value>,
    /// The last error.
    pub error: Option<ToldError>,
    /// That there was nothing to do, and why.
    pub not_needed: Option<Option<String>>,
    /// What it wrote last to standard error.
    last_words: String,
    /// A bound that was passed: the task fails.
    pub excess: Option<String>,
}

/// What an event asks the caller to do at once.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// Nothing more.
    Kept,
    /// Pass on a log line.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: Option<String>,
        /// The line.
        message: String,
    },
    /// Pass on how far it is.
    Progress {
        /// 0 to 100.
        percent: Option<f64>,
        /// For people.
        message: Option<String>,
    },
    /// There are runtime properties to store.
    Properties,
    /// Persistent mode: the task is done.
    Done {
        /// Which task, as the plugin says.
        task_id: String,
        /// How it went.
        success: bool,
    },
}

impl Collector {
    /// Takes in an event that was `bytes` long.
    pub fn hear(&mut self, event: PluginEvent, bytes: usize) -> Heard {
        match event {
            PluginEvent::Log { level, message } => return Heard::Log { level, message },
            PluginEvent::Progress { percent, message } => return Heard::Progress { percent, message },
            PluginEvent::Done { task_id, success } => return Heard::Done { task_id, success },
            PluginEvent::RuntimeProperties { values } => {
                if self.weigh("runtime properties", bytes) && self.fathom("runtime properties", &values) {
                    self.properties.extend(values);
                    return Heard::Properties;
                }
            }
            PluginEvent::Output { values } => {
                if self.weigh("output", bytes) && self.fathom("output", &values) {
                    self.output.extend(values);
                }
            }
            PluginEvent::Link { name, url } => {
                if self.count("links", self.links.len()) && self.weigh("output", bytes) {
                    self.links.push(json!({ "name": name, "url": url }));
                }
            }
            PluginEvent::Metric { name, value } => {
                if self.count("metrics", self.metrics.len()) && self.weigh("output", bytes) {
                    self.metrics.insert(name, json!(value));
                }
            }
            PluginEvent::Artifact { path, name } => {
                if self.count("artifacts", self.artifacts.len()) {
                    let name = name.unwrap_or_else(|| path.clone());
                    self.artifacts.push((path, name));
                }
            }
            PluginEvent::NotNeeded { message } => self.not_needed = Some(message),
            PluginEvent::Error { class, message, retryable } => self.error = Some(ToldError { class, message, retryable }),
        }
        Heard::Kept
    }

    fn weigh(&mut self, what: &str, bytes: usize) -> bool {
        self.output_bytes += bytes;
        let fits = self.output_bytes <= TASK_PAYLOAD_BYTES_MAX;
        if !fits {
            self.excess = Some(format!("its {what} came to more than {TASK_PAYLOAD_BYTES_MAX} bytes"));
        }
        fits
    }

    fn fathom(&mut self, what: &str, values: &Map<String, Value>) -> bool {
        let fits = !nests_too_deep(values);
        if !fits {
            self.excess = Some(format!("its {what} nests deeper than {JSON_DEPTH_MAX} levels"));
        }
        fits
    }

    fn count(&mut self, what: &str, count: usize) -> bool {
        let fits = count < LISTED_MAX;
        if !fits {
            self.excess = Some(format!("it told of more than {LISTED_MAX} {what}"));
        }
        fits
    }

    /// Remembers a line of standard error: the last one explains a bad exit that the plugin gave no error for.
    pub fn note_stderr(&mut self, line: &str) {
        if !line.trim().is_empty() {
            self.last_words.clear();
            self.last_words.extend(line.chars().take(QUOTED_BYTES_MAX));
        }
    }

    /// What it wrote last to standard error; empty if nothing.
    #[must_use]
    pub fn last_words(&self) -> &str {
        &self.last_words
    }

    /// Notes where an artifact was stored.
    pub fn note_stored(&mut self, artifact: Value) {
        self.stored.push(artifact);
    }

    /// The task's output, with `links`, `metrics` and `artifacts` where there are any.
    pub fn take_output(&mut self) -> Map<String, Value> {
        let mut output = std::mem::take(&mut self.output);
        let lists = [
            ("links", Value::Array(std::mem::take(&mut self.links))),
            ("artifacts", Value::Array(std::mem::take(&mut self.stored))),
        ];
        for (name, list) in lists {
            if list.as_array().is_some_and(|items| !items.is_empty()) {
                output.insert(name.to_owned(), list);
            }
        }
        if !self.metrics.is_empty() {
            output.insert("metrics".to_owned(), Value::Object(std::mem::take(&mut self.metrics)));
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An event that sets `a` to lists within lists.
    fn nested(kind: &str, levels: usize) -> PluginEvent {
        let (open, close) = ("[".repeat(levels), "]".repeat(levels));
        serde_json::from_str(&format!(r#"{{"type":"{kind}","values":{{"a":{open}{close}}}}}"#)).unwrap()
    }

    #[test]
    fn what_nests_too_deep_to_travel_inside_a_report_fails_the_task() {
        for kind in ["output", "runtime_properties"] {
            let mut said = Collector::default();
            said.hear(nested(kind, JSON_DEPTH_MAX - 1), 1);
            assert_eq!(said.excess, None);
            said.hear(nested(kind, JSON_DEPTH_MAX), 1);
            assert!(said.excess.as_ref().is_some_and(|excess| excess.contains("nests deeper")), "{:?}", said.excess);
        }
    }
}
