//! KAFKA_PUBLISH: refused at registration, because this program has no Kafka client.

use super::{Behaviour, Role};
use crate::plan::Kind;

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile: |compiler, node, _, _, _| {
        let path = format!("{}.type", compiler.node_path(node));
        let message = "cannot run: this build has no Kafka client; publish with EVENT to RabbitMQ, or from a worker";
        compiler.fault(path, message, Some("KAFKA_PUBLISH".to_owned()));
        Kind::Leaf
    },
    ..Behaviour::base(Role::System, Some("KAFKA_PUBLISH"))
};
