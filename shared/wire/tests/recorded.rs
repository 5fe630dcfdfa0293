//! Messages as every older version wrote them are still read, and would be written like that today. A fixture is never changed:
//! it is what agents out there send and were sent. Beside the fixtures of a version stands which commit wrote them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use conductor_model::Outcome;
use conductor_wire::agent_api::{AgentHello, AgentWelcome, HandedInput};
use conductor_wire::amqp::{FromAgent, FromAgentBody, TaskEventKind, ToAgent, ToAgentItem};
use conductor_wire::{PROTOCOL, PROTOCOL_OLDEST};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The fixtures of a version, by name.
fn recorded(version: u16) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{version}"));
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("the folder can be read").path());
    paths
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(".json")?.to_owned();
            Some((name, fs::read_to_string(&path).expect("a fixture can be read")))
        })
        .collect()
}

fn read<T: DeserializeOwned>(name: &str, text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What is read and written again says what it said: nothing is lost, and nothing is added but `added`.
fn same<T: Serialize>(name: &str, text: &str, read_back: &T, added: &Value) {
    let (mut was, is): (Value, Value) = (read(name, text), serde_json::to_value(read_back).expect("a message can be written"));
    if let (Some(was), Some(added)) = (was.as_object_mut(), added.as_object()) {
        was.extend(added.clone());
    }
    assert_eq!(is, was, "{name}");
}

#[test]
fn messages_of_every_older_version_are_read_and_written_as_they_were() {
    for version in PROTOCOL_OLDEST..PROTOCOL {
        let fixtures = recorded(version);
        let (mut kinds, mut outcomes) = (BTreeMap::<&str, usize>::new(), Vec::new());
        for (name, text) in &fixtures {
            if name == "from-agent.hello" {
                let hello: AgentHello = read(name, text);
                assert_eq!((hello.protocol, hello.slots), (version, 4));
                same(name, text, &hello, &json!({}));
                *kinds.entry("hello").or_default() += 1;
            } else if name == "to-agent.welcome" {
                let welcome: AgentWelcome = read(name, text);
                same(name, text, &welcome, &json!({ "own_account": false, "task_key": "" }));
                *kinds.entry("welcome").or_default() += 1;
            } else if name == "to-agent.input" {
                let handed: HandedInput = read(name, text);
                assert!(handed.input.get().contains("2.50"), "an input passes unread: {}", handed.input);
                same(name, text, &handed, &json!({}));
                *kinds.entry("input").or_default() += 1;
            } else if name.starts_with("to-agent.") {
                let message: ToAgent = read(name, text);
                assert_eq!(message.protocol, version, "{name}");
                same(name, text, &message, &json!({}));
                let items: Vec<ToAgentItem> = read(name, message.items.get());
                same(name, message.items.get(), &items, &json!({}));
                for item in &items {
                    let kind = match item {
                        ToAgentItem::Task(_) => "task",
                        ToAgentItem::Cancel(_) => "cancel",
                    };
                    *kinds.entry(kind).or_default() += 1;
                }
            } else {
                let message: FromAgent = read(name, text);
                assert_eq!((message.protocol, message.agent.as_str()), (version, "agent-1"), "{name}");
                same(name, text, &message, &json!({}));
                let (kind, number) = match message.body {
                    FromAgentBody::Report { events } => {
                        outcomes.extend(events.iter().filter_map(|event| match &event.event {
                            TaskEventKind::Finished(finished) => Some(finished.outcome),
                            TaskEventKind::Started { .. } | TaskEventKind::Progress { .. } => None,
                        }));
                        ("event", events.len())
                    }
                    FromAgentBody::Lease(lease) => ("leased", lease.tasks.len()),
                    FromAgentBody::Logs { lines, .. } => ("line", lines.len()),
                };
                *kinds.entry(kind).or_default() += number;
            }
        }
        let expected =
            [("cancel", 2), ("event", 14), ("hello", 1), ("input", 1), ("leased", 2), ("line", 3), ("task", 4), ("welcome", 1)];
        assert_eq!(Vec::from_iter(kinds), expected, "protocol {version} has a fixture of each kind");
        let missing = Outcome::ALL.iter().find(|outcome| !outcomes.contains(outcome));
        assert_eq!(missing, None, "protocol {version} has a fixture of each outcome");
    }
}
