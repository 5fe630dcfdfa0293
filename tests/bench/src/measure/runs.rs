//! Starting workflows and waiting for their ends without disturbing them much.

use std::time::{Duration, Instant};

use conductor_client::{Client, StartRequest, WorkflowView};
use conductor_model::{WorkflowId, WorkflowStatus};

use crate::clock::now_us;
use crate::error::BenchError;

/// Longest run of one measured workflow.
const RUN_MAX: Duration = Duration::from_secs(60);

/// A workflow that was started.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Its id.
    pub id: WorkflowId,
    /// When its request was sent, in µs since 1970.
    pub posted_us: i64,
    /// How long the manager took to answer, in µs.
    pub answered_after_us: i64,
}

/// Starts one.
pub async fn start(client: &Client, name: &str) -> Result<Started, BenchError> {
    let request = StartRequest { name: name.to_owned(), ..StartRequest::default() };
    let posted_us = now_us();
    let id = client.start(&request).await.map_err(BenchError::client("starting a workflow"))?;
    Ok(Started { id, posted_us, answered_after_us: now_us() - posted_us })
}

/// Waits until it is over, looking every `look_every`.
pub async fn wait(client: &Client, id: WorkflowId, look_every: Duration) -> Result<(), BenchError> {
    let end = Instant::now() + RUN_MAX;
    let text = id.to_string();
    while !client.workflow_status(&text).await.map_err(BenchError::client("asking for a workflow"))?.is_terminal() {
        if Instant::now() >= end {
            let what = format!("the end of workflow {id}");
            return Err(BenchError::Late { what, limit: RUN_MAX, detail: String::new() });
        }
        tokio::time::sleep(look_every).await;
    }
    Ok(())
}

/// Its record, once it is over and if it succeeded.
pub async fn finished(client: &Client, id: WorkflowId, tasks: bool) -> Result<WorkflowView, BenchError> {
    let view = client.workflow(&id.to_string(), tasks).await.map_err(BenchError::client("reading a workflow"))?;
    if view.status == WorkflowStatus::Completed {
        return Ok(view);
    }
    let reason = view.reason_for_incompletion.unwrap_or_else(|| "no reason is given".to_owned());
    Err(BenchError::Workflow { id: id.to_string(), status: format!("{:?}", view.status), reason })
}
