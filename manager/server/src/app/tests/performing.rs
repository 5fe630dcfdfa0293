//! What the manager does itself: scripts and requests, from the definition to the next step.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use conductor_engine::{HttpRequest, PerformFailure, ScriptLanguage, ScriptStyle, ServerWork};
use conductor_model::{TaskId, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{PATIENCE, World, tenant};
use crate::app::core::{CoreHandle, Message, Turn};
use crate::app::perform::{Job, Perform, Performers, script_faults};
use crate::app::script_launcher;
use crate::clock::SystemIds;

/// A workflow of one step.
fn one_step(step: Value) -> Value {
    let mut step = step;
    step["name"] = json!("step");
    step["taskReferenceName"] = json!("step");
    json!({ "name": "flow", "tasks": [step], "outputParameters": { "out": "${step.output}" } })
}

/// A server that answers each connection with `response` and hands over what it read.
async fn server(response: &'static str) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = vec![0; 64 * 1024];
            let length = socket.read(&mut request).await.unwrap();
            let _ = heard.send(String::from_utf8_lossy(&request[..length]).into_owned());
            let _ = socket.write_all(response.as_bytes()).await;
        }
    });
    (format!("http://{address}/things"), requests)
}

#[tokio::test]
async fn a_script_that_cannot_be_read_is_refused_at_registration() {
    let performers = Bench::new().performers;
    let step = json!({ "type": "SWITCH", "evaluatorType": "javascript", "expression": "if (", "decisionCases": { "a": [
        { "type": "JSON_JQ_TRANSFORM", "name": "q", "taskReferenceName": "q", "inputParameters": { "queryExpression": ".a |" } },
        { "type": "LAMBDA", "name": "l", "taskReferenceName": "l", "inputParameters": { "scriptExpression": "return 1;" } },
    ] } });
    let definition = serde_json::from_value(one_step(step)).unwrap();
    let faults = tokio::task::spawn_blocking(move || script_faults(performers.scripts(), &definition)).await.unwrap();
    let paths: Vec<_> = faults.iter().map(|fault| fault.path.as_str()).collect();
    assert_eq!(paths, ["tasks[0].expression", "tasks[0].decisionCases[a][0].inputParameters.queryExpression"]);
    assert!(faults.iter().all(|fault| fault.message.contains("cannot be read")), "{faults:?}");
}

/// Performers alone; the test plays the deciding thread.
struct Bench {
    performers: Performers,
    messages: Receiver<Message>,
}

impl Bench {
    fn new() -> Self {
        let (core, messages) = CoreHandle::channel();
        Self { performers: Performers::new(core, script_launcher()), messages }
    }

    async fn perform(self, work: ServerWork) -> Result<Value, PerformFailure> {
        let turn = Turn { workflow: WorkflowId::generate(&mut SystemIds), task: TaskId::generate(&mut SystemIds), turn: 1 };
        self.performers.perform(Job { tenant: tenant(), turn, work, secrets: Vec::new() });
        let heard = tokio::task::spawn_blocking(move || self.messages.recv_timeout(PATIENCE)).await.unwrap().unwrap();
        let Message::Performed { turn: of, result } = heard else { panic!("something else was said") };
        assert_eq!(of, turn);
        result
    }

    async fn call(request: HttpRequest) -> Result<Value, PerformFailure> {
        Self::new().perform(ServerWork::Http(request)).await
    }
}

fn script(language: ScriptLanguage, source: &str, input: Value) -> ServerWork {
    ServerWork::Script { language, source: source.into(), style: ScriptStyle::Expression, input: Arc::new(input) }
}

fn request(method: &str, uri: String, body: Option<Value>) -> HttpRequest {
    HttpRequest {
        method: method.to_owned(),
        uri,
        headers: [("X-Shop".to_owned(), "tea".to_owned())].into(),
        body,
        accept: "application/json".to_owned(),
        content_type: "application/json".to_owned(),
        connect_timeout_ms: 3_000,
        read_timeout_ms: 3_000,
    }
}

#[tokio::test]
async fn scripts_come_to_values_and_faults() {
    let value = Bench::new().perform(script(ScriptLanguage::JavaScript, "$.n * 2", json!({ "n": 21 }))).await;
    assert_eq!(value, Ok(json!(42)));
    let list = Bench::new().perform(script(ScriptLanguage::Jq, ".n, .n + 1", json!({ "n": 1 }))).await;
    assert_eq!(list, Ok(json!([1, 2])));
    let fault = Bench::new().perform(script(ScriptLanguage::JavaScript, "throw new Error('no tea')", json!({}))).await;
    let fault = fault.unwrap_err();
    assert!(fault.terminal && fault.message.starts_with("Error: no tea"), "{fault:?}");
}

#[tokio::test]
async fn a_request_is_sent_as_defined_and_its_response_read() {
    let (uri, mut requests) =
        server("HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 26\r\nconnection: close\r\n\r\n{\"id\":9007199254740993   }").await;
    let response = Bench::call(request("POST", uri, Some(json!({ "kind": "green" })))).await.unwrap();
    let sent = requests.recv().await.unwrap().to_ascii_lowercase();
    assert!(sent.starts_with("post /things http/1.1\r\n"), "{sent}");
    for part in
        ["x-shop: tea\r\n", "accept: application/json\r\n", "content-type: application/json\r\n", "{\"kind\":\"green\"}"]
    {
        assert!(sent.contains(part), "{part} is not in {sent}");
    }
    assert_eq!(response["statusCode"], 201);
    assert_eq!(response["reasonPhrase"], "Created");
    assert_eq!(response["headers"]["Content-Type"], json!(["application/json"]));
    assert_eq!(response["headers"]["Set-Cookie"], json!(["a=1", "b=2"]));
    assert_eq!(response["body"].to_string(), "{\"id\":9007199254740993}");
}

#[tokio::test]
async fn a_request_that_cannot_be_answered_says_why() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = Bench::call(request("GET", format!("http://{nobody}/?token=hush"), None)).await.unwrap_err();
    assert!(!refused.terminal && refused.message.to_lowercase().contains("connection refused"), "{refused:?}");
    assert!(!refused.message.contains("hush"), "{refused:?}");
    let odd = Bench::call(request("GET", "file:///etc/passwd".to_owned(), None)).await.unwrap_err();
    assert!(odd.terminal && odd.message.contains("only http: and https:"), "{odd:?}");
    let (silent, _requests) = server("").await;
    let mut patient = request("GET", silent, None);
    (patient.connect_timeout_ms, patient.read_timeout_ms) = (50, 50);
    assert!(!Bench::call(patient).await.unwrap_err().terminal);
    let (endless, _requests) =
        server("HTTP/1.1 302 Found\r\nlocation: /things\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    let endless = Bench::call(request("GET", endless, None)).await.unwrap_err();
    assert!(endless.message.contains("redirects"), "{endless:?}");
    let (large, _requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").await;
    let large = Bench::call(request("GET", large, None)).await.unwrap_err();
    assert!(large.terminal && large.message.contains("larger than"), "{large:?}");
}

/// The output of a workflow that is started and runs to its end.
async fn output_of(world: &World, definition: Value) -> Value {
    let name = definition["name"].as_str().unwrap().to_owned();
    world.define(json!([]), definition).await;
    let run = world.start(&name).await;
    world.until(run, "the end", |workflow, _| workflow.status.is_terminal()).await;
    let workflow = world.workflow(run).await;
    assert_eq!(workflow.status, WorkflowStatus::Completed, "{:?} {:#?}", workflow.reason, world.tasks(run).await);
    Value::clone(&workflow.output)
}

#[tokio::test]
async fn scripts_of_every_kind_run_in_one_workflow() {
    let world = World::new();
    let step = |kind: &str, reference: &str, more: Value| {
        let mut step = json!({ "name": reference, "taskReferenceName": reference, "type": kind });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    };
    let definition = json!({ "name": "scripts", "tasks": [
        step("INLINE", "sum", json!({ "inputParameters": { "evaluatorType": "graaljs", "a": 1, "b": 2,
            "expression": "(function () { return $.a + $.b; })()" } })),
        step("LAMBDA", "big", json!({ "inputParameters": { "n": "${sum.output.result}",
            "scriptExpression": "if ($.n > 2) { return { big: true }; } else { return { big: false }; }" } })),
        step("JSON_JQ_TRANSFORM", "jq", json!({ "inputParameters": { "list": [3, 1, 2], "queryExpression": ".list | sort | .[0], length" } })),
        step("DO_WHILE", "loop", json!({ "loopCondition": "if ( $.loop.iteration < 3 ) { true; } else { false; }",
            "loopOver": [step("INLINE", "in", json!({ "inputParameters": { "i": "${loop.output.iteration}", "expression": "$.i" } }))] })),
        step("SWITCH", "way", json!({ "evaluatorType": "javascript", "expression": "$.big ? 'large' : 'small'",
            "inputParameters": { "big": "${big.output.result.big}" },
            "decisionCases": { "large": [step("SET_VARIABLE", "set", json!({ "inputParameters": { "went": "large" } }))] } })),
    ], "outputParameters": { "sum": "${sum.output.result}", "first": "${jq.output.result}", "list": "${jq.output.resultList}",
        "rounds": "${loop.output.iteration}", "went": "${workflow.variables.went}" } });
    let output = output_of(&world, definition).await;
    assert_eq!(output, json!({ "sum": 3, "first": 1, "list": [1, 3], "rounds": 3, "went": "large" }));
}

#[tokio::test]
async fn a_script_without_end_fails_its_step_and_holds_up_nobody() {
    let world = World::new();
    world.define(json!([]), one_step(json!({ "type": "INLINE", "inputParameters": { "expression": "for (;;) {}" } }))).await;
    let endless = world.start("flow").await;
    let quick = json!({ "name": "quick", "tasks": [{ "name": "q", "taskReferenceName": "q", "type": "INLINE",
        "inputParameters": { "expression": "1" } }] });
    output_of(&world, quick).await;
    world.until(endless, "the end", |workflow, _| workflow.status == WorkflowStatus::Failed).await;
    assert!(world.tasks(endless).await[0].reason.as_deref().unwrap_or_default().contains("did not end within"));
}

#[tokio::test]
async fn an_http_step_calls_and_its_response_goes_on() {
    let world = World::new();
    let (uri, _requests) = server(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{\"tea\":1}",
    )
    .await;
    let definition =
        one_step(json!({ "type": "HTTP", "inputParameters": { "http_request": { "uri": uri, "method": "GET" } } }));
    let output = output_of(&world, definition).await;
    assert_eq!(output["out"]["response"]["statusCode"], 200);
    assert_eq!(output["out"]["response"]["body"], json!({ "tea": 1 }));
}

#[tokio::test]
async fn an_event_step_reaches_a_handler_through_the_internal_queue() {
    let world = World::new();
    world.define(json!([]), super::two_steps()).await;
    let handler = json!({ "name": "h", "event": "conductor:flow:orders", "active": true, "actions": [
        { "action": "start_workflow", "start_workflow": { "name": "two_steps", "correlationId": "${workflowInstanceId}" } }] });
    let handler = serde_json::from_value(handler).unwrap();
    world.app.put_event_handlers(&tenant(), vec![handler], conductor_store::Putting::New).await.unwrap();
    let output = output_of(&world, one_step(json!({ "type": "EVENT", "sink": "conductor:orders" }))).await;
    assert_eq!(output["out"]["event_produced"], "conductor:flow:orders");
    let filter = conductor_store::WorkflowFilter { name: Some("two_steps".to_owned()), ..Default::default() };
    let page = conductor_store::Page { before: None, offset: 0, limit: 10 };
    let started = world.app.read(move |store| store.workflows(&tenant(), &filter, page)).await.unwrap();
    assert_eq!(started.len(), 1);
    assert_eq!(started[0].correlation_id.as_deref(), output["out"]["workflowInstanceId"].as_str());
}

#[tokio::test]
async fn what_was_under_way_at_a_crash_is_performed_again() {
    let world = World::new();
    let (uri, mut requests) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hang = format!("http://{}/", silent.local_addr().unwrap());
    let step = json!({ "type": "HTTP", "inputParameters": { "http_request": { "uri": "${workflow.input.uri}", "method": "GET", "readTimeOut": 60000 } } });
    world.define(json!([]), one_step(step)).await;
    let command = |uri: String| crate::app::StartCommand {
        name: "flow".to_owned(),
        input: json!({ "uri": uri }).as_object().unwrap().clone(),
        ..Default::default()
    };
    let hanging = world.app.start_workflow(&tenant(), command(hang)).await.unwrap();
    let (first, _) = tokio::time::timeout(PATIENCE, silent.accept()).await.unwrap().unwrap();
    let world = world.restarted();
    let (second, _) = tokio::time::timeout(PATIENCE, silent.accept()).await.expect("it calls again").unwrap();
    drop((first, second, hanging));
    let done = world.app.start_workflow(&tenant(), command(uri)).await.unwrap();
    world.until(done, "the end", |workflow, _| workflow.status == WorkflowStatus::Completed).await;
    assert!(requests.recv().await.is_some());
}
