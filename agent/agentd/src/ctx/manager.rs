//! What `ctx` and the runner need of the manager, or what stands in for it when a plugin is run by hand.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use conductor_boot::report;
use serde_json::{Map, Value};

use crate::rest::{Backoff, Rest, RestError};
use crate::runner::Job;

/// Attempts at something that a running task waits for.
const ATTEMPTS_MAX: u32 = 6;
/// Longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// The manager.
#[derive(Debug)]
pub enum Manager {
    /// A real one.
    Rest(Rc<Rest>),
    /// None: properties are kept in memory.
    Alone(RefCell<Map<String, Value>>),
}

impl Manager {
    /// Runtime properties of a node instance.
    ///
    /// # Errors
    /// In words for people.
    pub async fn properties(&self, instance: &str) -> Result<Map<String, Value>, String> {
        match self {
            Self::Rest(rest) => {
                let read = attempt(async || rest.node_instance(instance).await).await;
                read.map(|instance| instance.runtime_properties)
            }
            Self::Alone(properties) => Ok(properties.borrow().clone()),
        }
    }

    /// Sets runtime properties; `null` removes.
    ///
    /// # Errors
    /// In words for people.
    pub async fn merge(&self, instance: &str, changes: &Map<String, Value>) -> Result<(), String> {
        match self {
            Self::Rest(rest) => attempt(async || rest.merge_properties(instance, changes).await).await,
            Self::Alone(properties) => {
                let mut properties = properties.borrow_mut();
                for (key, value) in changes {
                    if value.is_null() {
                        properties.remove(key);
                    } else {
                        properties.insert(key.clone(), value.clone());
                    }
                }
                Ok(())
            }
        }
    }

    /// Fetches a file of the store, checked against its checksum.
    ///
    /// # Errors
    /// In words for people.
    pub async fn download(&self, path: &str, target: &Path) -> Result<(), String> {
        match self {
            Self::Rest(rest) => attempt(async || rest.download_resource(path, target).await).await,
            Self::Alone(_) => Err("there is no manager to fetch it from".to_owned()),
        }
    }

    /// Stores a file of a task and says where.
    ///
    /// # Errors
    /// In words for people.
    pub async fn store_artifact(&self, job: &Job, name: &str, file: &Path) -> Result<String, String> {
        match self {
            Self::Rest(rest) => attempt(async || rest.put_artifact(&job.tenant, job.key.task_id, name, file).await).await,
            Self::Alone(_) => Ok(file.display().to_string()),
        }
    }
}

/// Asks some times, as long as another attempt may help.
async fn attempt<T>(ask: impl AsyncFn() -> Result<T, RestError>) -> Result<T, String> {
    let mut backoff = Backoff::new(RETRY_MAX);
    let mut attempts = 1;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_temporary() && attempts < ATTEMPTS_MAX => {
                attempts += 1;
                backoff.wait().await;
            }
            Err(error) => return Err(report(&error).to_string()),
        }
    }
}
