//! What is wrong with definitions is said all at once, with its place.

use std::sync::Arc;

use conductor_model::limits::WORKFLOW_DEPTH_MAX;
use serde_json::{Value, json};

use super::harness::{simple, snapshot, violations};
use crate::Plan;

fn faults(tasks: &Value) -> Vec<String> {
    violations(json!({"tasks": tasks})).into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect()
}

#[track_caller]
fn one_fault(tasks: &Value, path: &str, part: &str) {
    let found = faults(tasks);
    assert!(found.len() == 1 && found[0].starts_with(&format!("{path}: ")) && found[0].contains(part), "{found:#?}");
}

fn using(reference: &str, expression: &str) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "inputParameters": {"x": expression}})
}

fn fork(reference: &str, branches: &Value) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "type": "FORK_JOIN", "forkTasks": branches})
}

fn join(reference: &str, on: &[&str]) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "type": "JOIN", "joinOn": on})
}

#[test]
fn names_and_references() {
    one_fault(&json!([]), "tasks", "at least one step");
    one_fault(&json!([{"name": " ", "taskReferenceName": "a"}]), "tasks[0].name", "must not be empty");
    one_fault(&json!([{"name": "a", "taskReferenceName": ""}]), "tasks[0].taskReferenceName", "must not be empty");
    one_fault(&json!([simple("workflow")]), "tasks[0].taskReferenceName", "word of the expression language");
    one_fault(&json!([simple("task")]), "tasks[0].taskReferenceName", "word of the expression language");
    one_fault(
        &json!([simple("a"), fork("f", &json!([[simple("b")], [simple("c"), simple("a")]])), join("j", &[])]),
        "tasks[1].forkTasks[1][1].taskReferenceName",
        "already the name of tasks[0]",
    );
}

#[test]
fn numbers() {
    one_fault(&json!([{"name": "a", "taskReferenceName": "a", "startDelay": -1}]), "tasks[0].startDelay", "at least 0");
    one_fault(&json!([{"name": "a", "taskReferenceName": "a", "retryCount": -1}]), "tasks[0].retryCount", "at least 0");
    let inline = json!({"name": "a", "taskReferenceName": "a", "taskDefinition": {"name": "", "responseTimeoutSeconds": 0}});
    one_fault(&json!([inline]), "tasks[0].taskDefinition.responseTimeoutSeconds", "at least 1");
    let found = violations(json!({"tasks": [simple("a")], "version": 0, "schemaVersion": 1, "timeoutSeconds": -1, "name": ""}));
    let paths: Vec<&str> = found.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["name", "version", "schemaVersion", "timeoutSeconds"]);
}

#[test]
fn limits_on_running_workflows() {
    let with = |key: &str, most: i64| {
        let limit = json!({"rateLimitKey": key, "concurrentExecLimit": most});
        let found = violations(json!({"tasks": [simple("a")], "rateLimitConfig": limit}));
        found.into_iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect::<Vec<_>>()
    };
    for key in ["", "all", "${workflow.input.customer.id}-${workflow.version}", "${workflow.correlationId}"] {
        assert_eq!(with(key, 2), Vec::<String>::new(), "{key}");
    }
    for (key, part) in [
        ("${workflow.input.a", "has no `}`"),
        ("${a.output.x}", "names `a.output`"),
        ("${workflow.variables.x}", "names `workflow.variables`"),
        ("${workflow.secrets.x}", "names a secret"),
        ("${workflow}", "names `workflow`"),
    ] {
        let found = with(key, 2);
        assert!(
            found.len() == 1 && found[0].starts_with("rateLimitConfig.rateLimitKey: ") && found[0].contains(part),
            "{key}: {found:?}"
        );
    }
    assert_eq!(with("all", -1), ["rateLimitConfig.concurrentExecLimit: must be at least 0, which is no limit"]);
}

#[test]
fn forks_and_joins() {
    one_fault(&json!([fork("f", &json!([])), join("j", &["f"])]), "tasks[0].forkTasks", "at least one branch");
    one_fault(&json!([fork("f", &json!([[simple("a")], []])), join("j", &[])]), "tasks[0].forkTasks[1]", "at least one step");
    one_fault(&json!([fork("f", &json!([[simple("a")]]))]), "tasks[0]", "followed by a step of type JOIN");
    one_fault(&json!([fork("f", &json!([[simple("a")]])), simple("b")]), "tasks[0]", "followed by a step of type JOIN");
    one_fault(&json!([simple("a"), join("j", &[])]), "tasks[1].joinOn", "must name what to wait for");
    one_fault(&json!([fork("f", &json!([[simple("a")]])), join("j", &["a", "ghost"])]), "tasks[1].joinOn[1]", "names no step");
    assert!(faults(&json!([simple("a"), join("j", &["a"])])).is_empty());
}

#[test]
fn steps_that_nobody_can_complete_from_outside() {
    let step = |task_type: &str, async_complete: bool| {
        json!([{"name": "s", "taskReferenceName": "s", "type": task_type, "asyncComplete": async_complete,
            "inputParameters": {"uri": "http://h/", "method": "GET"}}])
    };
    assert!(faults(&step("HTTP", true)).is_empty());
    assert!(faults(&step("NOOP", false)).is_empty());
    one_fault(&step("NOOP", true), "tasks[0].asyncComplete", "has no effect on a step of this type");
}

#[test]
fn steps_that_could_never_do_what_they_are_for() {
    let step = |task_type: &str, more: Value| {
        let mut step = json!({"name": "s", "taskReferenceName": "s", "type": task_type});
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!([step])
    };
    one_fault(&step("KAFKA_PUBLISH", json!({})), "tasks[0].type", "this build has no Kafka client");
    let ends = json!({"optional": true, "inputParameters": {"terminationStatus": "FAILED"}});
    one_fault(&step("TERMINATE", ends), "tasks[0].optional", "cannot be done without");
    one_fault(&step("TERMINATE", json!({})), "tasks[0].inputParameters.terminationStatus", "must be COMPLETED, FAILED");
    one_fault(&step("EVENT", json!({})), "tasks[0].sink", "must say where to publish");
    one_fault(
        &step("EVENT", json!({"sink": "sqs:q"})),
        "tasks[0].sink",
        "publishes to conductor, amqp_queue and amqp_exchange",
    );
    one_fault(&step("EVENT", json!({"sink": "amqp_queue:"})), "tasks[0].sink", "must name a queue or exchange");
    one_fault(&step("HTTP", json!({})), "tasks[0].inputParameters.http_request", "must have a `uri`");
}

#[test]
fn switches() {
    let switch = |more: Value| {
        let mut switch = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "k",
            "inputParameters": {"k": 1}, "decisionCases": {"a": [simple("a")]}});
        for (key, value) in more.as_object().unwrap() {
            switch[key] = value.clone();
        }
        json!([switch])
    };
    assert!(faults(&switch(json!({}))).is_empty());
    one_fault(&switch(json!({"expression": null})), "tasks[0].expression", "must name the input parameter");
    one_fault(&switch(json!({"expression": "z"})), "tasks[0].expression", "one of the step's inputParameters");
    one_fault(&switch(json!({"evaluatorType": "python"})), "tasks[0].evaluatorType", "it knows `value-param`");
    assert!(faults(&switch(json!({"evaluatorType": "javascript", "expression": "$.k"}))).is_empty());
    one_fault(&switch(json!({"decisionCases": {}})), "tasks[0].decisionCases", "at least one case");
    one_fault(
        &switch(json!({"decisionCases": {"x": [simple("a"), simple("a")]}})),
        "tasks[0].decisionCases[x][1].taskReferenceName",
        "already the name of tasks[0].decisionCases[x][0]",
    );
    one_fault(
        &switch(json!({"defaultCase": [using("d", "${ghost.output}")]})),
        "tasks[0].defaultCase[0].inputParameters.x",
        "`ghost`",
    );
}

#[test]
fn expressions_name_something() {
    one_fault(&json!([simple("a"), using("b", "${c.output.x}")]), "tasks[1].inputParameters.x", "`c` is neither");
    one_fault(&json!([using("a", "echo ${HOME}")]), "tasks[0].inputParameters.x", "write `$${`");
    assert!(faults(&json!([using("a", "echo $${HOME}")])).is_empty());
    one_fault(&json!([using("a", "${workflow.input.x")]), "tasks[0].inputParameters.x", "has no `}`");
    one_fault(&json!([using("a", "${task.input.x}")]), "tasks[0].inputParameters.x", "own input");
    let found =
        violations(json!({"tasks": [simple("a")], "outputParameters": {"deep": [{"x": "${b.output}"}], "t": "${task.input}"}}));
    let paths: Vec<&str> = found.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["outputParameters.deep[0].x", "outputParameters.t"]);
}

/// A step of a type with a secret at one place.
fn with_secret(task_type: &str, more: &Value) -> Value {
    let mut step = json!({"name": "s", "taskReferenceName": "s", "type": task_type});
    for (key, value) in more.as_object().unwrap() {
        step[key] = value.clone();
    }
    step
}

const SECRET: &str = "Bearer ${workflow.secrets.token}";

#[test]
fn secrets_stand_where_an_input_is_handed_over() {
    let x = json!({"x": SECRET});
    for (task_type, more) in [
        ("SIMPLE", json!({"inputParameters": x})),
        ("DYNAMIC", json!({"inputParameters": {"taskToExecute": "t", "x": SECRET}})),
        ("HTTP", json!({"inputParameters": {"uri": "http://h/", "method": "GET", "headers": x}})),
        ("EVENT", json!({"inputParameters": x, "sink": "conductor"})),
        ("INLINE", json!({"inputParameters": {"expression": "1", "x": SECRET}})),
        ("LAMBDA", json!({"inputParameters": {"scriptExpression": "return 1", "x": SECRET}})),
        ("JSON_JQ_TRANSFORM", json!({"inputParameters": {"queryExpression": ".", "x": SECRET}})),
        (
            "SWITCH",
            json!({"evaluatorType": "javascript", "expression": "$.x", "inputParameters": x, "decisionCases": {"a": [simple("a")]}}),
        ),
        ("DO_WHILE", json!({"loopCondition": "$.x == 1", "inputParameters": x, "loopOver": [simple("a")]})),
        (
            "SUB_WORKFLOW",
            json!({"subWorkflowParam": {"name": "child", "workflowDefinition":
            {"name": "child", "tasks": [using("a", SECRET)]}}}),
        ),
        (
            "START_WORKFLOW",
            json!({"inputParameters": {"startWorkflow": {"workflowDef":
            {"name": "child", "tasks": [using("a", SECRET)]}}}}),
        ),
        ("NOOP", json!({"inputParameters": {"x": "$${workflow.secrets.token}"}})),
    ] {
        assert_eq!(faults(&json!([with_secret(task_type, &more)])), Vec::<String>::new(), "{task_type}");
    }
}

#[test]
fn secrets_at_places_that_nothing_is_handed_over_from_are_refused() {
    let x = json!({"x": "${workflow.env.REGION}"});
    let environment = |step: &Value| {
        one_fault(&json!([step]), "tasks[0].inputParameters.x", "`${workflow.env.REGION}` is looked up only where");
    };
    for (task_type, mut more) in [
        ("WAIT", json!({})),
        ("HUMAN", json!({})),
        ("NOOP", json!({})),
        ("SET_VARIABLE", json!({})),
        ("TERMINATE", json!({"inputParameters": {"terminationStatus": "COMPLETED"}})),
        ("SUB_WORKFLOW", json!({"subWorkflowParam": {"name": "child"}})),
        ("START_WORKFLOW", json!({"inputParameters": {"startWorkflow": {"name": "child"}}})),
        ("SWITCH", json!({"expression": "x", "decisionCases": {"a": [simple("a")]}})),
        ("DECISION", json!({"caseValueParam": "x", "decisionCases": {"a": [simple("a")]}})),
        ("INLINE", json!({"inputParameters": {"evaluatorType": "value-param", "expression": "x"}})),
    ] {
        more["inputParameters"]["x"] = x["x"].clone();
        environment(&with_secret(task_type, &more));
    }
    let items = json!({"inputParameters": {"_items": [SECRET]}, "loopOver": [simple("a")]});
    one_fault(&json!([with_secret("DO_WHILE", &items)]), "tasks[0].inputParameters._items[0]", "looked up only");
    for (field, task_type, more) in [
        ("sink", "EVENT", json!({"sink": "amqp_queue:${workflow.secrets.q}"})),
        (
            "expression",
            "SWITCH",
            json!({"evaluatorType": "js", "expression": "'${workflow.secrets.q}'", "decisionCases": {"a": [simple("a")]}}),
        ),
        ("loopCondition", "DO_WHILE", json!({"loopCondition": "'${workflow.secrets.q}'", "loopOver": [simple("a")]})),
        ("subWorkflowParam.name", "SUB_WORKFLOW", json!({"subWorkflowParam": {"name": "${workflow.secrets.q}"}})),
        ("inputParameters.taskToExecute", "DYNAMIC", json!({"inputParameters": {"taskToExecute": "${workflow.secrets.q}"}})),
        (
            "taskDefinition.agent.requires",
            "SIMPLE",
            json!({"taskDefinition": {"name": "", "agent":
            {"plugin": "p", "operation": "o", "requires": "role=${workflow.secrets.q}"}}}),
        ),
    ] {
        one_fault(
            &json!([with_secret(task_type, &more)]),
            &format!("tasks[0].{field}"),
            "`${workflow.secrets.q}` is looked up only",
        );
    }
    one_fault(
        &json!([simple("a"), using("b", "${a.output.${workflow.secrets.q}}")]),
        "tasks[1].inputParameters.x",
        "cannot stand in another",
    );
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN_DYNAMIC", "dynamicForkTasksParam": "list",
        "inputParameters": {"list": [using("a", SECRET)]}});
    one_fault(&json!([fork, join("j", &[])]), "tasks[0].inputParameters.list[0].inputParameters.x", "looked up only");
    let found = violations(json!({"tasks": [simple("a")], "outputParameters": {"o": [SECRET]}, "inputTemplate": {"i": SECRET},
        "variables": {"v": {"deep": SECRET}}}));
    let paths: Vec<&str> = found.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["outputParameters.o[0]", "inputTemplate.i", "variables.v.deep"]);
}

#[test]
fn a_workflow_goes_on_by_what_an_older_program_took() {
    let variables = with_secret("SET_VARIABLE", &json!({"inputParameters": {"x": SECRET}}));
    let stored = Arc::new(snapshot(json!({"tasks": [variables]}), json!([])));
    assert!(Plan::compile(Arc::clone(&stored)).is_err());
    assert!(Plan::of_stored(stored).is_ok());
    assert!(Plan::of_stored(Arc::new(snapshot(json!({"tasks": [simple("a"), simple("a")]}), json!([])))).is_err());
}

#[test]
fn cycles_of_references() {
    one_fault(&json!([using("a", "${a.output.x}")]), "tasks[0].inputParameters", "`a` uses itself");
    one_fault(
        &json!([using("a", "${b.output.x}"), simple("b")]),
        "tasks[0].inputParameters",
        "`a` uses `b`, which cannot end before",
    );
    // Into a branch from before the fork, and from a branch behind the join.
    let forked = |inner: &str, before: &str| {
        json!([
            using("before", before),
            fork("f", &json!([[using("a", inner)], [simple("b")]])),
            join("j", &["a", "b"]),
            simple("after")
        ])
    };
    assert!(faults(&forked("${b.output.x}", "x")).is_empty(), "a parallel branch may be ahead");
    one_fault(&forked("x", "${b.output}"), "tasks[0].inputParameters", "`before` uses `b`");
    one_fault(&forked("${j.output}", "x"), "tasks[1].forkTasks[0][0].inputParameters", "`a` uses `j`");
    one_fault(&forked("${after.output}", "x"), "tasks[1].forkTasks[0][0].inputParameters", "`a` uses `after`");
    // Two branches that need each other.
    let found = faults(&json!([
        fork("f", &json!([[simple("a0"), using("a", "${b.output}")], [using("b", "${a.output}")]])),
        join("j", &[]),
    ]));
    assert_eq!(found.len(), 2, "{found:#?}");
    // A case may use its own switch.
    let switch = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "k", "inputParameters": {"k": 1},
        "decisionCases": {"a": [using("a", "${s.output.selectedCase}")]}});
    assert!(faults(&json!([switch])).is_empty());
}

#[test]
fn joins_that_would_never_end() {
    one_fault(&json!([simple("a"), join("j", &["j"])]), "tasks[1].joinOn", "waits for itself");
    one_fault(&json!([simple("a"), join("j", &["b"]), simple("b")]), "tasks[1].joinOn", "waits for `b`");
    // A join in a branch that waits for its own fork.
    let found = faults(&json!([fork("f", &json!([[simple("a"), join("i", &["f"])]])), join("j", &[])]));
    assert!(found.iter().any(|fault| fault.contains("waits for itself")), "{found:#?}");
    // Two joins in branches that wait for each other.
    let found = faults(&json!([
        fork("f", &json!([[join("j1", &["b"]), simple("a")], [join("j2", &["a"]), simple("b")]])),
        join("j", &[]),
    ]));
    assert_eq!(found.len(), 2, "{found:#?}");
    // A join in a case that waits for its own switch.
    let switch = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "k", "inputParameters": {"k": 1},
        "decisionCases": {"a": [simple("a"), join("j", &["s"])]}});
    one_fault(&json!([switch]), "tasks[0].decisionCases[a][1].joinOn", "waits for `s`");
}

#[test]
fn nesting_is_bounded() {
    let mut tasks = json!([simple("deepest")]);
    for level in 0..WORKFLOW_DEPTH_MAX {
        tasks = json!([fork(&format!("f{level}"), &json!([tasks])), join(&format!("j{level}"), &[])]);
    }
    let found = faults(&tasks);
    assert!(found.len() == 1 && found[0].contains("nested more than 64 blocks deep"), "{found:?}");
}

#[test]
fn everything_is_said_at_once() {
    let found = faults(&json!([
        {"name": "", "taskReferenceName": "a"},
        {"name": "s", "taskReferenceName": "a", "type": "SWITCH"},
        using("c", "${nobody.output}"),
    ]));
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn what_is_shown_of_a_step_is_written_once() {
    let plan = Plan::compile(Arc::new(snapshot(json!({"tasks": [simple("a")]}), json!([])))).unwrap();
    let (step, definition) = (plan.step_json("a").unwrap(), plan.definition_json("a").unwrap());
    assert_eq!(step.get(), serde_json::to_string(plan.step("a").unwrap()).unwrap());
    assert_eq!(definition.get(), serde_json::to_string(plan.definition("a").unwrap()).unwrap());
    assert!(std::ptr::eq(step, plan.step_json("a__3").unwrap()), "a round shows the same text");
    assert!(std::ptr::eq(definition, plan.definition_json("a__3").unwrap()));
    assert!(plan.step_json("b").is_none() && plan.definition_json("b").is_none());
}
