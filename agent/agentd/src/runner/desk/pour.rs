//! Log lines on their way from the spool to the agent.

use std::rc::Weak;
use std::time::Duration;

use super::Desk;
use crate::clock;
use crate::runner_link::message::{FromRunner, Lines};

/// Between two batches of lines while a task floods.
const FLOOD_PAUSE: Duration = Duration::from_millis(20);

/// Sends log lines whenever there are some and there is room on their way. What one read brought goes together. While a task
/// floods, one batch goes at a time: whoever takes the lines may run on the same processors as the task.
pub(super) async fn pour(desk: Weak<Desk>) {
    while let Some(held) = desk.upgrade() {
        let mut is_flooded = false;
        while held.line.is_connected()
            && !is_flooded
            && let Some((batch, tenant, lines)) = { held.spool.borrow_mut().take_batch() }
        {
            held.line.send(&FromRunner::Lines(Lines { batch, tenant, lines }));
            is_flooded = held.spool.borrow_mut().is_flooded(clock::now());
        }
        if is_flooded {
            tokio::time::sleep(FLOOD_PAUSE).await;
        } else {
            let woken = held.pour.notified();
            woken.await;
        }
    }
}
