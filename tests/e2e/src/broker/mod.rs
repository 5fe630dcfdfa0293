//! RabbitMQ for stories: one node that the stories of a run share, a virtual host each, or a node of a story's own.

mod keeper;
mod node;
mod shared;

pub use keeper::keep;
pub use node::Node;
pub use shared::VirtualHost;
