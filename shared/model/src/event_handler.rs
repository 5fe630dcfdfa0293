//! Event handlers (Conductor API: EventHandler): what to do when a message comes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::definition::{Violation, each_sealed, is_default, null_as_default, sealed_for_nobody};
use crate::limits::DEFINITION_NAME_BYTES_MAX;
use crate::status::wire_enum;

/// Most actions of one handler.
pub const EVENT_ACTIONS_MAX: usize = 32;
/// Longest name of an event in bytes.
pub const EVENT_BYTES_MAX: usize = 1024;

wire_enum! {
    /// What an action does.
    ActionKind, "action" {
        /// Starts a workflow.
        StartWorkflow = "start_workflow",
        /// Completes a task.
        CompleteTask = "complete_task",
        /// Fails a task.
        FailTask = "fail_task",
        /// Ends a workflow.
        TerminateWorkflow = "terminate_workflow",
        /// Sets variables of a workflow.
        UpdateWorkflowVariables = "update_workflow_variables",
    }
}

/// What to do when a message comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventHandler {
    /// Its name, unique in a tenant.
    pub name: String,
    /// Where messages come from: `conductor:WORKFLOW:NAME`, `amqp_queue:…`, `amqp_exchange:…`.
    pub event: String,
    /// A script over the message; absent or empty = always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What to do, in this order.
    #[serde(default, deserialize_with = "null_as_default")]
    pub actions: Vec<EventAction>,
    /// Whether it is switched on.
    #[serde(default, deserialize_with = "null_as_default")]
    pub active: bool,
    /// How `condition` is read: `javascript` or `graaljs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluator_type: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One thing to do. Texts may hold `${…}` expressions over the message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventAction {
    /// What; the member of the same name says how.
    pub action: ActionKind,
    /// For `start_workflow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_workflow: Option<Map<String, Value>>,
    /// For `complete_task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete_task: Option<Map<String, Value>>,
    /// For `fail_task`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_task: Option<Map<String, Value>>,
    /// For `terminate_workflow`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminate_workflow: Option<Map<String, Value>>,
    /// For `update_workflow_variables`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_workflow_variables: Option<Map<String, Value>>,
    /// Whether texts in the message that are JSON are read before expressions are looked up.
    #[serde(rename = "expandInlineJSON", default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    pub expand_inline_json: bool,
}

impl EventAction {
    /// How to do it: the member that the action names.
    #[must_use]
    pub fn details(&self) -> Option<&Map<String, Value>> {
        match self.action {
            ActionKind::StartWorkflow => self.start_workflow.as_ref(),
            ActionKind::CompleteTask => self.complete_task.as_ref(),
            ActionKind::FailTask => self.fail_task.as_ref(),
            ActionKind::TerminateWorkflow => self.terminate_workflow.as_ref(),
            ActionKind::UpdateWorkflowVariables => self.update_workflow_variables.as_ref(),
        }
    }
}

/// What `start_workflow` says once its expressions are resolved.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartAction {
    /// The definition.
    pub name: String,
    /// Its version; absent = the highest.
    #[serde(default)]
    pub version: Option<i32>,
    /// The starter's own id for it.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// Input.
    #[serde(default, deserialize_with = "null_as_default")]
    pub input: Map<String, Value>,
    /// Task type → domain.
    #[serde(default, deserialize_with = "null_as_default")]
    pub task_to_domain: BTreeMap<String, String>,
}

/// What `complete_task` and `fail_task` say once their expressions are resolved.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskAction {
    /// The task's workflow.
    #[serde(default)]
    pub workflow_id: Option<String>,
    /// The task's step.
    #[serde(default)]
    pub task_ref_name: Option<String>,
    /// The task itself, in place of workflow and step.
    #[serde(default)]
    pub task_id: Option<String>,
    /// Output, merged over what the task has.
    #[serde(default, deserialize_with = "null_as_default")]
    pub output: Map<String, Value>,
    /// `fail_task`: why.
    #[serde(default)]
    pub reason_for_incompletion: Option<String>,
}

/// What `terminate_workflow` and `update_workflow_variables` say once their expressions are resolved.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowAction {
    /// Which workflow.
    pub workflow_id: String,
    /// Why it is ended.
    #[serde(default)]
    pub termination_reason: Option<String>,
    /// Variables to set.
    #[serde(default, deserialize_with = "null_as_default")]
    pub variables: Map<String, Value>,
    /// Whether a list is put behind the list that the variable holds, instead of in its place.
    #[serde(default, deserialize_with = "null_as_default")]
    pub append_array: bool,
}

impl EventHandler {
    /// Everything that is wrong with it by itself.
    #[must_use]
    pub fn validate(&self) -> Vec<Violation> {
        let (mut faults, mut sealed) = (Vec::new(), Vec::new());
        let mut fault = |path: &str, message: &str| faults.push(Violation::new(path, message, None));
        if self.name.is_empty() || self.name.len() > DEFINITION_NAME_BYTES_MAX {
            fault("name", "must be a name of 1 to 255 bytes");
        }
        if self.event.is_empty() || self.event.len() > EVENT_BYTES_MAX {
            fault("event", "must say where messages come from, as in amqp_queue:orders");
        }
        if let Some(evaluator) = &self.evaluator_type
            && !evaluator.is_empty()
            && !matches!(evaluator.to_ascii_lowercase().as_str(), "javascript" | "graaljs")
        {
            fault("evaluatorType", "must be javascript or graaljs");
        }
        if self.actions.is_empty() || self.actions.len() > EVENT_ACTIONS_MAX {
            fault("actions", "must be a list of 1 to 32 actions");
        }
        for (index, action) in self.actions.iter().enumerate() {
            let at = |member: &str| format!("actions[{index}].{}{member}", action.action);
            match action.details() {
                None => fault(&at(""), "is missing: it says how the action is done"),
                Some(details) => {
                    for member in missing(action.action, details) {
                        fault(&at(&format!(".{member}")), "is missing");
                    }
                    for (member, value) in details {
                        each_sealed(value, &at(&format!(".{member}")), &mut |path, expression| {
                            let instead = "use it in the steps of the workflow that the action is about";
                            sealed.push(sealed_for_nobody(path, expression, instead));
                        });
                    }
                }
            }
        }
        faults.append(&mut sealed);
        faults
    }
}

/// The members without which an action cannot be done.
fn missing(kind: ActionKind, details: &Map<String, Value>) -> Vec<&'static str> {
    let there = |member: &str| details.get(member).is_some_and(|value| !value.is_null() && value.as_str() != Some(""));
    let needed: &[&str] = match kind {
        ActionKind::StartWorkflow => &["name"],
        ActionKind::CompleteTask | ActionKind::FailTask if there("taskId") => &[],
        ActionKind::CompleteTask | ActionKind::FailTask => &["workflowId", "taskRefName"],
        ActionKind::TerminateWorkflow => &["workflowId"],
        ActionKind::UpdateWorkflowVariables => &["workflowId", "variables"],
    };
    needed.iter().copied().filter(|member| !there(member)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handler(text: &str) -> EventHandler {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_handler_as_sdks_send_it_is_sound() {
        let text = r#"{"name":"eh1","event":"conductor:kitchen:ev","condition":"true","active":true,"evaluatorType":"javascript",
            "actions":[{"action":"start_workflow","start_workflow":{"name":"simple2","input":{"a":"${x}"}}}]}"#;
        assert_eq!(handler(text).validate(), []);
    }

    #[test]
    fn secrets_are_for_steps() {
        let text = r#"{"name":"eh1","event":"e","actions":[{"action":"start_workflow","start_workflow":{"name":"simple2",
            "input":{"a":["Bearer ${workflow.secrets.token}"]}}}]}"#;
        let faults = handler(text).validate();
        assert_eq!(faults[0].path, "actions[0].start_workflow.input.a[0]");
        assert!(faults[0].message.contains("`${workflow.secrets.token}` is looked up only where"), "{faults:?}");
        assert_eq!(faults.len(), 1);
    }

    #[test]
    fn every_fault_is_named() {
        let text = r#"{"name":"","event":"e","evaluatorType":"python","actions":[{"action":"complete_task","complete_task":{}},
            {"action":"fail_task"}]}"#;
        let paths: Vec<_> = handler(text).validate().into_iter().map(|fault| fault.path).collect();
        assert_eq!(
            paths,
            [
                "name",
                "evaluatorType",
                "actions[0].complete_task.workflowId",
                "actions[0].complete_task.taskRefName",
                "actions[1].fail_task"
            ]
        );
    }
}
