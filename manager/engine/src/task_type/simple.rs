//! SIMPLE: work for a polling worker or an agent.

use std::sync::Arc;

use conductor_model::selector::SELECTOR_BYTES_MAX;
use conductor_model::{AgentId, AgentPart, PluginName, Selector, TaskRecord};
use serde_json::Value;

use super::Behaviour;
use crate::document::Scope;
use crate::expression::{Budget, Template, as_text};
use crate::plan::{AgentTemplate, Kind, NodeId};
use crate::run::Run;
use crate::turn::{Ending, Turn};

pub(super) const BEHAVIOUR: Behaviour =
    Behaviour { compile: |_, _, _, _, _| Kind::Simple, schedule, external: true, name: None };

fn schedule(turn: &mut Turn<'_, '_>, node: NodeId) {
    let record = turn.new_record(node);
    let delay = turn.run.plan.node(node).step.start_delay;
    schedule_attempt(turn, node, record, delay, 0);
}

/// Inserts an attempt that becomes visible after `delay_seconds` and `jitter_ms`: its input is resolved now.
pub(crate) fn schedule_attempt(
    turn: &mut Turn<'_, '_>,
    node: NodeId,
    mut record: TaskRecord,
    delay_seconds: i64,
    jitter_ms: i64,
) {
    record.visible_at = turn.now().plus_seconds(delay_seconds).plus_ms(jitter_ms);
    record.callback_after_seconds = delay_seconds;
    let fault = resolve(turn.run, node, &mut record).err();
    let retry = record.retried_task_id.is_some();
    let ix = turn.insert(node, record);
    turn.tell(ix, if retry { "task.retried" } else { "task.scheduled" });
    if let Some(reason) = fault {
        turn.end_task(ix, Ending::refused(reason));
    }
}

/// Fills in the input, and what the task has beside when it runs on an agent. The error is for people and final.
fn resolve(run: &Run, node: NodeId, record: &mut TaskRecord) -> Result<(), String> {
    let input = run.resolve_input(node, record.id).map_err(|error| error.to_string())?;
    let agent = agent_part(run, node, record, &input);
    record.input = Arc::new(input);
    record.agent = agent?.map(Box::new);
    Ok(())
}

/// What the task has beside when it runs on an agent. The error is for people and final.
fn agent_part(run: &Run, node: NodeId, record: &TaskRecord, input: &Value) -> Result<Option<AgentPart>, String> {
    let node = run.plan.node(node);
    let (Some(template), Some(key)) = (&node.agent, node.definition.as_ref().and_then(|definition| definition.agent.as_ref()))
    else {
        return Ok(None);
    };
    let scope = Scope { run, own_id: Some(record.id), own_input: Some(input) };
    let AgentTemplate { plugin, operation, target, requires, node_instance } = &**template;
    let text = |field: &str, template: &Template| resolve_text(field, template, &scope);
    let optional =
        |field: &str, template: &Option<Template>| template.as_ref().map(|template| text(field, template)).transpose();

    let plugin = text("plugin", plugin)?;
    let name = plugin.split_once('@').map_or(plugin.as_str(), |(name, _)| name);
    name.parse::<PluginName>().map_err(|error| format!("agent.plugin: {error}"))?;
    let target = optional("target", target)?
        .map(|target| target.parse::<AgentId>().map_err(|error| format!("agent.target: {error}")))
        .transpose()?;
    let requires = optional("requires", requires)?;
    if let Some(requires) = &requires {
        requires.parse::<Selector>().map_err(|error| format!("agent.requires: {error}"))?;
    }
    Ok(Some(AgentPart {
        plugin,
        operation: text("operation", operation)?,
        target,
        requires,
        limits: key.limits.clone(),
        idempotent: key.idempotent,
        node_instance: optional("nodeInstance", node_instance)?,
        assigned: None,
        incarnation: None,
        alternates: Vec::new(),
        dispatch: 0,
        lost_count: 0,
        assigned_at: None,
    }))
}

/// A text that must come to something: what names nothing would otherwise run in the wrong place.
fn resolve_text(field: &str, template: &Template, scope: &Scope<'_>) -> Result<String, String> {
    match template.resolve(scope, &mut Budget::new(SELECTOR_BYTES_MAX)).map_err(|error| format!("agent.{field}: {error}"))? {
        Value::Null => Err(format!("agent.{field} comes to nothing: its expression finds no value")),
        Value::String(text) if text.is_empty() => Err(format!("agent.{field} comes to an empty text")),
        value @ (Value::String(_) | Value::Number(_) | Value::Bool(_)) => Ok(as_text(&value).into_owned()),
        Value::Array(_) => Err(format!("agent.{field} comes to a list; a text is expected")),
        Value::Object(_) => Err(format!("agent.{field} comes to an object; a text is expected")),
    }
}
