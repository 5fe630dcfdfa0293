//! Agents' users on RabbitMQ, made, limited and removed through its management API.
//!
//! An agent's user may read its own queue and write to the inbound exchange, and declare nothing. With certificates it has no
//! password; in the development stack it has one, derived from a key of the manager's, so that it stays the same.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use conductor_model::AgentId;
use conductor_wire::amqp::{EXCHANGE_INBOUND, agent_queue};
use conductor_wire::identity::broker_user;
use reqwest::{Client, Method, StatusCode, Url};
use ring::hmac;
use serde_json::{Value, json};
use thiserror::Error;

use crate::config::{AgentAccounts, BrokerSettings, Settings};

/// Longest wait for an answer of the management API.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often something is deleted before RabbitMQ's failure to do so counts, and the pause between.
const DELETE_ATTEMPTS_MAX: u32 = 5;
const DELETE_PAUSE: Duration = Duration::from_millis(200);
/// Connections that one agent may have at once: one, and some that the broker has not yet noticed to be dead.
const CONNECTIONS_MAX: u32 = 4;

/// Why an agent's user could not be made or removed.
#[derive(Debug, Error)]
pub enum AccountsError {
    /// The settings do not fit.
    #[error("{0}")]
    Settings(String),
    /// It does not answer.
    #[error("RabbitMQ's management API does not answer ({action})")]
    Silent {
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It refused.
    #[error("RabbitMQ's management API refused to {action}: {status}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// How it answered.
        status: StatusCode,
    },
}

/// Makes and removes agents' users.
#[derive(Debug)]
pub struct Accounts {
    kind: AgentAccounts,
    /// Absent where accounts are shared.
    management: Option<Management>,
    /// Agents whose user was made by this manager since it started or RabbitMQ was away.
    made: Mutex<HashSet<AgentId>>,
    /// What agents' addresses of the broker are made from.
    agent_url: Url,
    passwords: hmac::Key,
}

#[derive(Debug)]
struct Management {
    http: Client,
    base: Url,
    user: String,
    password: String,
    vhost: String,
}

impl Accounts {
    /// Reads what is needed from the settings. `authority_pem` is whom to trust where the management API speaks TLS.
    ///
    /// # Errors
    /// [`AccountsError::Settings`].
    pub fn new(settings: &Settings, authority_pem: &str, secret: &[u8]) -> Result<Self, AccountsError> {
        let broker = &settings.broker;
        let url = parse(broker.url.expose())?;
        let management = match (&broker.management_url, broker.agent_accounts) {
            (_, AgentAccounts::Shared) => None,
            (Some(base), _) => Some(Management::new(parse(base)?, &url, authority(broker, authority_pem)?)?),
            (None, kind) => {
                let message = format!(
                    "broker.agent_accounts is {kind:?}, which needs broker.management_url, as in http://127.0.0.1:15672"
                );
                return Err(AccountsError::Settings(message));
            }
        };
        Ok(Self {
            kind: broker.agent_accounts,
            management,
            made: Mutex::default(),
            agent_url: parse(settings.agent_broker_url().expose())?,
            passwords: hmac::Key::new(hmac::HMAC_SHA256, secret),
        })
    }

    /// Whether each agent has a user of its own, so that RabbitMQ vouches for who sent a message.
    #[must_use]
    pub fn are_own(&self) -> bool {
        self.kind != AgentAccounts::Shared
    }

    /// RabbitMQ was away and may have forgotten.
    pub fn broker_came_back(&self) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Makes the agent's user, where accounts are not shared, and gives the address by which the agent reaches the broker.
    ///
    /// # Errors
    /// When the management API does not answer or refuses.
    pub async fn ensure(&self, agent: &AgentId) -> Result<String, AccountsError> {
        let mut url = self.agent_url.clone();
        let user = broker_user(agent);
        let password = match self.kind {
            AgentAccounts::Shared => return Ok(url.into()),
            AgentAccounts::Password => Some(hex::encode(hmac::sign(&self.passwords, user.as_bytes()).as_ref())),
            AgentAccounts::Certificate => None,
        };
        if let Some(management) = &self.management
            && !self.made.lock().unwrap_or_else(PoisonError::into_inner).contains(agent)
        {
            management.make(agent, &user, password.as_deref()).await?;
            self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(agent.clone());
        }
        match password {
            Some(password) => {
                let _ = url.set_username(&user);
                let _ = url.set_password(Some(&password));
            }
            None => {
                let _ = url.set_username("");
                let _ = url.set_password(None);
                url.query_pairs_mut().append_pair("auth_mechanism", "external");
            }
        }
        Ok(url.into())
    }

    /// Removes the agent's user, closes its connections and deletes its queue. One that is not there is as good as removed.
    ///
    /// # Errors
    /// When the management API does not answer or refuses.
    pub async fn remove(&self, agent: &AgentId) -> Result<(), AccountsError> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).remove(agent);
        let Some(management) = &self.management else { return Ok(()) };
        let (user, queue) = (broker_user(agent), agent_queue(agent));
        // The user first: what is closed afterwards cannot come again.
        management.delete(&["api", "users", &user], "remove an agent's user").await?;
        management.delete(&["api", "connections", "username", &user], "close an agent's connections").await?;
        management.delete(&["api", "queues", &management.vhost, &queue], "delete an agent's queue").await
    }
}

impl Management {
    fn new(base: Url, broker: &Url, authority: reqwest::Certificate) -> Result<Self, AccountsError> {
        let builder = Client::builder().timeout(ANSWER_WAIT_MAX).no_proxy().tls_certs_only([authority]);
        let http = builder.build().map_err(|source| AccountsError::Silent { action: "set up", source })?;
        let text = |coded: &str| percent_decode(coded);
        let vhost = match broker.path().trim_start_matches('/') {
            "" => "/".to_owned(),
            vhost => text(vhost),
        };
        let user = text(broker.username());
        let password = text(broker.password().unwrap_or_default());
        Ok(Self { http, base, user, password, vhost })
    }

    async fn make(&self, agent: &AgentId, user: &str, password: Option<&str>) -> Result<(), AccountsError> {
        let account = match password {
            Some(password) => json!({ "password": password, "tags": "" }),
            // Nobody can log in with a password where there is none.
            None => json!({ "password_hash": "", "tags": "" }),
        };
        self.put(&["api", "users", user], &account, "make an agent's user").await?;
        let limit = json!({ "value": CONNECTIONS_MAX });
        self.put(&["api", "user-limits", user, "max-connections"], &limit, "limit an agent's connections").await?;
        let permissions = json!({
            "configure": "^$",
            "write": format!("^{}$", literal(EXCHANGE_INBOUND)),
            "read": format!("^{}$", literal(&agent_queue(agent))),
        });
        self.put(&["api", "permissions", &self.vhost, user], &permissions, "give an agent its rights").await
    }

    async fn put(&self, path: &[&str], body: &Value, action: &'static str) -> Result<(), AccountsError> {
        let request = self.http.request(Method::PUT, self.url(path)).basic_auth(&self.user, Some(&self.password)).json(body);
        let answer = request.send().await.map_err(|source| AccountsError::Silent { action, source })?;
        if answer.status().is_success() { Ok(()) } else { Err(AccountsError::Refused { action, status: answer.status() }) }
    }

    /// Asks again where RabbitMQ stumbles: without its user it closes a connection by itself, and fails when it is told to
    /// close one that it is closing just then.
    async fn delete(&self, path: &[&str], action: &'static str) -> Result<(), AccountsError> {
        let mut attempts = 1;
        loop {
            let request = self.http.request(Method::DELETE, self.url(path)).basic_auth(&self.user, Some(&self.password));
            let answer = request.send().await.map_err(|source| AccountsError::Silent { action, source })?;
            match answer.status() {
                status if status.is_success() || status == StatusCode::NOT_FOUND => return Ok(()),
                status if status.is_server_error() && attempts < DELETE_ATTEMPTS_MAX => attempts += 1,
                status => return Err(AccountsError::Refused { action, status }),
            }
            tokio::time::sleep(DELETE_PAUSE).await;
        }
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        url
    }
}

fn parse(url: &str) -> Result<Url, AccountsError> {
    Url::parse(url).map_err(|error| AccountsError::Settings(format!("an address of the broker is none: {error}")))
}

fn authority(broker: &BrokerSettings, own_pem: &str) -> Result<reqwest::Certificate, AccountsError> {
    let wrong = |error: &dyn std::fmt::Display| AccountsError::Settings(format!("broker.ca_file cannot be used: {error}"));
    let pem = broker_authority(broker.ca_file.as_deref(), own_pem).map_err(|error| wrong(&error))?;
    reqwest::Certificate::from_pem(pem.as_bytes()).map_err(|error| wrong(&error))
}

/// Whom to trust as the broker: the authority of the settings, or our own.
///
/// # Errors
/// When the file cannot be read.
pub fn broker_authority(ca_file: Option<&Path>, own_pem: &str) -> std::io::Result<String> {
    ca_file.map_or_else(|| Ok(own_pem.to_owned()), std::fs::read_to_string)
}

/// A text as a regular expression that it alone fits.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 4);
    for letter in text.chars() {
        if !letter.is_ascii_alphanumeric() && letter != '-' && letter != '_' {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

/// A part of an address as it was before it was coded.
fn percent_decode(coded: &str) -> String {
    percent_encoding::percent_decode_str(coded).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrokerUrl;

    fn settings(kind: AgentAccounts) -> Settings {
        let mut settings = Settings::default();
        settings.broker.url = BrokerUrl::loopback("conductor", "p%40ss", 5672, "%2f");
        settings.broker.agent_accounts = kind;
        settings
    }

    #[test]
    fn accounts_of_their_own_need_the_management_api() {
        let error = Accounts::new(&settings(AgentAccounts::Certificate), "", b"k").unwrap_err().to_string();
        assert!(error.contains("broker.management_url"), "{error}");
        assert!(!Accounts::new(&settings(AgentAccounts::Shared), "", b"k").unwrap().are_own());
    }

    #[test]
    fn rights_are_for_one_queue_alone() {
        assert_eq!(literal("agent.web-1"), r"agent\.web-1");
    }
}
