use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Budget, Document, Template, TemplateFault, escaped};

/// A document that is simply an object.
struct Fixed(Value);

impl Document for Fixed {
    fn member(&self, root: &str, key: &str, _: Option<&str>) -> Option<Cow<'_, Value>> {
        self.0.get(root)?.get(key).map(Cow::Borrowed)
    }

    fn whole(&self, root: &str) -> Option<Cow<'_, Value>> {
        self.0.get(root).map(Cow::Borrowed)
    }
}

fn document() -> Fixed {
    Fixed(json!({
        "workflow": {"input": {"name": "ada", "n": 7, "list": [1, 2, 3], "o": {"k": "v", "a.b": "dotted", "}": "brace"}, "which": "name"}},
        "t1": {"output": {"items": [{"id": 1, "ok": true}, {"id": 2, "ok": false}, {"id": 3, "ok": true}], "key": "o"}},
        "odd-name_1": {"output": {"x": 1.5}},
        "list": {"output": [{"my-key": 1}, {"my-key": 2, "$ref": {"0": "r"}}]},
    }))
}

fn compile(value: &Value) -> (Template, Vec<TemplateFault>) {
    let mut faults = Vec::new();
    let template = Template::compile(value, &mut faults);
    (template, faults)
}

#[track_caller]
fn resolve(value: &Value) -> Value {
    let (template, faults) = compile(value);
    assert_eq!(faults, [], "{value}");
    template.resolve(&document(), &mut Budget::new(10_000)).unwrap()
}

#[test]
fn one_expression_keeps_its_type() {
    for (text, expected) in [
        ("${workflow.input.n}", json!(7)),
        ("${ workflow.input.n }", json!(7)),
        ("${workflow.input.list}", json!([1, 2, 3])),
        ("${workflow.input.list[0]}", json!(1)),
        ("${workflow.input.list[-1]}", json!(3)),
        ("${workflow.input['o']['a.b']}", json!("dotted")),
        ("${workflow.input[\"o\"].k}", json!("v")),
        ("${workflow.input.o['}']}", json!("brace")),
        ("${odd-name_1.output.x}", json!(1.5)),
        ("${t1.output.items[1].id}", json!(2)),
        ("${t1.output}", document().0["t1"]["output"].clone()),
        ("${t1}", document().0["t1"].clone()),
    ] {
        assert_eq!(resolve(&json!(text)), expected, "{text}");
    }
}

#[test]
fn what_is_missing_is_null() {
    for text in [
        "${workflow.input.no}",
        "${workflow.input.list[9]}",
        "${workflow.input.list[-9]}",
        "${workflow.input.n.x}",
        "${t9.output.x}",
    ] {
        assert_eq!(resolve(&json!(text)), Value::Null, "{text}");
    }
}

#[test]
fn mixed_text_becomes_text() {
    for (text, expected) in [
        ("hello ${workflow.input.name}!", "hello ada!"),
        ("${workflow.input.name}${workflow.input.n}", "ada7"),
        ("a ${workflow.input.no} b", "a null b"),
        ("o=${workflow.input.o.k} l=${workflow.input.list}", "o=v l=[1,2,3]"),
        ("{${t1.output.items[0]}}", r#"{{"id":1,"ok":true}}"#),
        ("costs $5 and $", "costs $5 and $"),
        ("literal $${workflow.input.n}", "literal ${workflow.input.n}"),
        ("$$${x}", "$${x}"),
    ] {
        assert_eq!(resolve(&json!(text)), json!(expected), "{text}");
    }
}

#[test]
fn inner_expressions_come_first() {
    assert_eq!(resolve(&json!("${workflow.input.${workflow.input.which}}")), json!("ada"));
    assert_eq!(resolve(&json!("${workflow.input.${t1.output.key}.k}")), json!("v"));
    assert_eq!(resolve(&json!("${workflow.input.${workflow.input.no}}")), Value::Null);
}

#[test]
fn queries_give_the_list_of_what_they_find() {
    for (text, expected) in [
        ("${t1.output.items[?(@.ok==true)].id}", json!([1, 3])),
        ("${t1.output.items[*].id}", json!([1, 2, 3])),
        ("${t1.output.items[0:2].id}", json!([1, 2])),
        ("${t1.output..id}", json!([1, 2, 3])),
        ("${t1..id}", json!([1, 2, 3])),
        ("${t1.output.items[?(@.id>9)]}", json!([])),
        ("${t1.output.items.length()}", json!(3)),
        ("${workflow.input.name.length()}", json!(3)),
    ] {
        assert_eq!(resolve(&json!(text)), expected, "{text}");
    }
}

#[test]
fn functions_are_asked_of_what_the_path_finds() {
    for (text, expected) in [
        ("${workflow.input.list.size()}", json!(3)),
        ("${workflow.input.list.max()}", json!(3.0)),
        ("${workflow.input.list.first()}", json!(1)),
        ("${workflow.input.list.index(-2)}", json!(2)),
        ("${workflow.input.list.append(4, {\"k\": \"}\"})}", json!([1, 2, 3, 4, {"k": "}"}])),
        ("${workflow.input.list.append(${workflow.input.n})}", json!([1, 2, 3, 7])),
        ("${workflow.input.name.concat(\" (\", \"})\")}", json!("ada (})")),
        ("${workflow.input.o.keys()}", json!(["a.b", "k", "}"])),
        ("${workflow.input.o['a.b'].length()}", json!(6)),
        ("${t1.keys()}", json!(["output"])),
        // Of a query, all that it found.
        ("${t1.output.items[*].id.sum()}", json!(6.0)),
        ("${t1.output..id.avg()}", json!(2.0)),
        ("${t1.output.items[?(@.ok==true)].length()}", json!(2)),
        ("${t1.output.items[?length(@.id) > 1].length()}", json!(0)),
        ("${t1.output.items[?(@.id > 1)].id.first()}", json!(2)),
        // What has no answer is as what is missing.
        ("${workflow.input.n.length()}", Value::Null),
        ("${workflow.input.no.length()}", Value::Null),
        ("${workflow.input.name.min()}", Value::Null),
        ("${t1.output.items[?(@.id > 9)].id.max()}", Value::Null),
        ("n=${workflow.input.list.length()} of ${workflow.input.list.sum()}", json!("n=3 of 6.0")),
    ] {
        assert_eq!(resolve(&json!(text)), expected, "{text}");
    }
}

#[test]
fn wildcards_slices_filters_and_descents_find_what_they_say() {
    for (text, expected) in [
        ("${t1.output.*}", json!([[{"id": 1, "ok": true}, {"id": 2, "ok": false}, {"id": 3, "ok": true}], "o"])),
        ("${workflow.input.list[*]}", json!([1, 2, 3])),
        ("${workflow.input.list[-2:]}", json!([2, 3])),
        ("${workflow.input.list[:2]}", json!([1, 2])),
        ("${workflow.input.list[1:]}", json!([2, 3])),
        ("${workflow.input.list[0,2]}", json!([1, 3])),
        ("${workflow.input['name','n']}", json!(["ada", 7])),
        ("${workflow.input.list[?(@ > 1)]}", json!([2, 3])),
        ("${t1.output.items[?(@.ok)].id}", json!([1, 2, 3])),
        ("${t1.output.items[?(@.ok == true && @.id > 1 || @.id == 2)].id}", json!([2, 3])),
        ("${t1.output.items[?(!(@.id == 2))].id}", json!([1, 3])),
        ("${t1.output.items[?(@.id > ${t1.output.items[0].id})].id}", json!([2, 3])),
        ("${t1..items[0].id}", json!([1])),
        ("${list.output[*].my-key}", json!([1, 2])),
        ("${list.output..my-key}", json!([1, 2])),
        ("${list.output[?(@['my-key'] == 2)].$ref.0}", json!(["r"])),
    ] {
        assert_eq!(resolve(&json!(text)), expected, "{text}");
    }
}

#[test]
fn what_expressions_bring_in_is_bounded() {
    for value in [json!(vec!["${t1.output}"; 100]), json!("${t1.output}".repeat(100))] {
        let (template, _) = compile(&value);
        assert!(template.resolve(&document(), &mut Budget::new(1000)).is_err());
        assert!(template.resolve(&document(), &mut Budget::new(20_000)).is_ok());
    }
}

#[test]
fn lists_and_objects_are_resolved_inside() {
    let value = json!({"a": ["${workflow.input.n}", {"b": "x${workflow.input.n}"}], "plain": [1, {"${not.key}": "v"}]});
    assert_eq!(resolve(&value), json!({"a": [7, {"b": "x7"}], "plain": [1, {"${not.key}": "v"}]}));
}

#[test]
fn faults_name_their_place() {
    for (text, part) in [
        ("${workflow.input", "has no `}`"),
        ("${}", "does not begin with a name"),
        ("${.x}", "does not begin with a name"),
        ("${a.b.}", "not a path"),
        ("${a.b[}", "not a path"),
        ("${a.median()}", "not a path: there is no function `median()`; there are length(), size()"),
        ("${a.b.length(1)}", "takes nothing between its parentheses"),
        ("${a.b.length().x}", "must be the end"),
        ("${a.b.length()[0]}", "must be the end"),
        ("${a.b.keys().length()}", "must be the end"),
        ("${a.b..length()}", "with one dot"),
        ("${a.b.index(x)}", "takes one whole number"),
        ("${a.b.append($.c)}", "takes no path"),
        ("${a.b.append(1}", "has no `)`"),
        ("${a.b[?(@.n > $.c)]}", "`$` cannot stand in a filter"),
        ("${a.b[?(@.n =~ /x/)].length()}", "not a path: after `a.b`,"),
        ("${${${${${${${${${${a}}}}}}}}}}", "nested more than"),
    ] {
        let (_, faults) = compile(&json!({"k": [0, text]}));
        assert_eq!(faults.len(), 1, "{text}");
        assert_eq!(faults[0].at, ".k[1]");
        assert!(faults[0].message.contains(part), "{text}: {}", faults[0].message);
    }
}

#[test]
fn roots_are_visited_also_in_nested_expressions() {
    let (template, _) = compile(&json!({"a": "x ${r1.output.${r2.output.k}} ${r3['output']}", "b": ["${r4}"]}));
    let mut seen = Vec::new();
    template.visit_roots(&mut |root, at| seen.push((root.to_owned(), at())));
    let expected = [("r1", ".a"), ("r2", ".a"), ("r3", ".a"), ("r4", ".b[0]")];
    assert_eq!(seen, expected.map(|(root, at)| (root.to_owned(), at.to_owned())));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~äß$\\{\\}\\[\\]'\".]{0,60}") {
        let (template, _) = compile(&Value::String(text));
        let _ = template.resolve(&document(), &mut Budget::new(10_000));
    }

    #[test]
    fn texts_of_expression_characters_do_not_panic(text in "(\\$|\\{|\\}|\\$\\{|\\[|\\]|'|\"|\\.|\\*|\\?|@|\\(|\\)|a|workflow|input|0|-|:|,| |\\\\){0,24}") {
        let (template, _) = compile(&Value::String(text));
        let _ = template.resolve(&document(), &mut Budget::new(10_000));
    }

    #[test]
    fn functions_and_queries_of_any_make_do_not_panic(
        value in json_value(),
        steps in "(\\.a|\\.\\.|\\.\\*|\\[\\*\\]|\\[-?[0-9]\\]|\\[[0-9]?:-?[0-9]?\\]|\\[\\?\\(@\\.a\\)\\]|\\['[a(\\[\\\\]'\\]|\\.ä-b){0,4}",
        name in "length|size|min|max|avg|sum|stddev|keys|first|last|index|append|concat|other|",
        arguments in "(-|[0-9]{1,19}|\"|a|\\\\|,|\\(|\\)|\\{|\\}|\\[|\\]|'|\\$\\{|null|ä){0,5}",
    ) {
        let document = Fixed(json!({"t": {"a": value}}));
        let (template, _) = compile(&json!(format!("${{t.a{steps}.{name}({arguments})}}")));
        let _ = template.resolve(&document, &mut Budget::new(10_000));
    }

    #[test]
    fn a_function_finds_what_it_finds_of_the_value_itself(value in json_value(), index in -5_i64..5) {
        let document = Fixed(json!({"t": {"a": value}}));
        let find = |call: &str| {
            let (template, faults) = compile(&json!(format!("${{t.a.{call}}}")));
            assert_eq!(faults, []);
            template.resolve(&document, &mut Budget::new(10_000)).unwrap()
        };
        let plain = format!("${{t.a[{index}]}}");
        prop_assert_eq!(find(&format!("index({index})")), compile(&json!(plain)).0.resolve(&document, &mut Budget::new(10_000)).unwrap());
        prop_assert_eq!(find("length()"), find("size()"));
        prop_assert_eq!(find("first()"), find("index(0)"));
        prop_assert_eq!(find("last()"), find("index(-1)"));
        if let Value::Array(list) = &document.0["t"]["a"] {
            let grown = find("append(1, null)");
            prop_assert_eq!(grown.as_array().map(Vec::len), Some(list.len() + 2));
            prop_assert_eq!(find("length()"), json!(list.len()));
        }
    }

    #[test]
    fn an_escaped_text_is_itself(text in "[a-z $\\{\\}]{0,40}") {
        let escaped = text.replace("${", "$${");
        prop_assert_eq!(resolve(&Value::String(escaped)), Value::String(text));
    }

    #[test]
    fn an_escaped_value_is_itself(value in json_value(), text in "[a-z $\\{\\}]{0,12}") {
        let value = json!([value, {"k": [text]}]);
        prop_assert_eq!(resolve(&escaped(&value)), value);
    }

    #[test]
    fn any_value_is_found_where_it_stands(value in json_value(), key in "[a-z][a-z0-9_-]{0,8}") {
        let document = Fixed(json!({"t": {"output": {&*key: value}}}));
        let (template, faults) = compile(&json!(format!("${{t.output.{key}}}")));
        prop_assert_eq!(faults, []);
        prop_assert_eq!(template.resolve(&document, &mut Budget::new(10_000)).ok(), document.0["t"]["output"].get(&key).cloned());
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
