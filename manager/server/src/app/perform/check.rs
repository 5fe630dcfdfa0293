//! Scripts of definitions, read at registration and not first at run time.

use conductor_model::definition::TaskType;
use conductor_model::{Violation, WorkflowDef, WorkflowTask};
use conductor_script::Language;
use serde_json::Value;

use super::Scripts;

/// What is wrong with the scripts of a definition. Blocks; for the blocking pool. Scripts that cannot be read because no
/// helper can be started are let through: they fail at run time if they must.
pub(in crate::app) fn script_faults(scripts: &Scripts, definition: &WorkflowDef) -> Vec<Violation> {
    let mut found = Vec::new();
    definition.each_step(&mut |task, path| own(task, path, &mut found));
    let check = |Script { path, language, source }: Script| match scripts.check(language, &source) {
        Err(error) if error.is_transient() => {
            tracing::warn!(%error, "a script is registered without having been read");
            None
        }
        Err(error) => Some(Violation::new(path, error.to_string(), None)),
        Ok(()) => None,
    };
    found.into_iter().filter_map(check).collect()
}

struct Script {
    path: String,
    language: Language,
    source: String,
}

/// The scripts of one step.
fn own(task: &WorkflowTask, path: &str, found: &mut Vec<Script>) {
    let evaluator = task.evaluator_type.as_deref().unwrap_or_default();
    let is_script = |evaluator: &str| matches!(evaluator.to_ascii_lowercase().as_str(), "javascript" | "graaljs" | "js");
    let mut add = |key: &str, language: Language, source: Option<&str>| {
        // A text with expressions is only known when it is resolved.
        if let Some(source) = source.filter(|source| !source.contains("${")) {
            found.push(Script { path: format!("{path}.{key}"), language, source: source.to_owned() });
        }
    };
    let input = |key: &str| task.input_parameters.get(key).and_then(Value::as_str);
    match task.task_type {
        TaskType::Switch | TaskType::Join if is_script(evaluator) => {
            add("expression", Language::JavaScript, task.expression.as_deref());
        }
        TaskType::Decision => add("caseExpression", Language::JavaScript, task.case_expression.as_deref()),
        TaskType::DoWhile => add("loopCondition", Language::JavaScript, task.loop_condition.as_deref()),
        TaskType::Inline if input("evaluatorType").is_none_or(is_script) => {
            add("inputParameters.expression", Language::JavaScript, input("expression"));
        }
        TaskType::Lambda => {
            let key = if input("scriptExpression").is_some() { "inputParameters.scriptExpression" } else { "scriptExpression" };
            add(key, Language::JavaScriptBody, input("scriptExpression").or(task.script_expression.as_deref()));
        }
        TaskType::JsonJqTransform => add("inputParameters.queryExpression", Language::Jq, input("queryExpression")),
        _ => {}
    }
}
