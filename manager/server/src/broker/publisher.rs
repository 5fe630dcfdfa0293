//! Messages on their way to agents: packed, published, confirmed.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use conductor_model::{AgentId, Timestamp, limits};
use conductor_store::OutboxMessage;
use conductor_wire::{PROTOCOL, amqp};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};

use crate::app::core::{CoreHandle, Message};
use crate::app::metrics::Metrics;
use crate::clock;
use crate::pki::TaskSigner;

/// Delivery mode of a message that survives the broker's restart.
const PERSISTENT: u8 = 2;
/// Forgotten agents that are remembered as such at most. What comes for others has its queue declared once more.
const GONE_MAX: usize = 10_000;

/// How long a signed message may be on its way. Tasks in it have an end of their own besides (`start_before`).
const SIGNATURE_LIFE_MS: i64 = 60 * 60 * 1000;

/// Some items for one agent, in one message.
#[derive(Debug)]
struct Packet {
    agent: AgentId,
    items: Vec<OutboxMessage>,
}

/// What became of a packet.
pub(super) type Confirmed = (u64, Result<Confirmation, lapin::Error>);

/// See the module's text.
pub(super) struct Publisher {
    window: usize,
    waiting: VecDeque<OutboxMessage>,
    sent: HashMap<u64, Packet>,
    confirms: FuturesUnordered<Pin<Box<dyn Future<Output = Confirmed> + Send>>>,
    last: u64,
    /// Agents that were forgotten: nothing is for them any more.
    gone: HashSet<AgentId>,
    metrics: Metrics,
    core: CoreHandle,
    signer: Arc<TaskSigner>,
}

impl Publisher {
    pub(super) fn new(window: u32, metrics: Metrics, core: CoreHandle, signer: Arc<TaskSigner>) -> Self {
        Self {
            window: usize::try_from(window).unwrap_or(usize::MAX).max(1),
            waiting: VecDeque::new(),
            sent: HashMap::new(),
            confirms: FuturesUnordered::new(),
            last: 0,
            gone: HashSet::new(),
            metrics,
            core,
            signer,
        }
    }

    /// An agent was forgotten: what waits for it is no longer wanted, nor is what comes.
    pub(super) fn forget(&mut self, agent: AgentId, core: &CoreHandle) {
        let (unwanted, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|message| message.agent == agent);
        self.waiting = waiting;
        let unwanted: VecDeque<OutboxMessage> = unwanted;
        core.tell(Message::OutboxDone(unwanted.iter().map(|message| message.id).collect()));
        if self.gone.len() >= GONE_MAX {
            self.gone.clear();
        }
        self.gone.insert(agent);
    }

    /// An agent is there, perhaps again.
    pub(super) fn remember(&mut self, agent: &AgentId) {
        self.gone.remove(agent);
    }

    /// Queues a message behind those that wait.
    pub(super) fn queue(&mut self, message: OutboxMessage) {
        self.waiting.push_back(message);
    }

    /// Whether a confirm is awaited.
    pub(super) fn is_waiting(&self) -> bool {
        !self.confirms.is_empty()
    }

    /// The next confirm. Call it only while [`Publisher::is_waiting`].
    pub(super) async fn next_confirm(&mut self) -> Confirmed {
        match self.confirms.next().await {
            Some(confirmed) => confirmed,
            None => std::future::pending().await,
        }
    }

    /// Publishes what waits, as far as the window of unconfirmed packets allows.
    pub(super) async fn publish(&mut self, channel: &Channel) -> Result<(), lapin::Error> {
        while self.sent.len() < self.window
            && let Some(packet) = self.next_packet()
        {
            let protocol = self.core.protocol_of(&packet.agent).unwrap_or(PROTOCOL).min(PROTOCOL);
            let payload = packet.payload(protocol, &self.signer, clock::now());
            let properties =
                BasicProperties::default().with_delivery_mode(PERSISTENT).with_content_type("application/json".into());
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let key = packet.agent.as_str().into();
            self.last += 1;
            let number = self.last;
            self.sent.insert(number, packet);
            let confirm =
                channel.basic_publish(amqp::EXCHANGE_AGENTS.into(), key, options, payload.as_bytes(), properties).await?;
            self.metrics.published.inc();
            self.confirms.push(Box::pin(async move { (number, confirm.await) }));
        }
        Ok(())
    }

    /// Takes the first message that waits and all others for the same agent that fit into one packet.
    fn next_packet(&mut self) -> Option<Packet> {
        let first = self.waiting.pop_front()?;
        let agent = first.agent.clone();
        let mut bytes = first.body.len();
        let mut items = vec![first];
        let mut index = 0;
        // One agent's messages stay in order: the first that does not fit ends the packet.
        while index < self.waiting.len() && items.len() < limits::MESSAGE_ITEMS_MAX {
            if self.waiting[index].agent != agent {
                index += 1;
                continue;
            }
            bytes += self.waiting[index].body.len() + 1;
            if bytes > limits::MESSAGE_BYTES_MAX {
                break;
            }
            items.extend(self.waiting.remove(index));
        }
        Some(Packet { agent, items })
    }

    /// Deals with a confirm. Gives the agent whose queue is missing, when that is what the broker says.
    pub(super) fn settle(&mut self, confirmed: Confirmed, core: &CoreHandle) -> Result<Option<AgentId>, lapin::Error> {
        let (number, result) = confirmed;
        match result? {
            Confirmation::Ack(None) | Confirmation::NotRequested => {
                if let Some(packet) = self.sent.remove(&number) {
                    self.metrics.confirmed.inc();
                    core.tell(Message::OutboxDone(packet.items.iter().map(|item| item.id).collect()));
                }
                Ok(None)
            }
            Confirmation::Ack(Some(_)) | Confirmation::Nack(_) => Ok(self.sent.remove(&number).and_then(|packet| {
                if self.gone.contains(&packet.agent) {
                    core.tell(Message::OutboxDone(packet.items.iter().map(|item| item.id).collect()));
                    return None;
                }
                tracing::warn!(agent = %packet.agent, "the agent's queue is missing on RabbitMQ; declaring it again");
                self.metrics.returned.inc();
                let agent = packet.agent.clone();
                self.requeue(vec![packet]);
                Some(agent)
            })),
        }
    }

    /// The connection is gone: what was not confirmed is sent again.
    pub(super) fn connection_lost(&mut self) {
        self.confirms = FuturesUnordered::new();
        let packets = self.sent.drain().map(|(_, packet)| packet).collect();
        self.requeue(packets);
    }

    fn requeue(&mut self, packets: Vec<Packet>) {
        self.waiting.extend(packets.into_iter().flat_map(|packet| packet.items));
        self.waiting.make_contiguous().sort_by_key(|message| message.id);
    }
}

impl Packet {
    /// The message, in the protocol that its reader speaks.
    fn payload(&self, protocol: u16, signer: &TaskSigner, now: Timestamp) -> String {
        let bodies: Vec<&str> = self.items.iter().map(|item| &*item.body).collect();
        let items = format!("[{}]", bodies.join(","));
        if protocol < amqp::SIGNED_FROM_PROTOCOL {
            return format!("{{\"protocol\":{protocol},\"items\":{items}}}");
        }
        let expires_at = now.plus_ms(SIGNATURE_LIFE_MS);
        let signature = signer.sign(&amqp::signed_text(&self.agent, expires_at, &items));
        format!("{{\"protocol\":{protocol},\"signature\":\"{signature}\",\"expires_at\":{expires_at},\"items\":{items}}}")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use conductor_store::OutboxKind;
    use conductor_wire::amqp::{ToAgent, ToAgentItem};
    use serde_json::Value;

    use super::*;

    /// A packet of these orders, as the deciding thread puts them into the outbox.
    fn packet(items: &[ToAgentItem]) -> Packet {
        let items = items.iter().zip(1..).map(|(item, id)| OutboxMessage {
            id,
            tenant: conductor_model::TenantName::default_tenant(),
            agent: "a".parse().unwrap(),
            task: conductor_model::TaskId(uuid::Uuid::nil()),
            kind: OutboxKind::Task,
            body: serde_json::to_string(item).unwrap().into(),
        });
        Packet { agent: "a".parse().unwrap(), items: items.collect() }
    }

    /// What a manager that knew no other protocol wrote, by the name of the fixture.
    fn written_in_protocol_1() -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/wire/tests/fixtures/v1");
        let fixtures = ["task", "task-bare", "cancel", "packet"].map(|name| format!("to-agent.{name}.json"));
        fixtures.map(|name| (name.clone(), fs::read_to_string(folder.join(name)).unwrap())).into()
    }

    #[test]
    fn an_old_agent_is_written_what_an_old_manager_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let signer = TaskSigner::open_or_create(dir.path()).unwrap();
        for (name, recorded) in written_in_protocol_1() {
            let message: ToAgent = serde_json::from_str(&recorded).unwrap();
            let mut items: Vec<ToAgentItem> = serde_json::from_str(message.items.get()).unwrap();
            assert_eq!(packet(&items).payload(1, &signer, Timestamp(0)), recorded, "{name}: to the byte");

            // The one thing that orders have got since. Agents of that time leave fields alone that they do not know.
            for item in &mut items {
                if let ToAgentItem::Task(envelope) = item {
                    envelope.incarnation = Some("0011223344556677".to_owned());
                }
            }
            let mut today: Value = serde_json::from_str(&packet(&items).payload(1, &signer, Timestamp(0))).unwrap();
            for item in today["items"].as_array_mut().unwrap() {
                if let Some(task) = item.get_mut("task") {
                    assert_eq!(task.as_object_mut().unwrap().remove("incarnation"), Some("0011223344556677".into()));
                }
            }
            assert_eq!(today, serde_json::from_str::<Value>(&recorded).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_message_is_signed_for_a_reader_that_asks_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let signer = TaskSigner::open_or_create(dir.path()).unwrap();
        let new: Value = serde_json::from_str(&packet(&[]).payload(2, &signer, Timestamp(0))).unwrap();
        assert_eq!((&new["protocol"], &new["expires_at"]), (&2.into(), &SIGNATURE_LIFE_MS.into()));
        assert_eq!(new["signature"].as_str().map(str::len), Some(128));
    }
}
