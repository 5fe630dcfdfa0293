//! Event handlers: kept, and run for each message that comes to an internal queue or over RabbitMQ.
//!
//! A message is done with once the actions of every handler are: a message of RabbitMQ is acknowledged only then, and an
//! EVENT step that publishes to an internal queue completes only then. After a crash it comes again; actions that were done
//! are known by the message's id and are not done twice.

mod actions;
mod deliver;
pub mod message;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use conductor_model::{EventHandler, TenantName, Violation};
use conductor_script::Language;
use conductor_store::{Document, DocumentKind, Putting, StoreError};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{App, AppError};
use crate::broker::{EventSource, Incoming, Settlement, Sources};

pub(super) use deliver::{Delivery, Undelivered};

/// What an internal queue's name begins with.
const INTERNAL: &str = "conductor:";
/// Handlers kept by a tenant at most.
const HANDLERS_MAX: usize = 1000;

/// A handler and whose it is.
type Owned = (TenantName, EventHandler);

/// What the application keeps of events.
#[derive(Debug)]
pub(super) struct Events {
    handlers: RwLock<Arc<Vec<Owned>>>,
    incoming: Mutex<Option<mpsc::Receiver<Incoming>>>,
}

impl Events {
    pub(super) fn new(incoming: mpsc::Receiver<Incoming>) -> Self {
        Self { handlers: RwLock::default(), incoming: Mutex::new(Some(incoming)) }
    }

    fn handlers(&self) -> Arc<Vec<Owned>> {
        Arc::clone(&self.handlers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over what is stored now, and gives what is to be consumed for it.
    fn take_over(&self, documents: Vec<Document>) -> Sources {
        let mut handlers = Vec::new();
        for document in documents {
            match serde_json::from_str::<EventHandler>(&document.body) {
                Ok(handler) => handlers.push((document.tenant, handler)),
                Err(error) => tracing::error!(name = %document.name, %error, "a stored event handler cannot be read"),
            }
        }
        let mut sources = BTreeMap::new();
        for (_, handler) in handlers.iter().filter(|(_, handler)| handler.active && !handler.event.starts_with(INTERNAL)) {
            if let Ok(source) = handler.event.parse::<EventSource>() {
                sources.insert(handler.event.clone(), source);
            }
        }
        *self.handlers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(handlers);
        Arc::new(sources)
    }
}

impl App {
    /// Gives a message to all handlers that wait for it.
    pub(super) async fn deliver_event(&self, delivery: Delivery<'_>) -> Result<(), Undelivered> {
        deliver::deliver(self, delivery).await
    }

    /// Stores event handlers, all checked before the first is stored. They act from then on.
    ///
    /// # Errors
    /// `event-handler-invalid`; `exists` for a name that is taken, `not-found` for one that is not, as `putting` says.
    pub async fn put_event_handlers(
        &self,
        tenant: &TenantName,
        handlers: Vec<EventHandler>,
        putting: Putting,
    ) -> Result<(), AppError> {
        let (owner, performers) = (tenant.clone(), self.inner.performers.clone());
        let stored = self
            .read(move |store| {
                let faults: Vec<_> = handlers.iter().flat_map(|handler| faults(&performers, handler)).collect();
                if !faults.is_empty() {
                    return Ok(Err(refusal(faults)));
                }
                let kind = DocumentKind::EventHandler;
                if putting == Putting::New && store.documents(Some(&owner), kind)?.len() + handlers.len() > HANDLERS_MAX {
                    let message = format!("there are {HANDLERS_MAX} event handlers already; remove some first");
                    return Ok(Err(AppError::conflict("too-many-event-handlers", message)));
                }
                for handler in &handlers {
                    let body = serde_json::to_string(handler)
                        .map_err(|error| StoreError::Backend { operation: "event handler", message: error.to_string() })?;
                    let name = handler.name.clone();
                    let document = Document { tenant: owner.clone(), kind, name, version: 1, body };
                    if !store.put_document(document, putting)? {
                        return Ok(Err(match putting {
                            Putting::New => {
                                AppError::conflict("exists", format!("EventHandler with name {} already exists!", handler.name))
                            }
                            Putting::Again | Putting::Either => AppError::not_found("event handler", &handler.name),
                        }));
                    }
                }
                Ok(Ok(()))
            })
            .await?;
        self.refresh_events().await?;
        stored
    }

    /// A tenant's event handlers, those for one event where one is named.
    #[must_use]
    pub fn event_handlers(&self, tenant: &TenantName, event: Option<&str>, only_active: bool) -> Vec<EventHandler> {
        let handlers = self.inner.events.handlers();
        let own = handlers.iter().filter(|(owner, _)| owner == tenant).map(|(_, handler)| handler);
        let wanted = own.filter(|handler| event.is_none_or(|event| event == handler.event) && (!only_active || handler.active));
        wanted.cloned().collect()
    }

    /// Removes an event handler.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_event_handler(&self, tenant: &TenantName, name: &str) -> Result<(), AppError> {
        let (owner, id) = (tenant.clone(), name.to_owned());
        let was_there = self.read(move |store| store.delete_document(&owner, DocumentKind::EventHandler, &id, None)).await?;
        self.refresh_events().await?;
        if was_there { Ok(()) } else { Err(AppError::not_found("event handler", name)) }
    }

    /// Takes over the stored handlers, and listens to what they want to hear.
    pub(crate) async fn refresh_events(&self) -> Result<(), AppError> {
        let documents = self.read(|store| store.documents(None, DocumentKind::EventHandler)).await?;
        self.inner.broker.consume(self.inner.events.take_over(documents));
        Ok(())
    }

    /// Handles the messages that come over RabbitMQ until `shutdown` turns true.
    pub(crate) async fn handle_events(self, mut shutdown: watch::Receiver<bool>) {
        let incoming = self.inner.events.incoming.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut incoming) = incoming else { return };
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                Some(_) = under_way.join_next() => {}
                message = incoming.recv() => {
                    let Some(message) = message else { return };
                    // As many as there are sources: each waits for the message before.
                    under_way.spawn(handle(self.clone(), message));
                }
            }
        }
    }
}

/// Handles one message of RabbitMQ and says what becomes of it.
async fn handle(app: App, incoming: Incoming) {
    let Incoming { event, message_id, body, settle } = incoming;
    let settlement = match message::read(&body) {
        Err(error) => {
            tracing::warn!(%event, %error, "a message that is no JSON object is not handled");
            Settlement::Unreadable
        }
        Ok(payload) => {
            let delivery = Delivery { tenant: None, event: &event, message_id: message_id.as_deref(), payload };
            match deliver::deliver(&app, delivery).await {
                Ok(()) => Settlement::Done,
                Err(Undelivered { reason }) => {
                    tracing::warn!(%event, %reason, "a message cannot be handled now; it comes again");
                    Settlement::Again
                }
            }
        }
    };
    let _ = settle.send(settlement);
}

/// What is wrong with a handler.
fn faults(performers: &super::perform::Performers, handler: &EventHandler) -> Vec<Violation> {
    let mut faults = handler.validate();
    if !handler.event.is_empty() {
        if let Some(name) = handler.event.strip_prefix(INTERNAL) {
            if name.is_empty() {
                faults.push(Violation::new("event", "must name the queue, as in conductor:WORKFLOW:NAME", None));
            }
        } else if let Err(error) = handler.event.parse::<EventSource>() {
            faults.push(Violation::new("event", error.to_string(), Some(handler.event.clone())));
        }
    }
    if let Some(condition) = handler.condition.as_deref().filter(|condition| !condition.trim().is_empty())
        && let Err(error) = performers.scripts().check(Language::JavaScript, condition)
        && !error.is_transient()
    {
        faults.push(Violation::new("condition", error.to_string(), None));
    }
    faults
}

fn refusal(violations: Vec<Violation>) -> AppError {
    let message = violations.first().map_or_else(String::new, |fault| format!("{} {}", fault.path, fault.message));
    AppError::Invalid { code: "event-handler-invalid", message, violations }
}
