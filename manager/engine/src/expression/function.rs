//! What can be asked of the end of a path, as in `${step.output.list.length()}`: the functions of Jayway's JSONPath.
//!
//! Each takes what the path leads to; behind a wildcard, a filter, a slice or a descent that is the list of all that was
//! found. None can fail: one that has no answer for what it finds gives nothing, which reads `null`.
//!
//! | function | of | gives |
//! |---|---|---|
//! | `length()`, `size()` | a list, an object, a text | the number of its elements, members, characters |
//! | `min()`, `max()`, `sum()`, `avg()`, `stddev()` | a list | a number with a fraction, of the numbers in it; nothing where it has none |
//! | `keys()` | an object | the list of its keys |
//! | `first()`, `last()`, `index(N)` | a list | an element; a negative N counts from the end |
//! | `append(X, …)` | a list | the list with these elements behind its own |
//! | `concat(X, …)` | a text, a list of texts | one text of it and these; what is neither text nor number is left out |
//!
//! Arguments are numbers, texts in quotes, objects, lists, `true`, `false` and `null`, written as JSON. `stddev()` is that of a
//! whole population.

use serde_json::{Number, Value};

use super::as_text;

/// Most arguments of a function. A person writes one or two.
const ARGUMENTS_MAX: usize = 64;

/// The names, for people.
const KNOWN: &str =
    "length(), size(), min(), max(), avg(), sum(), stddev(), keys(), first(), last(), index(N), concat(X), append(X)";

/// A function at the end of a path, with its arguments.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Function {
    Length,
    Min,
    Max,
    Sum,
    Average,
    Deviation,
    Keys,
    /// An element; from the end where negative.
    Element(i64),
    Append(Vec<Value>),
    Concat(Vec<Value>),
}

impl Function {
    /// Reads a call: its name, and what stands between its parentheses. The error says what is wrong with it.
    pub fn parse(name: &str, arguments: &str) -> Result<Self, String> {
        let plain = match name {
            "length" | "size" => Self::Length,
            "min" => Self::Min,
            "max" => Self::Max,
            "sum" => Self::Sum,
            "avg" => Self::Average,
            "stddev" => Self::Deviation,
            "keys" => Self::Keys,
            "first" => Self::Element(0),
            "last" => Self::Element(-1),
            "index" => return read_index(arguments),
            "append" => return read_arguments(name, arguments).map(Self::Append),
            "concat" => return read_arguments(name, arguments).map(Self::Concat),
            _ => return Err(format!("there is no function `{name}()`; there are {KNOWN}")),
        };
        if arguments.trim().is_empty() { Ok(plain) } else { Err(format!("`{name}()` takes nothing between its parentheses")) }
    }

    /// What it gives for a value; `None` = it has no answer.
    pub fn of(&self, value: &Value) -> Option<Value> {
        match self {
            Self::Length => length(value),
            Self::Min => {
                number(numbers(value)?.fold(None, |least: Option<f64>, n| Some(least.map_or(n, |least| least.min(n))))?)
            }
            Self::Max => number(numbers(value)?.fold(None, |most: Option<f64>, n| Some(most.map_or(n, |most| most.max(n))))?),
            Self::Sum => numbers(value)?.reduce(|sum, n| sum + n).and_then(number),
            Self::Average => mean_and_variance(numbers(value)?).and_then(|(mean, _)| number(mean)),
            Self::Deviation => mean_and_variance(numbers(value)?).and_then(|(_, variance)| number(variance.sqrt())),
            Self::Keys => Some(value.as_object()?.keys().cloned().collect()),
            Self::Element(index) => element(value.as_array()?, *index).cloned(),
            Self::Append(more) => Some(value.as_array()?.iter().chain(more).cloned().collect()),
            Self::Concat(more) => concat(value, more),
        }
    }
}

/// The element of a list at an index, from the end where that is negative.
pub(super) fn element(list: &[Value], index: i64) -> Option<&Value> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    if index < 0 { list.get(list.len().checked_sub(distance)?) } else { list.get(distance) }
}

fn read_index(arguments: &str) -> Result<Function, String> {
    let index = arguments.trim().parse();
    index.map(Function::Element).map_err(|_| "`index()` takes one whole number, as in `index(0)` or `index(-1)`".to_owned())
}

fn read_arguments(name: &str, arguments: &str) -> Result<Vec<Value>, String> {
    if arguments.trim_start().starts_with(['$', '@']) {
        return Err(format!("`{name}()` takes no path; write the value, or an expression that gives it: `{name}(${{…}})`"));
    }
    let read: Result<Vec<Value>, _> = serde_json::from_str(&format!("[{arguments}]"));
    match read {
        Ok(read) if (1..=ARGUMENTS_MAX).contains(&read.len()) => Ok(read),
        Ok(_) => Err(format!("`{name}()` takes 1 to {ARGUMENTS_MAX} values, as in `{name}(\"x\")`")),
        Err(_) => Err(format!("what `{name}()` takes must be JSON, as in `{name}(\"x\")` or `{name}(1, 2)`")),
    }
}

fn length(value: &Value) -> Option<Value> {
    match value {
        Value::Array(list) => Some(list.len().into()),
        Value::Object(map) => Some(map.len().into()),
        Value::String(text) => Some(text.chars().count().into()),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The numbers in a list.
fn numbers(value: &Value) -> Option<impl Iterator<Item = f64>> {
    Some(value.as_array()?.iter().filter_map(Value::as_f64))
}

/// What is too large to be a number is none.
fn number(number: f64) -> Option<Value> {
    Number::from_f64(number).map(Value::Number)
}

/// In one pass that stays exact for large numbers that lie close together (Welford).
fn mean_and_variance(numbers: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for number in numbers {
        count += 1.0;
        let distance = number - mean;
        mean += distance / count;
        squares += distance * (number - mean);
    }
    (count > 0.0).then(|| (mean, squares / count))
}

fn concat(value: &Value, more: &[Value]) -> Option<Value> {
    let own = match value {
        Value::Array(list) => list.as_slice(),
        Value::String(_) => std::slice::from_ref(value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let readable = own.iter().chain(more).filter(|part| part.is_string() || part.is_number());
    Some(Value::String(readable.map(as_text).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(name: &str, arguments: &str, value: &Value) -> Value {
        Function::parse(name, arguments).unwrap().of(value).unwrap_or_default()
    }

    #[test]
    fn numbers_are_counted_and_what_is_none_is_passed_over() {
        let list = json!([2, "text", 4, null, 4.0, 4, 5, [9], 5, 7, 9]);
        for (name, expected) in [("min", 2.0), ("max", 9.0), ("sum", 40.0), ("avg", 5.0), ("stddev", 2.0)] {
            assert_eq!(call(name, "", &list), json!(expected), "{name}");
            for nothing in [json!([]), json!(["a"]), json!(7), json!({ "a": 7 }), json!(null)] {
                assert_eq!(call(name, "", &nothing), Value::Null, "{name} of {nothing}");
            }
        }
        assert_eq!(call("sum", "", &json!([f64::MAX, f64::MAX])), Value::Null, "no number is that large");
        let close = json!([1_000_000_000_004_i64, 1_000_000_000_007_i64, 1_000_000_000_013_i64, 1_000_000_000_016_i64]);
        let deviation = call("stddev", "", &close).as_f64().unwrap();
        assert!((deviation - 22.5_f64.sqrt()).abs() < 1e-6, "{deviation}");
    }

    #[test]
    fn elements_are_found_from_both_ends() {
        let list = json!(["a", "b", "c"]);
        for (name, argument, expected) in [
            ("first", "", json!("a")),
            ("last", " ", json!("c")),
            ("index", "1", json!("b")),
            ("index", " -3 ", json!("a")),
            ("index", "3", json!(null)),
            ("index", "-4", json!(null)),
            ("index", "-9223372036854775808", json!(null)),
        ] {
            assert_eq!(call(name, argument, &list), expected, "{name}({argument})");
            assert_eq!(call(name, argument, &json!([])), Value::Null);
        }
        assert_eq!(call("keys", "", &json!({ "k": 1, "l": 2 })), json!(["k", "l"]));
        assert_eq!(call("keys", "", &list), Value::Null);
        assert_eq!([json!([1, 2]), json!({ "a": 1 }), json!("äöü")].map(|value| call("size", "", &value)), [2, 1, 3]);
    }

    #[test]
    fn lists_and_texts_grow() {
        assert_eq!(call("append", r#""x", {"a": [1]}"#, &json!([0])), json!([0, "x", { "a": [1] }]));
        assert_eq!(call("append", "1", &json!("no list")), Value::Null);
        assert_eq!(call("concat", r#""-", 7"#, &json!(["a", 1, null, "b", {}])), json!("a1b-7"));
        assert_eq!(call("concat", r#""b""#, &json!("a")), json!("ab"));
        assert_eq!(call("concat", r#""b""#, &json!({ "a": 1 })), Value::Null);
    }

    #[test]
    fn a_wrong_use_says_what_is_right() {
        for (name, arguments, part) in [
            ("median", "", "there is no function `median()`; there are length(), size()"),
            ("length", "1", "takes nothing between its parentheses"),
            ("index", "", "takes one whole number"),
            ("index", "1, 2", "takes one whole number"),
            ("append", "", "takes 1 to 64 values"),
            ("append", "$.x", "takes no path"),
            ("concat", "'x'", "must be JSON"),
            ("concat", "1] , [2", "must be JSON"),
        ] {
            let message = Function::parse(name, arguments).unwrap_err();
            assert!(message.contains(part), "{name}({arguments}): {message}");
        }
        assert!(Function::parse("append", &"1,".repeat(64)[..127]).is_ok());
        assert!(Function::parse("append", &"1,".repeat(65)[..129]).is_err());
    }
}
