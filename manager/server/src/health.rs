//! Asking a manager on this host how it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::{Certificate, Client};
use serde_json::Value;

use crate::config::Settings;

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where a manager with these settings is reached from its own host.
pub(crate) fn own_address(settings: &Settings) -> SocketAddr {
    let ip = settings.listen.ip();
    let ip = if ip.is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { ip };
    SocketAddr::new(ip, settings.listen.port())
}

/// What the manager with these settings answers to `/health`. Over TLS it must show a certificate of `authority_pem`.
pub(crate) async fn ask(settings: &Settings, authority_pem: &str) -> Result<Value, reqwest::Error> {
    let address = own_address(settings);
    let builder = Client::builder().no_proxy().timeout(ANSWER_MAX);
    let (http, url) = if settings.tls.enabled {
        let authority = Certificate::from_pem(authority_pem.as_bytes())?;
        // By a name that is in its certificate, whatever the name service of this host makes of it.
        let name = settings.server_names().into_iter().next().unwrap_or_default();
        let url = format!("https://{name}:{}/health", address.port());
        (builder.tls_certs_only([authority]).resolve(&name, address), url)
    } else {
        (builder, format!("http://{address}/health"))
    };
    http.build()?.get(url).send().await?.json().await
}
