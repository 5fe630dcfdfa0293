//! Requests as a stranger sends them: any body, any header. For what the typed client would never send.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, Response};
use serde_json::Value;

/// Sends requests to one manager.
#[derive(Clone, Debug)]
pub struct Raw {
    http: reqwest::Client,
    base: String,
    token: String,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Value,
    /// The media type.
    pub media_type: String,
}

impl Raw {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        conductor_client::install_tls_provider();
        Self { http: reqwest::Client::new(), base: base.to_owned(), token: token.to_owned() }
    }

    /// A request to `path`, with the token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.stranger(method, path).header(AUTHORIZATION, format!("Bearer {}", self.token))
    }

    /// A request to `path`, without a token.
    pub fn stranger(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a body of a media type.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, method: Method, path: &str, media_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(method, path).header(CONTENT_TYPE, media_type).body(body);
        Answer::read(request.send().await.expect("the manager answers")).await
    }

    /// Sends JSON.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(method, path, "application/json", body.to_string()).await
    }

    /// Gets a page.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Answer {
        Answer::read(self.request(Method::GET, path).send().await.expect("the manager answers")).await
    }
}

impl Answer {
    /// Reads a response to its end.
    ///
    /// # Panics
    /// When it is cut off.
    pub async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let media_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let text = response.text().await.expect("the answer is whole");
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, text, json, media_type }
    }
}
