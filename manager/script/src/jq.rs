//! jq by jaq. Runs in the helper process.

use std::collections::HashMap;

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Filter, Vars, data, load, unwrap_valr};
use jaq_json::{Num, Val};
use serde_json::{Map, Number, Value};

use crate::{Limits, ScriptError};

/// Filters kept ready at most; when there are more, all are dropped.
const FILTERS_KEPT_MAX: usize = 64;
/// Functions of jaq's library that would show the host.
const OF_THE_HOST: &[&str] = &["env", "debug_empty", "stderr_empty"];
/// Whole numbers up to this one are exact as floating-point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

type Ready = Filter<data::JustLut<Val>>;

/// Evaluates filters, keeps them ready for the next time.
#[derive(Default)]
pub(crate) struct Jq {
    ready: HashMap<String, Ready>,
}

impl Jq {
    /// Everything that a filter puts out for an input (JSON), as a list.
    pub(crate) fn evaluate(&mut self, source: &str, input: &str, limits: &Limits) -> Result<Value, ScriptError> {
        let filter = self.filter(source)?;
        let failed = |message: String| ScriptError::Failed { message };
        let input =
            jaq_json::read::parse_single(input.as_bytes()).map_err(|error| failed(format!("the input is no JSON: {error}")))?;
        let ctx = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
        let mut room = Room { bytes: limits.result_bytes, limits };
        let mut outputs = Vec::new();
        for output in filter.id.run((ctx, input)).map(unwrap_valr) {
            let output = output.map_err(|error| failed(error.to_string()))?;
            outputs.push(room.value(&output, 1)?);
        }
        Ok(Value::Array(outputs))
    }

    /// Says whether a source can be read.
    pub(crate) fn check(&mut self, source: &str) -> Result<(), ScriptError> {
        self.filter(source).map(|_| ())
    }

    fn filter(&mut self, source: &str) -> Result<&Ready, ScriptError> {
        if !self.ready.contains_key(source) {
            let filter = compile(source)?;
            if self.ready.len() >= FILTERS_KEPT_MAX {
                self.ready.clear();
            }
            self.ready.insert(source.to_owned(), filter);
        }
        self.ready.get(source).ok_or_else(|| ScriptError::Unavailable { message: "jq: the filter was dropped".to_owned() })
    }
}

fn compile(source: &str) -> Result<Ready, ScriptError> {
    let definitions = jaq_std::defs().chain(jaq_json::defs());
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let functions = functions.filter(|(name, ..)| !OF_THE_HOST.contains(name));
    // The definitions of `debug` and `stderr` want them; here they say nothing.
    let silent = load::parse("def debug_empty: empty; def stderr_empty: empty;", |parser| parser.defs()).unwrap_or_default();
    let arena = Arena::default();
    let loader = Loader::new(jaq_core::defs().chain(silent).chain(definitions));
    let modules = loader
        .load(&arena, File { code: source, path: () })
        .map_err(|errors| syntax(&errors.iter().map(|(_, error)| load_error(source, error)).collect::<Vec<_>>()))?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
        let undefined = errors.iter().flat_map(|(_, errors)| errors);
        syntax(&undefined.map(|(name, what)| format!("there is no {} `{name}`", what.as_str())).collect::<Vec<_>>())
    })
}

fn syntax(messages: &[String]) -> ScriptError {
    ScriptError::Syntax { message: messages.join("; ") }
}

/// What is wrong first, and where.
fn load_error(source: &str, error: &load::Error<&str>) -> String {
    match error {
        load::Error::Io(missing) => missing
            .first()
            .map_or_else(String::new, |(path, _)| format!("module `{path}` cannot be read: there are no modules here")),
        load::Error::Lex(errors) => errors
            .first()
            .map_or_else(String::new, |(expected, at)| format!("expected {} at {}", expected.as_str(), place(source, at))),
        load::Error::Parse(errors) => errors.first().map_or_else(String::new, |(expected, found)| {
            let place = if found.is_empty() { "the end".to_owned() } else { place(source, found) };
            format!("expected {} at {place}", expected.as_str())
        }),
    }
}

fn place(source: &str, part: &str) -> String {
    let start = load::span(source, part).start.min(source.len());
    let before = source.get(..start).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    if start == source.len() { "the end".to_owned() } else { format!("line {line}, column {column}") }
}

/// What is left of a result's size.
struct Room<'a> {
    bytes: usize,
    limits: &'a Limits,
}

impl Room<'_> {
    fn take(&mut self, bytes: usize) -> Result<(), ScriptError> {
        let too_large = ScriptError::ResultTooLarge { limit_bytes: self.limits.result_bytes as u64 };
        self.bytes = self.bytes.checked_sub(bytes).ok_or(too_large)?;
        Ok(())
    }

    /// A value as JSON. What JSON cannot say is `null`, as jq writes it; a key that is no text is refused.
    fn value(&mut self, value: &Val, depth: usize) -> Result<Value, ScriptError> {
        if depth > self.limits.result_depth {
            return Err(ScriptError::ResultTooDeep { limit: self.limits.result_depth as u64 });
        }
        self.take(2)?;
        Ok(match value {
            Val::Null => Value::Null,
            Val::Bool(value) => Value::Bool(*value),
            Val::Num(number) => {
                self.take(8)?;
                number_of(number)
            }
            Val::BStr(text) | Val::TStr(text) => {
                self.take(text.len())?;
                Value::String(String::from_utf8_lossy(text).into_owned())
            }
            Val::Arr(items) => Value::Array(items.iter().map(|item| self.value(item, depth + 1)).collect::<Result<_, _>>()?),
            Val::Obj(fields) => {
                let mut object = Map::new();
                for (key, value) in fields.iter() {
                    let Val::TStr(key) = key else {
                        return Err(ScriptError::Failed { message: format!("the object key {key} is no text") });
                    };
                    self.take(key.len())?;
                    object.insert(String::from_utf8_lossy(key).into_owned(), self.value(value, depth + 1)?);
                }
                Value::Object(object)
            }
        })
    }
}

fn number_of(number: &Num) -> Value {
    match number {
        Num::Int(value) => Value::from(*value),
        Num::BigInt(value) => {
            let text = value.to_string();
            let whole = text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
            whole.map_or_else(|_| text.parse::<f64>().map_or(Value::Null, Value::from), Value::Number)
        }
        // jq knows one kind of number: 6 / 2 is 3, not 3.0.
        #[expect(clippy::cast_possible_truncation, reason = "whole and within what both types hold exactly")]
        Num::Float(value) if value.fract() == 0.0 && value.abs() < EXACT_MAX => Value::from(*value as i64),
        Num::Float(value) => Value::from(*value),
        Num::Dec(text) => serde_json::from_str(text).unwrap_or(Value::Null),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outputs(source: &str, input: &Value) -> Value {
        Jq::default().evaluate(source, &input.to_string(), &Limits::default()).unwrap()
    }

    #[test]
    fn everything_put_out_is_in_the_list() {
        assert_eq!(outputs(".a[] | . * 2", &json!({ "a": [1, 2] })), json!([2, 4]));
        assert_eq!(
            outputs(
                "{ key3: (.key1.value1 + .key2.value2) }",
                &json!({ "key1": { "value1": ["a"] }, "key2": { "value2": ["b"] } })
            ),
            json!([{ "key3": ["a", "b"] }])
        );
        assert_eq!(outputs("empty", &json!(null)), json!([]));
        assert_eq!(outputs("[.[] | select(.n > 1)] | map(.n) | add", &json!([{ "n": 1 }, { "n": 2 }, { "n": 3 }])), json!([5]));
        assert_eq!(outputs("debug | tostring", &json!(1)), json!(["1"]));
    }

    #[test]
    fn numbers_keep_what_they_are() {
        assert_eq!(outputs(".", &json!(9_223_372_036_854_775_807_i64)).to_string(), "[9223372036854775807]");
        assert_eq!(outputs(".", &json!(18_446_744_073_709_551_615_u64)).to_string(), "[18446744073709551615]");
        assert_eq!(outputs("., . / 2, 6 / 2, nan", &json!(1.5)).to_string(), "[1.5,0.75,3,null]");
    }

    #[test]
    fn faults_are_told() {
        let error = |source: &str| Jq::default().evaluate(source, "{}", &Limits::default()).unwrap_err().to_string();
        assert!(error(".a | error(\"no stock\")").contains("no stock"));
        assert_eq!(error("nosuch(1)"), "the script cannot be read: there is no filter `nosuch`");
        assert_eq!(error("{a: \n ]"), "the script cannot be read: expected closing brace at line 2, column 2");
        assert!(error("import \"x\" as x; 1").starts_with("the script cannot be read: "));
    }

    #[test]
    fn the_host_cannot_be_seen() {
        for source in ["env", "$ENV", "input", "input_filename", "get_search_list"] {
            assert!(matches!(Jq::default().check(source), Err(ScriptError::Syntax { .. })), "{source}");
        }
    }
}
