//! Messages of EVENT steps.

use conductor_engine::PerformFailure;
use conductor_model::TenantName;
use serde_json::Value;

use super::terminal;
use crate::app::App;
use crate::app::core::Turn;

/// Publishes a message and returns once it is safe.
pub(super) async fn publish(
    _app: &App,
    _tenant: &TenantName,
    _turn: Turn,
    sink: &str,
    _payload: Value,
) -> Result<(), PerformFailure> {
    Err(terminal(format!("sink {sink} cannot be published to yet")))
}
