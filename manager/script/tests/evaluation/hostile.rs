use std::time::{Duration, Instant};

use conductor_script::{Language, Limits, ScriptError};
use serde_json::{Value, json};

/// Every script that is stopped must be stopped well before this, on a crowded machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    Limits { cpu: Duration::from_millis(300), ..Limits::default() }
}

/// The script is stopped for the reason expected, and the next one is evaluated as if nothing had been.
fn stopped(language: Language, source: &str, because: impl Fn(&ScriptError) -> bool) {
    let mut evaluator = super::evaluator(limits());
    let began = Instant::now();
    let error = evaluator.evaluate(language, source, &json!({})).expect_err(source);
    assert!(because(&error), "{source}: {error:?}");
    assert!(began.elapsed() < PATIENCE, "{source} took {:?}", began.elapsed());
    assert_eq!(evaluator.evaluate(Language::JavaScript, "1 + 1", &json!({})), Ok(json!(2)), "after {source}");
}

fn time(error: &ScriptError) -> bool {
    matches!(error, ScriptError::TimeLimit { .. })
}

fn memory(error: &ScriptError) -> bool {
    matches!(error, ScriptError::MemoryLimit { .. })
}

#[test]
fn javascript_that_does_not_end_is_stopped() {
    for source in [
        "for (;;) {}",
        "while (true) { try { for (;;) {} } catch (e) {} }",
        "/(a+)+$/.test('a'.repeat(40) + 'b')",
        // Loops inside a built-in function: no interrupt handler is asked there.
        "Array.prototype.indexOf.call({ length: 9007199254740991 }, 1)",
        "({ toJSON() { for (;;) {} } })",
    ] {
        stopped(Language::JavaScript, source, time);
    }
}

#[test]
fn javascript_that_wants_all_memory_is_stopped() {
    for source in [
        "let a = []; for (;;) a.push(new Array(1000).fill(a.length));",
        "let s = 'x'; for (;;) s = s + s + '1';",
        "new ArrayBuffer(1e9).byteLength",
        "let a = [1]; for (let i = 0; i < 60; i++) a = [a, a]; a",
    ] {
        stopped(Language::JavaScript, source, |error| {
            memory(error) || matches!(error, ScriptError::Failed { .. }) || time(error)
        });
    }
    stopped(Language::JavaScript, "let a = []; for (;;) a.push('x'.repeat(100000) + a.length);", memory);
}

#[test]
fn javascript_that_recurses_without_end_is_stopped() {
    stopped(Language::JavaScript, "function f() { return 1 + f(); } f()", |error| *error == ScriptError::DepthLimit);
    stopped(Language::JavaScript, &"[".repeat(100_000), |error| {
        matches!(error, ScriptError::DepthLimit | ScriptError::Failed { .. })
    });
}

#[test]
fn jq_that_does_not_end_is_stopped() {
    for source in
        ["last(range(1e12))", "def f: f; f", "[limit(1e12; repeat(0)) | select(. > 0)]", "reduce range(1e12) as $i (0; . + $i)"]
    {
        stopped(Language::Jq, source, time);
    }
}

#[test]
fn jq_that_wants_all_memory_is_stopped() {
    for source in
        ["[limit(1e9; repeat(0))] | length", "\"a\" * 1000000000 | length", "reduce range(60) as $i (\"ab\"; . + .) | length"]
    {
        stopped(Language::Jq, source, |error| memory(error) || time(error));
    }
    stopped(Language::Jq, "\"abcdefgh\" * 100000000 | length", memory);
}

#[test]
fn jq_that_nests_without_end_is_stopped() {
    stopped(Language::Jq, "def f: [f]; f", |error| matches!(error, ScriptError::DepthLimit | ScriptError::MemoryLimit { .. }));
    stopped(Language::Jq, &"[".repeat(100_000), |error| matches!(error, ScriptError::DepthLimit | ScriptError::Syntax { .. }));
}

#[test]
fn results_and_sources_have_bounds() {
    let small = Limits { result_bytes: 100, result_depth: 5, source_bytes: 200, ..limits() };
    let mut evaluator = super::evaluator(small);
    let mut fails = |language, source: &str| evaluator.evaluate(language, source, &Value::Null).unwrap_err();
    assert_eq!(fails(Language::JavaScript, "'x'.repeat(101)"), ScriptError::ResultTooLarge { limit_bytes: 100 });
    assert_eq!(fails(Language::Jq, "range(1000)"), ScriptError::ResultTooLarge { limit_bytes: 100 });
    assert_eq!(fails(Language::Jq, "repeat(0)"), ScriptError::ResultTooLarge { limit_bytes: 100 });
    assert_eq!(fails(Language::JavaScript, "[[[[[[1]]]]]]"), ScriptError::ResultTooDeep { limit: 5 });
    assert_eq!(fails(Language::Jq, "[[[[[[1]]]]]]"), ScriptError::ResultTooDeep { limit: 5 });
    assert_eq!(fails(Language::Jq, &" ".repeat(201)), ScriptError::SourceTooLong { bytes: 201, limit_bytes: 200 });
}

#[test]
fn shared_values_do_not_explode_on_their_way_out() {
    let mut evaluator = super::evaluator(limits());
    let error = evaluator.evaluate(Language::Jq, "reduce range(60) as $i (0; [., .])", &Value::Null).unwrap_err();
    assert!(matches!(error, ScriptError::ResultTooLarge { .. }), "{error:?}");
}
