use proptest::prelude::*;

use super::super::expr::Value;
use super::super::field::{Kind, TaskField, WorkflowField};
use super::*;

type Workflows = Expr<WorkflowField>;

fn query(text: &str) -> Workflows {
    parse_query(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> QueryError {
    parse_query::<WorkflowField>(text).expect_err(text)
}

fn is(field: WorkflowField, values: &[&str]) -> Workflows {
    let values = values.iter().map(|text| Value::Text((*text).to_owned())).collect();
    Expr::Field(Condition { field, test: Test::Is(values) })
}

fn word(text: &str) -> Workflows {
    Expr::Words(Words { tokens: words::words(text).collect(), prefix: false })
}

#[test]
fn what_the_documentation_of_conductor_shows_is_understood() {
    use WorkflowField::{CorrelationId, Status, WorkflowType};
    assert_eq!(query(""), Expr::Any);
    assert_eq!(query(" * "), Expr::Any);
    assert_eq!(query("workflowType='deploy'"), is(WorkflowType, &["deploy"]));
    assert_eq!(query(r#"workflowType = "deploy""#), is(WorkflowType, &["deploy"]));
    assert_eq!(query("status IN (RUNNING,failed)"), is(Status, &["RUNNING", "FAILED"]));
    let range = Expr::Field(Condition {
        field: WorkflowField::StartTime,
        test: Test::Range { from: Some(1_700_000_000_001), to: None },
    });
    let both = Expr::And(vec![is(CorrelationId, &["order-7"]), range]);
    assert_eq!(query("correlationId=order-7 AND startTime>1700000000000"), both);
}

#[test]
fn groups_and_negations_bind_as_everywhere() {
    let (a, b, c) = (word("a"), word("b"), word("c"));
    assert_eq!(query("a or b and not c"), Expr::Or(vec![a.clone(), Expr::And(vec![b.clone(), Expr::Not(c.clone().into())])]));
    assert_eq!(query("(a OR b) AND c"), Expr::And(vec![Expr::Or(vec![a, b]), c]));
}

#[test]
fn every_comparison_has_its_meaning() {
    use WorkflowField::{CorrelationId, Status, Version, WorkflowType};
    let starts = |text: &str| Expr::Field(Condition { field: WorkflowType, test: Test::StartsWith(text.to_owned()) });
    let missing = Expr::Field(Condition { field: CorrelationId, test: Test::Missing });
    let range = |from, to| Expr::Field(Condition { field: Version, test: Test::Range { from, to } });
    let not = |expr| Expr::Not(Box::new(expr));
    for (text, expected) in [
        ("workflowType=site*", starts("site")),
        ("workflowType STARTS_WITH 'site'", starts("site")),
        ("workflowType NOT STARTS_WITH site", not(starts("site"))),
        ("workflowType IN (site*, a)", Expr::Or(vec![starts("site"), is(WorkflowType, &["a"])])),
        ("status NOT IN (RUNNING)", not(is(Status, &["RUNNING"]))),
        ("status<>RUNNING", not(is(Status, &["RUNNING"]))),
        ("status!=RUNNING", not(is(Status, &["RUNNING"]))),
        ("version < 5", range(None, Some(4))),
        ("version<=5", range(None, Some(5))),
        ("version>=5", range(Some(5), None)),
        ("version BETWEEN 2 AND 3", range(Some(2), Some(3))),
        ("correlationId IS NULL", missing.clone()),
        ("correlationId is not null", not(missing.clone())),
        ("correlationId=*", not(missing)),
        ("workflowType='it''s'", is(WorkflowType, &["it's"])),
        (r"workflowType='it\'s'", is(WorkflowType, &["it's"])),
    ] {
        assert_eq!(query(text), expected, "{text}");
    }
}

#[test]
fn times_are_numbers_or_dates() {
    let at = |text: &str| match query(&format!("startTime >= {text}")) {
        Expr::Field(Condition { test: Test::Range { from, .. }, .. }) => from,
        other => panic!("{other:?}"),
    };
    assert_eq!(at("17"), Some(17));
    assert_eq!(at("1970-01-01T00:00:01Z"), Some(1_000));
    assert_eq!(at("'1970-01-02'"), Some(86_400_000));
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    for (text, at, expected) in [
        ("workflowType=", 14, "a value for workflowType"),
        ("colour = red", 1, "startTime"),
        ("status = SLEEPING", 10, "RUNNING"),
        ("status > RUNNING", 10, "no order"),
        ("(a OR b", 8, ")"),
        ("a b", 3, "AND, OR or the end"),
        ("a AND", 6, "a field's name"),
        ("version = two", 11, "whole number"),
        ("startTime > yesterday", 13, "milliseconds"),
        ("workflowId = 7", 14, "UUID"),
        ("correlationId = 'x", 17, "second quote"),
        ("correlationId = a*b", 17, "* at the end"),
        ("status IN RUNNING", 11, "("),
        ("status IN (RUNNING FAILED)", 20, "a comma or )"),
        ("version BETWEEN 1 OR 2", 19, "AND"),
        ("status IS RUNNING", 11, "NULL"),
        ("a ! b", 3, "= behind !"),
        ("-- AND a", 1, "letter"),
    ] {
        let error = error(text);
        assert_eq!(error.at, at, "{text}: {error}");
        assert!(error.to_string().contains(expected), "{text}: {error}");
    }
}

#[test]
fn long_deep_and_wide_queries_are_refused() {
    assert!(error(&"a".repeat(QUERY_BYTES_MAX + 1)).to_string().contains("bytes"));
    assert!(error(&format!("{}a", "(".repeat(2_000))).to_string().contains("groups"));
    assert!(error(&format!("{}a", "NOT ".repeat(2_000))).to_string().contains("groups"));
    let wide = vec!["a"; TERMS_MAX + 1].join(" OR ");
    assert!(error(&wide).to_string().contains("conditions"));
}

#[test]
fn free_text_takes_whatever_people_write() {
    let text = |text: &str| parse_free_text::<WorkflowField>(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(text("alice order-7"), Expr::And(vec![word("alice"), word("order 7")]));
    assert_eq!(text("\"out of memory\" OR alice"), Expr::Or(vec![word("out of memory"), word("alice")]));
    assert_eq!(text("in is status=x"), Expr::And(vec![word("in"), word("is"), word("status x")]));
    assert_eq!(text("ali*"), Expr::Words(Words { tokens: vec!["ali".to_owned()], prefix: true }));
    assert_eq!(text("alice NOT bob"), Expr::And(vec![word("alice"), Expr::Not(word("bob").into())]));
    text(r#"{"customer": "x"}"#);
    assert!(parse_free_text::<WorkflowField>("\"open").is_err());
}

fn condition<F: Field>(field: F) -> BoxedStrategy<Test> {
    let text = "[a-zA-Z0-9 '\"\\\\=()äß,.-]{1,8}";
    let values = |value: BoxedStrategy<Value>| prop::collection::vec(value, 1..4).prop_map(Test::Is).boxed();
    let numbers = || any::<i32>().prop_map(i64::from);
    let of_kind = match field.kind() {
        Kind::Text => prop_oneof![values(text.prop_map(Value::Text).boxed()), text.prop_map(Test::StartsWith),].boxed(),
        Kind::Id => values(any::<u128>().prop_map(|id| Value::Id(uuid::Uuid::from_u128(id))).boxed()),
        Kind::Number | Kind::Time => prop_oneof![
            values(numbers().prop_map(Value::Number).boxed()),
            (numbers(), numbers()).prop_map(|(from, to)| Test::Range { from: Some(from), to: Some(to) }),
            numbers().prop_map(|from| Test::Range { from: Some(from), to: None }),
            numbers().prop_map(|to| Test::Range { from: None, to: Some(to) }),
        ]
        .boxed(),
        Kind::WorkflowStatus => {
            values(prop::sample::select(vec!["RUNNING", "FAILED"]).prop_map(|s| Value::Text(s.into())).boxed())
        }
        Kind::TaskStatus => {
            values(prop::sample::select(vec!["SCHEDULED", "FAILED"]).prop_map(|s| Value::Text(s.into())).boxed())
        }
    };
    prop_oneof![4 => of_kind, 1 => Just(Test::Missing)].boxed()
}

fn expressions<F: Field>() -> BoxedStrategy<Expr<F>> {
    let field = prop::sample::select(F::ALL.to_vec())
        .prop_flat_map(|field| condition(field).prop_map(move |test| Expr::Field(Condition { field, test })));
    let words = (prop::collection::vec("[a-z0-9ä]{1,4}", 1..3), any::<bool>())
        .prop_map(|(tokens, prefix)| Expr::Words(Words { tokens, prefix }));
    prop_oneof![3 => field, 1 => words]
        .prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
                inner.prop_map(|one| Expr::Not(Box::new(one))),
            ]
        })
        .boxed()
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(expr in expressions::<WorkflowField>()) {
        prop_assert_eq!(parse_query(&expr.to_string()), Ok(expr));
    }

    #[test]
    fn what_is_written_of_tasks_is_read_again(expr in expressions::<TaskField>()) {
        prop_assert_eq!(parse_query(&expr.to_string()), Ok(expr));
    }

    #[test]
    fn no_text_makes_the_parser_fall(text in any::<String>()) {
        let _ = parse_query::<WorkflowField>(&text);
        let _ = parse_free_text::<TaskField>(&text);
    }

    #[test]
    fn no_query_of_known_pieces_makes_the_parser_fall(
        pieces in prop::collection::vec(prop::sample::select(vec![
            "workflowType", "status", "version", "=", "!=", "<", "(", ")", ",", "'", "\"", "IN", "NOT", "AND", "OR",
            "BETWEEN", "IS", "NULL", "STARTS_WITH", "RUNNING", "7", "*", "a*", "ä",
        ]), 0..12),
    ) {
        if let Err(error) = parse_query::<WorkflowField>(&pieces.join(" ")) {
            prop_assert!(error.at >= 1);
        }
    }
}
