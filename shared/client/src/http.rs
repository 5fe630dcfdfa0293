//! Requests and answers, the same for every door.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Certificate, Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{ClientError, Refusal};
use crate::limits::{ANSWER_BYTES_MAX, CONNECT_TIMEOUT, ERROR_BODY_BYTES_MAX, REQUEST_TIMEOUT};

/// A connection pool to one manager. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// Installs the TLS provider of this process, if it has none yet.
pub fn install_tls_provider() {
    // An error says that another part of the program was first, with the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// One request on its way: method, path, and what goes with it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) request: reqwest::RequestBuilder,
    name: String,
    base: String,
}

impl Client {
    /// A client of the manager at `url`, as in `http://127.0.0.1:53333`; a trailing `/api`, as Conductor SDKs have it, is
    /// taken off. Nothing is sent yet.
    ///
    /// # Errors
    /// When `url` is no address, `token` cannot be sent, or no TLS provider was installed.
    pub fn new(url: &str, token: Option<&str>) -> Result<Self, ClientError> {
        Self::build(url, token, None)
    }

    /// The same for a manager whose certificate was issued by one of the authorities in `ca_pem`, and by no other.
    ///
    /// # Errors
    /// As [`Client::new`], and when there is no certificate in `ca_pem`.
    pub fn trusting(url: &str, token: Option<&str>, ca_pem: &[u8]) -> Result<Self, ClientError> {
        let certificates = Certificate::from_pem_bundle(ca_pem).map_err(|source| ClientError::Setup { source })?;
        if certificates.is_empty() {
            return Err(ClientError::NoAuthority);
        }
        Self::build(url, token, Some(certificates))
    }

    fn build(url: &str, token: Option<&str>, authorities: Option<Vec<Certificate>>) -> Result<Self, ClientError> {
        let base = parse_base(url)?;
        let mut headers = reqwest::header::HeaderMap::new();
        if let Some(token) = token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::Address {
                text: url.to_owned(),
                reason: "the token has characters that cannot be sent".to_owned(),
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let mut builder = reqwest::Client::builder();
        if let Some(authorities) = authorities {
            builder = builder.tls_certs_only(authorities);
        }
        let http = builder
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("conductor-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| ClientError::Setup { source })?;
        Ok(Self { http, base })
    }

    /// The manager's address.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// A request to the path made of `segments`, each escaped, with the query `pairs`.
    pub(crate) fn call(&self, method: Method, segments: &[&str], pairs: &[(&str, String)]) -> Call {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !pairs.is_empty() {
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let name = format!("{method} {}", url.path());
        let request = self.http.request(method, url).timeout(REQUEST_TIMEOUT);
        Call { request, name, base: self.base.as_str().trim_end_matches('/').to_owned() }
    }
}

fn parse_base(text: &str) -> Result<Url, ClientError> {
    let address = |reason: String| ClientError::Address { text: text.to_owned(), reason };
    let mut url = Url::parse(text).map_err(|error| address(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(address("it must begin with http:// or https:// and name a host".to_owned()));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/api").unwrap_or(path).to_owned();
    url.set_path(&path);
    url.set_query(None);
    Ok(url)
}

impl Call {
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.request = self.request.timeout(timeout);
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.request = self.request.json(body);
        self
    }

    pub(crate) fn body(mut self, media_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.header(reqwest::header::CONTENT_TYPE, media_type).body(body);
        self
    }

    pub(crate) fn accept(mut self, media_type: &'static str) -> Self {
        self.request = self.request.header(ACCEPT, media_type);
        self
    }

    /// Method and path, for messages.
    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// Sends the request; the answer's head, if it is a success.
    pub(crate) async fn send(self) -> Result<Response, ClientError> {
        let Self { request, name, base } = self;
        let response = request.send().await.map_err(|source| ClientError::Unreachable { url: base.clone(), source })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read_body(response, ERROR_BODY_BYTES_MAX, &name).await.unwrap_or_default();
        Err(ClientError::Refused(Box::new(Refusal::read(name, status.as_u16(), &body))))
    }

    /// The answer as JSON; no content counts as `null`.
    pub(crate) async fn read<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let name = self.name();
        let body = self.bytes().await?;
        let body = if body.is_empty() { Bytes::from_static(b"null") } else { body };
        serde_json::from_slice(&body).map_err(|error| ClientError::Answer { request: name, reason: error.to_string() })
    }

    /// The answer as text, without quotes where it is a JSON string.
    pub(crate) async fn text(self) -> Result<String, ClientError> {
        let body = self.bytes().await?;
        let text = String::from_utf8_lossy(&body).trim().to_owned();
        Ok(serde_json::from_str(&text).unwrap_or(text))
    }

    /// The answer does not matter, only that it is a success.
    pub(crate) async fn done(self) -> Result<(), ClientError> {
        self.bytes().await.map(drop)
    }

    /// The answer's body.
    pub(crate) async fn bytes(self) -> Result<Bytes, ClientError> {
        let name = self.name();
        let response = self.send().await?;
        read_body(response, ANSWER_BYTES_MAX, &name).await
    }
}

async fn read_body(mut response: Response, max: usize, name: &str) -> Result<Bytes, ClientError> {
    let fail = |reason: String| ClientError::Answer { request: name.to_owned(), reason };
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fail(format!("it was cut off: {error}")))? {
        body.extend_from_slice(&chunk);
        if body.len() > max {
            return Err(fail(format!("it is longer than {max} bytes")));
        }
    }
    Ok(body.freeze())
}

/// Turns "there is none" into `None`.
pub(crate) fn optional<T>(result: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for (text, base) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
            ("http://host:1/api", "http://host:1/"),
            ("http://host:1/api/", "http://host:1/"),
            ("https://host/conductor/", "https://host/conductor"),
        ] {
            assert_eq!(parse_base(text).unwrap().as_str(), base);
        }
        for text in ["", "127.0.0.1:8080", "ftp://x", "http://"] {
            assert!(matches!(parse_base(text), Err(ClientError::Address { .. })), "{text:?}");
        }
    }

    #[test]
    fn paths_and_queries_are_escaped() {
        install_tls_provider();
        let client = Client::new("http://h:1/base", None).unwrap();
        let call = client.call(Method::GET, &["api", "a/b c"], &[("q", "x&y".to_owned())]);
        assert_eq!(call.request.build().unwrap().url().as_str(), "http://h:1/base/api/a%2Fb%20c?q=x%26y");
    }
}
