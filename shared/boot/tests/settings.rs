//! Settings from files, environment and flags, as an operator would write them.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use conductor_boot::{Loader, report};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    listen: String,
    slots: Option<u32>,
    labels: BTreeMap<String, String>,
    lease: Lease,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lease {
    interval_ms: u64,
    mode: Mode,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Strict,
    Relaxed,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:1".to_owned(),
            slots: None,
            labels: BTreeMap::new(),
            lease: Lease { interval_ms: 5000, mode: Mode::Strict },
        }
    }
}

fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(folder: &TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("manager.toml");
    fs::write(&path, text).unwrap();
    path
}

fn error_of(loader: &Loader) -> String {
    report(&loader.load::<Settings>().unwrap_err()).to_string()
}

#[test]
fn without_any_source_the_defaults_stand() {
    let loaded = Loader::new("/nowhere/manager.toml").environment([]).load::<Settings>().unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert!(loaded.lines.iter().all(|line| line.origin == "default"), "{:?}", loaded.lines);
}

#[test]
fn what_comes_later_wins_and_its_origin_is_known() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "listen = \"file:1\"\nslots = 1\n[lease]\ninterval_ms = 1\n");
    fs::create_dir(folder.path().join("manager.conf.d")).unwrap();
    fs::write(folder.path().join("manager.conf.d/20.toml"), "slots = 2\n[labels]\nrole = \"web\"").unwrap();
    fs::write(folder.path().join("manager.conf.d/10.toml"), "slots = 3\n[lease]\nmode = \"relaxed\"").unwrap();
    fs::write(folder.path().join("manager.conf.d/99.bak"), "nonsense").unwrap();
    let loaded = Loader::new(&path)
        .environment(variables(&[("CONDUCTOR_LEASE__INTERVAL_MS", "7"), ("CONDUCTOR_LISTEN", "1234")]))
        .flag("--listen", "listen", Some("flag:1"))
        .flag("--slots", "slots", None::<u32>)
        .load::<Settings>()
        .unwrap();
    assert_eq!(
        loaded.settings,
        Settings {
            listen: "flag:1".to_owned(),
            slots: Some(2),
            labels: BTreeMap::from([("role".to_owned(), "web".to_owned())]),
            lease: Lease { interval_ms: 7, mode: Mode::Relaxed },
        }
    );
    let origin = |key: &str| loaded.lines.iter().find(|line| line.key == key).map(|line| line.origin.clone()).unwrap();
    assert_eq!(origin("listen"), "flag --listen");
    assert_eq!(origin("lease.interval_ms"), "environment variable CONDUCTOR_LEASE__INTERVAL_MS");
    assert!(origin("slots").ends_with("20.toml"));
}

#[test]
fn texts_in_the_environment_stay_texts_where_a_text_is_expected() {
    let loader = Loader::new("/nowhere").environment(variables(&[
        ("CONDUCTOR_LISTEN", "8080"),
        ("CONDUCTOR_SLOTS", "8"),
        ("CONDUCTOR_LABELS__RACK", "12"),
    ]));
    let settings = loader.load::<Settings>().unwrap().settings;
    assert_eq!((settings.listen.as_str(), settings.slots, settings.labels["rack"].as_str()), ("8080", Some(8), "12"));
}

#[test]
fn an_unknown_key_names_the_file_the_key_and_what_there_is() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "[lease]\nintervall_ms = 1\n");
    let text = error_of(&Loader::new(&path).environment([]));
    for part in [path.to_str().unwrap(), "lease.intervall_ms", "interval_ms, mode"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn an_unknown_variable_is_named() {
    let text = error_of(&Loader::new("/nowhere").environment(variables(&[("CONDUCTOR_LEASE__INTERVAL", "1")])));
    assert!(text.contains("CONDUCTOR_LEASE__INTERVAL") && text.contains("lease.interval"), "{text}");
}

#[test]
fn every_wrong_value_names_its_place_and_what_is_expected() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "[lease]\ninterval_ms = \"soon\"\n");
    let text = error_of(&Loader::new(&path).environment([]));
    for part in [path.to_str().unwrap(), "lease.interval_ms", "soon", "u64"] {
        assert!(text.contains(part), "{text}");
    }
    let text = error_of(&Loader::new("/nowhere").environment(variables(&[("CONDUCTOR_LEASE__MODE", "lax")])));
    for part in ["CONDUCTOR_LEASE__MODE", "lease.mode", "lax", "strict, relaxed"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_section_that_is_given_as_a_value_is_named() {
    let folder = TempDir::new().unwrap();
    let text = error_of(&Loader::new(file(&folder, "lease = 5\n")).environment([]));
    assert!(text.contains("manager.toml") && text.contains("lease"), "{text}");
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let folder = TempDir::new().unwrap();
    let text = error_of(&Loader::new(file(&folder, "listen = \n")).environment([]));
    assert!(text.contains("manager.toml") && text.contains("line 1"), "{text}");
}

#[test]
fn a_file_that_was_asked_for_must_exist() {
    let text = error_of(&Loader::new("/nowhere").file(Some("/nowhere/else.toml".into())).environment([]));
    assert!(text.contains("/nowhere/else.toml"), "{text}");
}

#[test]
fn variables_of_the_client_the_logs_and_ctx_are_left_alone() {
    let loader = Loader::new("/nowhere").environment(variables(&[
        ("CONDUCTOR_URL", "http://x"),
        ("CONDUCTOR_TOKEN", "t"),
        ("CONDUCTOR_LOG", "debug"),
        ("CONDUCTOR_CTX_SOCKET", "/run/x"),
        ("PATH", "/bin"),
    ]));
    assert_eq!(loader.load::<Settings>().unwrap().settings, Settings::default());
}
