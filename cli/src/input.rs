//! Reading what people hand in.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::CliError;

/// A text with the name of where it came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file, or `standard input`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// Reads a file, or standard input for `-`.
pub fn read(path: &Path) -> Result<Source, CliError> {
    if path == Path::new("-") {
        let mut text = String::new();
        let name = "standard input".to_owned();
        io::stdin().read_to_string(&mut text).map_err(|source| CliError::Read { path: PathBuf::from(&name), source })?;
        return Ok(Source { name, text });
    }
    let text = fs::read_to_string(path).map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    Ok(Source { name: path.display().to_string(), text })
}

/// All documents of a JSON or YAML text.
pub fn documents(source: &Source) -> Result<Vec<Value>, CliError> {
    let fail = |message: String| CliError::Definition { place: source.name.clone(), message };
    let start = source.text.trim_start();
    let is_json = source.name.ends_with(".json") || (!is_yaml(&source.name) && start.starts_with(['{', '[']));
    if is_json {
        let documents = serde_json::Deserializer::from_str(&source.text).into_iter();
        return documents.collect::<Result<_, _>>().map_err(|error| fail(format!("is not JSON: {error}")));
    }
    // Only `true` and `false` are booleans: a country code `no` stays a text.
    let options = serde_saphyr::options! { strict_booleans: true };
    let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(&source.text, options)
        .map_err(|error| fail(format!("is not YAML: {error}")))?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn is_yaml(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// Whether a file in a directory of definitions is one of them.
pub fn is_definition_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "yaml" || extension == "yml")
}

/// A workflow's input: the object in `file`, then each `KEY=VALUE` over it.
pub fn workflow_input(file: Option<&Path>, pairs: &[String]) -> Result<Map<String, Value>, CliError> {
    let mut input = match file {
        None => Map::new(),
        Some(path) => {
            let source = read(path)?;
            match documents(&source)?.as_slice() {
                [Value::Object(map)] => map.clone(),
                _ => {
                    let message = "must be one object of inputs".to_owned();
                    return Err(CliError::Definition { place: source.name, message });
                }
            }
        }
    };
    for pair in pairs {
        let (key, value) = pair
            .split_once('=')
            .filter(|(key, _)| !key.is_empty())
            .ok_or_else(|| CliError::Usage { message: format!("--input {pair:?} must be KEY=VALUE") })?;
        input.insert(key.to_owned(), parse_value(value));
    }
    Ok(input)
}

/// What reads as JSON is JSON; everything else is a text.
fn parse_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_all(name: &str, text: &str) -> Vec<Value> {
        documents(&Source { name: name.to_owned(), text: text.to_owned() }).unwrap()
    }

    #[test]
    fn json_and_yaml_are_told_apart() {
        assert_eq!(read_all("-", r#" {"a": 1}{"b": 2}"#), [json!({"a": 1}), json!({"b": 2})]);
        assert_eq!(read_all("x.yaml", "a: 1\n---\nb: no\n---\n"), [json!({"a": 1}), json!({"b": "no"})]);
        assert_eq!(read_all("-", "a: ${workflow.input.x}\n"), [json!({"a": "${workflow.input.x}"})]);
    }

    #[test]
    fn a_fault_is_told_with_its_file_and_line() {
        let source = Source { name: "x.yaml".to_owned(), text: "a: 1\nb: [\n".to_owned() };
        let error = documents(&source).unwrap_err().to_string();
        assert!(error.starts_with("x.yaml: is not YAML") && error.contains("line"), "{error}");
    }

    #[test]
    fn inputs_are_json_where_they_can_be() {
        let pairs = ["n=3", "flag=true", "text=hello world", "quoted=\"3\"", "list=[1,2]", "empty="].map(str::to_owned);
        let input = workflow_input(None, &pairs).unwrap();
        let expected = json!({"n": 3, "flag": true, "text": "hello world", "quoted": "3", "list": [1, 2], "empty": ""});
        assert_eq!(Value::Object(input), expected);
        assert!(workflow_input(None, &["novalue".to_owned()]).is_err());
        assert!(workflow_input(None, &["=x".to_owned()]).is_err());
    }

    #[test]
    fn pairs_go_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("in.yaml");
        fs::write(&file, "a: 1\nb: two\n").unwrap();
        let input = workflow_input(Some(&file), &["a=9".to_owned()]).unwrap();
        assert_eq!(Value::Object(input), json!({"a": 9, "b": "two"}));
    }
}
