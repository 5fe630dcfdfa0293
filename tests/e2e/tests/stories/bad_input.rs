//! Bad input over REST: each a 4xx with a code and a message that says what and where, and nothing half-written behind it.

use std::io::Write;
use std::path::{Path, PathBuf};

use conductor_e2e::{Answer, Raw, Stack, agent_task, fork, join, pack_files, step, worker_task, workflow};
use reqwest::Method;
use serde_json::{Value, json};

const JSON: &str = "application/json";
const GZIP: &str = "application/gzip";

/// One request that must be refused.
struct Bad {
    what: &'static str,
    method: Method,
    path: &'static str,
    media_type: &'static str,
    body: Vec<u8>,
    /// Words that the answer must hold: what was wrong, and where.
    says: &'static [&'static str],
}

fn post(what: &'static str, path: &'static str, body: impl Into<Vec<u8>>, says: &'static [&'static str]) -> Bad {
    Bad { what, method: Method::POST, path, media_type: JSON, body: body.into(), says }
}

fn post_json(what: &'static str, path: &'static str, body: &Value, says: &'static [&'static str]) -> Bad {
    post(what, path, body.to_string(), says)
}

fn plugin(what: &'static str, archive: Vec<u8>, says: &'static [&'static str]) -> Bad {
    Bad { what, method: Method::POST, path: "/api/v1/plugins", media_type: GZIP, body: archive, says }
}

/// What is missing in a refusal.
fn faults(bad: &Bad, answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    let text = |key: &str| answer.json[key].as_str().unwrap_or_default().to_owned();
    if !(400..500).contains(&answer.status) {
        faults.push(format!("is answered with {}", answer.status));
    }
    if text("code").is_empty() && text("error_code").is_empty() {
        faults.push("no code".to_owned());
    }
    if text("detail").is_empty() && text("message").is_empty() {
        faults.push("no message".to_owned());
    }
    faults.extend(bad.says.iter().filter(|word| !answer.text.contains(**word)).map(|word| format!("does not say {word:?}")));
    if !faults.is_empty() {
        faults.push(answer.text.chars().take(600).collect());
    }
    faults.into_iter().map(|fault| format!("{}: {fault}", bad.what)).collect()
}

/// Everything that a request could have left behind.
async fn everything(raw: &Raw) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/api/metadata/taskdefs",
        "/api/metadata/workflow",
        "/api/v1/plugins",
        "/api/v3.1/node-instances",
        "/api/workflow/search?size=100",
    ] {
        let answer = raw.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        all.push(answer.json);
    }
    all
}

async fn furnished() -> Stack {
    let stack = Stack::options().start().await;
    let good = workflow("good", &[step("known", "known", json!({}))]);
    stack.define(&[worker_task("known", json!({}))], &[good]).await;
    stack
}

fn definitions() -> Vec<Bad> {
    const TASKS: &str = "/api/metadata/taskdefs";
    const WORKFLOW: &str = "/api/metadata/workflow";
    let known = |reference: &str| step("known", reference, json!({}));
    let one = |steps: &[Value]| workflow("bad", steps);
    let mut nameless = known("a");
    nameless["taskReferenceName"] = json!("");
    vec![
        post("malformed JSON", TASKS, "[{\"name\": ", &["JSON"]),
        post("no body", WORKFLOW, "", &["body"]),
        post("too deep", WORKFLOW, "[".repeat(5000), &["deep"]),
        post_json("a number where a text belongs", TASKS, &json!([{"name": 7}]), &["name"]),
        post_json("a text where a number belongs", TASKS, &json!([{"name": "x", "retryCount": "often"}]), &["retryCount"]),
        post_json("a negative number", TASKS, &json!([{"name": "x", "retryCount": -1}]), &["retryCount"]),
        post_json("a name of rubbish", TASKS, &json!([{"name": "x\u{0}\n<script>\u{1b}"}]), &["name"]),
        post_json("no name", TASKS, &json!([{"name": ""}]), &["name"]),
        post_json("a name without end", TASKS, &json!([{"name": "x".repeat(5000)}]), &["name", "255"]),
        post_json("one of two is wrong", TASKS, &json!([{"name": "fine"}, {"name": ""}]), &["name"]),
        post_json(
            "an unknown key of agent",
            TASKS,
            &json!([{"name": "x", "agent": {"plugin": "p", "operation": "o", "labels": 1}}]),
            &["labels"],
        ),
        post_json(
            "a broken selector",
            TASKS,
            &json!([{"name": "x", "agent": {"plugin": "p", "operation": "o", "requires": "role in ("}}]),
            &["requires"],
        ),
        post_json(
            "a plugin that there is not",
            TASKS,
            &json!([agent_task("x", "quick", json!({"agent": {"plugin": "nobody-has-it"}}))]),
            &["agent.plugin", "nobody-has-it"],
        ),
        post_json(
            "a plugin's version that there is not",
            TASKS,
            &json!([agent_task("x", "quick", json!({"agent": {"plugin": "work@9.9.9"}}))]),
            &["agent.plugin", "9.9.9"],
        ),
        post_json(
            "an operation that there is not",
            TASKS,
            &json!([agent_task("x", "nobody-does-it", json!({}))]),
            &["agent.operation", "nobody-does-it"],
        ),
        post_json("no steps", WORKFLOW, &one(&[]), &["tasks"]),
        post_json("steps that are none", WORKFLOW, &json!({"name": "bad", "tasks": [17]}), &["tasks"]),
        post_json(
            "a type that there is not",
            WORKFLOW,
            &json!({"name": "bad", "tasks": [{"name": "x", "taskReferenceName": "x", "type": "MAGIC"}]}),
            &["MAGIC"],
        ),
        post_json("no reference name", WORKFLOW, &one(&[nameless]), &["taskReferenceName"]),
        post_json(
            "one reference name twice",
            WORKFLOW,
            &one(&[known("a"), known("a")]),
            &["tasks[1].taskReferenceName", "\"a\""],
        ),
        post_json("a fork without its join", WORKFLOW, &one(&[fork("f", &[vec![known("a")]])]), &["JOIN"]),
        post_json(
            "a join on nothing",
            WORKFLOW,
            &one(&[fork("f", &[vec![known("a")]]), join("j", &["a", "nowhere"])]),
            &["nowhere", "joinOn"],
        ),
        post_json(
            "a reference to nowhere",
            WORKFLOW,
            &one(&[step("known", "a", json!({"x": "${nowhere.output.y}"}))]),
            &["nowhere"],
        ),
        post_json(
            "references in a circle",
            WORKFLOW,
            &one(&[step("known", "a", json!({"x": "${b.output.y}"})), step("known", "b", json!({"x": "${a.output.y}"}))]),
            &["tasks[0].inputParameters", "cycle"],
        ),
        post_json(
            "an expression without its end",
            WORKFLOW,
            &one(&[step("known", "a", json!({"x": "${workflow.input"}))]),
            &["tasks[0].inputParameters.x"],
        ),
    ]
}

fn requests() -> Vec<Bad> {
    const START: &str = "/api/workflow";
    let get = |what, path, says| Bad { what, method: Method::GET, path, media_type: JSON, body: Vec::new(), says };
    vec![
        post_json("a workflow that there is not", START, &json!({"name": "nowhere"}), &["nowhere"]),
        post_json("a version that there is not", START, &json!({"name": "good", "version": 99}), &["good", "99"]),
        post_json("a start without a name", START, &json!({"input": {}}), &["name"]),
        post_json("an input that is no object", START, &json!({"name": "good", "input": [1]}), &["input"]),
        post_json("a priority out of range", START, &json!({"name": "good", "priority": 1000}), &["priority"]),
        get("an id that is none", "/api/workflow/not-an-id", &["not-an-id"]),
        get("a task that there is not", "/api/tasks/0190a5a0-0000-7000-8000-000000000000", &["0190a5a0"]),
        get("an agent that there is not", "/api/v1/agents/nobody", &["nobody"]),
        get("a route that there is not", "/api/v1/nothing", &["/api/v1/nothing"]),
        get("a node instance that there is not", "/api/v3.1/node-instances/nobody", &["nobody"]),
        get("a path that leads out", "/resources/blobs/default_tenant/..%2f..%2fmanager.db", &["path"]),
        Bad {
            what: "a file outside the store",
            method: Method::PUT,
            path: "/resources/blobs/default_tenant/%2e%2e%2f%2e%2e%2fescaped",
            media_type: "text/plain",
            body: b"x".to_vec(),
            says: &["path"],
        },
    ]
}

/// An archive with one entry, whose name nobody checked.
fn archive_with(name: &str, link_to: Option<&str>) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(if link_to.is_some() { 0 } else { 1 });
    if let Some(target) = link_to {
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_link_name_literal(target).unwrap();
    }
    let bytes = header.as_mut_bytes();
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    archive.append(&header, if link_to.is_some() { &b""[..] } else { &b"x"[..] }).unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}

/// Two gigabytes of nothing, in a hundred kilobytes.
fn bomb() -> Vec<u8> {
    const BYTES: u64 = 2 << 30;
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_size(BYTES);
    header.set_mode(0o644);
    header.set_cksum();
    let mut packed = zstd::Encoder::new(Vec::new(), 1).unwrap();
    packed.write_all(header.as_bytes()).unwrap();
    let block = vec![0_u8; 1 << 20];
    for _ in 0..BYTES >> 20 {
        packed.write_all(&block).unwrap();
    }
    packed.write_all(&[0; 1024]).unwrap();
    packed.finish().unwrap()
}

fn plugins() -> Vec<Bad> {
    let manifest = |text: &'static str| pack_files(&[("plugin.yaml", text, false), ("run.sh", "#!/bin/sh\n", true)]);
    vec![
        plugin("no archive at all", b"hello, this is no archive".to_vec(), &["plugin-"]),
        plugin("an archive that breaks off", pack_files(&[("plugin.yaml", "name: x", false)])[..60].to_vec(), &["plugin-"]),
        plugin("no manifest", pack_files(&[("run.sh", "#!/bin/sh\n", true)]), &["plugin.yaml"]),
        plugin("a manifest that is none", manifest("{{{{"), &["plugin.yaml"]),
        plugin(
            "a manifest without operations",
            manifest("name: x\nversion: 1.0.0\nentrypoint: run.sh\noperations: {}\n"),
            &["operations"],
        ),
        plugin(
            "an unknown key",
            manifest("name: x\nversion: 1.0.0\nentrypoint: run.sh\ncolour: red\noperations: {a: {}}\n"),
            &["colour"],
        ),
        plugin(
            "an entry point that is not there",
            manifest("name: x\nversion: 1.0.0\nentrypoint: gone.sh\noperations: {a: {}}\n"),
            &["entrypoint"],
        ),
        plugin("a path that leads out", archive_with("../../escaped", None), &["../../escaped"]),
        plugin("an absolute path", archive_with("/tmp/escaped-from-a-plugin", None), &["/tmp/escaped-from-a-plugin"]),
        plugin("a link that leads out", archive_with("innocent", Some("../../../etc/passwd")), &["innocent"]),
        Bad { media_type: "application/zstd", ..plugin("a bomb", bomb(), &["plugin-"]) },
    ]
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_reasons_and_leaves_nothing_behind() {
    let stack = furnished().await;
    let raw = stack.raw();
    let before = everything(&raw).await;
    let mut wrong = Vec::new();
    for bad in definitions().into_iter().chain(requests()).chain(plugins()) {
        let answer = raw.send(bad.method.clone(), bad.path, bad.media_type, bad.body.clone()).await;
        wrong.extend(faults(&bad, &answer));
        assert_eq!(everything(&raw).await, before, "{}: something was left behind", bad.what);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!Path::new("/tmp/escaped-from-a-plugin").exists());
    let kept = files_below(&stack.folder().join("manager/files"));
    assert_eq!(kept.len(), 1, "only the plugin that was taken lies in the store: {kept:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_without_being_read_to_its_end() {
    let stack = Stack::options()
        .setting("LIMITS__JSON_BODY_BYTES", "65536")
        .setting("LIMITS__PLUGIN_ARCHIVE_BYTES", "65536")
        .start()
        .await;
    let raw = stack.raw();
    let before = everything(&raw).await;
    let large = format!("[{{\"name\": \"x\", \"description\": \"{}\"}}]", "a".repeat(200_000));
    let answers = [
        raw.send(Method::POST, "/api/metadata/taskdefs", JSON, large).await,
        raw.send(Method::POST, "/api/v1/plugins", GZIP, vec![7_u8; 200_000]).await,
    ];
    for answer in answers {
        assert_eq!(answer.status, 413, "{answer:?}");
        assert!(answer.text.contains("65536"), "it says what the limit is: {answer:?}");
    }
    assert_eq!(everything(&raw).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_told_nothing_but_that_they_are() {
    let stack = furnished().await;
    for path in [
        "/api/metadata/workflow",
        "/api/v1/agents",
        "/api/v3.1/node-instances",
        "/resources/blobs/default_tenant/x",
        "/api/v1/events",
    ] {
        for token in [None, Some("Bearer wrong"), Some("Bearer "), Some("Basic YWRtaW46YWRtaW4=")] {
            let mut request = stack.raw().stranger(Method::GET, path);
            if let Some(token) = token {
                request = request.header("Authorization", token);
            }
            let answer = Answer::read(request.send().await.unwrap()).await;
            assert_eq!(answer.status, 401, "{path} {token:?}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_with_one_key_and_an_old_version_are_conflicts() {
    let stack = furnished().await;
    let raw = stack.raw();
    let start = |strategy: &str| json!({"name": "good", "idempotencyKey": "order-1", "idempotencyStrategy": strategy});
    let first = raw.json(Method::POST, "/api/workflow", &start("FAIL")).await;
    assert_eq!(first.status, 200, "{first:?}");
    let second = raw.json(Method::POST, "/api/workflow", &start("FAIL")).await;
    assert_eq!(second.status, 409, "{second:?}");
    assert!(second.text.contains(first.text.trim_matches('"')), "it names the run that has the key: {second:?}");
    let existing = raw.json(Method::POST, "/api/workflow", &start("RETURN_EXISTING")).await;
    assert_eq!((existing.status, &existing.text), (200, &first.text));
    assert_eq!(stack.client().search("", 0, 10).await.unwrap().total_hits, 1, "one run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_instance_that_was_changed_in_the_meantime_is_not_overwritten() {
    let stack = Stack::options().agent(conductor_e2e::AgentSpec::new("agent-1")).start().await;
    let raw = stack.raw();
    const HOST: &str = "/api/v3.1/node-instances/agent-1";
    let version = raw.get(HOST).await.json["version"].as_u64().unwrap();
    let patch = |properties: Value| json!({"version": version, "runtime_properties": properties});
    let first = raw.json(Method::PATCH, HOST, &patch(json!({"who": "first"}))).await;
    assert_eq!((first.status, first.json["version"].as_u64()), (200, Some(version + 1)), "{first:?}");
    let second = raw.json(Method::PATCH, HOST, &patch(json!({"who": "second"}))).await;
    assert_eq!((second.status, &second.json["error_code"]), (409, &json!("conflict_error")), "{second:?}");
    assert!(second.text.contains(&version.to_string()), "it says which version: {second:?}");
    assert_eq!(raw.get(HOST).await.json["runtime_properties"]["who"], "first");
    for (what, body) in [("no version", json!({"runtime_properties": {}})), ("wrong type", json!({"version": "x"}))] {
        let answer = raw.json(Method::PATCH, HOST, &body).await;
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert!(answer.text.contains("version"), "{what}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_whose_plugin_was_taken_away_fails_with_its_name() {
    let stack = Stack::options().agent(conductor_e2e::AgentSpec::new("agent-1")).start().await;
    stack
        .define(&[agent_task("orphan", "quick", json!({}))], &[workflow("orphan", &[step("orphan", "orphan", json!({}))])])
        .await;
    let client = stack.client();
    let work = client.plugins().await.unwrap().remove(0);
    client.delete_plugin(&work.digest).await.unwrap();
    let started = stack.raw().json(Method::POST, "/api/workflow", &json!({"name": "orphan"})).await;
    if (400..500).contains(&started.status) {
        assert!(started.text.contains("work"), "the refusal names what is missing: {started:?}");
        return;
    }
    let over = stack.wait_for_end(started.text.trim_matches('"').parse().unwrap(), 30).await;
    assert_eq!(over.status, conductor_model::WorkflowStatus::Failed, "{over:#?}");
    let reason = over.tasks[0].reason_for_incompletion.clone().unwrap_or_default();
    assert!(reason.contains("work"), "the reason names what is missing: {reason:?}");
}
