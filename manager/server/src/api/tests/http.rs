//! The same doors over a real connection: what only a socket shows.

use std::time::Duration;

use conductor_model::TenantName;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{House, TOKEN};

/// The house behind a port of its own. The task ends with the test's runtime.
async fn open(house: &House) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = house.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends bytes as they are and reads the answer's head.
async fn talk(address: std::net::SocketAddr, head: &str, body: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}Host: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), socket.read_to_end(&mut answer)).await.expect("no answer came");
    read.expect("the answer was cut off");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_sender_of_a_body_that_is_too_large_gets_to_read_why() {
    let house = House::with(|settings| {
        settings.limits.json_body_bytes = 10_000;
        settings.limits.file_bytes = 10_000;
    });
    let address = open(&house).await;
    let body = vec![b' '; 8 * 1024 * 1024];
    for head in [
        format!("POST /api/workflow HTTP/1.1\r\nContent-Length: {}\r\n", body.len()),
        format!("PUT /resources/blobs/default_tenant/x HTTP/1.1\r\nContent-Length: {}\r\n", body.len()),
    ] {
        let answer = talk(address, &head, &body).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("10000 bytes"), "{answer}");
    }
}

#[tokio::test]
async fn a_chunked_body_without_a_length_is_read() {
    let house = House::new();
    let address = open(&house).await;
    let text = json!([{ "name": "from_js" }]).to_string();
    let (one, two) = text.split_at(5);
    let chunked = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let head = "POST /api/metadata/taskdefs HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n";
    let answer = talk(address, head, chunked.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let kept = house.app.read(|store| store.task_def(&TenantName::default_tenant(), "from_js")).await.unwrap();
    assert!(kept.is_some());
}

#[tokio::test]
async fn an_answer_without_a_body_has_none() {
    let house = House::new();
    let address = open(&house).await;
    let answer = talk(address, "GET /api/tasks/poll/nothing HTTP/1.1\r\n", b"").await;
    assert!(answer.starts_with("HTTP/1.1 204") && answer.ends_with("\r\n\r\n"), "{answer}");
    let upload = "PUT /resources/blobs/default_tenant/f HTTP/1.1\r\nContent-Length: 3\r\n";
    assert!(talk(address, upload, b"abc").await.starts_with("HTTP/1.1 201"));
    let head = talk(address, "HEAD /resources/blobs/default_tenant/f HTTP/1.1\r\n", b"").await;
    assert!(head.contains("content-length: 3") && head.ends_with("\r\n\r\n"), "{head}");
}
