//! What `ctx` and the runner need of the manager, or what stands in for it when a plugin is run by hand.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::runner::Job;
use crate::runner::desk::line::AgentLine;
use crate::runner::desk::transfer::Transfer;
use crate::runner_link::message::Question;

/// The manager.
#[derive(Debug)]
pub enum Manager {
    /// A real one, behind the agent.
    Behind(Rc<AgentLine>),
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
            Self::Behind(agent) => match agent.ask(Question::Properties { instance: instance.to_owned() }).await? {
                Value::Object(properties) => Ok(properties),
                _ => Err("the agent's answer has another shape".to_owned()),
            },
            Self::Alone(properties) => Ok(properties.borrow().clone()),
        }
    }

    /// Sets runtime properties; `null` removes.
    ///
    /// # Errors
    /// In words for people.
    pub async fn merge(&self, instance: &str, changes: &Map<String, Value>) -> Result<(), String> {
        match self {
            Self::Behind(agent) => {
                let question = Question::Merge { instance: instance.to_owned(), changes: changes.clone() };
                agent.ask(question).await.map(drop)
            }
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
            Self::Behind(agent) => {
                let transfer = Transfer::Into(target.to_owned());
                agent.ask_about(Question::Download { path: path.to_owned() }, Some(transfer)).await.map(drop)
            }
            Self::Alone(_) => Err("there is no manager to fetch it from".to_owned()),
        }
    }

    /// Stores a file of a task and says where.
    ///
    /// # Errors
    /// In words for people.
    pub async fn store_artifact(&self, job: &Job, name: &str, file: &Path) -> Result<String, String> {
        match self {
            Self::Behind(agent) => {
                let (tenant, task) = (job.tenant.clone(), job.key.task_id);
                let bytes = std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.len();
                let question = Question::Artifact { tenant, task, name: name.to_owned(), bytes };
                match agent.ask_about(question, Some(Transfer::From(file.to_owned()))).await? {
                    Value::String(place) => Ok(place),
                    _ => Err("the agent's answer has another shape".to_owned()),
                }
            }
            Self::Alone(_) => Ok(file.display().to_string()),
        }
    }
}
