//! Messages as every older version wrote them are still read. A fixture is never changed: it is what agents out there send.

use std::fs;
use std::path::{Path, PathBuf};

use conductor_wire::amqp::{FromAgent, FromAgentBody, ToAgent, ToAgentItem};
use conductor_wire::{PROTOCOL, PROTOCOL_OLDEST};

fn recorded(version: u16) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/v{version}"));
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("the folder can be read").path()).collect()
}

#[test]
fn messages_of_every_older_version_are_read() {
    for version in PROTOCOL_OLDEST..PROTOCOL {
        let mut kinds = Vec::new();
        for path in recorded(version) {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            if name.starts_with("to-agent.") {
                let message: ToAgent = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(message.protocol, version, "{name}");
                let items: Vec<ToAgentItem> =
                    serde_json::from_str(message.items.get()).unwrap_or_else(|error| panic!("{name}: {error}"));
                kinds.extend(items.iter().map(|item| match item {
                    ToAgentItem::Task(_) => "task",
                    ToAgentItem::Cancel(_) => "cancel",
                }));
            } else {
                let message: FromAgent = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(message.protocol, version, "{name}");
                kinds.push(match message.body {
                    FromAgentBody::Report { events } => {
                        assert_eq!(events.len(), 3, "{name}");
                        "report"
                    }
                    FromAgentBody::Lease(lease) => {
                        assert_eq!((lease.tasks.len(), lease.free_slots), (1, 1), "{name}");
                        "lease"
                    }
                    FromAgentBody::Logs { .. } => "logs",
                });
            }
        }
        kinds.sort_unstable();
        assert_eq!(kinds, ["cancel", "lease", "report", "task"], "protocol {version} has a fixture of each kind");
    }
}
