//! Requests to one host: never more than its places, in their order, and none of the others' business.

use std::sync::atomic::{AtomicUsize, Ordering};

use conductor_model::WorkflowStatus;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

use super::*;

/// A request that came, which is answered when this is dropped.
struct Call {
    path: String,
    _answer: oneshot::Sender<()>,
}

/// A host that answers when the test says so.
struct Host {
    address: String,
    calls: mpsc::UnboundedReceiver<Call>,
    /// How many requests it had at most at once.
    most: Arc<AtomicUsize>,
}

impl Host {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (heard, calls) = mpsc::unbounded_channel();
        let (most, now) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let host = Self { address, calls, most: Arc::clone(&most) };
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (heard, most, now) = (heard.clone(), Arc::clone(&most), Arc::clone(&now));
                tokio::spawn(async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let mut request = [0; 4096];
                    let length = socket.read(&mut request).await.unwrap_or(0);
                    let text = String::from_utf8_lossy(&request[..length]).into_owned();
                    let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                    let (answer, answered) = oneshot::channel();
                    let _ = heard.send(Call { path, _answer: answer });
                    let _ = answered.await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    let response = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    let _ = socket.write_all(response.as_bytes()).await;
                });
            }
        });
        host
    }

    async fn call(&mut self) -> Call {
        tokio::time::timeout(PATIENCE, self.calls.recv()).await.expect("a request comes").unwrap()
    }
}

/// A manager that sends so many requests to a host at once, with a workflow `calls` whose step is called `step`.
async fn manager(store: Arc<dyn Store>, most: usize) -> World {
    let world = World::with(store, |settings| settings.limits.http_requests_per_host = most);
    world.define(json!([]), calling("calls", "step")).await;
    world
}

fn calling(name: &str, step: &str) -> Value {
    let request =
        json!({ "uri": "http://${workflow.input.address}/${workflow.input.n}", "method": "GET", "readTimeOut": 60_000 });
    json!({ "name": name, "tasks": [{ "name": step, "taskReferenceName": "s", "type": "HTTP", "inputParameters": request }] })
}

async fn call(world: &World, name: &str, host: &Host, n: usize) -> WorkflowId {
    let input = json!({ "address": host.address, "n": n }).as_object().unwrap().clone();
    let command = StartCommand { name: name.to_owned(), input, ..StartCommand::default() };
    world.app.start_workflow(&tenant(), command).await.unwrap()
}

async fn completes(world: &World, id: WorkflowId) {
    world.until(id, "its end", |workflow, _| workflow.status == WorkflowStatus::Completed).await;
}

#[tokio::test]
async fn a_host_that_does_not_answer_holds_up_no_other_and_is_asked_again_in_order() {
    let (mut slow, mut quick) = (Host::new().await, Host::new().await);
    let world = manager(Arc::new(MemoryStore::new()), 2).await;
    // More than there are places for all hosts together.
    for n in 0..260 {
        call(&world, "calls", &slow, n).await;
    }
    let mut out = std::collections::VecDeque::from([slow.call().await, slow.call().await]);
    let other = call(&world, "calls", &quick, 0).await;
    drop(quick.call().await);
    completes(&world, other).await;
    for n in 2..20 {
        out.pop_front();
        let next = slow.call().await;
        assert_eq!(next.path, format!("/{n}"));
        out.push_back(next);
    }
    assert_eq!(slow.most.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_request_that_is_not_wanted_any_more_gives_its_turn_to_the_next() {
    let mut host = Host::new().await;
    let world = manager(Arc::new(MemoryStore::new()), 1).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(call(&world, "calls", &host, n).await);
    }
    let first = host.call().await;
    world.app.terminate_workflow(&tenant(), ids[1], None).await.unwrap();
    drop(first);
    assert_eq!(host.call().await.path, "/2");
    completes(&world, ids[2]).await;
}

#[tokio::test]
async fn what_waits_for_its_host_keeps_no_place_under_the_limit_of_its_name() {
    let (mut slow, mut quick) = (Host::new().await, Host::new().await);
    let world = manager(Arc::new(MemoryStore::new()), 1).await;
    world.define(json!([{ "name": "limited", "concurrentExecLimit": 1 }]), calling("limited_calls", "limited")).await;
    call(&world, "calls", &slow, 0).await;
    let at_slow = slow.call().await;
    call(&world, "limited_calls", &quick, 1).await;
    let at_quick = quick.call().await;
    let waits = call(&world, "limited_calls", &slow, 2).await;
    let goes = call(&world, "limited_calls", &quick, 3).await;
    drop(at_quick);
    let at_quick = quick.call().await;
    assert_eq!(at_quick.path, "/3");
    // Its host has a place now, and its name has none: when that is free, it goes.
    drop(at_slow);
    drop(at_quick);
    completes(&world, goes).await;
    assert_eq!(slow.call().await.path, "/2");
    completes(&world, waits).await;
}

#[tokio::test]
async fn requests_that_waited_for_their_host_when_the_manager_ended_are_sent_by_the_next() {
    let mut host = Host::new().await;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let world = manager(Arc::clone(&store), 1).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(call(&world, "calls", &host, n).await);
    }
    let unanswered = host.call().await;
    world.app.stop();
    let world = manager(store, 1).await;
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(host.call().await.path, format!("/{n}"));
        completes(&world, id).await;
    }
    drop(unanswered);
}
