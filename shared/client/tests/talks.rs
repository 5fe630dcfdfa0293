//! The client against a server that is told what to answer, byte for byte.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use conductor_client::{Client, ClientError, EventQuery, StartRequest, install_tls_provider};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one connection after another with the next of `answers`, and gives back what was asked.
async fn serve(answers: Vec<String>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let mut byte = [0; 1];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.unwrap() > 0 {
                request.push(byte[0]);
            }
            asked.push(String::from_utf8(request).unwrap());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        asked
    });
    (url, served)
}

fn answer(status: &str, media_type: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn event(id: u64) -> String {
    format!(
        "id: {id}\nevent: task.started\ndata: {{\"id\":{id},\"tenant\":\"default_tenant\",\"at\":{id},\"kind\":\"task.started\",\"data\":{{}}}}\n\n"
    )
}

fn stream(body: &str) -> String {
    answer("200 OK", "text/event-stream", body)
}

fn client(url: &str) -> Client {
    install_tls_provider();
    Client::new(url, Some("secret")).unwrap()
}

#[tokio::test]
async fn a_lost_event_stream_goes_on_where_it_was_cut() {
    let cut = event(3);
    let answers = vec![
        stream(&format!("{}{}{}", event(1), event(2), &cut[..cut.len() / 2])),
        answer("503 Service Unavailable", "application/problem+json", r#"{"code":"starting","detail":"not yet"}"#),
        stream(&format!("{}{}", event(3), event(4))),
    ];
    let (url, served) = serve(answers).await;
    let mut events = client(&url).events(EventQuery::default()).await.unwrap();
    for id in 1..=4 {
        assert_eq!(events.next().await.unwrap().id, id, "in order, none twice, none missing");
    }
    let asked = served.await.unwrap();
    assert!(asked[0].starts_with("GET /api/v1/events HTTP"), "{}", asked[0]);
    assert!(asked[2].starts_with("GET /api/v1/events?after=2 HTTP"), "{}", asked[2]);
}

#[tokio::test]
async fn a_stream_without_events_yet_resumes_behind_the_id_it_was_told() {
    let (url, served) = serve(vec![stream("id: 41\n: hello\n\n"), stream(&event(42))]).await;
    let mut events = client(&url).events(EventQuery::default()).await.unwrap();
    assert_eq!(events.next().await.unwrap().id, 42);
    assert!(served.await.unwrap()[1].contains("?after=41"));
}

#[tokio::test]
async fn a_stream_that_is_refused_ends_with_the_refusal() {
    let refused =
        answer("401 Unauthorized", "application/problem+json", r#"{"code":"unauthenticated","detail":"who are you"}"#);
    let (url, served) = serve(vec![refused]).await;
    let error = client(&url).events(EventQuery::default()).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(401), Some("unauthenticated")));
    assert!(error.hint().contains("CONDUCTOR_TOKEN"));
    assert!(served.await.unwrap()[0].to_lowercase().contains("authorization: bearer secret"));
}

#[tokio::test]
async fn a_start_answers_with_the_id_as_text() {
    let id = "0198c2a4-4f5e-7cc2-9d5c-3c9f6a1b2c3d";
    let (url, served) = serve(vec![answer("200 OK", "text/plain", id), answer("200 OK", "text/html", "<html>")]).await;
    let client = client(&url);
    let request = StartRequest { name: "w".to_owned(), ..StartRequest::default() };
    assert_eq!(client.start(&request).await.unwrap().to_string(), id);
    let error = client.start(&request).await.unwrap_err();
    assert!(matches!(error, ClientError::Answer { .. }), "{error}");
    assert!(served.await.unwrap()[0].starts_with("POST /api/workflow HTTP"));
}

#[tokio::test]
async fn what_is_not_there_is_none_and_no_error() {
    let missing = answer("404 Not Found", "application/json", r#"{"status":404,"message":"No such task definition"}"#);
    let (url, served) = serve(vec![missing]).await;
    assert!(client(&url).task_def("a/b").await.unwrap().is_none());
    assert!(served.await.unwrap()[0].starts_with("GET /api/metadata/taskdefs/a%2Fb HTTP"));
}

#[tokio::test]
async fn nobody_there_is_temporary() {
    install_tls_provider();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Client::new(&url, None).unwrap().health().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }) && error.is_temporary());
}

#[test]
fn a_file_without_certificates_names_no_authority() {
    install_tls_provider();
    let error = Client::trusting("https://127.0.0.1:1", None, b"not a certificate\n").unwrap_err();
    assert!(matches!(error, ClientError::NoAuthority), "{error}");
    assert!(error.hint().contains("BEGIN CERTIFICATE"), "{}", error.hint());
}
