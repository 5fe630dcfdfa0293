use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Selector;

fn labels() -> BTreeMap<String, String> {
    [("role", "web"), ("env", "prod"), ("rack.row", "7")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn facts() -> Map<String, Value> {
    let facts = json!({
        "memory": {"total": 2_147_483_648_u64, "free": "512MiB"},
        "cpu": {"count": 4, "flags": ["avx", "sse2"], "load": 0.5},
        "os": {"id": "debian", "container": true},
        "nothing": null,
    });
    match facts {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[test]
fn requirements_hold_or_not() {
    for (text, holds) in [
        ("role=web", true),
        ("role==web", true),
        ("role=db", false),
        ("env!=prod", false),
        ("env!=staging", true),
        ("zone!=a", true),
        ("env in (prod,staging)", true),
        ("env in(staging)", false),
        ("env notin (a,b)", true),
        ("env notin (a, prod )", false),
        ("zone notin (a)", true),
        ("role", true),
        ("zone", false),
        ("!zone", true),
        ("! role", false),
        ("rack.row=7", true),
        ("role=web,env=prod", true),
        (" role = web , env = staging ", false),
        ("fact:memory.total>=1GiB", true),
        ("fact:memory.total>=2GiB", true),
        ("fact:memory.total>2GiB", false),
        ("fact:memory.total<3 GiB", true),
        ("fact:memory.total<=1", false),
        ("fact:memory.free>=512MiB", true),
        ("fact:memory.total=2GiB", true),
        ("fact:cpu.count=4", true),
        ("fact:cpu.count!=4", false),
        ("fact:cpu.load<0.6", true),
        ("fact:cpu.flags=avx", true),
        ("fact:cpu.flags in (neon,sse2)", true),
        ("fact:cpu.flags=neon", false),
        ("fact:cpu.flags", true),
        ("fact:os.id=debian", true),
        ("fact:os.id>1", false),
        ("fact:os.container=true", true),
        ("fact:os.missing>=0", false),
        ("!fact:os.missing", true),
        ("!fact:nothing", true),
        ("fact:cpu.count.deep", false),
    ] {
        let selector: Selector = text.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(selector.matches(&labels(), &facts()).is_ok(), holds, "{text}");
        assert_eq!(selector.to_string().parse::<Selector>().as_ref(), Ok(&selector), "{text}");
    }
}

#[test]
fn errors_say_where_and_what_is_expected() {
    for (text, at, part) in [
        ("", 1, "expected the name of a label"),
        ("role=web,", 10, "expected the name of a label"),
        ("=web", 1, "expected the name of a label"),
        ("role=", 6, "expected a value"),
        ("role=web env=prod", 13, "expected a comma"),
        ("role>3", 5, "labels are texts"),
        ("fact:", 6, "the name of a fact"),
        ("fact:a..b", 6, "empty part"),
        ("fact:memory.total>=much", 20, "a number or a size"),
        ("env in prod", 8, "in parentheses"),
        ("env in (prod", 13, "a comma or a closing parenthesis"),
        ("env in ()", 9, "expected a value"),
        ("äöü ~ x", 5, "expected =, !=, in"),
    ] {
        let error = text.parse::<Selector>().expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.message.contains(part), "{text}: {error}");
    }
    assert!(format!("role={}", "x".repeat(5000)).parse::<Selector>().is_err());
}

#[test]
fn a_mismatch_names_the_requirement_and_what_was_found() {
    let selector: Selector = "role=web,env in (dev,test)".parse().unwrap();
    let mismatch = selector.matches(&labels(), &facts()).unwrap_err();
    assert_eq!(mismatch.to_string(), "lacks env in (dev,test) (has \"prod\")");
    let selector: Selector = "zone".parse().unwrap();
    assert_eq!(selector.matches(&labels(), &facts()).unwrap_err().to_string(), "lacks zone");
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "(fact:|in|notin|[a-z!=<>,() .0-9äß])*") {
        if let Ok(selector) = text.parse::<Selector>() {
            let _ = selector.matches(&labels(), &facts());
            prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
        }
    }

    #[test]
    fn what_is_shown_reads_back(parts in prop::collection::vec(requirement(), 1..5)) {
        let selector: Selector = parts.join(",").parse().unwrap();
        prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector));
    }

    #[test]
    fn a_label_is_selected_by_its_value(key in "[a-z]{1,5}", value in "[a-z0-9._-]{1,8}") {
        let labels = BTreeMap::from([(key.clone(), value.clone())]);
        let matches = |text: String| text.parse::<Selector>().unwrap().matches(&labels, &Map::new()).is_ok();
        prop_assert_eq!(matches(format!("{key}={value}")), true);
        prop_assert_eq!(matches(format!("{key}!={value}")), false);
        prop_assert_eq!(matches(format!("{key} in (zzzzzzzzz,{value})")), true);
        prop_assert_eq!(matches(format!("!{key}")), false);
    }
}

fn requirement() -> impl Strategy<Value = String> {
    let subject = prop_oneof!["[a-z][a-z0-9._/-]{0,8}", "fact:[a-z]{1,4}(\\.[a-z]{1,4}){0,2}"];
    let value = "[a-zA-Z0-9._:/-]{1,8}( [a-zA-Z0-9]{1,4})?";
    let test = prop_oneof![
        Just(String::new()),
        (prop_oneof![Just("="), Just("!="), Just("==")], value).prop_map(|(sign, value)| format!(" {sign} {value}")),
        (prop_oneof![Just("in"), Just("notin")], prop::collection::vec(value, 1..4))
            .prop_map(|(word, values)| format!(" {word} ({})", values.join(" , "))),
    ];
    prop_oneof![
        (subject.clone(), test).prop_map(|(subject, test)| format!("{subject}{test}")),
        subject.prop_map(|subject| format!("!{subject}")),
        ("[a-z]{1,4}", prop_oneof![Just(">="), Just("<"), Just(">"), Just("<=")], 0..9999_u32)
            .prop_map(|(fact, sign, number)| format!("fact:{fact}{sign}{number}MiB")),
    ]
}
