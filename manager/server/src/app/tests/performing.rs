//! What the manager does itself: scripts and requests, from the definition to the next step.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use conductor_engine::{HttpRequest, PerformFailure, ScriptLanguage, ScriptStyle, ServerWork};
use conductor_model::{TaskId, WorkflowId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{PATIENCE, tenant};
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
    assert_eq!(paths, ["tasks[0].expression", "tasks[0].decisionCases.a[0].inputParameters.queryExpression"]);
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
        self.performers.perform(Job { tenant: tenant(), turn, work });
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
