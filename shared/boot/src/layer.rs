//! One source of settings: a file, an environment variable or a flag.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use crate::SettingsError;

/// Values from one place, which is told with every error about them.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The place, for people.
    pub(crate) origin: String,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

impl Layer {
    /// The origin of what nobody set.
    pub(crate) const DEFAULTS: &str = "default";

    /// The built-in values.
    pub(crate) fn defaults(dict: Dict) -> Self {
        Self { origin: Self::DEFAULTS.to_owned(), dict }
    }

    /// The values of a TOML file.
    pub(crate) fn file(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let dict = toml::from_str(&text)
            .map_err(|source| SettingsError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        Ok(Self { origin: path.display().to_string(), dict })
    }

    /// One value for a key with its sections. Where the default is a text, or the key is a name of the operator's own, the
    /// value is taken as text; else it is read as TOML would read it.
    pub(crate) fn single(origin: String, key: &[&str], text: &str, defaults: &Dict) -> Self {
        let value = match find(defaults, key) {
            Some(Value::String(..)) | None => Value::from(text),
            Some(_) => Value::from_str(text).unwrap_or_else(|never| match never {}),
        };
        let mut dict = Dict::new();
        let mut value = Some(value);
        for part in key.iter().rev() {
            dict = match value.take() {
                Some(leaf) => Dict::from([((*part).to_owned(), leaf)]),
                None => Dict::from([((*part).to_owned(), Value::from(dict))]),
            };
        }
        Self { origin, dict }
    }

    /// Adds an error for each key that the defaults do not have.
    pub(crate) fn check_keys(&self, defaults: &Dict, errors: &mut Vec<SettingsError>) {
        self.check_section(&self.dict, defaults, &mut Vec::new(), errors);
    }

    fn check_section<'a>(&'a self, given: &'a Dict, known: &Dict, path: &mut Vec<&'a str>, errors: &mut Vec<SettingsError>) {
        for (key, value) in given {
            path.push(key);
            match (known.get(key), value) {
                (None, _) => {
                    let keys: BTreeSet<&str> = known.keys().map(String::as_str).collect();
                    let keys = keys.into_iter().collect::<Vec<_>>().join(", ");
                    errors.push(SettingsError::UnknownKey {
                        origin: self.origin.clone(),
                        key: path.join("."),
                        expected: format!("expected one of {keys}"),
                    });
                }
                // A section that is empty by default is a map with names of the operator's own.
                (Some(Value::Dict(_, known)), Value::Dict(_, given)) if !known.is_empty() => {
                    self.check_section(given, known, path, errors);
                }
                (Some(_), _) => {}
            }
            path.pop();
        }
    }
}

/// The value at a key with its sections.
pub(crate) fn find<'a>(dict: &'a Dict, key: &[&str]) -> Option<&'a Value> {
    let (first, rest) = key.split_first()?;
    match (dict.get(*first)?, rest) {
        (value, []) => Some(value),
        (Value::Dict(_, section), rest) => find(section, rest),
        _ => None,
    }
}
