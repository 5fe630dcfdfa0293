//! What lives inside RabbitMQ: the virtual host, the manager's account, and no `guest`. Made through its management API.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use thiserror::Error;
use tokio::process::Command;
use tokio::time::Instant;

use super::{BrokerAccount, MANAGEMENT_URL};

/// RabbitMQ answers some seconds after its service counts as started, on a slow host many.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(500);
const REQUEST_MAX: Duration = Duration::from_secs(30);
const RABBITMQCTL_MAX: Duration = Duration::from_secs(120);

/// Why the broker is not ready.
#[derive(Debug, Error)]
pub enum BrokerStepError {
    /// The client for its API cannot be made.
    #[error("the client for RabbitMQ's management API cannot be made")]
    Client(#[source] reqwest::Error),
    /// Its API does not answer.
    #[error(
        "RabbitMQ's management API at {MANAGEMENT_URL} does not answer within {} s; `journalctl -u rabbitmq-server` says why",
        ANSWER_WAIT_MAX.as_secs()
    )]
    NoAnswer,
    /// A request failed.
    #[error("{action}: RabbitMQ's management API cannot be asked")]
    Request {
        /// What was to be done.
        action: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// A request was refused.
    #[error("{action}: RabbitMQ answers {status}: {said}")]
    Refused {
        /// What was to be done.
        action: String,
        /// Its answer.
        status: StatusCode,
        /// In its words.
        said: String,
    },
    /// Its command line failed.
    #[error("rabbitmqctl {action} failed: {said}")]
    Rabbitmqctl {
        /// What was to be done.
        action: String,
        /// In its words.
        said: String,
    },
}

/// Makes the broker ready for the manager.
pub(super) async fn prepare(account: &BrokerAccount, changes: &mut Vec<String>) -> Result<(), BrokerStepError> {
    let http = Client::builder().no_proxy().timeout(REQUEST_MAX).build().map_err(BrokerStepError::Client)?;
    let own = Api { http: &http, user: &account.user, password: &account.password };
    let guest = Api { http: &http, user: "guest", password: "guest" };
    if !own.is_let_in().await? {
        // A fresh RabbitMQ lets guest in from this host; one that is older may have another password for our account.
        if guest.is_let_in().await? {
            guest.put_user(account).await?;
        } else {
            rabbitmqctl_user(account).await?;
        }
        changes.push(format!("made the account `{}` in RabbitMQ", account.user));
    }
    let vhost = format!("/vhosts/{}", account.vhost);
    if !own.exists(&vhost).await? {
        own.send(Method::PUT, &vhost, Some(json!({})), "making the virtual host").await?;
        changes.push(format!("made the virtual host `{}` in RabbitMQ", account.vhost));
    }
    let permissions = format!("/permissions/{}/{}", account.vhost, account.user);
    if !own.exists(&permissions).await? {
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        own.send(Method::PUT, &permissions, Some(all), "giving the account its rights").await?;
        changes.push(format!("gave `{}` all rights in `{}`", account.user, account.vhost));
    }
    if own.exists("/users/guest").await? {
        own.send(Method::DELETE, "/users/guest", None, "removing `guest`").await?;
        changes.push("removed the account `guest` from RabbitMQ, whose password everybody knows".to_owned());
    }
    Ok(())
}

/// The management API as one user.
struct Api<'a> {
    http: &'a Client,
    user: &'a str,
    password: &'a str,
}

impl Api<'_> {
    /// Whether this user may use it. Waits for RabbitMQ to come up.
    async fn is_let_in(&self) -> Result<bool, BrokerStepError> {
        let deadline = Instant::now() + ANSWER_WAIT_MAX;
        loop {
            let asked =
                self.http.get(format!("{MANAGEMENT_URL}/api/whoami")).basic_auth(self.user, Some(self.password)).send().await;
            match asked.map(|answer| answer.status()) {
                Ok(StatusCode::UNAUTHORIZED) => return Ok(false),
                Ok(status) if status.is_success() => return Ok(true),
                Ok(_) | Err(_) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
                Ok(_) | Err(_) => return Err(BrokerStepError::NoAnswer),
            }
        }
    }

    async fn exists(&self, path: &str) -> Result<bool, BrokerStepError> {
        let action = || format!("looking at {path}");
        let asked =
            self.http.get(format!("{MANAGEMENT_URL}/api{path}")).basic_auth(self.user, Some(self.password)).send().await;
        let answer = asked.map_err(|source| BrokerStepError::Request { action: action(), source })?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            status => Err(BrokerStepError::Refused { action: action(), status, said: words(answer).await }),
        }
    }

    async fn put_user(&self, account: &BrokerAccount) -> Result<(), BrokerStepError> {
        let body = json!({"password": account.password, "tags": "administrator"});
        self.send(Method::PUT, &format!("/users/{}", account.user), Some(body), "making the manager's account").await
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>, action: &str) -> Result<(), BrokerStepError> {
        let mut request =
            self.http.request(method, format!("{MANAGEMENT_URL}/api{path}")).basic_auth(self.user, Some(self.password));
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await;
        let answer = answer.map_err(|source| BrokerStepError::Request { action: action.to_owned(), source })?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(BrokerStepError::Refused { action: action.to_owned(), status, said: words(answer).await }),
        }
    }
}

async fn words(answer: reqwest::Response) -> String {
    answer.text().await.unwrap_or_default().chars().take(300).collect()
}

/// By the broker's own command line, which root may always use.
async fn rabbitmqctl_user(account: &BrokerAccount) -> Result<(), BrokerStepError> {
    // The password goes in on standard input: an argument could be read by everybody on this host.
    if rabbitmqctl(&["change_password", &account.user], &account.password).await.is_err() {
        rabbitmqctl(&["add_user", &account.user], &account.password).await?;
    }
    rabbitmqctl(&["set_user_tags", &account.user, "administrator"], "").await
}

async fn rabbitmqctl(words: &[&str], input: &str) -> Result<(), BrokerStepError> {
    let failed = |said: String| BrokerStepError::Rabbitmqctl { action: words.join(" "), said };
    let mut command = Command::new("rabbitmqctl");
    command.arg("--quiet").args(words).kill_on_drop(true);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        use tokio::io::AsyncWriteExt;
        // One that does not read it fails by itself.
        let _ = stdin.write_all(format!("{input}\n").as_bytes()).await;
    }
    let done = tokio::time::timeout(RABBITMQCTL_MAX, child.wait_with_output()).await;
    let done = done.map_err(|_| failed("no answer".to_owned()))?.map_err(|error| failed(error.to_string()))?;
    if done.status.success() { Ok(()) } else { Err(failed(String::from_utf8_lossy(&done.stderr).trim().to_owned())) }
}
