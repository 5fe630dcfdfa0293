//! Task definitions (Conductor API: TaskDef).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AgentKey, SchemaDef, Violation, check_definition_name, is_default, null_as_default};

/// How the delay before another attempt grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RetryLogic {
    /// Always the same.
    #[default]
    Fixed,
    /// Delay × scale factor × number of attempts made.
    LinearBackoff,
    /// Delay × 2 to the power of retries made, so that the first retry waits the plain delay.
    ExponentialBackoff,
}

/// What a poll or run timeout does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TaskTimeoutPolicy {
    /// The attempt is timed out and the retry rules apply.
    Retry,
    /// The attempt and its workflow are timed out.
    #[default]
    TimeOutWf,
    /// An alert is raised; the task goes on.
    AlertOnly,
}

/// What may run, how often it is tried and how long it may take. Times are seconds, 0 = none unless said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskDef {
    /// The task type, which workers poll.
    pub name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_email: Option<String>,
    /// The application it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_app: Option<String>,
    /// When it was first stored, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub create_time: Option<i64>,
    /// When it was last stored, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_time: Option<i64>,
    /// Who stored it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who stored it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
    /// Attempts after the first.
    #[serde(default = "three", deserialize_with = "null_as_three")]
    pub retry_count: i32,
    /// How the delay grows.
    #[serde(default, deserialize_with = "null_as_default")]
    pub retry_logic: RetryLogic,
    /// The base delay before another attempt.
    #[serde(default = "sixty", deserialize_with = "null_as_sixty")]
    pub retry_delay_seconds: i64,
    /// Multiplies the delays of LINEAR_BACKOFF and EXPONENTIAL_BACKOFF. At least 1.
    #[serde(default = "one", deserialize_with = "null_as_one")]
    pub backoff_scale_factor: i64,
    /// Cap on the delay.
    #[serde(default, deserialize_with = "null_as_default")]
    pub max_retry_delay_seconds: i64,
    /// Up to so many ms are added to the delay, after the cap.
    #[serde(default, deserialize_with = "null_as_default")]
    pub backoff_jitter_ms: i64,
    /// Whether the whole delay is drawn, from nothing up to and with what it would be, so that attempts that failed together do
    /// not come back together. Not known to Conductor.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub full_jitter: bool,
    /// Longest run of one attempt, from its start.
    #[serde(default, deserialize_with = "null_as_default")]
    pub timeout_seconds: i64,
    /// Longest silence of a worker. At least 1.
    #[serde(default = "an_hour", deserialize_with = "null_as_an_hour")]
    pub response_timeout_seconds: i64,
    /// Longest wait for a poll or a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_timeout_seconds: Option<i64>,
    /// Budget over all attempts and the delays between them.
    #[serde(default, deserialize_with = "null_as_default")]
    pub total_timeout_seconds: i64,
    /// What poll, run and total timeouts do. A response timeout always leads to the retry rules.
    #[serde(default, deserialize_with = "null_as_default")]
    pub timeout_policy: TaskTimeoutPolicy,
    /// Most tasks of this type in progress at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_exec_limit: Option<i64>,
    /// Most starts in one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_per_frequency: Option<i64>,
    /// Length of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_frequency_in_seconds: Option<i64>,
    /// For documentation.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_keys: Vec<String>,
    /// For documentation.
    #[serde(default, deserialize_with = "null_as_default")]
    pub output_keys: Vec<String>,
    /// Fills input keys that are absent or null.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input_template: Map<String, Value>,
    /// Names of secrets and environment values that its worker gets beside the input.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub runtime_metadata: Vec<String>,
    /// What the input must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Box<SchemaDef>>,
    /// What the output must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Box<SchemaDef>>,
    /// Whether the schemas are enforced.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub enforce_schema: bool,
    /// Kept for SDKs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_type: Option<String>,
    /// Not supported; refused unless empty: tasks of a type have one queue per domain.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub isolation_group_id: String,
    /// Not supported; refused unless empty: tasks of a type have one queue per domain.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "String::is_empty")]
    pub execution_name_space: String,
    /// Kept for SDKs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_status_listener_enabled: Option<bool>,
    /// Present = the task runs on an agent; absent = it waits for polling workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentKey>,
}

fn one() -> i64 {
    1
}
fn three() -> i32 {
    3
}
fn sixty() -> i64 {
    60
}
fn an_hour() -> i64 {
    3600
}

macro_rules! null_as {
    ($name:ident, $default:ident, $type:ty) => {
        fn $name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
            Ok(Option::<$type>::deserialize(deserializer)?.unwrap_or_else($default))
        }
    };
}
null_as!(null_as_three, three, i32);
null_as!(null_as_sixty, sixty, i64);
null_as!(null_as_one, one, i64);
null_as!(null_as_an_hour, an_hour, i64);

impl TaskDef {
    /// A definition with every default of the Conductor API.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            description: None,
            owner_email: None,
            owner_app: None,
            create_time: None,
            update_time: None,
            created_by: None,
            updated_by: None,
            retry_count: three(),
            retry_logic: RetryLogic::Fixed,
            retry_delay_seconds: sixty(),
            backoff_scale_factor: one(),
            max_retry_delay_seconds: 0,
            backoff_jitter_ms: 0,
            full_jitter: false,
            timeout_seconds: 0,
            response_timeout_seconds: an_hour(),
            poll_timeout_seconds: None,
            total_timeout_seconds: 0,
            timeout_policy: TaskTimeoutPolicy::TimeOutWf,
            concurrent_exec_limit: None,
            rate_limit_per_frequency: None,
            rate_limit_frequency_in_seconds: None,
            input_keys: Vec::new(),
            output_keys: Vec::new(),
            input_template: Map::new(),
            runtime_metadata: Vec::new(),
            input_schema: None,
            output_schema: None,
            enforce_schema: false,
            base_type: None,
            isolation_group_id: String::new(),
            execution_name_space: String::new(),
            task_status_listener_enabled: None,
            agent: None,
        }
    }

    /// Everything that is wrong with the definition; empty = it may be stored.
    #[must_use]
    pub fn validate(&self) -> Vec<Violation> {
        let mut out = Vec::new();
        check_definition_name("name", &self.name, &mut out);
        let mut at_least = |path: &str, value: i64, least: i64| {
            if value < least {
                out.push(Violation::new(path, format!("must be at least {least}"), Some(value.to_string())));
            }
        };
        at_least("retryCount", i64::from(self.retry_count), 0);
        at_least("retryDelaySeconds", self.retry_delay_seconds, 0);
        at_least("backoffScaleFactor", self.backoff_scale_factor, 1);
        at_least("maxRetryDelaySeconds", self.max_retry_delay_seconds, 0);
        at_least("backoffJitterMs", self.backoff_jitter_ms, 0);
        at_least("timeoutSeconds", self.timeout_seconds, 0);
        at_least("responseTimeoutSeconds", self.response_timeout_seconds, 1);
        at_least("pollTimeoutSeconds", self.poll_timeout_seconds.unwrap_or(0), 0);
        at_least("totalTimeoutSeconds", self.total_timeout_seconds, 0);
        at_least("concurrentExecLimit", self.concurrent_exec_limit.unwrap_or(0), 0);
        at_least("rateLimitPerFrequency", self.rate_limit_per_frequency.unwrap_or(0), 0);
        at_least("rateLimitFrequencyInSeconds", self.rate_limit_frequency_in_seconds.unwrap_or(0), 0);
        if self.timeout_seconds > 0 && self.response_timeout_seconds > self.timeout_seconds {
            let message = format!(
                "TaskDef: {} responseTimeoutSeconds: {} must be less than timeoutSeconds: {}",
                self.name, self.response_timeout_seconds, self.timeout_seconds
            );
            out.push(Violation::new("responseTimeoutSeconds", message, Some(self.response_timeout_seconds.to_string())));
        }
        if self.total_timeout_seconds > 0 && self.timeout_seconds > self.total_timeout_seconds {
            let message = format!("must not be more than totalTimeoutSeconds: {}", self.total_timeout_seconds);
            out.push(Violation::new("timeoutSeconds", message, Some(self.timeout_seconds.to_string())));
        }
        for (path, text) in [("isolationGroupId", &self.isolation_group_id), ("executionNameSpace", &self.execution_name_space)]
        {
            if !text.is_empty() {
                let message = "is not supported by this version; use a domain to keep workers apart";
                out.push(Violation::new(path, message, Some(text.clone())));
            }
        }
        for (index, name) in self.runtime_metadata.iter().enumerate().filter(|(_, name)| name.trim().is_empty()) {
            let message = "must be the name of a secret or of an environment value";
            out.push(Violation::new(format!("runtimeMetadata[{index}]"), message, Some(name.clone())));
        }
        if let Some(agent) = &self.agent {
            if !self.runtime_metadata.is_empty() {
                let message = "is for polling workers; an agent gets secrets in its input: write `${workflow.secrets.NAME}` or \
                     `${workflow.env.NAME}` into the inputTemplate";
                out.push(Violation::new("runtimeMetadata", message, None));
            }
            agent.validate("agent", &mut out);
        }
        out
    }
}
