//! What programs say to each other.

use conductor_client::SseParser;
use conductor_script::wire::{self, Reply, Request};
use conductor_wire::amqp::{FromAgent, ToAgent};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest event of a stream in bytes.
const EVENT_BYTES_MAX: usize = 4096;

/// What the manager tells an agent.
pub fn to_agent(bytes: &[u8]) -> bool {
    written_as_read::<ToAgent>(bytes)
}

/// What an agent tells the manager.
pub fn from_agent(bytes: &[u8]) -> bool {
    written_as_read::<FromAgent>(bytes)
}

/// A stream of events: the same comes out however the bytes come in.
pub fn event_stream(bytes: &[u8]) -> bool {
    let read = |piece: usize| {
        let mut parser = SseParser::new(EVENT_BYTES_MAX);
        let mut events = Vec::new();
        let fault = bytes.chunks(piece).find_map(|piece| parser.push(piece, &mut events).err());
        (events, fault, parser.last_id().map(str::to_owned))
    };
    let whole = read(bytes.len().max(1));
    for piece in [1, 2, 7] {
        assert_eq!(read(piece), whole, "in pieces of {piece}");
    }
    whole.1.is_none()
}

/// What the manager tells the helper process of scripts.
pub fn to_script_helper(bytes: &[u8]) -> bool {
    framed_as_read::<Request>(bytes)
}

/// What that process answers. A script may have taken it over.
pub fn from_script_helper(bytes: &[u8]) -> bool {
    framed_as_read::<Reply>(bytes)
}

/// As [`written_as_read`], for messages behind their length, as many as there are.
fn framed_as_read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> bool {
    let (mut left, mut taken) = (bytes, false);
    while let Ok(Some(read)) = wire::read::<T>(&mut left) {
        taken = true;
        let mut written = Vec::new();
        wire::write(&mut written, &read).expect("what was read can be written");
        let again: T = wire::read(&mut &*written).expect("what was written can be read").expect("it is there");
        let mut twice = Vec::new();
        wire::write(&mut twice, &again).expect("it can be written again");
        assert_eq!(twice, written);
    }
    taken
}

/// Written twice it is the same text. Messages are not compared themselves: parts of them pass unread.
pub(crate) fn written_as_read<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<T>(bytes) else { return false };
    let written = serde_json::to_string(&read).expect("what was read can be written");
    let again: T = serde_json::from_str(&written).expect("what was written can be read");
    assert_eq!(serde_json::to_string(&again).ok(), Some(written));
    true
}
