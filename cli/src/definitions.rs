//! Files of definitions: which kinds they hold, and what is wrong with them before anything is sent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use conductor_model::{TaskDef, WorkflowDef};
use serde_json::Value;

use crate::error::CliError;
use crate::input::{self, Source};

/// A definition with the place it was read from. `raw` is what is sent: what the file says, no more.
#[derive(Clone, Debug)]
pub struct Found<T> {
    pub place: String,
    pub raw: Value,
    pub definition: T,
}

/// All definitions that were handed in, in order.
#[derive(Debug, Default)]
pub struct Definitions {
    pub tasks: Vec<Found<TaskDef>>,
    pub workflows: Vec<Found<WorkflowDef>>,
    faults: Vec<String>,
}

impl Definitions {
    /// Reads files and directories. Faults are collected, so that one call tells all of them.
    pub fn read(paths: &[PathBuf]) -> Result<Self, CliError> {
        let mut all = Self::default();
        for path in paths {
            for file in files(path)? {
                all.add_source(&input::read(&file)?);
            }
        }
        all.check_names();
        if all.faults.is_empty() { Ok(all) } else { Err(CliError::Definitions { faults: all.faults }) }
    }

    fn add_source(&mut self, source: &Source) {
        let documents = match input::documents(source) {
            Ok(documents) => documents,
            Err(error) => return self.faults.push(error.to_string()),
        };
        if documents.is_empty() {
            self.faults.push(format!("{}: has no definition in it", source.name));
        }
        let several = documents.len() > 1;
        for (at, document) in documents.into_iter().enumerate() {
            let place = if several { format!("{}, document {}", source.name, at + 1) } else { source.name.clone() };
            self.add(&place, document);
        }
    }

    /// Tells by its shape what a document is.
    fn add(&mut self, place: &str, document: Value) {
        match document {
            Value::Array(items) => {
                for (at, item) in items.into_iter().enumerate() {
                    self.add(&format!("{place}[{at}]"), item);
                }
            }
            Value::Object(map) if map.contains_key("taskDefinitions") || map.contains_key("workflowDefinitions") => {
                for (key, value) in map {
                    match (key.as_str(), value) {
                        ("taskDefinitions" | "workflowDefinitions", Value::Array(items)) => {
                            self.add(&format!("{place}, {key}"), Value::Array(items));
                        }
                        _ => self.faults.push(format!(
                            "{place}: {key} has no place beside taskDefinitions and workflowDefinitions, which are lists"
                        )),
                    }
                }
            }
            Value::Object(map) if map.contains_key("tasks") => {
                read_one(place, Value::Object(map), &mut self.workflows, &mut self.faults);
            }
            Value::Object(map) if map.contains_key("operations") => self.faults.push(format!(
                "{place}: is a plugin's manifest; `conductor plugins push DIR` uploads the plugin"
            )),
            Value::Object(map) if map.contains_key("name") => {
                let before = self.tasks.len();
                read_one(place, Value::Object(map), &mut self.tasks, &mut self.faults);
                for found in &self.tasks[before..] {
                    let faults = found.definition.validate().into_iter();
                    self.faults.extend(faults.map(|fault| format!("{}: {} {}", found.place, fault.path, fault.message)));
                }
            }
            _ => self.faults.push(format!(
                "{place}: is neither a task definition (name), nor a workflow definition (name, tasks), nor a list of them, nor an \
                 object of taskDefinitions and workflowDefinitions"
            )),
        }
    }

    fn check_names(&mut self) {
        let mut seen = BTreeSet::new();
        for found in &self.tasks {
            if !seen.insert(&found.definition.name) {
                self.faults.push(format!("{}: is defined twice", found.place));
            }
        }
        let mut seen = BTreeSet::new();
        for found in &self.workflows {
            if !seen.insert((&found.definition.name, found.definition.version)) {
                self.faults.push(format!("{}: is defined twice in version {}", found.place, found.definition.version));
            }
        }
    }
}

fn read_one<T: serde::de::DeserializeOwned>(place: &str, raw: Value, out: &mut Vec<Found<T>>, faults: &mut Vec<String>) {
    let name = raw.get("name").and_then(Value::as_str).unwrap_or("without a name");
    let place = format!("{place} ({name})");
    match T::deserialize(&raw) {
        Ok(definition) => out.push(Found { place, raw, definition }),
        Err(error) => faults.push(format!("{place}: {error}")),
    }
}

/// The file itself, or the definition files directly in a directory, by name.
fn files(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let fail = |source| CliError::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        let file = entry.map_err(fail)?.path();
        if file.is_file() && input::is_definition_file(&file) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let message = "has no *.json, *.yaml or *.yml file in it".to_owned();
        return Err(CliError::Definition { place: path.display().to_string(), message });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Definitions, CliError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("defs.yaml");
        fs::write(&file, text).unwrap();
        Definitions::read(&[file])
    }

    #[test]
    fn kinds_are_told_apart_by_shape() {
        let all = read(
            "name: a\n---\nname: w\ntasks: [{name: a, taskReferenceName: a_1}]\n---\n- name: b\n- name: c\n---\n\
             taskDefinitions: [{name: d}]\nworkflowDefinitions: [{name: x, tasks: [{name: a, taskReferenceName: r}]}]\n",
        )
        .unwrap();
        let tasks: Vec<_> = all.tasks.iter().map(|found| found.definition.name.as_str()).collect();
        let workflows: Vec<_> = all.workflows.iter().map(|found| found.definition.name.as_str()).collect();
        assert_eq!((tasks, workflows), (vec!["a", "b", "c", "d"], vec!["w", "x"]));
    }

    #[test]
    fn all_faults_are_told_with_their_place() {
        let text = "name: a\nretryCount: many\n---\njust text\n---\nname: b\nretryCount: -1\n---\nname: b\n---\n\
                    name: p\noperations: {go: {}}\n";
        let error = read(text).unwrap_err().to_string();
        for part in [
            "5 faults",
            "a plugin's manifest",
            "document 1 (a)",
            "document 2: is neither",
            "retryCount must be at least 0",
            "defined twice",
        ] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
    }

    #[test]
    fn a_directory_is_read_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("2.json"), r#"{"name": "second"}"#).unwrap();
        fs::write(dir.path().join("1.yml"), "name: first\n").unwrap();
        fs::write(dir.path().join("README.md"), "no definition").unwrap();
        let all = Definitions::read(&[dir.path().to_owned()]).unwrap();
        let names: Vec<_> = all.tasks.iter().map(|found| found.definition.name.as_str()).collect();
        assert_eq!(names, ["first", "second"]);
    }
}
