//! What a host forbids is forbidden, in words that say why.
#![expect(clippy::unwrap_used, reason = "tests")]

use conductor_agent_core::policy::{Ask, Pattern, Policy, Veto};
use proptest::prelude::*;
use serde_json::{Value, json};

fn policy(value: Value) -> Policy {
    serde_json::from_value(value).unwrap()
}

fn run<'a>(plugin: &'a str, operation: &'a str, user: &'a str) -> Ask<'a> {
    Ask::Run { plugin, version: "1.2.0", operation, user }
}

#[test]
fn without_a_policy_everything_goes() {
    let policy = policy(json!({}));
    assert_eq!(policy.check(run("any", "thing", "root")), Ok(()));
    assert_eq!(policy.check(Ask::Environment("HOME")), Ok(()));
}

#[test]
fn a_list_of_what_is_allowed_keeps_out_everything_else_and_a_denial_outranks_it() {
    let policy = policy(json!({
        "allow": {"plugins": ["site", "backup@1.*"], "operations": ["site.*", "backup.run"], "users": ["deploy"]},
        "deny": {"operations": ["*.wipe"]},
    }));
    assert_eq!(policy.check(run("site", "start", "deploy")), Ok(()));
    assert_eq!(policy.check(run("backup", "run", "deploy")), Ok(()));
    let says = |ask| policy.check(ask).unwrap_err().to_string();
    assert_eq!(
        says(run("shell", "run", "deploy")),
        "this host's policy does not allow plugin shell@1.2.0; allow.plugins names what it allows"
    );
    assert_eq!(says(run("site", "wipe", "deploy")), "this host's policy forbids operation site.wipe (deny.operations: *.wipe)");
    assert_eq!(
        says(run("site", "start", "root")),
        "this host's policy does not allow user root; allow.users names what it allows"
    );
    let other = Ask::Run { plugin: "backup", version: "2.0.0", operation: "run", user: "deploy" };
    assert!(matches!(policy.check(other), Err(Veto::NotAllowed { list: "plugins", .. })));
}

#[test]
fn an_empty_list_allows_nothing() {
    let policy = policy(json!({"allow": {"environment": []}}));
    assert!(policy.check(Ask::Environment("PATH")).is_err());
}

#[test]
fn paths_are_limited_where_a_list_says_so() {
    assert!(policy(json!({})).paths.is_unlimited());
    let limited = policy(json!({"paths": {"write": []}})).paths;
    assert!(!limited.is_unlimited());
    assert_eq!(limited.write.unwrap().len(), 0);
}

#[test]
fn what_is_misspelt_or_empty_is_refused() {
    for wrong in [
        json!({"allow": {"plugin": []}}),
        json!({"deny": {"users": [""]}}),
        json!({"alow": {}}),
        json!({"deny": {"paths": ["/etc/"]}}),
        json!({"paths": {"deny": ["/etc"]}}),
        json!({"paths": {"read": ["etc"]}}),
        json!({"paths": {"read": ["/etc/../root"]}}),
        json!({"paths": {"write": ["/srv/*"]}}),
        json!({"paths": {"write": ["/".repeat(513)]}}),
    ] {
        assert!(serde_json::from_value::<Policy>(wrong.clone()).is_err(), "{wrong}");
    }
    assert!(serde_json::from_value::<Pattern>(json!("x".repeat(513))).is_err());
}

/// What a pattern means, written the slow and plain way.
fn plainly(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skipped| plainly(rest, &text[skipped..])),
        Some((first, rest)) => text.first() == Some(first) && plainly(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn patterns_match_what_they_mean(pattern in "[ab*]{1,8}", text in "[ab]{0,10}") {
        let (slow_pattern, slow_text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
        let quick = serde_json::from_value::<Pattern>(json!(pattern)).unwrap().matches(&text);
        prop_assert_eq!(quick, plainly(&slow_pattern, &slow_text));
    }
}
