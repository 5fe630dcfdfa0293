//! Whom this agent is and whom it believes: its identity, and the manager's signature under what it is told to do.

use std::sync::LazyLock;

use conductor_agent_core::TaskKey;
use conductor_model::{Outcome, Timestamp};
use conductor_wire::PROTOCOL;
use conductor_wire::amqp::{
    SIGNED_FROM_PROTOCOL as SIGNED_FROM, TaskEvent, TaskEventKind, TaskFinished, ToAgent, ToAgentItem, signed_text,
};
use conductor_wire::identity::fingerprint_of;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Map;
use thiserror::Error;

use super::Daemon;
use crate::clock;
use crate::identity::Identity;

/// Length of [`host_mark`].
const MARK_CHARS: usize = 16;

/// Why a message is not believed. Each begins with its stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Distrust {
    /// The agent does not know how to read it.
    #[error("protocol-unsupported: the message is in protocol {0}; this agent believes {SIGNED_FROM} to {PROTOCOL}")]
    Protocol(u16),
    /// The agent was told no key.
    #[error("task-key-missing: this agent was told no key to verify tasks with")]
    NoKey,
    /// Nobody signed it, or it was changed, or it is for another agent.
    #[error("signature-invalid: the manager did not sign this message for this agent, or it was changed on its way")]
    Signature,
    /// It is too old.
    #[error("signature-expired: the manager's signature was good until {0} and is so no more")]
    Expired(Timestamp),
}

/// What tells this host, as it was booted last, from every other.
pub(super) fn host_mark() -> &'static str {
    static MARK: LazyLock<String> = LazyLock::new(|| {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let text = format!("{}{}", read("/etc/machine-id"), read("/proc/sys/kernel/random/boot_id"));
        // Not the ids themselves, which name the host to others, too.
        fingerprint_of(text.as_bytes()).chars().take(MARK_CHARS).collect()
    });
    &MARK
}

/// Whether the manager wrote this message, for this agent, lately.
pub(super) fn verify(message: &ToAgent, agent: &conductor_model::AgentId, key: &str, now: Timestamp) -> Result<(), Distrust> {
    if !(SIGNED_FROM..=PROTOCOL).contains(&message.protocol) {
        return Err(Distrust::Protocol(message.protocol));
    }
    let key = hex::decode(key).ok().filter(|key| !key.is_empty()).ok_or(Distrust::NoKey)?;
    let expires_at = message.expires_at.ok_or(Distrust::Signature)?;
    let signature = hex::decode(&message.signature).map_err(|_| Distrust::Signature)?;
    let text = signed_text(agent, expires_at, message.items.get());
    UnparsedPublicKey::new(&ED25519, key).verify(&text, &signature).map_err(|_| Distrust::Signature)?;
    if expires_at < now { Err(Distrust::Expired(expires_at)) } else { Ok(()) }
}

impl Daemon {
    /// What operators say of this host: in its settings, and above that when they let it in.
    pub(super) fn labels(&self) -> std::collections::BTreeMap<String, String> {
        let mut labels = self.settings.labels.clone();
        if let Some(identity) = &self.identity {
            labels.extend(identity.borrow().note.labels.clone());
        }
        labels
    }

    /// Who this agent is at the moment, where it was enrolled.
    pub(super) fn own_identity(&self) -> Option<Identity> {
        self.identity.as_ref().map(|identity| identity.borrow().clone())
    }

    /// Whether a message is the manager's.
    pub(super) fn believe(&self, message: &ToAgent) -> Result<(), Distrust> {
        let key = match &self.identity {
            Some(identity) => identity.borrow().note.task_key.clone(),
            None => self.task_key.borrow().clone(),
        };
        verify(message, &self.sender.agent, &key, self.moment().manager)
    }

    /// Tells the manager of tasks that came in a message which is not believed. Nothing is begun and nothing is written.
    pub(super) fn refuse(&self, items: &[ToAgentItem], why: Distrust) {
        let has = self.ledger.borrow().leased();
        for item in items {
            let ToAgentItem::Task(envelope) = item else { continue };
            let key = TaskKey::of(envelope);
            // A forged double must not end the task that the manager did send.
            if has.contains(&(key.task_id, key.dispatch)) {
                continue;
            }
            let finished = TaskFinished {
                outcome: Outcome::Refused,
                output: Map::new(),
                output_by_reference: false,
                reason: Some(why.to_string()),
                exit_code: None,
                started_at: None,
                ended_at: clock::now(),
                log_lines: 0,
            };
            let event = TaskEvent {
                task_id: key.task_id,
                dispatch: key.dispatch,
                workflow_id: envelope.workflow_id,
                event: TaskEventKind::Finished(finished),
            };
            self.outbox.event(&event, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use conductor_model::AgentId;
    use ring::rand::SystemRandom;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);
    const ITEMS: &str = r#"[{"cancel":{"task_id":"01890000-0000-7000-8000-000000000001","dispatch":1,"reason":"r"}}]"#;

    fn signed(agent: &str, items: &str) -> (ToAgent, String) {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        let agent: AgentId = agent.parse().unwrap();
        let expires_at = NOW.plus_ms(1000);
        let signature = hex::encode(key.sign(&signed_text(&agent, expires_at, items)).as_ref());
        let items = serde_json::value::RawValue::from_string(items.to_owned()).unwrap();
        let message = ToAgent { protocol: PROTOCOL, signature, expires_at: Some(expires_at), items };
        (message, hex::encode(key.public_key().as_ref()))
    }

    #[test]
    fn what_the_manager_signed_for_this_agent_is_believed_until_it_is_old() {
        let agent = "a".parse().unwrap();
        let (message, key) = signed("a", ITEMS);
        assert_eq!(verify(&message, &agent, &key, NOW), Ok(()));
        assert_eq!(verify(&message, &agent, &key, NOW.plus_ms(1001)), Err(Distrust::Expired(NOW.plus_ms(1000))));
    }

    #[test]
    fn changed_moved_unsigned_and_foreign_messages_are_not_believed() {
        let agent = "a".parse().unwrap();
        let (message, key) = signed("a", ITEMS);
        let (_, strangers) = signed("a", ITEMS);
        assert_eq!(verify(&message, &agent, &strangers, NOW), Err(Distrust::Signature));
        assert_eq!(verify(&message, &agent, "", NOW), Err(Distrust::NoKey));
        let (others, others_key) = signed("b", ITEMS);
        assert_eq!(verify(&others, &agent, &others_key, NOW), Err(Distrust::Signature));
        let changed = serde_json::value::RawValue::from_string(ITEMS.replace("\"dispatch\":1", "\"dispatch\":2")).unwrap();
        let altered = ToAgent { items: changed, ..signed("a", ITEMS).0 };
        assert_eq!(verify(&altered, &agent, &key, NOW), Err(Distrust::Signature));
        let later = ToAgent { expires_at: Some(NOW.plus_ms(9_000_000)), ..message };
        assert_eq!(verify(&later, &agent, &key, NOW), Err(Distrust::Signature));
        let (message, key) = signed("a", ITEMS);
        let unsigned = ToAgent { protocol: 1, signature: String::new(), expires_at: None, ..message };
        assert_eq!(verify(&unsigned, &agent, &key, NOW), Err(Distrust::Protocol(1)));
    }
}
