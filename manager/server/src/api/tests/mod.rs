//! The doors as a whole: real requests through all layers, the deciding thread behind them, a store in memory. No broker.

mod auth;
mod bad_input;
mod bulk;
mod compatibility;
mod control;
mod definitions;
mod described;
mod event_handlers;
mod events;
mod files;
mod http;
mod node_instances;
mod operators;
mod packages;
mod pages;
mod plugins;
mod rehearsal;
mod revisions;
pub(super) mod sample;
mod scheduler;
mod synchronous;
mod values;
mod workers;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use conductor_model::TenantName;
use conductor_store::{MemoryStore, Store};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt;

use super::{Metrics, router};
use crate::app::{App, metrics, token_hash};
use crate::broker;
use crate::clock;
use crate::config::Settings;

const TOKEN: &str = "cdt_test";

/// A manager with its doors open and nobody outside.
pub(super) struct House {
    pub(super) app: App,
    router: Router,
    pub(super) shutdown: watch::Sender<bool>,
    pub(super) dir: tempfile::TempDir,
    _broker: broker::Parts,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

impl House {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A house with settings of its own.
    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        change(&mut settings);
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        store.put_token(&token_hash(TOKEN), &TenantName::default_tenant(), "admin", clock::now()).unwrap();
        store.put_token(&token_hash("cdt_other"), &"other".parse().unwrap(), "other-admin", clock::now()).unwrap();
        let numbers = Metrics::default();
        let counted = numbers.register(metrics::Metrics::register);
        let (trust, accounts) = crate::app::trust::Trust::for_tests(&settings);
        let (app, broker) = App::start(&settings, Arc::clone(&store), counted, trust, accounts).unwrap();
        let (shutdown, stopping) = watch::channel(false);
        let router = router(app.clone(), numbers, stopping).unwrap();
        Self { app, router, shutdown, dir, _broker: broker }
    }

    /// Sends a request as it is.
    pub(super) async fn raw(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
    }

    /// The answer's head and its body as a stream.
    pub(super) async fn open(&self, path: &str) -> axum::response::Response {
        self.router.clone().oneshot(request("GET", path).body(Body::empty()).unwrap()).await.unwrap()
    }

    pub(super) async fn send(&self, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.raw(request(method, path).body(body.into()).unwrap()).await
    }

    pub(super) async fn json(&self, method: &str, path: &str, body: Value) -> Answer {
        self.send(method, path, body.to_string()).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, Body::empty()).await
    }

    /// Registers task definitions of these names and a workflow that runs them one after the other.
    pub(super) async fn define_chain(&self, name: &str, tasks: &[&str]) {
        let definitions: Vec<Value> = tasks.iter().map(|task| json!({ "name": task, "retryCount": 0 })).collect();
        self.json("POST", "/api/metadata/taskdefs", json!(definitions)).await.expect(200);
        let steps: Vec<Value> = tasks
            .iter()
            .enumerate()
            .map(|(at, task)| json!({ "name": task, "taskReferenceName": format!("{task}_{at}"), "inputParameters": { "who": "${workflow.input.who}" } }))
            .collect();
        self.json("POST", "/api/metadata/workflow", json!({ "name": name, "tasks": steps, "ownerEmail": "a@b.c" }))
            .await
            .expect(200);
    }

    /// Registers a workflow of these steps.
    pub(super) async fn define(&self, name: &str, steps: Value) {
        let definition = json!({ "name": name, "tasks": steps, "ownerEmail": "a@b.c" });
        self.json("POST", "/api/metadata/workflow?overwrite=true", definition).await.expect(200);
    }

    /// Polls one task of a type and reports on it.
    pub(super) async fn work(&self, task_type: &str, status: &str, output: Value) -> Value {
        let polled = self.get(&format!("/api/tasks/poll/{task_type}?workerid=w")).await.expect(200).json();
        let report = json!({ "taskId": polled["taskId"], "workflowInstanceId": polled["workflowInstanceId"], "status": status, "outputData": output });
        self.json("POST", "/api/tasks", report).await.expect(200);
        polled
    }

    /// A workflow with its tasks.
    pub(super) async fn workflow(&self, id: &str) -> Value {
        self.get(&format!("/api/workflow/{id}?includeTasks=true")).await.expect(200).json()
    }

    pub(super) async fn start(&self, name: &str) -> String {
        self.json("POST", "/api/workflow", json!({ "name": name, "input": { "who": "Bob" } })).await.expect(200).text()
    }
}

/// A request with the admin's token.
pub(super) fn request(method: &str, path: &str) -> axum::http::request::Builder {
    Request::builder().method(method).uri(path).header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
}
