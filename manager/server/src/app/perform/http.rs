//! Requests of HTTP steps.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use conductor_engine::{HttpRequest, PerformFailure};
use conductor_model::json::depth;
use conductor_model::limits::{JSON_DEPTH_MAX, TASK_PAYLOAD_BYTES_MAX};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url, redirect};
use serde_json::{Map, Value, json};

use super::{terminal, transient};

/// Redirects followed at most.
const REDIRECTS_MAX: usize = 10;
/// Largest body of a response in bytes: what is around it must fit into a task's output too.
const RESPONSE_BYTES_MAX: usize = TASK_PAYLOAD_BYTES_MAX - 64 * 1024;
/// Longest wait that a definition may ask for, in ms.
const TIMEOUT_MS_MAX: u64 = 600_000;
/// Clients kept, one for each time to connect; beyond, all are dropped.
const CLIENTS_MAX: usize = 16;

/// Clients by their time to connect, in ms: it cannot be set for a single request.
#[derive(Debug, Default)]
pub(super) struct Requests {
    clients: Mutex<HashMap<u64, Client>>,
}

/// The server that a request goes to, as in `example.com:443`; `None` for a uri that cannot be called.
pub(in crate::app) fn authority(uri: &str) -> Option<String> {
    let url: Url = uri.parse().ok()?;
    Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
}

impl Requests {
    /// Sends a request and reads the response: `{statusCode, reasonPhrase, headers, body}`.
    pub(super) async fn send(&self, request: HttpRequest) -> Result<Value, PerformFailure> {
        let url: Url = request.uri.parse().map_err(|error| terminal(format!("the uri is no URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(terminal(format!("the uri begins with {}:; only http: and https: can be called", url.scheme())));
        }
        let host = url.host_str().unwrap_or_default().to_owned();
        let what = format!("{} to {host}", request.method);
        let method: Method = request.method.parse().map_err(|_| terminal(format!("{} is no HTTP method", request.method)))?;
        let connect = request.connect_timeout_ms.clamp(1, TIMEOUT_MS_MAX);
        let read = request.read_timeout_ms.clamp(1, TIMEOUT_MS_MAX);
        let client = self.client(connect)?;
        let mut sending = client.request(method, url).headers(headers(&request)?);
        if let Some(body) = &request.body {
            sending = sending.body(match body {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
        }
        let whole = async {
            let response = sending.send().await.map_err(|error| failed(&what, error))?;
            read_response(&what, response).await
        };
        match tokio::time::timeout(Duration::from_millis(connect + read), whole).await {
            Ok(result) => result,
            Err(_) => Err(transient(format!("{what}: no response within {read} ms"))),
        }
    }

    fn client(&self, connect_ms: u64) -> Result<Client, PerformFailure> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&connect_ms) {
            return Ok(client.clone());
        }
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        // The process's provider of TLS; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(Duration::from_millis(connect_ms))
            .redirect(redirect::Policy::limited(REDIRECTS_MAX))
            .user_agent(concat!("conductor/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| transient(format!("no HTTP client: {}", chain(&error))))?;
        clients.insert(connect_ms, client.clone());
        Ok(client)
    }
}

fn headers(request: &HttpRequest) -> Result<HeaderMap, PerformFailure> {
    let mut headers = HeaderMap::new();
    let value = |name: &str, text: &str| {
        HeaderValue::from_str(text).map_err(|_| terminal(format!("the value of header {name} holds what headers cannot")))
    };
    if !request.accept.is_empty() {
        headers.insert(ACCEPT, value("Accept", &request.accept)?);
    }
    if request.body.is_some() && !request.content_type.is_empty() {
        headers.insert(CONTENT_TYPE, value("Content-Type", &request.content_type)?);
    }
    for (name, text) in &request.headers {
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| terminal(format!("{name:?} is no header's name")))?;
        headers.insert(key, value(name, text)?);
    }
    Ok(headers)
}

async fn read_response(what: &str, mut response: reqwest::Response) -> Result<Value, PerformFailure> {
    let status = response.status();
    let too_large = || terminal(format!("{what}: the response is larger than {RESPONSE_BYTES_MAX} bytes"));
    if response.content_length().is_some_and(|length| length > RESPONSE_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut headers = Map::new();
    for (name, value) in response.headers() {
        let text = Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned());
        let values = headers.entry(title_case(name.as_str())).or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(values) = values {
            values.push(text);
        }
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(what, error))? {
        if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(json!({
        "statusCode": status.as_u16(),
        "reasonPhrase": status.canonical_reason().unwrap_or_default(),
        "headers": headers,
        "body": parse(body),
    }))
}

/// JSON where it can be read as such, else a text; nothing is null.
fn parse(body: Vec<u8>) -> Value {
    if body.trim_ascii().is_empty() {
        return Value::Null;
    }
    match serde_json::from_slice::<Value>(&body) {
        Ok(value) if depth(&value) <= JSON_DEPTH_MAX => value,
        _ => Value::String(match String::from_utf8(body) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        }),
    }
}

/// `content-type` as people write it: `Content-Type`. Expressions name headers so.
fn title_case(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|letter| {
            let shown = if upper { letter.to_ascii_uppercase() } else { letter };
            upper = letter == '-';
            shown
        })
        .collect()
}

/// Why there is no response. The URL is left out: it may hold what must not be stored.
fn failed(what: &str, error: reqwest::Error) -> PerformFailure {
    let error = error.without_url();
    if error.is_timeout() {
        return transient(format!("{what}: the connection did not come up in time, or broke off"));
    }
    if error.is_redirect() {
        return transient(format!("{what}: more than {REDIRECTS_MAX} redirects, or one that cannot be followed"));
    }
    transient(format!("{what}: {}", chain(&error)))
}

/// An error with its causes.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_named_as_people_write_them() {
        assert_eq!(title_case("content-type"), "Content-Type");
        assert_eq!(title_case("x-request-id"), "X-Request-Id");
    }

    #[test]
    fn a_server_is_the_same_however_its_uris_are_written() {
        for uri in ["https://Example.com/a", "https://u:p@example.com:443/b?c", "https://example.com#d"] {
            assert_eq!(authority(uri).as_deref(), Some("example.com:443"), "{uri}");
        }
        assert_eq!(authority("http://example.com").as_deref(), Some("example.com:80"));
        assert_eq!(authority("http://[::1]:8080/").as_deref(), Some("[::1]:8080"));
        assert_eq!(authority("example.com"), None);
    }

    #[test]
    fn a_body_is_json_where_it_can_be() {
        assert_eq!(parse(b"{\"n\": 9007199254740993}".to_vec()).to_string(), "{\"n\":9007199254740993}");
        assert_eq!(parse(b"plain".to_vec()), json!("plain"));
        assert_eq!(parse(b" ".to_vec()), Value::Null);
        assert_eq!(parse(b"\xff\xfe".to_vec()), json!("\u{fffd}\u{fffd}"));
        let deep = "[".repeat(120) + &"]".repeat(120);
        assert_eq!(parse(deep.clone().into_bytes()), json!(deep));
    }
}
