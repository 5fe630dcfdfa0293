//! Expressions that name a secret or an environment value. They stay as they are written until an input is handed over.

use serde_json::Value;

use super::Violation;

/// What an expression that names a secret begins with.
pub const SECRETS: &str = "workflow.secrets.";
/// What an expression that names an environment value begins with.
pub const ENVIRONMENT: &str = "workflow.env.";

/// The name behind `prefix`, when an expression is nothing but that.
#[must_use]
pub fn sealed_name<'e>(expression: &'e str, prefix: &str) -> Option<&'e str> {
    expression.trim().strip_prefix(prefix).filter(|name| !name.is_empty() && !name.contains(['$', '{', '}']))
}

/// The first such expression in a text, as it is written; `$${…}` is none.
#[must_use]
pub fn sealed_in(text: &str) -> Option<&str> {
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| from + at) {
        let inside = &text[at + 2..];
        let end = inside.find('}')?;
        let named = |prefix| sealed_name(&inside[..end], prefix).is_some();
        if !text[..at].ends_with('$') && (named(SECRETS) || named(ENVIRONMENT)) {
            return Some(&text[at..at + end + 3]);
        }
        from = at + 2;
    }
    None
}

/// Visits the texts in a value that have such an expression: with its place below `at`, and the expression.
pub fn each_sealed(value: &Value, at: &str, visit: &mut dyn FnMut(&str, &str)) {
    match value {
        Value::String(text) => {
            if let Some(expression) = sealed_in(text) {
                visit(at, expression);
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| each_sealed(value, &format!("{at}[{index}]"), visit));
        }
        Value::Object(map) => map.iter().for_each(|(key, value)| each_sealed(value, &format!("{at}.{key}"), visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What is wrong with such an expression at a place that nothing is handed over from.
#[must_use]
pub fn sealed_for_nobody(path: impl Into<String>, expression: &str, instead: &str) -> Violation {
    let message =
        format!("`{expression}` is looked up only where an input is handed over; here it would stay this text: {instead}");
    Violation::new(path, message, Some(expression.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_found_and_nothing_else_is() {
        assert_eq!(sealed_in("a ${b.output} ${workflow.env.REGION}!"), Some("${workflow.env.REGION}"));
        assert_eq!(sealed_in("${a.output.${workflow.secrets.x}}"), Some("${workflow.secrets.x}"));
        assert_eq!(sealed_in("$${workflow.secrets.x} ${workflow.secrets"), None);
        assert_eq!(sealed_in("${workflow.secrets.} ${workflow.input.secrets}"), None);
    }
}
