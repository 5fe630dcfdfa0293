//! What the manager does itself, outside the deciding thread: scripts, requests, messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{IdempotencyStrategy, TaskId, WorkflowDef, WorkflowId};
use serde_json::{Map, Value};

/// Work on one task, to be answered with [`crate::Event::Performed`].
#[derive(Clone, Debug, PartialEq)]
pub enum ServerWork {
    /// Evaluate a script. JavaScript answers with its value, jq with the list of all its results.
    Script {
        /// The language.
        language: ScriptLanguage,
        /// The text.
        source: Arc<str>,
        /// How a JavaScript text is read.
        style: ScriptStyle,
        /// What the script sees as `$` (JavaScript) or `.` (jq).
        input: Arc<Value>,
    },
    /// Send a request. Answered with `{statusCode, reasonPhrase, headers, body}` whatever the status code is, `body` being
    /// JSON where it can be read as such, else a text; or with a failure when there was no response.
    Http(HttpRequest),
    /// Publish a message. The answer's value is not looked at.
    Publish {
        /// Where to, in full: `conductor:WORKFLOW:NAME`, `amqp_queue:…`, `amqp_exchange:…`.
        sink: String,
        /// What.
        payload: Value,
    },
}

/// The kinds of [`ServerWork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WorkKind {
    /// Evaluating a script.
    Script,
    /// An HTTP request.
    Request,
    /// A message to publish.
    Message,
}

/// The languages of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptLanguage {
    /// ECMAScript.
    JavaScript,
    /// jq.
    Jq,
}

/// How a JavaScript text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptStyle {
    /// A program; its value is that of its last statement.
    Expression,
    /// The body of a function; its value is what it returns. A text without `return` is read as a program.
    FunctionBody,
}

/// A request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequest {
    /// As in `POST`, in capitals.
    pub method: String,
    /// Absolute.
    pub uri: String,
    /// By name, as given.
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON unless it is a text.
    pub body: Option<Value>,
    /// The `Accept` header.
    pub accept: String,
    /// The `Content-Type` header, where there is a body.
    pub content_type: String,
    /// Most ms until the connection stands.
    pub connect_timeout_ms: u64,
    /// Most ms until the response is read.
    pub read_timeout_ms: u64,
}

/// Why the manager's own work failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerformFailure {
    /// For people.
    pub message: String,
    /// Whether trying again cannot help.
    pub terminal: bool,
}

/// A workflow to start for another one.
#[derive(Clone, Debug, PartialEq)]
pub struct ChildOrder {
    /// Its id, worked out from the parent and the task: the same order twice is the same workflow.
    pub id: WorkflowId,
    /// The definition's name.
    pub name: String,
    /// Its version; `None` = the highest.
    pub version: Option<i32>,
    /// A definition given in place.
    pub definition: Option<Arc<WorkflowDef>>,
    /// Input.
    pub input: Map<String, Value>,
    /// The starter's own id for it.
    pub correlation_id: Option<String>,
    /// 0 to 99.
    pub priority: u8,
    /// Task type → domain.
    pub task_to_domain: BTreeMap<String, String>,
    /// Idempotency key and what a second start with it does.
    pub idempotency: Option<(String, IdempotencyStrategy)>,
    /// The workflow and task that hear of its end; `None` = nobody waits.
    pub parent: Option<(WorkflowId, TaskId)>,
}
