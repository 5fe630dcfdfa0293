use conductor_script::{Evaluator, Language, Launcher, Limits, ScriptError};
use serde_json::json;

#[test]
fn one_helper_serves_many_scripts() {
    let mut evaluator = super::evaluator(Limits::default());
    for n in 0..50 {
        assert_eq!(evaluator.evaluate(Language::JavaScript, "$.n + 1", &json!({ "n": n })), Ok(json!(n + 1)));
        assert_eq!(evaluator.evaluate(Language::Jq, ".n, .n", &json!({ "n": n })), Ok(json!([n, n])));
    }
    assert_eq!(evaluator.evaluate(Language::JavaScriptBody, "return $.n", &json!({ "n": "ä" })), Ok(json!("ä")));
}

#[test]
fn scripts_do_not_hear_of_each_other() {
    let mut evaluator = super::evaluator(Limits::default());
    evaluator.evaluate(Language::JavaScript, "globalThis.secret = 1; Array.prototype.x = 2; 0", &json!({})).unwrap();
    assert_eq!(evaluator.evaluate(Language::JavaScript, "typeof secret + [].x", &json!({})), Ok(json!("undefinedundefined")));
}

#[test]
fn sources_are_checked_without_running() {
    let mut evaluator = super::evaluator(Limits::default());
    assert_eq!(evaluator.check(Language::JavaScript, "for (;;) {}"), Ok(()));
    assert_eq!(evaluator.check(Language::Jq, ".a | last(range(1e12))"), Ok(()));
    assert!(matches!(evaluator.check(Language::JavaScript, "let let"), Err(ScriptError::Syntax { .. })));
    assert!(matches!(evaluator.check(Language::Jq, ".a |"), Err(ScriptError::Syntax { .. })));
}

#[test]
fn without_a_helper_nobody_is_blamed() {
    let mut evaluator = Evaluator::new(Launcher::this_program(["--no-such-flag"]), Limits::default());
    let error = evaluator.evaluate(Language::JavaScript, "1", &json!({})).unwrap_err();
    assert!(error.is_transient(), "{error:?}");
}
