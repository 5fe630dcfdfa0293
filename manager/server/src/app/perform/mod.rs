//! What the manager does itself for tasks: scripts, HTTP requests, messages. All of it off the deciding thread.
//!
//! The deciding thread hands out a bounded number of [`Job`]s at once and hears of each exactly once, by
//! [`Message::Performed`]. A job that is lost with the process is handed out again at the next start.

mod check;
mod http;
mod publish;
mod scripts;
mod vault;

use std::sync::{Arc, OnceLock, Weak};

use conductor_engine::{PerformFailure, ScriptLanguage, ScriptStyle, Sealed, ServerWork};
use conductor_model::TenantName;
use conductor_script::{Language, Launcher, ScriptError};
use serde_json::Value;
use tokio::runtime::Handle;

use super::core::{CoreHandle, Message, Turn};
use super::{App, Inner};
pub(super) use check::script_faults;
use http::Requests;
pub(in crate::app) use http::authority;
pub use scripts::Scripts;
pub use vault::{Vault, VaultError};

/// A piece of work.
#[derive(Debug)]
pub struct Job {
    /// Whose.
    pub tenant: TenantName,
    /// For which task.
    pub turn: Turn,
    /// What.
    pub work: ServerWork,
    /// Secrets in it, which nothing that comes of it may show.
    pub secrets: Vec<String>,
}

/// Takes work off the deciding thread. A simulation plays it.
pub trait Perform: Send + Sync + std::fmt::Debug {
    /// Begins a piece of work. Does not wait; the deciding thread hears once what came of it.
    fn perform(&self, job: Job);

    /// A tenant's secret or environment value.
    fn look_up(&self, tenant: &TenantName, sealed: Sealed, name: &str) -> Option<String> {
        let _ = (tenant, sealed, name);
        None
    }
}

/// Does the work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Performers {
    inner: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    core: CoreHandle,
    scripts: Scripts,
    requests: Requests,
    /// Absent in a program without an asynchronous runtime: then only scripts are performed.
    runtime: Option<Handle>,
    app: OnceLock<Weak<Inner>>,
    vault: OnceLock<Arc<Vault>>,
}

impl Performers {
    /// Performers that tell `core` what came of each job.
    pub(super) fn new(core: CoreHandle, launcher: Launcher) -> Self {
        let parts = Parts {
            core,
            scripts: Scripts::new(launcher),
            requests: Requests::default(),
            runtime: Handle::try_current().ok(),
            app: OnceLock::new(),
            vault: OnceLock::new(),
        };
        Self { inner: Arc::new(parts) }
    }

    /// Tells what the application is, which messages to internal queues need.
    pub(super) fn attach(&self, app: Weak<Inner>) {
        let _ = self.inner.app.set(app);
    }

    /// Tells where secrets and environment values are.
    pub(super) fn open_vault(&self, vault: Arc<Vault>) {
        let _ = self.inner.vault.set(vault);
    }

    /// The threads that evaluate scripts.
    pub(in crate::app) fn scripts(&self) -> &Scripts {
        &self.inner.scripts
    }
}

impl Perform for Performers {
    fn perform(&self, job: Job) {
        let Job { tenant, turn, work, secrets } = job;
        match work {
            ServerWork::Script { language, source, style, input } => {
                let core = self.inner.core.clone();
                self.inner.scripts.evaluate(language_of(language, style), source, input, move |result| {
                    let result = result.map_err(|error| of_script(&error));
                    core.tell(Message::Performed { turn, result: vault::hush(result, &secrets) });
                });
            }
            ServerWork::Http(request) => {
                let performers = self.clone();
                self.spawn(turn, secrets, async move { performers.inner.requests.send(request).await });
            }
            ServerWork::Publish { sink, payload } => {
                let performers = self.clone();
                self.spawn(turn, secrets, async move {
                    let app = performers.app()?;
                    publish::publish(&app, &tenant, turn, &sink, payload).await.map(|()| Value::Null)
                });
            }
        }
    }

    fn look_up(&self, tenant: &TenantName, sealed: Sealed, name: &str) -> Option<String> {
        self.inner.vault.get()?.look_up(tenant, sealed, name)
    }
}

impl Performers {
    fn app(&self) -> Result<App, PerformFailure> {
        let inner = self.inner.app.get().and_then(Weak::upgrade);
        inner.map(|inner| App { inner }).ok_or_else(|| transient("the manager is stopping"))
    }

    fn spawn(
        &self,
        turn: Turn,
        secrets: Vec<String>,
        work: impl Future<Output = Result<Value, PerformFailure>> + Send + 'static,
    ) {
        let core = self.inner.core.clone();
        let Some(runtime) = &self.inner.runtime else {
            let result = Err(transient("this program performs no requests"));
            return core.tell(Message::Performed { turn, result });
        };
        runtime.spawn(async move {
            let result = vault::hush(work.await, &secrets);
            core.tell(Message::Performed { turn, result });
        });
    }
}

pub(super) fn language_of(language: ScriptLanguage, style: ScriptStyle) -> Language {
    match (language, style) {
        (ScriptLanguage::Jq, _) => Language::Jq,
        (ScriptLanguage::JavaScript, ScriptStyle::Expression) => Language::JavaScript,
        (ScriptLanguage::JavaScript, ScriptStyle::FunctionBody) => Language::JavaScriptBody,
    }
}

fn of_script(error: &ScriptError) -> PerformFailure {
    PerformFailure { message: error.to_string(), terminal: !error.is_transient() }
}

/// A failure that another try may mend.
fn transient(message: impl Into<String>) -> PerformFailure {
    PerformFailure { message: message.into(), terminal: false }
}

/// A failure that will be the same at each try.
fn terminal(message: impl Into<String>) -> PerformFailure {
    PerformFailure { message: message.into(), terminal: true }
}
