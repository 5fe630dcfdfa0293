//! The manager's feed as a stream that survives lost connections.

use std::collections::VecDeque;
use std::time::Duration;

use conductor_model::{FeedEntry, WorkflowId};
use reqwest::{Method, Response};

use crate::limits::{
    EVENT_BYTES_MAX, EVENT_SILENCE_MAX, RECONNECT_DELAY, RECONNECT_DELAY_MAX, RECONNECTS_MAX, REQUEST_TIMEOUT,
};
use crate::sse::SseParser;
use crate::{Client, ClientError};

/// Which part of the feed to read.
#[derive(Clone, Debug, Default)]
pub struct EventQuery {
    /// Entries behind this id; absent = those from now on.
    pub after: Option<u64>,
    /// Entries of one workflow alone.
    pub workflow_id: Option<WorkflowId>,
}

/// The feed, entry by entry, in order: after a lost connection it goes on behind the last entry that came.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    query: EventQuery,
    open: Option<Open>,
    ready: VecDeque<FeedEntry>,
}

#[derive(Debug)]
struct Open {
    response: Response,
    parser: SseParser,
}

const REQUEST: &str = "GET /api/v1/events";

impl Client {
    /// Opens the feed. When this returns, nothing that happens from then on is missed.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn events(&self, query: EventQuery) -> Result<EventStream, ClientError> {
        let mut stream = EventStream { client: self.clone(), query, open: None, ready: VecDeque::new() };
        stream.connect().await?;
        Ok(stream)
    }
}

impl EventStream {
    /// From now on only entries of this workflow are given.
    pub fn narrow(&mut self, workflow: WorkflowId) {
        self.query.workflow_id = Some(workflow);
    }

    /// The next entry. Waits as long as it takes; dropping the future loses nothing.
    ///
    /// # Errors
    /// When the stream was lost and could not be opened again, or when what comes is no feed.
    pub async fn next(&mut self) -> Result<FeedEntry, ClientError> {
        loop {
            while let Some(entry) = self.ready.pop_front() {
                self.query.after = Some(entry.id);
                if self.query.workflow_id.is_none() || entry.workflow_id == self.query.workflow_id {
                    return Ok(entry);
                }
            }
            if self.open.is_none() {
                self.reconnect().await?;
            }
            self.fill().await?;
        }
    }

    /// Reads one piece of the stream; closes it when it is at its end, broken or silent.
    async fn fill(&mut self) -> Result<(), ClientError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let Ok(Ok(Some(piece))) = tokio::time::timeout(EVENT_SILENCE_MAX, open.response.chunk()).await else {
            self.open = None;
            return Ok(());
        };
        let broken = |reason: String| ClientError::Answer { request: REQUEST.to_owned(), reason };
        let mut events = Vec::new();
        open.parser.push(&piece, &mut events).map_err(|error| broken(error.to_string()))?;
        if self.query.after.is_none() {
            self.query.after = open.parser.last_id().and_then(|id| id.parse().ok());
        }
        for event in events {
            let entry = serde_json::from_str(&event.data).map_err(|error| broken(format!("{error} in {:?}", event.data)))?;
            self.ready.push_back(entry);
        }
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), ClientError> {
        let mut delay = RECONNECT_DELAY;
        for attempt in 1_u32.. {
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(RECONNECT_DELAY_MAX);
            match self.connect().await {
                Ok(()) => break,
                Err(error) if !error.is_temporary() => return Err(error),
                Err(error) if attempt >= RECONNECTS_MAX => {
                    return Err(ClientError::EventsLost { attempts: attempt, source: Box::new(error) });
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        let mut pairs = Vec::new();
        if let Some(after) = self.query.after {
            pairs.push(("after", after.to_string()));
        }
        if let Some(workflow) = self.query.workflow_id {
            pairs.push(("workflow_id", workflow.to_string()));
        }
        // The request's own deadline would end the stream; its silence is what counts.
        let call = self.client.call(Method::GET, &["api", "v1", "events"], &pairs).accept("text/event-stream");
        let name = call.name();
        let sent = tokio::time::timeout(REQUEST_TIMEOUT, call.timeout(Duration::MAX).send()).await;
        let response = sent.map_err(|_| ClientError::Slow { request: name, limit: REQUEST_TIMEOUT })??;
        self.open = Some(Open { response, parser: SseParser::new(EVENT_BYTES_MAX) });
        Ok(())
    }
}
