//! Secrets, environment values and schemas: what is looked up or checked where things are handed over.

use conductor_engine::{Sealed, WorkerStatus};
use conductor_model::{TaskStatus, WorkflowStatus};
use conductor_store::SqliteStore;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{App, PATIENCE, Settings, World, tenant, update};
use crate::app::{AppError, StartCommand};

const SECRET: &str = "hush-8d1f0a77";

/// A manager with a data directory, on a database in it.
fn world_in(folder: &std::path::Path) -> World {
    let store: Arc<dyn conductor_store::Store> = Arc::new(SqliteStore::open(&folder.join("manager.db")).unwrap());
    let settings = Settings { data_dir: folder.to_owned(), ..Settings::default() };
    let metrics = crate::app::metrics::Metrics::register(&mut prometheus_client::registry::Registry::default());
    let (trust, accounts) = crate::app::trust::Trust::for_tests(&settings);
    let (app, parts) = App::start(&settings, Arc::clone(&store), metrics, trust, accounts).unwrap();
    World { app, parts, store }
}

fn files_with(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Writes everything that this process logs into a file there, which is searched like all others.
fn log_into(folder: &std::path::Path) {
    let file = std::fs::File::create(folder.join("manager.log")).unwrap();
    // Where all tests share a process, another may have set this up; each has its own where they do not.
    let _ = tracing_subscriber::fmt().with_writer(file).with_max_level(tracing::Level::TRACE).try_init();
}

#[tokio::test]
async fn secrets_reach_workers_and_requests_and_are_stored_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    log_into(folder.path());
    let world = world_in(folder.path());
    world.app.put_value(&tenant(), Sealed::Secret, "token", SECRET.to_owned()).await.unwrap();
    world.app.put_value(&tenant(), Sealed::Environment, "REGION", "north".to_owned()).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/", listener.local_addr().unwrap());
    // It answers with what it was sent.
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 64 * 1024];
        let length = socket.read(&mut request).await.unwrap();
        let answer = String::from_utf8_lossy(&request[..length]).into_owned();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", answer.len());
        socket.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
        answer
    });
    let auth = "Bearer ${workflow.secrets.token}";
    world
        .define(
            json!([{ "name": "work" }]),
            json!({ "name": "flow", "tasks": [
                { "name": "call", "taskReferenceName": "call", "type": "HTTP", "inputParameters": { "http_request":
                    { "uri": uri, "method": "GET", "headers": { "Authorization": auth } } } },
                { "name": "work", "taskReferenceName": "work", "inputParameters": { "auth": auth, "region": "${workflow.env.REGION}",
                    "data": "${workflow.input.data}" } },
            ] }),
        )
        .await;
    let command = StartCommand {
        name: "flow".to_owned(),
        input: json!({ "data": "${workflow.secrets.token}" }).as_object().unwrap().clone(),
        ..StartCommand::default()
    };
    let run = world.app.start_workflow(&tenant(), command).await.unwrap();
    let sent = tokio::time::timeout(PATIENCE, server).await.unwrap().unwrap();
    assert!(sent.to_ascii_lowercase().contains(&format!("authorization: bearer {SECRET}")), "{sent}");
    world.until(run, "the worker's turn", |_, tasks| tasks.len() == 2).await;
    let task = world.poll("work").await.unwrap();
    assert_eq!(task.input["auth"], format!("Bearer {SECRET}"));
    assert_eq!(task.input["region"], "north");
    assert_eq!(task.input["data"], "${workflow.secrets.token}", "data is not looked up");
    let stored = world.tasks(run).await;
    assert_eq!(stored[1].input["auth"], auth);
    let echoed = stored[0].output["response"]["body"].to_string();
    assert!(echoed.contains("Bearer ***"), "{echoed}");
    world.complete(task.id).await;
    world.app.stop();
    world.store.close();
    assert_eq!(files_with(folder.path(), SECRET), Vec::<String>::new());
    let key = std::fs::metadata(folder.path().join("secrets.key")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&key.permissions()) & 0o777, 0o600);
    drop(world);
    let world = world_in(folder.path());
    assert_eq!(world.app.value_names(&tenant(), Sealed::Secret), ["token"]);
    assert_eq!(world.app.inner.vault.look_up(&tenant(), Sealed::Secret, "token").as_deref(), Some(SECRET));
    world.app.delete_value(&tenant(), Sealed::Secret, "token").await.unwrap();
    assert!(world.app.value_names(&tenant(), Sealed::Secret).is_empty());
}

fn schema(required: &str) -> Value {
    json!({ "name": "s", "version": 1, "type": "JSON",
        "data": { "type": "object", "properties": { required: { "type": "integer" } }, "required": [required] } })
}

#[tokio::test]
async fn schemas_are_enforced_on_what_goes_in_and_what_comes_out() {
    let world = World::new();
    let task =
        json!({ "name": "t", "retryCount": 2, "enforceSchema": true, "inputSchema": schema("n"), "outputSchema": schema("m") });
    world
        .define(
            json!([task]),
            json!({ "name": "flow", "inputSchema": schema("a"), "outputSchema": schema("z"), "enforceSchema": true,
                "tasks": [{ "name": "t", "taskReferenceName": "t", "inputParameters": { "n": "${workflow.input.n}" } }],
                "outputParameters": { "z": "${t.output.z}" } }),
        )
        .await;
    let owner = tenant();
    let start = |input: Value| {
        let command =
            StartCommand { name: "flow".to_owned(), input: input.as_object().unwrap().clone(), ..StartCommand::default() };
        world.app.start_workflow(&owner, command)
    };
    let Err(AppError::Invalid { code, violations, .. }) = start(json!({ "a": "text" })).await.map(|_| ()) else {
        panic!("refused")
    };
    assert_eq!((code, violations[0].path.as_str()), ("schema-violated", "input/a"));
    // The task's input does not fit: nobody gets to poll it.
    let bad = start(json!({ "a": 1, "n": "x" })).await.unwrap();
    assert_eq!(world.workflow(bad).await.status, WorkflowStatus::Failed);
    let tasks = world.tasks(bad).await;
    assert_eq!((tasks.len(), tasks[0].status), (1, TaskStatus::FailedWithTerminalError));
    assert!(
        tasks[0].reason.as_deref().unwrap().starts_with("the input does not fit its schema: input/n"),
        "{:?}",
        tasks[0].reason
    );
    // Neither does what the worker says.
    let wrong = start(json!({ "a": 1, "n": 1 })).await.unwrap();
    let task = world.poll("t").await.unwrap();
    world.complete(task.id).await;
    let tasks = world.tasks(wrong).await;
    assert_eq!((tasks.len(), tasks[0].status), (1, TaskStatus::FailedWithTerminalError));
    // Nor what the workflow makes of it.
    let outputs =
        [(json!({ "m": 1, "z": "x" }), WorkflowStatus::Failed), (json!({ "m": 1, "z": 2 }), WorkflowStatus::Completed)];
    for (output, ends) in outputs {
        let run = start(json!({ "a": 1, "n": 1 })).await.unwrap();
        let task = world.poll("t").await.unwrap();
        let mut report = update(task.id, WorkerStatus::Completed);
        report.output = output.as_object().unwrap().clone();
        world.app.update_task(&tenant(), report).await.unwrap();
        let workflow = world.workflow(run).await;
        assert_eq!(workflow.status, ends, "{:?}", workflow.reason);
    }
}

#[tokio::test]
async fn schemas_are_kept_by_name_and_version_and_named_by_definitions() {
    let world = World::new();
    let owner = tenant();
    let put = |value: Value, new: bool| {
        let schema = serde_json::from_value(value).unwrap();
        world.app.put_schemas(&owner, vec![schema], new, "test")
    };
    let bad = put(json!({ "name": "s", "data": { "type": "no such type" } }), false).await.unwrap_err();
    assert!(matches!(bad, AppError::Invalid { code: "schema-invalid", .. }), "{bad:?}");
    let remote = put(json!({ "name": "s", "data": { "$ref": "http://127.0.0.1:1/x.json" } }), false).await.unwrap_err();
    assert!(matches!(remote, AppError::Invalid { code: "schema-invalid", .. }), "nothing is fetched: {remote:?}");
    put(schema("a"), false).await.unwrap();
    put(schema("b"), true).await.unwrap();
    assert_eq!(world.app.schema(&tenant(), "s", None).await.unwrap().version, 2);
    assert_eq!(world.app.schemas(&tenant(), Some("s")).await.unwrap().len(), 2);
    world
        .define(
            json!([]),
            json!({ "name": "named", "inputSchema": { "name": "s", "version": 2 }, "enforceSchema": true,
                "tasks": [{ "name": "n", "taskReferenceName": "n", "type": "NOOP" }] }),
        )
        .await;
    let owner = tenant();
    let start = |input: Value| {
        let command =
            StartCommand { name: "named".to_owned(), input: input.as_object().unwrap().clone(), ..StartCommand::default() };
        world.app.start_workflow(&owner, command)
    };
    assert!(start(json!({ "a": 1 })).await.is_err());
    start(json!({ "b": 1 })).await.unwrap();
    world.app.delete_schema(&tenant(), "s", None).await.unwrap();
    let gone = start(json!({ "b": 1 })).await.map(|_| ()).unwrap_err();
    assert!(matches!(gone, AppError::Invalid { code: "schema-missing", .. }), "{gone:?}");
}
