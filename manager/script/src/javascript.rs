//! JavaScript by QuickJS. Runs in the helper process.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use rquickjs::context::EvalOptions;
use rquickjs::{CatchResultExt, CaughtError, Coerced, Context, Ctx, Runtime, Value as Js};
use serde_json::Value;

use crate::{Limits, ScriptError};

/// Longest message taken over from a script in bytes.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Put before a source that is only to be read: parsing comes first, and nothing behind it is ever reached.
const NOT_REACHED: &str = "throw 0;";

/// Evaluates a script on `$` = `input` (JSON).
pub(crate) fn evaluate(source: &str, body: bool, input: &str, limits: &Limits) -> Result<Value, ScriptError> {
    within(limits, |ctx| {
        let input = ctx.json_parse(input).catch(ctx).map_err(|error| failure(&error))?;
        ctx.globals().set("$", input).catch(ctx).map_err(|error| failure(&error))?;
        let value = if body && read(ctx, source).is_err() { run(ctx, &as_function(source)) } else { run(ctx, source) }?;
        let text = ctx.json_stringify(value).catch(ctx).map_err(|error| failure(&error))?;
        match text {
            // Undefined, a function or a symbol.
            None => Ok(Value::Null),
            Some(text) => parse(&text.to_string().map_err(|error| failed(error.to_string()))?, limits),
        }
    })
}

/// Says whether a source can be read, without running any of it.
pub(crate) fn check(source: &str, body: bool, limits: &Limits) -> Result<(), ScriptError> {
    within(limits, |ctx| match read(ctx, source) {
        Err(_) if body => read(ctx, &format!("({}", as_function(source).trim_start_matches('('))),
        result => result,
    })
}

fn as_function(source: &str) -> String {
    format!("(function () {{ {source}\n}})()")
}

/// A fresh engine for each script: nothing is handed from one to the next, and an engine that ran out of memory is not
/// used again.
fn within<T>(limits: &Limits, act: impl FnOnce(&Ctx<'_>) -> Result<T, ScriptError>) -> Result<T, ScriptError> {
    let no_engine = |error: rquickjs::Error| ScriptError::Unavailable { message: format!("JavaScript: {error}") };
    let runtime = Runtime::new().map_err(no_engine)?;
    runtime.set_memory_limit(limits.memory_bytes);
    runtime.set_max_stack_size(limits.stack_bytes);
    let stopped = Rc::new(Cell::new(false));
    let (seen, end) = (Rc::clone(&stopped), cpu_used() + limits.cpu);
    runtime.set_interrupt_handler(Some(Box::new(move || {
        seen.set(seen.get() || cpu_used() > end);
        seen.get()
    })));
    let context = Context::full(&runtime).map_err(no_engine)?;
    let result = context.with(|ctx| act(&ctx));
    match result {
        Err(_) if stopped.get() => Err(ScriptError::TimeLimit { limit_ms: limits.cpu_ms() }),
        Err(ScriptError::Failed { message }) if message.contains("out of memory") => {
            Err(ScriptError::MemoryLimit { limit_bytes: limits.memory_bytes as u64 })
        }
        Err(ScriptError::Failed { message }) if message.contains("Maximum call stack size exceeded") => {
            Err(ScriptError::DepthLimit)
        }
        result => result,
    }
}

/// Processor time that this thread has used.
fn cpu_used() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Duration::ZERO };
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| {
            let micros = time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec());
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        })
        .sum()
}

fn options() -> EvalOptions {
    let mut options = EvalOptions::default();
    options.strict = false;
    options.filename = Some("script".to_owned());
    options
}

fn run<'js>(ctx: &Ctx<'js>, source: &str) -> Result<Js<'js>, ScriptError> {
    ctx.eval_with_options(source, options()).catch(ctx).map_err(|error| failure(&error))
}

/// Parses a program without running it.
fn read(ctx: &Ctx<'_>, source: &str) -> Result<(), ScriptError> {
    let read: Result<Js<'_>, _> = ctx.eval_with_options(format!("{NOT_REACHED}{source}"), options()).catch(ctx);
    match read {
        Err(CaughtError::Value(value)) if value.as_int() == Some(0) => Ok(()),
        Ok(_) => Ok(()),
        Err(error) => match failure(&error) {
            ScriptError::Failed { message } => Err(ScriptError::Syntax { message }),
            other => Err(other),
        },
    }
}

fn failed(message: String) -> ScriptError {
    ScriptError::Failed { message }
}

/// What a script threw, as text.
fn failure(error: &CaughtError<'_>) -> ScriptError {
    let text = |value: &Js<'_>| value.get::<Coerced<String>>().map(|text| text.0);
    let message = match error {
        CaughtError::Error(error) => error.to_string(),
        CaughtError::Value(value) => text(value).unwrap_or_else(|_| "a value that is no text was thrown".to_owned()),
        CaughtError::Exception(exception) => {
            let message = text(&exception.clone().into_value());
            let message = message.or_else(|_| exception.message().ok_or(())).unwrap_or_else(|()| "unknown error".to_owned());
            match exception.stack().as_deref().and_then(place) {
                Some(place) => format!("{message} ({place})"),
                None => message,
            }
        }
    };
    failed(cut(message))
}

/// `line 2, column 5` out of the first frame of a stack.
fn place(stack: &str) -> Option<String> {
    let at = stack.lines().next()?.rsplit_once("script:")?.1.trim_end_matches(')');
    let (line, column) = at.split_once(':')?;
    let (line, column): (u32, u32) = (line.parse().ok()?, column.parse().ok()?);
    Some(format!("line {line}, column {column}"))
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES_MAX {
        let end = (0..=MESSAGE_BYTES_MAX).rev().find(|&end| message.is_char_boundary(end)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}

fn parse(text: &str, limits: &Limits) -> Result<Value, ScriptError> {
    if text.len() > limits.result_bytes {
        return Err(ScriptError::ResultTooLarge { limit_bytes: limits.result_bytes as u64 });
    }
    let too_deep = ScriptError::ResultTooDeep { limit: limits.result_depth as u64 };
    if nesting(text) > limits.result_depth {
        return Err(too_deep);
    }
    serde_json::from_str(text).map_err(|error| failed(format!("the result is no JSON: {error}")))
}

/// Deepest nesting of a JSON text.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "inputs are written in place")]
    fn value(source: &str, input: Value) -> Value {
        evaluate(source, false, &input.to_string(), &Limits::default()).unwrap()
    }

    #[test]
    fn the_value_is_that_of_the_last_expression_statement() {
        let condition = "if ( $.lp.iteration < 3 ) { true; } else { false; }";
        assert_eq!(value(condition, json!({ "lp": { "iteration": 1 } })), json!(true));
        assert_eq!(value(condition, json!({ "lp": { "iteration": 3 } })), json!(false));
        assert_eq!(value("(function(){ return $.a + $.b; })()", json!({ "a": 1, "b": 2 })), json!(3));
        assert_eq!(value("function e() { return 'x'; }\ne();", json!({})), json!("x"));
    }

    #[test]
    fn a_function_body_may_return() {
        let body = |source: &str, input: Value| evaluate(source, true, &input.to_string(), &Limits::default());
        assert_eq!(
            body("if ($.n > 1) { return { big: true }; } else { return { big: false }; }", json!({ "n": 2 })).unwrap(),
            json!({ "big": true })
        );
        assert_eq!(body("$.n + 1", json!({ "n": 2 })).unwrap(), json!(3));
        assert_eq!(body("return $.n // the end", json!({ "n": 2 })).unwrap(), json!(2));
    }

    #[test]
    fn whole_numbers_stay_whole_and_nothing_is_null() {
        assert_eq!(value("$.n", json!({ "n": 9_007_199_254_740_991_i64 })).to_string(), "9007199254740991");
        assert_eq!(value("$.n + 0.5", json!({ "n": 1 })), json!(1.5));
        assert_eq!(value("6 / 2", json!({})).to_string(), "3");
        assert_eq!(value("undefined", json!({})), Value::Null);
        assert_eq!(value("", json!({})), Value::Null);
        assert_eq!(value("({ a: undefined, b: NaN, c: [undefined] })", json!({})), json!({ "b": null, "c": [null] }));
    }

    #[test]
    fn what_a_script_throws_is_told_with_its_place() {
        let fail = |source: &str| evaluate(source, false, "{}", &Limits::default()).unwrap_err().to_string();
        assert_eq!(fail("\n  $.a.b"), "TypeError: cannot read property 'b' of undefined (line 2, column 3)");
        assert!(fail("throw new Error('no stock')").starts_with("Error: no stock"), "{}", fail("throw new Error('no stock')"));
        assert_eq!(fail("throw 'plain'"), "plain");
    }

    #[test]
    fn a_source_is_read_without_being_run() {
        let ok = |source: &str, body| check(source, body, &Limits::default());
        assert_eq!(ok("while (true) {}", false), Ok(()));
        assert!(matches!(ok("if (", false), Err(ScriptError::Syntax { .. })));
        assert!(matches!(ok("return 1", false), Err(ScriptError::Syntax { .. })));
        assert_eq!(ok("return 1", true), Ok(()));
        assert!(matches!(ok("return return", true), Err(ScriptError::Syntax { .. })));
    }

    #[test]
    fn the_host_cannot_be_seen() {
        for name in ["process", "require", "std", "os", "Java", "fetch", "setTimeout", "console", "print"] {
            assert_eq!(value(&format!("typeof {name}"), json!({})), json!("undefined"), "{name}");
        }
    }
}
