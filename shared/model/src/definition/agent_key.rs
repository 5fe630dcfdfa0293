//! The `agent` key of a task definition: what sends a task to an agent instead of to polling workers.

use serde::{Deserialize, Serialize};

use super::{Violation, sealed_for_nobody, sealed_in};
use crate::selector::Selector;
use crate::size::ByteSize;

/// What runs on which agents. Texts may hold `${…}` expressions; they are resolved when the task is scheduled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentKey {
    /// `NAME` for the newest version, or `NAME@VERSION`.
    pub plugin: String,
    /// One of the plugin's operations.
    pub operation: String,
    /// The one agent that may run it; absent = placement chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// A label selector with comparisons on facts: `role=web,env in (prod,staging),fact:memory.total>=1GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// What one task may use of its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// Whether the operation may run again when nobody knows how far a first run came.
    #[serde(default)]
    pub idempotent: bool,
    /// The node instance whose runtime properties the operation reads and writes; absent = the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_instance: Option<String>,
}

/// Bounds on what one task may use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceLimits {
    /// Memory, as in `256MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// Cores, as in `1.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
}

impl AgentKey {
    /// The plugin's name without its version, and the version where one is pinned.
    #[must_use]
    pub fn plugin_and_version(&self) -> (&str, Option<&str>) {
        match self.plugin.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (&self.plugin, None),
        }
    }

    /// Appends what is wrong with the key to `out`, each with a path below `path`.
    pub fn validate(&self, path: &str, out: &mut Vec<Violation>) {
        let (name, version) = self.plugin_and_version();
        if let Err(error) = name.parse::<crate::PluginName>() {
            out.push(Violation::new(format!("{path}.plugin"), error.to_string(), Some(self.plugin.clone())));
        }
        if version.is_some_and(str::is_empty) {
            out.push(Violation::new(format!("{path}.plugin"), "has an empty version after '@'", Some(self.plugin.clone())));
        }
        if self.operation.is_empty() {
            out.push(Violation::new(format!("{path}.operation"), "must name an operation of the plugin", None));
        }
        let texts = [
            ("plugin", Some(&self.plugin)),
            ("operation", Some(&self.operation)),
            ("target", self.target.as_ref()),
            ("requires", self.requires.as_ref()),
            ("nodeInstance", self.node_instance.as_ref()),
        ];
        for (field, text) in texts {
            if let Some(expression) = text.and_then(|text| sealed_in(text)) {
                let instead = "only the task's input goes to the agent; use it in the inputParameters of the step";
                out.push(sealed_for_nobody(format!("{path}.{field}"), expression, instead));
            }
        }
        if let Some(requires) = self.requires.as_deref().filter(|text| !text.contains("${"))
            && let Err(error) = requires.parse::<Selector>()
        {
            out.push(Violation::new(format!("{path}.requires"), error.to_string(), Some(requires.to_owned())));
        }
        if let Some(cpu) = self.limits.as_ref().and_then(|limits| limits.cpu)
            && !(cpu > 0.0 && cpu.is_finite())
        {
            out.push(Violation::new(format!("{path}.limits.cpu"), "must be greater than 0", Some(cpu.to_string())));
        }
        if self.limits.as_ref().and_then(|limits| limits.pids) == Some(0) {
            out.push(Violation::new(format!("{path}.limits.pids"), "must be at least 1", Some("0".to_owned())));
        }
    }
}
