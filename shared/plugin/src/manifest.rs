//! `plugin.yaml`: what a plugin says of itself.

use std::collections::BTreeMap;
use std::fmt;

use conductor_model::limits::{NAME_BYTES_MAX, PLUGIN_MANIFEST_BYTES_MAX};
use conductor_model::{PluginName, ResourceLimits, Selector, Violation};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::path::relative_inside;

/// Where the manifest lies in a plugin's directory.
pub const MANIFEST_FILE: &str = "plugin.yaml";

/// Most operations in one plugin: more than any plugin has, and a bound on what a manifest can make of the manager.
const OPERATIONS_MAX: usize = 1000;

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name that task definitions call it by.
    pub name: PluginName,
    /// Its version, as in `1.2.0`.
    pub version: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How its operations are run.
    #[serde(default)]
    pub mode: Mode,
    /// The program, relative to the plugin's directory. Absent in mode `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<String>,
    /// What it can do, by name.
    pub operations: BTreeMap<String, Operation>,
    /// What it needs of a host: a label selector with comparisons on facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Environment variables of the agent that its processes may see, beside the fixed few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
}

/// One thing that a plugin can do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
    /// JSON Schema of the output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Value>,
    /// Whether it may run again when nobody knows how far a first run came.
    #[serde(default)]
    pub idempotent: bool,
    /// Whether processes that it started may outlive it. Otherwise they are killed when it ends.
    #[serde(default)]
    pub leaves_processes: bool,
    /// What one task of it may use, beside what its definition says: the smaller counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// Mode `script` only: the script's file, relative to the plugin's directory. Absent = the task's input carries the
    /// text under `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

/// How a plugin's operations are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One process for each task: `entrypoint OPERATION`, the task on stdin.
    #[default]
    OneShot,
    /// One process that reads one task per line.
    Persistent,
    /// A shell or Python script with `ctx` on its path.
    Script,
}

/// Why a text is not a manifest.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// More than [`PLUGIN_MANIFEST_BYTES_MAX`].
    #[error("plugin.yaml is longer than {PLUGIN_MANIFEST_BYTES_MAX} bytes")]
    TooLarge,
    /// Not UTF-8.
    #[error("plugin.yaml is not UTF-8 text")]
    NotText,
    /// Not YAML, or not in a manifest's shape. Holds the reader's words with line and column.
    #[error("plugin.yaml cannot be read: {message}")]
    Shape {
        /// What is wrong and where.
        message: String,
    },
    /// Readable, but not right.
    #[error("plugin.yaml: {}", summary(.violations))]
    Invalid {
        /// All that is wrong.
        violations: Vec<Violation>,
    },
}

/// Violations in one line: `path message; path message`.
pub(crate) fn summary(violations: &[Violation]) -> String {
    violations.iter().map(|v| format!("{} {}", v.path, v.message)).collect::<Vec<_>>().join("; ")
}

impl ManifestError {
    /// The error as a list of violations.
    #[must_use]
    pub fn into_violations(self) -> Vec<Violation> {
        match self {
            Self::Invalid { violations } => violations,
            other => vec![Violation::new(MANIFEST_FILE, other.to_string(), None)],
        }
    }
}

impl Manifest {
    /// Reads and validates a manifest.
    ///
    /// # Errors
    /// Says what is wrong and where; everything at once as far as the text could be read.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() as u64 > PLUGIN_MANIFEST_BYTES_MAX {
            return Err(ManifestError::TooLarge);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        let manifest: Self =
            serde_saphyr::from_str(text).map_err(|error| ManifestError::Shape { message: one_line(&error) })?;
        let violations = manifest.validate();
        if violations.is_empty() { Ok(manifest) } else { Err(ManifestError::Invalid { violations }) }
    }

    /// Everything that is wrong with the manifest; empty = it is right. Whether its files are there is not looked at.
    #[must_use]
    pub fn validate(&self) -> Vec<Violation> {
        let mut out = Vec::new();
        check_version(&self.version, &mut out);
        match (self.mode, self.entrypoint.as_deref()) {
            (Mode::Script, Some(entrypoint)) => out.push(Violation::new(
                "entrypoint",
                "has no meaning in mode script; name the file as operations.NAME.script",
                Some(entrypoint.to_owned()),
            )),
            (Mode::OneShot | Mode::Persistent, None) => {
                out.push(Violation::new("entrypoint", format!("is needed in mode {}", self.mode), None));
            }
            (_, Some(entrypoint)) => check_relative("entrypoint", entrypoint, &mut out),
            (Mode::Script, None) => {}
        }
        if self.operations.is_empty() {
            out.push(Violation::new("operations", "must have at least one operation", None));
        }
        if self.operations.len() > OPERATIONS_MAX {
            let message = format!("has {} operations; at most {OPERATIONS_MAX} are allowed", self.operations.len());
            out.push(Violation::new("operations", message, None));
        }
        for (name, operation) in self.operations.iter().take(OPERATIONS_MAX) {
            self.check_operation(name, operation, &mut out);
        }
        if let Some(requires) = &self.requires
            && let Err(error) = requires.parse::<Selector>()
        {
            out.push(Violation::new("requires", error.to_string(), Some(requires.clone())));
        }
        for (at, variable) in self.environment.iter().enumerate() {
            check_variable(at, variable, &mut out);
        }
        out
    }

    fn check_operation(&self, name: &str, operation: &Operation, out: &mut Vec<Violation>) {
        let path = format!("operations.{name}");
        if !is_word(name, "._-") {
            let message = format!(
                "is no operation name; allowed are 1 to {NAME_BYTES_MAX} letters, digits, '.', '_' and '-', with a letter or digit first"
            );
            out.push(Violation::new(&path, message, Some(name.to_owned())));
        }
        for (key, schema) in [("inputs", &operation.inputs), ("outputs", &operation.outputs)] {
            if let Some(schema) = schema
                && !matches!(schema, Value::Object(_) | Value::Bool(_))
            {
                out.push(Violation::new(format!("{path}.{key}"), "must be a JSON Schema: an object", Some(schema.to_string())));
            }
        }
        if let Some(cpu) = operation.limits.as_ref().and_then(|limits| limits.cpu)
            && !(cpu > 0.0 && cpu.is_finite())
        {
            out.push(Violation::new(format!("{path}.limits.cpu"), "must be greater than 0", Some(cpu.to_string())));
        }
        match &operation.script {
            Some(script) if self.mode == Mode::Script => check_relative(&format!("{path}.script"), script, out),
            Some(script) => {
                let message = format!("has a meaning in mode script alone; this plugin's mode is {}", self.mode);
                out.push(Violation::new(format!("{path}.script"), message, Some(script.clone())));
            }
            None => {}
        }
    }

    /// The files that must be there and executable, each with the path of the key that names it.
    #[must_use]
    pub fn programs(&self) -> Vec<(String, &str)> {
        let entrypoint = self.entrypoint.as_deref().map(|file| ("entrypoint".to_owned(), file));
        let scripts = self
            .operations
            .iter()
            .filter_map(|(name, operation)| Some((format!("operations.{name}.script"), operation.script.as_deref()?)));
        entrypoint.into_iter().chain(scripts).collect()
    }
}

fn check_version(version: &str, out: &mut Vec<Violation>) {
    if !is_word(version, "._-+") {
        let message = format!("must be 1 to {NAME_BYTES_MAX} letters, digits, '.', '_', '-' and '+', as in 1.2.0");
        out.push(Violation::new("version", message, Some(version.to_owned())));
    }
}

fn check_relative(path: &str, file: &str, out: &mut Vec<Violation>) {
    if let Err(reason) = relative_inside(file) {
        let message = format!("must be a path inside the plugin: {reason}");
        out.push(Violation::new(path, message, Some(file.to_owned())));
    }
}

fn check_variable(at: usize, variable: &str, out: &mut Vec<Violation>) {
    let mut bytes = variable.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        let message = "must be the name of an environment variable, as in HTTP_PROXY";
        out.push(Violation::new(format!("environment[{at}]"), message, Some(variable.to_owned())));
    }
}

/// Letters, digits and `extra`, a letter or digit first.
fn is_word(text: &str, extra: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
}

/// The reader's first line, which has the place, without the excerpt of the text below it.
fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

impl Mode {
    /// The mode as manifests write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OneShot => "one-shot",
            Self::Persistent => "persistent",
            Self::Script => "script",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "
name: site
version: 1.0
description: Serves a site.
entrypoint: bin/site
operations:
  start:
    description: Starts it.
    inputs: {type: object, required: [url]}
    idempotent: true
    leaves_processes: true
  stop: {}
requires: role=web
environment: [HTTP_PROXY]
";

    fn complaints(text: &str) -> Vec<String> {
        Manifest::parse(text.as_bytes()).unwrap_err().into_violations().into_iter().map(|v| v.path).collect()
    }

    #[test]
    fn a_whole_manifest_is_read() {
        let manifest = Manifest::parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(manifest.mode, Mode::OneShot);
        assert_eq!(manifest.version, "1.0");
        assert!(manifest.operations["start"].leaves_processes);
        assert!(!manifest.operations["stop"].idempotent);
        assert_eq!(manifest.programs(), [("entrypoint".to_owned(), "bin/site")]);
    }

    #[test]
    fn what_is_read_survives_json() {
        let manifest = Manifest::parse(WHOLE.as_bytes()).unwrap();
        let json = serde_json::to_value(&manifest).unwrap();
        assert_eq!(serde_json::from_value::<Manifest>(json).unwrap(), manifest);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = Manifest::parse(b"name: a\nversion: '1'\nentry: x\noperations: {}\n").unwrap_err().to_string();
        assert!(error.contains("entry") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let paths = complaints("name: a\nversion: ''\noperations: {'a b': {inputs: 3}}\nenvironment: [A=B]\n");
        assert_eq!(paths, ["version", "entrypoint", "operations.a b", "operations.a b.inputs", "environment[0]"]);
    }

    #[test]
    fn programs_stay_inside() {
        for bad in ["/bin/sh", "../x", "a/../../x", "''"] {
            assert_eq!(complaints(&format!("name: a\nversion: 1\nentrypoint: {bad}\noperations: {{x: {{}}}}")), ["entrypoint"]);
        }
    }

    #[test]
    fn modes_say_where_programs_are_named() {
        assert_eq!(complaints("name: a\nversion: 1\nmode: script\nentrypoint: x\noperations: {x: {}}"), ["entrypoint"]);
        assert_eq!(complaints("name: a\nversion: 1\nentrypoint: x\noperations: {x: {script: y}}"), ["operations.x.script"]);
        let script = Manifest::parse(b"name: a\nversion: 1\nmode: script\noperations: {x: {script: y.sh}, run: {}}").unwrap();
        assert_eq!(script.programs(), [("operations.x.script".to_owned(), "y.sh")]);
    }

    #[test]
    fn bombs_and_rubbish_are_refused() {
        assert!(matches!(Manifest::parse(&[0xff, 0xfe]), Err(ManifestError::NotText)));
        let long = vec![b'#'; usize::try_from(PLUGIN_MANIFEST_BYTES_MAX).unwrap() + 1];
        assert!(matches!(Manifest::parse(&long), Err(ManifestError::TooLarge)));
        let mut laughs = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let one = format!("*a{},", i - 1).repeat(10);
            laughs.push_str(&format!("a{i}: &a{i} [{}]\n", one.trim_end_matches(',')));
        }
        assert!(matches!(Manifest::parse(laughs.as_bytes()), Err(ManifestError::Shape { .. })));
    }
}
