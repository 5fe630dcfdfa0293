//! Messages to the manager, filled as far as they may be.

use conductor_model::{AgentId, TenantName, Timestamp};
use conductor_wire::PROTOCOL;
use conductor_wire::amqp::Lease;
use serde::Serialize;
use serde_json::value::RawValue;

/// Who sends.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The agent.
    pub agent: AgentId,
    /// Its incarnation.
    pub incarnation: String,
}

impl Sender {
    fn head(&self, now: Timestamp) -> String {
        // An agent id and an incarnation have no character that JSON would escape.
        format!(
            r#"{{"protocol":{PROTOCOL},"agent":"{}","incarnation":"{}","sent_at":{now},"body":"#,
            self.agent, self.incarnation
        )
    }

    /// A report of these events, each as JSON.
    #[must_use]
    pub fn report(&self, now: Timestamp, events: &[String]) -> Vec<u8> {
        format!(r#"{}{{"kind":"report","events":[{}]}}}}"#, self.head(now), events.join(",")).into_bytes()
    }

    /// Log lines of one tenant, a JSON array.
    #[must_use]
    pub fn logs(&self, now: Timestamp, tenant: &TenantName, lines: &RawValue) -> Vec<u8> {
        format!(r#"{}{{"kind":"logs","tenant":"{tenant}","lines":{lines}}}}}"#, self.head(now)).into_bytes()
    }

    /// A lease.
    #[must_use]
    pub fn lease(&self, now: Timestamp, lease: &Lease) -> Vec<u8> {
        let mut text = json(lease);
        // The tag of the body goes among the lease's own fields.
        text.insert_str(1, r#""kind":"lease","#);
        format!("{}{text}}}", self.head(now)).into_bytes()
    }
}

/// A value as JSON.
pub fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!(%error, "a message cannot be written as JSON");
        "null".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_wire::amqp::{FromAgent, FromAgentBody};

    fn sender() -> Sender {
        Sender { agent: "agent-1".parse().unwrap(), incarnation: "abc".to_owned() }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let lease = Lease { tasks: Vec::new(), draining: true, reason: String::new(), free_slots: 3, host: String::new() };
        let read: FromAgent = serde_json::from_slice(&sender().lease(Timestamp(5), &lease)).unwrap();
        assert!(matches!(read.body, FromAgentBody::Lease(Lease { draining: true, free_slots: 3, .. })));
        let read: FromAgent = serde_json::from_slice(&sender().report(Timestamp(5), &[])).unwrap();
        assert!(matches!(read.body, FromAgentBody::Report { .. }));
        let tenant = TenantName::default_tenant();
        let read: FromAgent =
            serde_json::from_slice(&sender().logs(Timestamp(5), &tenant, &RawValue::from_string("[]".to_owned()).unwrap()))
                .unwrap();
        assert!(matches!(read.body, FromAgentBody::Logs { .. }));
        assert_eq!((read.agent.as_str(), read.sent_at), ("agent-1", Timestamp(5)));
    }
}
