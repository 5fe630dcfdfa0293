//! SIMPLE: work for a polling worker or an agent.

use conductor_model::selector::SELECTOR_BYTES_MAX;
use conductor_model::{AgentId, AgentKey, AgentPart, PluginName, Selector, TaskRecord};
use serde_json::Value;

use super::{Behaviour, Role};
use crate::attempt;
use crate::document::Scope;
use crate::expression::{Budget, Template, as_text};
use crate::frame::Site;
use crate::plan::AgentTemplate;
use crate::run::Run;
use crate::turn::Turn;

pub(super) const BEHAVIOUR: Behaviour =
    Behaviour { prepare, hands_over: |_, _| true, completes_outside: true, ..Behaviour::base(Role::Worker, None) };

fn prepare(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    attempt::resolve(turn, site, record)?;
    let node = turn.run.node(site);
    if let (Some(template), Some(key)) = (&node.agent, node.definition.as_ref().and_then(|found| found.agent.as_ref())) {
        record.agent = Some(Box::new(agent_part(turn.run, record, template, key)?));
    }
    Ok(())
}

/// What the task has beside when it runs on an agent. The error is for people and final.
pub(super) fn agent_part(
    run: &Run,
    record: &TaskRecord,
    template: &AgentTemplate,
    key: &AgentKey,
) -> Result<AgentPart, String> {
    let scope = Scope { run, own_id: Some(record.id), own_input: Some(&record.input) };
    let AgentTemplate { plugin, operation, target, requires, node_instance } = template;
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
    Ok(AgentPart {
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
        given_to: Vec::new(),
    })
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
