//! Loading settings: defaults → `NAME.toml` → `NAME.conf.d` beside it → environment → flags. What comes later wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Value};
use figment::{Figment, Profile, Provider};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::SettingsError;
use crate::layer::Layer;

/// Every setting may be given in the environment under this prefix, with `__` between section and key.
const PREFIX: &str = "CONDUCTOR_";
/// Variables under the prefix that are not settings: they belong to the command line client, to logging and to `ctx`.
const NOT_SETTINGS: &[&str] = &["CONDUCTOR_URL", "CONDUCTOR_TOKEN", "CONDUCTOR_LOG", "CONDUCTOR_TENANT", "CONDUCTOR_OUTPUT"];
const NOT_SETTINGS_PREFIXES: &[&str] = &["CONDUCTOR_CTX_"];
/// The folder of a settings file, `NAME.conf.d` beside `NAME.toml`, whose `*.toml` are read after it, by name.
const DROP_IN_EXTENSION: &str = "conf.d";

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Loader {
    file: Option<PathBuf>,
    default_file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    flags: Vec<(String, String, String)>,
}

/// Settings and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded<T> {
    /// The settings.
    pub settings: T,
    /// Every setting by key.
    pub lines: Vec<SettingLine>,
}

/// One effective setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingLine {
    /// Key with its sections, as in `lease.interval_ms`.
    pub key: String,
    /// Its value, as TOML would write it; empty when it is not set.
    pub value: String,
    /// The file, variable or flag that it came from, or `default`.
    pub origin: String,
}

impl Loader {
    /// Reads this process's environment, and `default_file` where it exists.
    pub fn new(default_file: impl Into<PathBuf>) -> Self {
        Self { default_file: Some(default_file.into()), ..Self::without_default_file() }
    }

    /// Reads this process's environment, and a file only where one is named.
    #[must_use]
    pub fn without_default_file() -> Self {
        // Variables that are not UTF-8 cannot be settings of ours.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self { environment: environment.collect(), ..Self::default() }
    }

    /// Reads `file` instead of the default file; it must exist. `None` changes nothing.
    #[must_use]
    pub fn file(mut self, file: Option<PathBuf>) -> Self {
        self.file = file.or(self.file);
        self
    }

    /// Reads these variables instead of the process's.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.environment = variables.into_iter().collect();
        self
    }

    /// Sets `key` (as in `store.path`) from the command line flag `flag`. `None` changes nothing.
    #[must_use]
    pub fn flag(mut self, flag: &str, key: &str, value: Option<impl ToString>) -> Self {
        if let Some(value) = value {
            self.flags.push((flag.to_owned(), key.to_owned(), value.to_string()));
        }
        self
    }

    /// Loads everything.
    ///
    /// # Errors
    /// When a file cannot be read, and for each unknown key and wrong value, with the place and what is expected.
    pub fn load<T: Default + Serialize + DeserializeOwned>(&self) -> Result<Loaded<T>, SettingsError> {
        let serialized = Serialized::defaults(T::default());
        let mut profiles = serialized.data().map_err(|error| SettingsError::Defaults { message: error.kind.to_string() })?;
        let defaults = profiles.remove(&Profile::Default).unwrap_or_default();

        let layers = self.layers(&defaults)?;
        let mut errors = Vec::new();
        for layer in &layers {
            layer.check_keys(&defaults, &mut errors);
        }
        if let Some(error) = SettingsError::from_list(errors) {
            return Err(error);
        }
        let figment = layers.into_iter().fold(Figment::from(Layer::defaults(defaults)), Figment::merge);
        let settings = figment.extract().map_err(|error| wrong_values(&figment, error))?;
        Ok(Loaded { settings, lines: lines(&figment)? })
    }

    fn layers(&self, defaults: &Dict) -> Result<Vec<Layer>, SettingsError> {
        let mut layers = Vec::new();
        let file = self.file.as_deref().or_else(|| self.default_file.as_deref().filter(|file| file.exists()));
        if let Some(file) = file {
            layers.push(Layer::file(file)?);
        }
        // The folder counts even where the default file itself was taken away.
        for drop_in in file.or(self.default_file.as_deref()).map(drop_ins).transpose()?.unwrap_or_default() {
            layers.push(Layer::file(&drop_in)?);
        }
        // By name, so that the outcome does not hang on the order in which the environment is kept.
        let variables: BTreeMap<&String, &String> =
            self.environment.iter().filter(|(name, _)| is_setting(name)).map(|(name, value)| (name, value)).collect();
        for (name, value) in variables {
            let key = name[PREFIX.len()..].to_lowercase();
            let key: Vec<&str> = key.split("__").collect();
            layers.push(Layer::single(format!("environment variable {name}"), &key, value, defaults));
        }
        for (flag, key, value) in &self.flags {
            let key: Vec<&str> = key.split('.').collect();
            layers.push(Layer::single(format!("flag {flag}"), &key, value, defaults));
        }
        Ok(layers)
    }
}

fn is_setting(name: &str) -> bool {
    name.starts_with(PREFIX)
        && !NOT_SETTINGS.contains(&name)
        && !NOT_SETTINGS_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, SettingsError> {
    let folder = file.with_extension(DROP_IN_EXTENSION);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| SettingsError::Read { path: folder.clone(), source };
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn wrong_values(figment: &Figment, error: figment::Error) -> SettingsError {
    let errors = error.into_iter().map(|error| {
        let mut path = error.path.clone();
        if let Kind::UnknownField(field, _) = &error.kind
            && path.last() != Some(field)
        {
            path.push(field.clone());
        }
        let key = path.join(".");
        let metadata = error.metadata.as_ref().or_else(|| figment.find_metadata(&key));
        let origin = metadata.map_or_else(|| "settings".to_owned(), |metadata| metadata.name.clone().into_owned());
        SettingsError::WrongValue { origin, key, message: message(&error.kind) }
    });
    SettingsError::from_list(errors.collect())
        .unwrap_or_else(|| SettingsError::Defaults { message: "no error was given".to_owned() })
}

fn message(kind: &Kind) -> String {
    match kind {
        Kind::UnknownVariant(found, expected) => format!("found {found:?}, expected one of {}", expected.join(", ")),
        kind => kind.to_string(),
    }
}

fn lines(figment: &Figment) -> Result<Vec<SettingLine>, SettingsError> {
    let dict: Dict = figment.extract().map_err(|error| SettingsError::Defaults { message: error.kind.to_string() })?;
    let mut lines = Vec::new();
    collect_lines(figment, &dict, "", &mut lines);
    Ok(lines)
}

fn collect_lines(figment: &Figment, dict: &Dict, prefix: &str, lines: &mut Vec<SettingLine>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, section) if !section.is_empty() => collect_lines(figment, section, &key, lines),
            value => {
                let origin = figment.find_metadata(&key).map_or(Layer::DEFAULTS, |metadata| metadata.name.as_ref());
                lines.push(SettingLine { key, value: shown(value), origin: origin.to_owned() });
            }
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Empty(..) => String::new(),
        value => toml::Value::try_from(value).map_or_else(|_| format!("{value:?}"), |value| value.to_string()),
    }
}
