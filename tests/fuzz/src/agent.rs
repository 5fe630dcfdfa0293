//! What an agent reads: of its plugins, its runner, its disk and its host's owner.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use conductor_agent::ctx::keys::{check_depth, select, set_inside};
use conductor_agent::ctx::protocol::{Ask, Request};
use conductor_agent::journal::frame::{self, HEADER_BYTES, Header};
use conductor_agent::policy::PolicyFile;
use conductor_agent::runner::collector::Collector;
use conductor_agent::runner_link::frames::Incoming;
use conductor_agent::runner_link::message::{FromRunner, ToRunner};
use conductor_agent::settings::Settings;
use conductor_agent_core::policy::{Ask as Wish, Pattern};
use conductor_agent_core::{Record, TaskKey, TaskResult};
use conductor_boot::Loader;
use conductor_model::TaskId;
use conductor_wire::plugin_io::PluginEvent;
use futures_util::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, ReadBuf};
use uuid::Uuid;

use crate::messages::written_as_read;

/// A line of a plugin's on file descriptor 3. What the runner makes of it reaches the agent and its journal.
pub fn plugin_event(bytes: &[u8]) -> bool {
    if !written_as_read::<PluginEvent>(bytes) {
        return false;
    }
    let Ok(event) = serde_json::from_slice(bytes) else { return false };
    let mut said = Collector::default();
    said.hear(event, bytes.len());
    if said.excess.is_some() {
        return true;
    }
    let key = TaskKey { task_id: TaskId(Uuid::nil()), dispatch: 1 };
    let output = said.take_output();
    let finished = json!({ "outcome": "succeeded", "output": output, "ended_at": 1, "log_lines": 0 });
    let finished = serde_json::from_value(finished).expect("a report of any output can be read");
    let result = TaskResult { finished, properties: said.properties };
    let done = Record::Done { key, result: Arc::new(result.clone()) };
    assert!(frame::decode(&frame::encode(&done)).is_some(), "{done:?}");
    let ended = serde_json::to_vec(&FromRunner::Ended { key, result: Box::new(result) }).expect("an end can be written");
    assert!(written_as_read::<FromRunner>(&ended), "{done:?}");
    true
}

/// What `ctx` asks of the agent. A property that may be set is found again at its key.
pub fn ctx_request(bytes: &[u8]) -> bool {
    if !written_as_read::<Request>(bytes) {
        return false;
    }
    let Ok(request) = serde_json::from_slice::<Request>(bytes) else { return false };
    let whole = json!({ "a": { "b": [1, { "c": 2 }] }, "a.b": 5 });
    match request.ask {
        Ask::SetProperty { key, value, .. } if check_depth(&key, &value).is_ok() => {
            let mut properties = json!({ "a": { "b": 1 }, "x": 1 });
            set_inside(&mut properties, &key, value.clone());
            let inside = key.split('.').try_fold(&properties, |inside, part| inside.get(part));
            assert_eq!(inside, Some(&value).filter(|value| !value.is_null()), "{key:?} in {properties}");
            let text = properties.to_string();
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{text}");
        }
        Ask::Properties { key, .. } | Ask::NodeProperty { key } | Ask::TaskInput { key } => {
            let found = select(whole.clone(), key.as_deref(), "property");
            assert_eq!(key.is_none(), found.as_ref() == Ok(&whole), "{key:?}");
        }
        Ask::SetProperty { .. } | Ask::InstanceId | Ask::Download { .. } | Ask::HostIp | Ask::Say(_) => {}
    }
    true
}

/// The agent's journal: a file of it, and the payload of one frame. What is read is written as it was read, and found again in
/// a frame of its own generation alone.
pub fn journal(bytes: &[u8]) -> bool {
    let payload_taken = payload(bytes);
    let Some(header) = Header::decode(bytes) else { return payload_taken };
    assert_eq!(Header::decode(&header.encode()), Some(header.clone()));
    let beginning = usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX);
    let mut frames = bytes.get(beginning..).unwrap_or_default();
    while let Some(read) = frame::read_frame(&mut frames, header.generation).expect("bytes can be read") {
        payload(&read);
    }
    true
}

fn payload(bytes: &[u8]) -> bool {
    const GENERATION: u64 = 7;
    let mut framed = Vec::new();
    frame::put_frame(&mut framed, GENERATION, bytes);
    let read = |mut framed: &[u8], generation| frame::read_frame(&mut framed, generation).expect("bytes can be read");
    assert_eq!(read(&framed, GENERATION).as_deref(), Some(bytes).filter(|bytes| !bytes.is_empty()));
    assert_eq!(read(&framed, GENERATION + 1), None);
    assert_eq!(read(&framed[..framed.len() - 1], GENERATION), None);
    let Some(record) = frame::decode(bytes) else { return false };
    let written = frame::encode(&record);
    let again = frame::decode(&written).expect("what was written can be read");
    assert_eq!(frame::encode(&again), written);
    true
}

/// What the agent says to its runner.
pub fn to_runner(bytes: &[u8]) -> bool {
    written_as_read::<ToRunner>(bytes)
}

/// What a runner says to its agent.
pub fn from_runner(bytes: &[u8]) -> bool {
    written_as_read::<FromRunner>(bytes)
}

/// The frames of either: the same messages come out however the bytes come in.
pub fn runner_frames(bytes: &[u8]) -> bool {
    let to_runner = same_in_pieces::<ToRunner>(bytes);
    let from_runner = same_in_pieces::<FromRunner>(bytes);
    to_runner || from_runner
}

/// Whether there is at least one message.
fn same_in_pieces<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> bool {
    let read = |piece: usize| {
        let mut incoming = Incoming::new(Pieces { bytes, piece });
        let mut messages = Vec::new();
        loop {
            match incoming.next::<T>().now_or_never().expect("bytes need not be waited for") {
                Ok(Some(message)) => messages.push(serde_json::to_string(&message).expect("what was read can be written")),
                Ok(None) => return (messages, None),
                Err(error) => return (messages, Some(error.to_string())),
            }
        }
    };
    let whole = read(bytes.len().max(1));
    for piece in [1, 3] {
        assert_eq!(read(piece), whole, "in pieces of {piece}");
    }
    !whole.0.is_empty()
}

/// Bytes that come in pieces.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let count = self.piece.min(self.bytes.len()).min(buffer.remaining());
        let (now, later) = self.bytes.split_at(count);
        buffer.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}

/// The agent's settings file: it is loaded, or what is wrong with it is said.
pub fn agent_settings(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("agent.toml");
    std::fs::write(&file, bytes).expect("the file can be written");
    let loaded = Loader::without_default_file().environment([]).file(Some(file)).load::<Settings>();
    match &loaded {
        Ok(loaded) => {
            assert!(!loaded.lines.is_empty() && loaded.settings.effective_slots() > 0);
            assert!(std::time::Instant::now().checked_add(loaded.settings.drain_limit()).is_some());
        }
        Err(error) => assert!(!conductor_boot::report(error).to_string().is_empty()),
    }
    loaded.is_ok()
}

/// The host's policy file: one that is not understood allows nothing, and patterns stand for what they say.
pub fn host_policy(bytes: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("agent-policy.toml");
    std::fs::write(&file, bytes).expect("the file can be written");
    let policy = PolicyFile::new(file);
    let wishes = [
        Wish::Run { plugin: "site", version: "1.0", operation: "start", user: "deploy" },
        Wish::Run { plugin: "", version: "*", operation: "a.b", user: "é" },
        Wish::Environment("HTTP_PROXY"),
    ];
    let answers = wishes.map(|wish| policy.check(wish));
    let understood = policy.policy();
    if let Err(why) = &understood {
        assert!(!why.is_empty() && answers.iter().all(Result::is_err), "{answers:?}");
    }
    let text = String::from_utf8_lossy(bytes);
    let (pattern, word) = text.split_once('\n').unwrap_or((&text, "site.start"));
    if let Ok(pattern) = Pattern::try_from(pattern.to_owned()) {
        assert_eq!(pattern.matches(word), stands_for(pattern.to_string().as_bytes(), word.as_bytes()), "{pattern} {word}");
    }
    understood.is_ok()
}

/// The same by another way: row by row, which beginnings of the text each beginning of the pattern stands for.
fn stands_for(pattern: &[u8], text: &[u8]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for byte in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match byte {
                b'*' => row[at] || (at > 0 && next[at - 1]),
                byte => at > 0 && row[at - 1] && text[at - 1] == *byte,
            };
        }
        row = next;
    }
    row[text.len()]
}
