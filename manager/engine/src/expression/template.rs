//! JSON with expressions in its texts, read once and resolved often.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};

use conductor_model::limits::JSON_DEPTH_MAX;
use serde_json::{Map, Value};
use thiserror::Error;

use super::Document;
use super::budget::{Budget, TooLarge};
use super::path::Path;
use super::scan::{Expression, Part, parts};

/// JSON with expressions in its texts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Template {
    /// No expression in it.
    Literal(Value),
    /// A text that is exactly one expression: keeps the type of what it finds.
    Exact(Expression),
    /// A text with expressions in it.
    Text(Vec<Part>),
    /// A list with expressions somewhere in it.
    List(Vec<Self>),
    /// An object with expressions somewhere in its values.
    Map(Vec<(String, Self)>),
}

/// A value as one writes it down where expressions are looked up and none is meant: it comes to the value itself.
pub(crate) fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("${", "$${")),
        Value::Array(list) => list.iter().map(escaped).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), escaped(value))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// What is wrong with a text of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateFault {
    /// Where below the template's own place, as in `.servers[2].url`; empty = the template itself.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

/// Why a template has no value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Unresolved {
    /// Its expressions bring in too much.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// An expression that must find something found nothing.
    #[error("{at} is to be `${{{expression}}}`, and nothing is there")]
    Missing {
        /// Where the expression stands, as [`TemplateFault::at`] says it.
        at: String,
        /// What stands between its braces.
        expression: String,
    },
}

impl Unresolved {
    /// The same, seen from where `step` leads to the template.
    pub fn below(self, step: impl Display) -> Self {
        match self {
            Self::Missing { at, expression } => Self::Missing { at: format!("{step}{at}"), expression },
            too_large @ Self::TooLarge(_) => too_large,
        }
    }
}

impl Template {
    /// Reads `value`. Texts that cannot be read are reported in `faults` and become `null`.
    pub fn compile(value: &Value, faults: &mut Vec<TemplateFault>) -> Self {
        Self::read(value, &mut Vec::new(), faults)
    }

    /// Reads the object `map`.
    pub fn compile_map(map: &Map<String, Value>, faults: &mut Vec<TemplateFault>) -> Self {
        Self::read_map(map, &mut Vec::new(), faults)
    }

    /// Reads one text.
    pub fn compile_text(text: &str, faults: &mut Vec<TemplateFault>) -> Self {
        Self::read_text(text, &[], faults)
    }

    fn read<'v>(value: &'v Value, trail: &mut Vec<Step<'v>>, faults: &mut Vec<TemplateFault>) -> Self {
        if trail.len() > JSON_DEPTH_MAX {
            faults.push(fault(trail, format!("is nested more than {JSON_DEPTH_MAX} deep")));
            return Self::Literal(Value::Null);
        }
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Literal(value.clone()),
            Value::String(text) => Self::read_text(text, trail, faults),
            Value::Array(list) => {
                let mut read = Vec::with_capacity(list.len());
                for (index, element) in list.iter().enumerate() {
                    trail.push(Step::Index(index));
                    read.push(Self::read(element, trail, faults));
                    trail.pop();
                }
                if read.iter().all(|template| matches!(template, Self::Literal(_))) {
                    return Self::Literal(read.into_iter().map(Self::into_literal).collect());
                }
                Self::List(read)
            }
            Value::Object(map) => Self::read_map(map, trail, faults),
        }
    }

    fn read_map<'v>(map: &'v Map<String, Value>, trail: &mut Vec<Step<'v>>, faults: &mut Vec<TemplateFault>) -> Self {
        let mut read = Vec::with_capacity(map.len());
        for (key, value) in map {
            trail.push(Step::Key(key));
            read.push((key.clone(), Self::read(value, trail, faults)));
            trail.pop();
        }
        if read.iter().all(|(_, template)| matches!(template, Self::Literal(_))) {
            return Self::Literal(Value::Object(read.into_iter().map(|(key, value)| (key, value.into_literal())).collect()));
        }
        Self::Map(read)
    }

    fn read_text(text: &str, trail: &[Step<'_>], faults: &mut Vec<TemplateFault>) -> Self {
        if !text.contains("${") {
            return Self::Literal(Value::String(text.to_owned()));
        }
        match parts(text, 1) {
            Ok(mut read) => match (read.len(), read.pop()) {
                (1, Some(Part::Expression(expression))) => Self::Exact(expression),
                (1, Some(Part::Text(text))) => Self::Literal(Value::String(text)),
                (_, Some(last)) => {
                    read.push(last);
                    Self::Text(read)
                }
                (_, None) => Self::Literal(Value::String(String::new())),
            },
            Err(message) => {
                faults.push(fault(trail, message));
                Self::Literal(Value::Null)
            }
        }
    }

    /// The literal inside; only for templates that are literals.
    fn into_literal(self) -> Value {
        match self {
            Self::Literal(value) => value,
            Self::Exact(_) | Self::Text(_) | Self::List(_) | Self::Map(_) => Value::Null,
        }
    }

    /// The value with every expression looked up in `document`. What they bring in is taken from `budget`.
    pub fn resolve(&self, document: &dyn Document, budget: &mut Budget) -> Result<Value, Unresolved> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Exact(expression) => {
                let value = expression.find(document, budget)?;
                budget.take(&value)?;
                value
            }
            Self::Text(parts) => Value::String(join(parts, document, budget)?),
            Self::List(list) => {
                budget.enter();
                let elements = list.iter().enumerate();
                let list = elements
                    .map(|(at, template)| template.resolve(document, budget).map_err(|error| error.below(Step::Index(at))))
                    .collect::<Result<_, _>>()?;
                budget.leave();
                Value::Array(list)
            }
            Self::Map(map) => {
                budget.enter();
                let members = map.iter().map(|(key, template)| {
                    let value = template.resolve(document, budget).map_err(|error| error.below(Step::Key(key)))?;
                    Ok((key.clone(), value))
                });
                let members = members.collect::<Result<_, Unresolved>>()?;
                budget.leave();
                Value::Object(members)
            }
        })
    }

    /// Calls `visit` with the name that each expression begins with, and where it stands (as in [`TemplateFault::at`]).
    /// A name that is itself put together from expressions is not known yet and not visited.
    pub fn visit_roots(&self, visit: &mut dyn FnMut(&str, &dyn Fn() -> String)) {
        self.visit(&mut Vec::new(), visit);
    }

    fn visit<'t>(&'t self, trail: &mut Vec<Step<'t>>, visit: &mut dyn FnMut(&str, &dyn Fn() -> String)) {
        match self {
            Self::Literal(_) => {}
            Self::Exact(expression) => expression.visit(trail, visit),
            Self::Text(parts) => visit_parts(parts, trail, visit),
            Self::List(list) => {
                for (index, template) in list.iter().enumerate() {
                    trail.push(Step::Index(index));
                    template.visit(trail, visit);
                    trail.pop();
                }
            }
            Self::Map(map) => {
                for (key, template) in map {
                    trail.push(Step::Key(key));
                    template.visit(trail, visit);
                    trail.pop();
                }
            }
        }
    }
}

impl Expression {
    /// What it leads to. Nothing there comes to null, unless it must find something.
    fn find(&self, document: &dyn Document, budget: &mut Budget) -> Result<Value, Unresolved> {
        let (found, text) = match self {
            Self::Fixed(path) => (path.find(document), Cow::Borrowed(path.text.as_str())),
            Self::Nested(parts) => {
                let text = join(parts, document, budget)?;
                (Path::parse(&text).ok().and_then(|path| path.find(document)), Cow::Owned(text))
            }
        };
        match found {
            None if budget.is_strict() => Err(Unresolved::Missing { at: String::new(), expression: text.into_owned() }),
            found => Ok(found.unwrap_or(Value::Null)),
        }
    }

    fn visit(&self, trail: &[Step<'_>], visit: &mut dyn FnMut(&str, &dyn Fn() -> String)) {
        match self {
            Self::Fixed(path) => visit(&path.root, &|| place(trail)),
            Self::Nested(parts) => {
                if let Some(Part::Text(first)) = parts.first()
                    && let Some((root, _)) = first.trim_start().split_once(['.', '['])
                {
                    visit(root, &|| place(trail));
                }
                visit_parts(parts, trail, visit);
            }
        }
    }
}

fn visit_parts(parts: &[Part], trail: &[Step<'_>], visit: &mut dyn FnMut(&str, &dyn Fn() -> String)) {
    for part in parts {
        if let Part::Expression(expression) = part {
            expression.visit(trail, visit);
        }
    }
}

fn join(parts: &[Part], document: &dyn Document, budget: &mut Budget) -> Result<String, Unresolved> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Expression(expression) => {
                let value = expression.find(document, budget)?;
                let text = as_text(&value);
                budget.take_bytes(text.len())?;
                out.push_str(&text);
            }
        }
    }
    Ok(out)
}

/// A value inside a text: texts as they are, everything else as JSON.
pub(crate) fn as_text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// A step on the way to a text in a template.
enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

impl Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, ".{key}"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

fn fault(trail: &[Step<'_>], message: String) -> TemplateFault {
    TemplateFault { at: place(trail), message }
}

fn place(trail: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in trail {
        // Writing to a String cannot fail.
        let _ = write!(out, "{step}");
    }
    out
}
