//! Keeps the private broker running until the stack goes down.

use std::time::Duration;

use conductor_boot::report;
use tokio::sync::watch;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::broker_node::BrokerNode;
use super::pids::Pids;

/// Watches over the node until `stop` says so, then ends it cleanly.
pub(super) async fn keep(mut node: BrokerNode, mut stop: watch::Receiver<bool>, pids: Pids) {
    pids.set(node.pids());
    let mut backoff = Backoff::started();
    loop {
        let how = tokio::select! {
            how = node.ended() => how,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let wait = backoff.died();
        eprintln!("conductor dev: the broker ended ({how}); it is started again");
        let goes_on = start_again(&mut node, wait, &mut stop).await;
        pids.set(node.pids());
        if !goes_on {
            break;
        }
    }
    node.stop().await;
}

/// False when the stack goes down meanwhile.
async fn start_again(node: &mut BrokerNode, wait: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = async {
            sleep(wait).await;
            match node.start_again().await {
                Ok(()) => eprintln!("conductor dev: the broker is back"),
                Err(error) => eprintln!("conductor dev: {}", report(&error)),
            }
        } => true,
        _ = stop.wait_for(|stop| *stop) => false,
    }
}
