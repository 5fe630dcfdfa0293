//! Where events come from and go to on RabbitMQ, as definitions write it.

use std::str::FromStr;

use thiserror::Error;

/// Longest name of a queue or exchange (AMQP 0.9.1).
const NAME_BYTES_MAX: usize = 255;

/// A queue or an exchange: `amqp_queue:NAME?durable=…&exclusive=…&autoDelete=…&maxPriority=…&deliveryMode=…`,
/// `amqp_exchange:NAME?exchangeType=topic&routingKey=…&bindQueueName=…` and the same options.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventSource {
    /// Name of the queue or exchange.
    pub name: String,
    /// What the exchange is; `None` = it is a queue.
    pub exchange: Option<Exchange>,
    /// Survives a restart of the broker.
    pub durable: bool,
    /// Belongs to one connection.
    pub exclusive: bool,
    /// Goes with its last user.
    pub auto_delete: bool,
    /// Whether messages are kept on disk.
    pub persistent: bool,
    /// Priorities of the queue; `None` = it has none.
    pub max_priority: Option<u8>,
}

/// What is particular to an exchange.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exchange {
    /// `topic`, `direct`, `fanout` or `headers`.
    pub kind: String,
    /// With which key messages are published and queues bound.
    pub routing_key: String,
    /// The queue that is bound to hear of messages; `None` = one of our own name.
    pub bind_queue: Option<String>,
}

/// Why a text names no queue or exchange.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The type is unknown or belongs to something that this program cannot speak to.
    #[error("`{found}` is not among the kinds of queues of this program: conductor, amqp_queue, amqp_exchange")]
    Kind {
        /// The type.
        found: String,
    },
    /// The name is empty or too long.
    #[error("the name of the queue or exchange must be 1 to {NAME_BYTES_MAX} bytes long")]
    Name,
    /// The queue that belongs to an exchange would have too long a name.
    #[error(
        "the queue of this exchange would be called {queue:?}, longer than {NAME_BYTES_MAX} bytes; name one with bindQueueName"
    )]
    QueueName {
        /// What it would be called.
        queue: String,
    },
    /// An option is unknown or has an impossible value.
    #[error("option {option} cannot be {value:?}")]
    Option {
        /// Which.
        option: String,
        /// As given.
        value: String,
    },
}

impl FromStr for EventSource {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let (name, options) = rest.split_once('?').unwrap_or((rest, ""));
        let exchange = match kind {
            "amqp_queue" | "amqp" => None,
            "amqp_exchange" => Some(Exchange { kind: "topic".to_owned(), routing_key: String::new(), bind_queue: None }),
            other => return Err(SourceError::Kind { found: other.to_owned() }),
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(SourceError::Name);
        }
        let mut source = Self {
            name: name.to_owned(),
            exchange,
            durable: true,
            exclusive: false,
            auto_delete: false,
            persistent: true,
            max_priority: None,
        };
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (option, value) = option.split_once('=').unwrap_or((option, ""));
            source
                .set(option, value)
                .ok_or_else(|| SourceError::Option { option: option.to_owned(), value: value.to_owned() })?;
        }
        if source.queue().len() > NAME_BYTES_MAX {
            return Err(SourceError::QueueName { queue: source.queue() });
        }
        Ok(source)
    }
}

impl EventSource {
    fn set(&mut self, option: &str, value: &str) -> Option<()> {
        match (option, self.exchange.as_mut()) {
            ("durable", _) => self.durable = value.parse().ok()?,
            ("exclusive", _) => self.exclusive = value.parse().ok()?,
            ("autoDelete", _) => self.auto_delete = value.parse().ok()?,
            ("deliveryMode", _) => self.persistent = matches!(value, "2" | "1").then(|| value == "2")?,
            ("maxPriority", _) => self.max_priority = Some(value.parse().ok()?),
            ("exchangeType", Some(exchange)) => {
                exchange.kind = matches!(value, "topic" | "direct" | "fanout" | "headers").then(|| value.to_owned())?;
            }
            ("routingKey", Some(exchange)) => {
                exchange.routing_key = (value.len() <= NAME_BYTES_MAX).then(|| value.to_owned())?;
            }
            ("bindQueueName", Some(exchange)) => {
                let fits = !value.is_empty() && value.len() <= NAME_BYTES_MAX;
                exchange.bind_queue = Some(fits.then(|| value.to_owned())?);
            }
            _ => return None,
        }
        Some(())
    }

    /// The queue that messages are read from.
    #[must_use]
    pub fn queue(&self) -> String {
        match &self.exchange {
            None => self.name.clone(),
            Some(Exchange { bind_queue: Some(queue), .. }) => queue.clone(),
            Some(Exchange { routing_key, .. }) => format!("conductor.events.{}.{routing_key}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_and_exchanges_are_read() {
        let queue: EventSource = "amqp_queue:orders?durable=false&maxPriority=5".parse().unwrap();
        assert_eq!((queue.queue().as_str(), queue.durable, queue.max_priority), ("orders", false, Some(5)));
        let exchange: EventSource = "amqp_exchange:shop?exchangeType=direct&routingKey=new&bindQueueName=q".parse().unwrap();
        assert_eq!(exchange.queue(), "q");
        assert_eq!(exchange.exchange.unwrap().kind, "direct");
        let unnamed: EventSource = "amqp_exchange:shop?routingKey=new.#".parse().unwrap();
        assert_eq!(unnamed.queue(), "conductor.events.shop.new.#");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let error = |text: &str| text.parse::<EventSource>().unwrap_err().to_string();
        assert!(error("kafka:t").contains("`kafka` is not among"));
        assert!(error("amqp_queue:").contains("name"));
        let long = "x".repeat(NAME_BYTES_MAX);
        assert!(error(&format!("amqp_exchange:{long}")).contains("bindQueueName"));
        assert!(format!("amqp_exchange:{long}?bindQueueName=q").parse::<EventSource>().is_ok());
        assert_eq!(error("amqp_queue:q?durable=maybe"), "option durable cannot be \"maybe\"");
        assert_eq!(error("amqp_queue:q?routingKey=x"), "option routingKey cannot be \"x\"");
    }
}
