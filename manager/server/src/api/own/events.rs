//! `GET /api/v1/events`: the feed as server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use conductor_model::{FeedEntry, TenantName, WorkflowId};
use futures_util::stream::unfold;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::limits::{EVENTS_KEEP_ALIVE_SECONDS, FEED_PAGE};
use crate::api::state::{ApiState, shut_down};
use crate::app::{App, AppError, Caller};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(events))
}

/// What happens, as it happens: one event for each entry of the feed, its name the entry's kind, its data the entry.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(("after" = Option<u64>, Query, description = "Begin behind the entry with this id; without it, with what happens from now on"),
        ("Last-Event-ID" = Option<u64>, Header, description = "The same, as browsers send it; wins over `after`"),
        ("workflow_id" = Option<String>, Query, description = "Only entries of this workflow"),
        ("follow" = Option<bool>, Query, description = "false = what is kept until now, from the first on unless `after` is given, and no more; default true")),
    responses((status = 200, content_type = "text/event-stream", body = crate::api::shapes::ServerSentEvent, description = "Goes on until the manager ends or the caller leaves, unless `follow` is false"),
        (status = 400, description = "Invalid"), (status = 503, description = "Too many listeners")))]
async fn events(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let place = Arc::clone(&state.listeners).try_acquire_owned().map_err(|_| {
        let most = state.limits().feed_listeners;
        ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-many-listeners",
            format!("{most} listeners are there, which is the limit"),
        )
        .hint("close streams that are not needed, or raise limits.feed_listeners")
    })?;
    // First listen, then read what was before: so nothing falls between.
    let live = state.app.subscribe();
    let after = match last_event_id(&headers)? {
        Some(id) => Some(id),
        None => params.value("after")?,
    };
    let follow = params.flag("follow", true)?;
    let listener = Listener {
        app: state.app.clone(),
        tenant: caller.tenant,
        workflow: workflow_filter(&params)?,
        live,
        is_behind: after.is_some() || !follow,
        follow,
        last: after,
        ready: VecDeque::new(),
        shutdown: state.shutdown(),
    };
    let held = (place, state.metrics.listener_began());
    let stream = unfold((listener, held), |(mut listener, held)| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), (listener, held)))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(EVENTS_KEEP_ALIVE_SECONDS)).text("still here");
    Ok(Sse::new(stream).keep_alive(keep_alive).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    text.parse().map(Some).map_err(|_| {
        ApiError::bad_request(
            "event-id-invalid",
            format!("Last-Event-ID is {text:?}; the id of an event, a whole number, is expected"),
        )
    })
}

fn workflow_filter(params: &Params) -> Result<Option<WorkflowId>, ApiError> {
    let Some(text) = params.text("workflow_id") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        ApiError::bad_request("query-invalid", format!("query parameter workflow_id is {text:?}, which is not a UUID"))
    })
}

/// One listener. It reads from the store while it is behind and from the live feed when it has caught up; when it is too
/// slow for the live feed, it is behind again.
struct Listener {
    app: App,
    tenant: TenantName,
    workflow: Option<WorkflowId>,
    live: broadcast::Receiver<Arc<FeedEntry>>,
    /// The last entry that was seen, shown or not; `None` = none yet, and only what comes is wanted.
    last: Option<u64>,
    is_behind: bool,
    /// Whether it waits for what comes once it has caught up.
    follow: bool,
    /// Entries that were read and not yet shown.
    ready: VecDeque<Arc<FeedEntry>>,
    shutdown: watch::Receiver<bool>,
}

impl Listener {
    /// The next event; `None` ends the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(entry) = self.ready.pop_front() {
                return Some(event(&entry));
            }
            if *self.shutdown.borrow() {
                return None;
            }
            if self.is_behind {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(%error, "an event stream ends because the feed cannot be read");
                    return None;
                }
                continue;
            }
            if !self.follow {
                return None;
            }
            let received = tokio::select! {
                received = self.live.recv() => received,
                () = shut_down(&mut self.shutdown) => return None,
            };
            match received {
                Ok(entry) => self.take(entry),
                Err(RecvError::Lagged(_)) => self.fall_behind().await?,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Reads the next stretch from the store.
    async fn catch_up(&mut self) -> Result<(), AppError> {
        let (tenant, after) = (self.tenant.clone(), self.last.unwrap_or(0));
        let stretch = self.app.read(move |store| store.feed(&tenant, after, FEED_PAGE)).await?;
        self.is_behind = !stretch.is_empty();
        for entry in stretch {
            self.take(Arc::new(entry));
        }
        Ok(())
    }

    /// The live feed went on without this listener. Where the listener had seen nothing yet, the entry that comes next says
    /// where the store is to be read from: everything of the feed that this listener missed is older than it.
    async fn fall_behind(&mut self) -> Option<()> {
        if self.last.is_some() {
            self.is_behind = true;
            return Some(());
        }
        loop {
            match self.live.recv().await {
                Ok(entry) => {
                    self.take(entry);
                    return Some(());
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Keeps an entry to be shown, unless it was seen or is not wanted.
    fn take(&mut self, entry: Arc<FeedEntry>) {
        if self.last.is_some_and(|last| entry.id <= last) {
            return;
        }
        self.last = Some(entry.id);
        if entry.tenant == self.tenant && (self.workflow.is_none() || entry.workflow_id == self.workflow) {
            self.ready.push_back(entry);
        }
    }
}

fn event(entry: &FeedEntry) -> Event {
    // An entry is plain data: writing it cannot fail. Were it to, its id and kind still arrive.
    let data = serde_json::to_string(entry).unwrap_or_default();
    Event::default().id(entry.id.to_string()).event(&entry.kind).data(data)
}
