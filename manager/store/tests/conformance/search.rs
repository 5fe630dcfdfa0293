//! Searches.

use conductor_model::{TaskStatus, Timestamp, WorkflowId, WorkflowRecord, WorkflowStatus};
use conductor_store::search::{
    Expr, Field, Found, Search, TaskField, WorkflowField, parse_free_text, parse_order, parse_query,
};
use conductor_store::{MemoryStore, SqliteStore, Store};
use proptest::prelude::*;
use serde_json::json;

use crate::fixtures::*;

fn workflows(store: &dyn Store, query: &str) -> Found<WorkflowRecord> {
    let matching = parse_query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let search = Search { matching, order: Vec::new(), offset: 0, limit: 100 };
    store.search_workflows(&tenant(), &search).unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn ids(found: &Found<WorkflowRecord>) -> Vec<WorkflowId> {
    found.rows.iter().map(|row| row.id).collect()
}

/// Three workflows of which something can be said: a site that was deployed, one that was not, and one that is at it.
fn three(store: &dyn Store) -> [WorkflowRecord; 3] {
    let mut done = workflow("site_deploy");
    done.status = WorkflowStatus::Completed;
    done.correlation_id = Some("order-7".to_owned());
    done.output = json!({"url": "http://a.example", "message": "all is well"}).into();
    done.ended_at = Some(Timestamp(4_000));
    let mut failed = workflow("site_remove");
    failed.created_at = Timestamp(2_000);
    failed.status = WorkflowStatus::Failed;
    failed.reason = Some("Out of memory on host-3".to_owned());
    failed.ended_at = Some(Timestamp(5_000));
    failed.priority = 9;
    let mut running = workflow("backup");
    running.created_at = Timestamp(3_000);
    running.correlation_id = Some("order-8".to_owned());
    running.version = 2;
    running.input = json!({"customer": "Alice Müller", "n": 17}).into();
    running.parent_workflow_id = Some(done.id);
    for workflow in [&done, &failed, &running] {
        stored(store, workflow, &[&task(workflow, 1)]);
    }
    [done, failed, running]
}

pub fn every_kind_of_condition_finds_its_workflows(store: &dyn Store) {
    let [done, failed, running] = three(store);
    let child = format!("parentWorkflowId = {}", done.id);
    let by_id = format!("workflowId IN ({}, {})", done.id, running.id);
    let id = failed.id.to_string();
    for (query, expected) in [
        ("*", vec![&running, &failed, &done]),
        ("workflowType = site_deploy", vec![&done]),
        ("workflowType = site*", vec![&failed, &done]),
        ("workflowType STARTS_WITH 'b'", vec![&running]),
        ("workflowType IN (backup, site_r*)", vec![&running, &failed]),
        ("workflowType NOT IN (backup)", vec![&failed, &done]),
        ("status = FAILED", vec![&failed]),
        ("status != FAILED", vec![&running, &done]),
        ("status IN (RUNNING, COMPLETED)", vec![&running, &done]),
        ("status = RUNNING AND workflowType = backup", vec![&running]),
        ("status = RUNNING AND workflowType = site*", vec![]),
        ("correlationId = order-7", vec![&done]),
        ("correlationId = order*", vec![&running, &done]),
        ("correlationId IS NULL", vec![&failed]),
        ("correlationId != order-7", vec![&running, &failed]),
        ("startTime > 1000 AND startTime < 3000", vec![&failed]),
        ("startTime BETWEEN 1000 AND 2000", vec![&failed, &done]),
        ("startTime = 3000", vec![&running]),
        ("startTime != 3000", vec![&failed, &done]),
        ("endTime >= 5000", vec![&failed]),
        ("endTime IS NULL", vec![&running]),
        ("executionTime = 3000", vec![&failed, &done]),
        ("version = 2 OR priority > 5", vec![&running, &failed]),
        ("priority = 0", vec![&running, &done]),
        ("NOT (version = 2 OR priority > 5)", vec![&done]),
        (&child, vec![&running]),
        (&by_id, vec![&running, &done]),
        (&id, vec![&failed]),
        ("alice", vec![&running]),
        ("ALI*", vec![&running]),
        ("'müller'", vec![&running]),
        ("\"out of memory\"", vec![&failed]),
        ("\"memory of out\"", vec![]),
        ("'host 3' AND site*", vec![&failed]),
        ("well OR alice", vec![&running, &done]),
        ("order AND NOT alice", vec![&done]),
        ("order AND workflowType = backup", vec![&running]),
        ("order AND workflowType = b* AND status IN (COMPLETED)", vec![]),
        ("NOT order", vec![&failed]),
        ("order AND (version = 1 OR workflowType = nothing)", vec![&done]),
        ("17", vec![&running]),
    ] {
        let found = workflows(store, query);
        assert_eq!(ids(&found), expected.iter().map(|record| record.id).collect::<Vec<_>>(), "{query}");
        assert_eq!(found.total, expected.len() as u64, "{query}");
        assert!(found.rows.iter().zip(&expected).all(|(found, stored)| found == *stored), "{query}");
    }
}

pub fn conditions_that_exclude_each_other_find_nothing(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    workflow.correlation_id = Some("order-1".to_owned());
    stored(store, &workflow, &[]);
    for narrow in [
        "correlationId=order-1",
        "workflowType=deploy",
        "correlationId=order*",
        "deploy",
        &format!("workflowId={}", workflow.id),
    ] {
        assert_eq!(workflows(store, narrow).total, 1, "{narrow}");
        assert_eq!(workflows(store, &format!("{narrow} AND status=RUNNING AND status=FAILED")).total, 0, "{narrow}");
        assert_eq!(workflows(store, &format!("{narrow} AND status=RUNNING AND NOT status=RUNNING")).total, 0, "{narrow}");
    }
}

pub fn words_follow_what_a_workflow_becomes(store: &dyn Store) {
    let mut workflow = workflow("deploy");
    stored(store, &workflow, &[]);
    let count = |query: &str| workflows(store, query).total;
    assert_eq!((count("deploy"), count("marmalade"), count("deploy AND status=RUNNING")), (1, 0, 1));
    workflow.status = WorkflowStatus::Completed;
    workflow.output = json!("marmalade").into();
    store.commit(batch(vec![step(&mut workflow, vec![])])).unwrap();
    assert_eq!((count("marmalade"), count("deploy AND status=RUNNING"), count("deploy AND status=COMPLETED")), (1, 0, 1));
    workflow.status = WorkflowStatus::Running;
    store.commit(batch(vec![step(&mut workflow, vec![])])).unwrap();
    assert_eq!((count("marmalade"), count("deploy AND status=RUNNING")), (0, 1));
}

pub fn of_a_batch_that_fails_no_words_stay(store: &dyn Store) {
    let (answers, results) = std::sync::mpsc::channel();
    // Many at once, so that those that fail share a transaction with others.
    for round in 0..60_i64 {
        let fails = round % 3 == 1;
        let mut fresh = workflow(if fails { "marmalade" } else { "honey" });
        // None takes the place of one that failed.
        fresh.created_at = Timestamp(10_000 + round);
        let mut decisions = vec![start(&fresh, &[])];
        if fails {
            decisions.push(step(&mut workflow("unknown"), vec![]));
        }
        let answers = answers.clone();
        store.submit(batch(decisions), Box::new(move |result| answers.send((fails, result)).unwrap()));
    }
    drop(answers);
    for (fails, result) in results {
        assert_eq!(result.is_err(), fails, "{result:?}");
    }
    assert_eq!((workflows(store, "honey").total, workflows(store, "marmalade").total), (40, 0));
}

pub fn pages_follow_each_other_in_the_order_that_is_asked_for(store: &dyn Store) {
    let mut all: Vec<_> = (0..9).map(|index| (index, workflow(["a", "b", "c"][index % 3]))).collect();
    for (index, workflow) in &mut all {
        workflow.created_at = Timestamp(1_000 + i64::try_from(*index / 2).unwrap());
        workflow.priority = u8::try_from(*index % 2).unwrap();
        stored(store, workflow, &[]);
    }
    let pages = |order: &str| -> Vec<usize> {
        let page = |offset| {
            let order = parse_order(order).unwrap();
            let search = Search { matching: Expr::Any, order, offset, limit: 4 };
            let found = store.search_workflows(&tenant(), &search).unwrap();
            assert_eq!(found.total, 9);
            ids(&found).into_iter().map(|id| all.iter().position(|(_, known)| known.id == id).unwrap()).collect::<Vec<_>>()
        };
        [page(0), page(4), page(8)].concat()
    };
    assert_eq!(pages(""), [8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!(pages("startTime:ASC"), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(pages("workflowType:DESC|priority:ASC"), [8, 2, 5, 4, 7, 1, 6, 0, 3]);
}

pub fn tasks_are_found_by_their_fields_and_those_of_their_workflow(store: &dyn Store) {
    let mut first = workflow("deploy");
    first.correlation_id = Some("order-7".to_owned());
    let second = workflow("backup");
    let open = task(&first, 1);
    let mut failed = task(&second, 1);
    failed.status = TaskStatus::Failed;
    failed.reason = Some("the disk is full".to_owned());
    failed.worker_id = Some("w1".to_owned());
    let mut join = task(&second, 2);
    join.task_type = serde_json::from_value(json!("JOIN")).unwrap();
    join.definition_name = "join".into();
    join.status = TaskStatus::Completed;
    join.output = json!({"text": "x".repeat(2_000), "more": "beside the row"}).into();
    stored(store, &first, &[&open]);
    stored(store, &second, &[&failed, &join]);
    let of_first = format!("workflowId = {}", first.id);
    for (query, expected) in [
        ("*", vec![&join, &failed, &open]),
        ("status = FAILED", vec![&failed]),
        ("status IN (FAILED, SKIPPED)", vec![&failed]),
        ("status IN (SCHEDULED, IN_PROGRESS)", vec![&open]),
        ("status IN (SCHEDULED, FAILED)", vec![&failed, &open]),
        ("taskType = echo", vec![&failed, &open]),
        ("taskType = JOIN", vec![&join]),
        ("taskType IN (JOIN, echo) AND status = COMPLETED", vec![&join]),
        ("taskDefName = echo AND workflowType = backup", vec![&failed]),
        ("correlationId = order-7", vec![&open]),
        ("referenceTaskName = step_1", vec![&failed, &open]),
        ("workerId = w1", vec![&failed]),
        ("startTime IS NULL AND status = FAILED", vec![&failed]),
        ("scheduledTime <= 1000 AND NOT status = FAILED", vec![&join, &open]),
        (&of_first, vec![&open]),
        ("\"disk is full\"", vec![&failed]),
        ("beside AND NOT echo", vec![&join]),
    ] {
        let matching = parse_query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let search = Search { matching: Expr::clone(&matching), order: vec![], offset: 0, limit: 10 };
        let found = store.search_tasks(&tenant(), &search).unwrap();
        assert_eq!(found.rows.iter().collect::<Vec<_>>(), expected, "{query}");
        assert_eq!(found.total, expected.len() as u64, "{query}");
        let mut homes: Vec<_> = expected.iter().map(|task| task.workflow_id).collect();
        homes.dedup();
        assert_eq!(store.workflows_of_tasks(&tenant(), &matching, 10).unwrap(), homes, "{query}");
    }
}

pub fn a_tenant_finds_its_own_alone(store: &dyn Store) {
    let [done, ..] = three(store);
    let mut theirs = workflow("site_deploy");
    theirs.tenant = other_tenant();
    theirs.correlation_id = Some("order-7".to_owned());
    theirs.parent_workflow_id = Some(done.id);
    stored(store, &theirs, &[&task(&theirs, 1)]);
    for query in
        ["*", "workflowType=site*", "status=RUNNING", "correlationId=order*", "correlationId=order-7", "order", "version>0"]
    {
        let found = workflows(store, query);
        assert!(!found.rows.is_empty() && !ids(&found).contains(&theirs.id), "{query}");
    }
    let by_id = workflows(store, &format!("workflowId={} OR parentWorkflowId={}", theirs.id, done.id));
    assert!(!ids(&by_id).contains(&theirs.id));
    let search =
        Search { matching: parse_query(&format!("workflowId={}", theirs.id)).unwrap(), order: vec![], offset: 0, limit: 9 };
    assert_eq!(store.search_tasks(&tenant(), &search).unwrap().total, 0);
}

// Random queries over random rows give the same in both stores.

fn condition_of_workflows() -> BoxedStrategy<String> {
    let number = || 0..4_i64;
    prop_oneof![
        prop::sample::select(vec!["deploy", "dep*", "site_deploy", "s*", "x", "*"])
            .prop_map(|v| format!("workflowType = '{v}'")),
        prop::sample::select(vec!["deploy", "backup", "none"]).prop_map(|v| format!("workflowType NOT IN ({v}, site_deploy)")),
        prop::sample::select(vec!["RUNNING", "FAILED", "COMPLETED"]).prop_map(|v| format!("status = {v}")),
        prop::sample::select(vec!["RUNNING", "FAILED", "PAUSED"]).prop_map(|v| format!("status NOT IN ({v})")),
        prop::sample::select(vec!["order-1", "order*", "o*", "z"]).prop_map(|v| format!("correlationId = '{v}'")),
        Just("correlationId IS NULL".to_owned()),
        (number(), number()).prop_map(|(a, b)| format!("startTime BETWEEN {} AND {}", 1_000 + a * 10, 1_000 + b * 10)),
        (prop::sample::select(vec!["<", ">", "=", "!=", "<=", ">="]), number()).prop_map(|(op, n)| format!("version {op} {n}")),
        (prop::sample::select(vec!["<", ">", "=", "!="]), number())
            .prop_map(|(op, n)| format!("endTime {op} {}", 2_000 + n * 10)),
        (prop::sample::select(vec!["<", ">", "=", "!="]), number())
            .prop_map(|(op, n)| format!("startTime {op} {}", 1_000 + n * 10)),
        Just("endTime IS NOT NULL".to_owned()),
        prop::sample::select(vec!["alice", "bob", "'alice bob'", "al*", "deploy", "1", "boom", "'bob bo*'"])
            .prop_map(str::to_owned),
    ]
    .boxed()
}

fn condition_of_tasks() -> BoxedStrategy<String> {
    prop_oneof![
        prop::sample::select(vec!["deploy", "site*"]).prop_map(|v| format!("workflowType = {v}")),
        prop::sample::select(vec!["echo", "JOIN", "FORK", "e*"]).prop_map(|v| format!("taskType = {v}")),
        prop::sample::select(vec!["FAILED", "SCHEDULED", "COMPLETED"]).prop_map(|v| format!("status = {v}")),
        prop::sample::select(vec!["FAILED", "SKIPPED"]).prop_map(|v| format!("status NOT IN ({v})")),
        prop::sample::select(vec!["order-1", "order*"]).prop_map(|v| format!("correlationId = {v}")),
        (0..3_i64).prop_map(|n| format!("endTime < {}", 2_000 + n * 10)),
        Just("workerId IS NULL".to_owned()),
        prop::sample::select(vec!["alice", "echo", "full", "'disk fu*'"]).prop_map(str::to_owned),
    ]
    .boxed()
}

fn query(condition: BoxedStrategy<String>) -> BoxedStrategy<String> {
    condition
        .prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 2..4).prop_map(|all| format!("({})", all.join(" AND "))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(|any| format!("({})", any.join(" OR "))),
                inner.prop_map(|one| format!("NOT ({one})")),
            ]
        })
        .boxed()
}

/// (name, status, correlation, millisecond, version, input, end)
type Sketch = (usize, usize, Option<u8>, i64, i32, usize, Option<i64>);

const WHO: [&str; 4] = ["alice", "bob", "alice bob", "nobody"];
const SAID: [&str; 4] = ["boom", "", "bob bo", "x"];
const TYPES: [&str; 4] = ["SIMPLE", "JOIN", "FORK_JOIN", "SIMPLE"];

fn sketches() -> impl Strategy<Value = Vec<Sketch>> {
    let one = (0..3_usize, 0..4_usize, prop::option::of(0..3_u8), 0..4_i64, 0..4, 0..4_usize, prop::option::of(0..4_i64));
    prop::collection::vec(one, 1..14)
}

fn rows(sketches: &[Sketch]) -> Vec<(WorkflowRecord, Vec<conductor_model::TaskRecord>)> {
    let mut rows: Vec<_> = sketches
        .iter()
        .map(|(name, status, correlation, ms, version, text, end)| {
            let mut record = workflow(["deploy", "site_deploy", "backup"][*name]);
            record.status = WorkflowStatus::ALL[*status];
            record.correlation_id = correlation.map(|n| format!("order-{n}"));
            record.created_at = Timestamp(1_000 + ms * 10);
            record.version = *version;
            record.input = json!({"who": WHO[*text]}).into();
            record.output = json!(SAID[*text]).into();
            record.ended_at = end.map(|end| Timestamp(2_000 + end * 10));
            record
        })
        .collect();
    rows.sort_by_key(|record| record.created_at);
    rows.into_iter()
        .zip(sketches)
        .map(|(record, (name, status, .., text, end))| {
            let tasks = (1..=u32::try_from(*name).unwrap() + 1).map(|seq| {
                let mut task = task(&record, seq);
                task.status = TaskStatus::ALL[(*status + usize::try_from(seq).unwrap() * 2) % TaskStatus::ALL.len()];
                if record.status.is_terminal() && !task.status.is_terminal() {
                    task.status = TaskStatus::Canceled;
                }
                task.task_type = serde_json::from_value(json!(TYPES[*text])).unwrap();
                task.reason = (*text == 1).then(|| "the disk is full".to_owned());
                task.worker_id = (*text == 2).then(|| "w".to_owned());
                task.ended_at = end.map(|end| Timestamp(2_000 + end * 10));
                task
            });
            let tasks = tasks.collect();
            (record, tasks)
        })
        .collect()
}

fn filled(rows: &[(WorkflowRecord, Vec<conductor_model::TaskRecord>)], store: &dyn Store) {
    for (record, tasks) in rows {
        stored(store, record, &tasks.iter().collect::<Vec<_>>());
    }
}

fn searches<F: Field>(queries: &[String], order: &str) -> Vec<Search<F>> {
    let order = parse_order::<F>(order).unwrap();
    let search = |query: &String| {
        let matching = parse_query(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        Search { matching, order: order.clone(), offset: 1, limit: 5 }
    };
    queries.iter().map(search).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_stores_find_the_same(
        sketches in sketches(),
        of_workflows in prop::collection::vec(query(condition_of_workflows()), 12),
        of_tasks in prop::collection::vec(query(condition_of_tasks()), 6),
        order in prop::sample::select(vec!["", "startTime:ASC", "status:DESC", "endTime:ASC|version:DESC"]),
    ) {
        let folder = tempfile::TempDir::new().unwrap();
        let (memory, sqlite) = (MemoryStore::new(), SqliteStore::open(&folder.path().join("m.db")).unwrap());
        let rows = rows(&sketches);
        filled(&rows, &memory);
        filled(&rows, &sqlite);
        for search in searches::<WorkflowField>(&of_workflows, order) {
            let (a, b) = (memory.search_workflows(&tenant(), &search), sqlite.search_workflows(&tenant(), &search));
            prop_assert_eq!(a.unwrap(), b.unwrap(), "{} by {}", search.matching, order);
        }
        for search in searches::<TaskField>(&of_tasks, "") {
            let (a, b) = (memory.search_tasks(&tenant(), &search), sqlite.search_tasks(&tenant(), &search));
            prop_assert_eq!(a.unwrap(), b.unwrap(), "{}", search.matching);
        }
    }
}

#[test]
fn no_text_is_too_strange_for_the_full_text_index() {
    let folder = tempfile::TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("m.db")).unwrap();
    stored(&store, &workflow("deploy"), &[]);
    for text in ["AND", "\"a\" near(b)", "col:on", "^start", "a-b", "{\"a\": 1}", "NOT deploy", "x* y*", "·t", "+", "'"] {
        let matching = parse_free_text(text);
        let Ok(matching) = matching else { continue };
        let search = Search { matching, order: vec![], offset: 0, limit: 5 };
        store.search_workflows(&tenant(), &search).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}
