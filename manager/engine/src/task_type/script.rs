//! Which scripts steps may have, and how they are handed over.

use std::sync::Arc;

use serde_json::Value;

use crate::plan::{Compiler, NodeId};
use crate::work::{ScriptLanguage, ScriptStyle, ServerWork};

/// How an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evaluator {
    /// It names an input key, whose value it comes to.
    ValueParam,
    /// It is a script.
    JavaScript,
}

/// The evaluators there are, for people.
const KNOWN: &str = "`value-param`, `javascript`, `graaljs` and `js`";

/// Reads an evaluator's name; `None` = it is not known.
pub(super) fn evaluator(name: &str) -> Option<Evaluator> {
    match name {
        "value-param" => Some(Evaluator::ValueParam),
        // The last is what the SDK's builder of JOIN writes.
        "javascript" | "graaljs" | "js" => Some(Evaluator::JavaScript),
        _ => None,
    }
}

/// What is wrong with an unknown evaluator.
pub(super) fn unknown_evaluator(name: &str) -> String {
    format!("evaluatorType {name:?} is not known to this version; it knows {KNOWN}")
}

/// Checks the evaluator that a step names. An unknown one counts as the default, to find more faults.
pub(super) fn check(compiler: &mut Compiler, node: NodeId, name: Option<&str>, default: Evaluator) -> Evaluator {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return default };
    evaluator(name).unwrap_or_else(|| {
        let path = format!("{}.evaluatorType", compiler.node_path(node));
        compiler.fault(path, format!("is not known to this version; it knows {KNOWN}"), Some(name.to_owned()));
        default
    })
}

/// A JavaScript program to evaluate.
pub(super) fn javascript(source: &str, input: Arc<Value>) -> ServerWork {
    let (language, style) = (ScriptLanguage::JavaScript, ScriptStyle::Expression);
    ServerWork::Script { language, source: Arc::from(source), style, input }
}

/// Whether a condition came to yes: `true`, or a number above 0.
pub(super) fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64().is_some_and(|number| number > 0.0),
        Value::String(text) => text == "true",
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
