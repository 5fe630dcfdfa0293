//! Secrets and environment values: expressions that stay as they are in stored inputs and are replaced only where an input
//! is handed over.
//!
//! Only texts of the definition itself are looked at: a step's parameters and its task definition's input template. What a
//! worker, a response or a starter brought in is data, even when it reads `${workflow.secrets.x}`.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::TaskId;
use conductor_model::definition::{ENVIRONMENT, SECRETS, sealed_in, sealed_name};
use serde_json::{Map, Value};

use crate::run::Run;
use crate::work::ServerWork;

/// What is looked up at hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sealed {
    /// `${workflow.secrets.NAME}`: never stored or logged with its value.
    Secret,
    /// `${workflow.env.NAME}`: looked up at hand-over, but no secret.
    Environment,
}

/// Finds values: kind and name, which may go on with the members of a value that is JSON (`db.password`).
pub type LookUp<'l> = &'l dyn Fn(Sealed, &str) -> Option<String>;

/// What an expression asks for, when it is one of these.
pub(crate) fn sealed(expression: &str) -> Option<(Sealed, &str)> {
    let secret = sealed_name(expression, SECRETS).map(|name| (Sealed::Secret, name));
    secret.or_else(|| sealed_name(expression, ENVIRONMENT).map(|name| (Sealed::Environment, name)))
}

/// Whether a text has expressions that are replaced at hand-over only. `$${…}` is none: it is meant as it reads.
pub(crate) fn mentions(text: &str) -> bool {
    sealed_in(text).is_some()
}

fn is_sealed(template: &Value) -> bool {
    match template {
        Value::String(text) => mentions(text),
        Value::Array(list) => list.iter().any(is_sealed),
        Value::Object(map) => map.values().any(is_sealed),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

type Parameters = Map<String, Value>;

impl Run {
    /// Whether a task's input holds expressions that are replaced at hand-over.
    #[must_use]
    pub fn has_sealed_input(&self, task: TaskId) -> bool {
        self.templates(task).is_some_and(|(step, template)| {
            step.values().any(is_sealed) || template.is_some_and(|template| template.values().any(is_sealed))
        })
    }

    /// A task's input with everything looked up, to be handed over and not kept; `None` = it is as it is stored.
    #[must_use]
    pub fn revealed_input(&self, task: TaskId, look_up: LookUp<'_>) -> Option<Value> {
        if !self.has_sealed_input(task) {
            return None;
        }
        let (step, template) = self.templates(task)?;
        let mut input = Value::clone(&self.task(task)?.input);
        let own = input.as_object_mut()?;
        let given = |key: &str| step.get(key).filter(|value| !value.is_null());
        for (key, value) in own.iter_mut() {
            if let Some(template) = given(key).or_else(|| template?.get(key)) {
                reveal(template, value, look_up);
            }
        }
        Some(input)
    }

    /// The values that a task's definition names in `runtimeMetadata`, to be handed over beside the input and not kept: of
    /// each name the secret, else the environment value. Names that nothing is known by are left out.
    #[must_use]
    pub fn runtime_metadata(&self, task: TaskId, look_up: LookUp<'_>) -> BTreeMap<String, String> {
        let definition = self.state.by_id.get(&task).and_then(|ix| self.definition(*ix));
        let names = definition.map(|definition| definition.runtime_metadata.as_slice()).unwrap_or_default();
        let find = |name: &str| look_up(Sealed::Secret, name).or_else(|| look_up(Sealed::Environment, name));
        names.iter().filter_map(|name| Some((name.clone(), find(name)?))).collect()
    }

    /// As [`Run::server_work`], with an input that is handed over in place of the stored one.
    #[must_use]
    pub fn server_work_on(&mut self, task: TaskId, input: Value) -> Option<ServerWork> {
        let ix = *self.state.by_id.get(&task)?;
        let stored = std::mem::replace(&mut self.state.record_mut(ix).input, Arc::new(input));
        let work = self.server_work(task);
        self.state.record_mut(ix).input = stored;
        work
    }

    /// What a task's input was made from: the step's parameters, and the definition's template.
    fn templates(&self, task: TaskId) -> Option<(&Parameters, Option<&Parameters>)> {
        let ix = *self.state.by_id.get(&task)?;
        let template = self.definition(ix).map(|definition| &definition.input_template);
        Some((&self.node(self.site(ix)).step.input_parameters, template))
    }
}

/// Looks up what the definition's texts ask for, at their places in the resolved value.
fn reveal(template: &Value, value: &mut Value, look_up: LookUp<'_>) {
    match (template, value) {
        (Value::String(text), value @ Value::String(_)) if mentions(text) => {
            let replaced = value.as_str().map(|text| replace(text, look_up));
            *value = replaced.unwrap_or_default();
        }
        (Value::Array(templates), Value::Array(values)) => {
            templates.iter().zip(values).for_each(|(template, value)| reveal(template, value, look_up));
        }
        (Value::Object(templates), Value::Object(values)) => {
            for (key, template) in templates {
                if let Some(value) = values.get_mut(key) {
                    reveal(template, value, look_up);
                }
            }
        }
        _ => {}
    }
}

/// A text with everything looked up; what is not there is null, as with any expression.
fn replace(text: &str, look_up: LookUp<'_>) -> Value {
    let find = |(kind, name)| look_up(kind, name);
    if let Some(only) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
        && let Some(asked) = sealed(only)
    {
        return find(asked).map_or(Value::Null, Value::String);
    }
    let mut out = String::new();
    let mut left = text;
    while let Some((before, after)) = left.split_once("${") {
        out.push_str(before);
        match after.split_once('}').and_then(|(inside, rest)| Some((sealed(inside)?, rest))) {
            Some((asked, rest)) => {
                out.push_str(find(asked).as_deref().unwrap_or("null"));
                left = rest;
            }
            None => {
                out.push_str("${");
                left = after;
            }
        }
    }
    out.push_str(left);
    Value::String(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn look_up(kind: Sealed, name: &str) -> Option<String> {
        match (kind, name) {
            (Sealed::Secret, "token") => Some("s3cret".to_owned()),
            (Sealed::Environment, "REGION") => Some("north".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn only_places_of_the_definition_are_looked_up() {
        let template = json!({ "auth": "Bearer ${workflow.secrets.token}", "list": ["${workflow.env.REGION}"],
            "none": "${workflow.secrets.nosuch}", "data": "${workflow.input.x}", "meant": "$${workflow.secrets.token}" });
        let mut value = json!({ "auth": "Bearer ${workflow.secrets.token}", "list": ["${workflow.env.REGION}"],
            "none": "${workflow.secrets.nosuch}", "data": "${workflow.secrets.token}", "meant": "${workflow.secrets.token}" });
        reveal(&template, &mut value, &look_up);
        assert_eq!(
            value,
            json!({ "auth": "Bearer s3cret", "list": ["north"], "none": null, "data": "${workflow.secrets.token}",
                "meant": "${workflow.secrets.token}" })
        );
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        assert_eq!(replace("${a} ${workflow.secrets.token} ${", &look_up), json!("${a} s3cret ${"));
        assert_eq!(replace("${workflow.secrets.nosuch}!", &look_up), json!("null!"));
        assert_eq!(sealed("workflow.secrets."), None);
        assert_eq!(sealed("workflow.input.secrets"), None);
    }
}
