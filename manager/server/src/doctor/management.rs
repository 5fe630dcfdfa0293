//! What RabbitMQ says of itself through its management API, by which the manager makes accounts for agents.

use std::time::Duration;

use conductor_boot::doctor::Findings;
use conductor_boot::report;
use reqwest::{Certificate, Client, StatusCode, Url};
use serde_json::Value;

use crate::accounts::broker_authority;
use crate::config::{AgentAccounts, Settings};

/// Longest wait for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
const MEND: &str = "conductor-manager setup, which mends RabbitMQ's settings and accounts on this host";

/// Looks at RabbitMQ from within, where the manager may.
pub(super) async fn examine(settings: &Settings, findings: &mut Findings) {
    let broker = &settings.broker;
    let (Some(base), Ok(url)) = (&broker.management_url, Url::parse(broker.url.expose())) else { return };
    let text = |coded: &str| percent_encoding::percent_decode_str(coded).decode_utf8_lossy().into_owned();
    let account = (text(url.username()), text(url.password().unwrap_or_default()));
    // One that cannot be read is told among the certificates.
    let own = std::fs::read_to_string(settings.pki_dir().join("ca.crt")).unwrap_or_default();
    let authority = broker_authority(broker.ca_file.as_deref(), &own).ok();
    let authority = authority.and_then(|pem| Certificate::from_pem(pem.as_bytes()).ok());
    let Ok(http) = Client::builder().no_proxy().timeout(ANSWER_MAX).tls_certs_only(authority).build() else { return };
    look(&Api { http, base: base.trim_end_matches('/').to_owned(), account }, broker.agent_accounts, findings).await;
}

struct Api {
    http: Client,
    base: String,
    account: (String, String),
}

impl Api {
    async fn get(&self, path: &str) -> Result<(StatusCode, Value), reqwest::Error> {
        let (user, password) = &self.account;
        let answer = self.http.get(format!("{}/api/{path}", self.base)).basic_auth(user, Some(password)).send().await?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or_default()))
    }
}

async fn look(api: &Api, accounts: AgentAccounts, findings: &mut Findings) {
    let what = "management API";
    let nodes = match api.get("nodes").await {
        Ok((StatusCode::OK, nodes)) => {
            findings.good(what, format!("answers at {}", api.base));
            nodes
        }
        Ok((status, _)) => {
            let seen = format!("{}: it answers {status} to the manager's account, which must be an administrator", api.base);
            return findings.bad(what, seen, MEND);
        }
        Err(error) => {
            let fix = "rabbitmq-plugins enable rabbitmq_management, or set broker.management_url to where it is; until then no \
                       agent can join or be revoked";
            return findings.bad(what, format!("{}: {}", api.base, report(&error)), fix);
        }
    };
    for node in nodes.as_array().into_iter().flatten() {
        alarms(node, findings);
        if accounts == AgentAccounts::Certificate {
            certificates(node, findings);
        }
    }
    match api.get("users/guest").await {
        Ok((StatusCode::NOT_FOUND, _)) => findings.good("guest", "there is no account whose password everybody knows"),
        Ok((StatusCode::OK, _)) => {
            let seen = "RabbitMQ has the account `guest`, whose password everybody knows";
            findings.bad("guest", seen, "rabbitmqctl delete_user guest");
        }
        Ok((status, _)) => findings.warning("guest", format!("cannot be looked at: {status}"), MEND),
        Err(error) => findings.warning("guest", format!("cannot be looked at: {}", report(&error)), MEND),
    }
}

/// With an alarm RabbitMQ takes no messages from anybody.
fn alarms(node: &Value, findings: &mut Findings) {
    let name = node["name"].as_str().unwrap_or("RabbitMQ");
    let mut is_well = true;
    for (flag, short, fix) in [
        ("mem_alarm", "memory", "give RabbitMQ's host more memory, or find what fills its queues: rabbitmqctl list_queues"),
        ("disk_free_alarm", "disk space", "make room on RabbitMQ's disk"),
    ] {
        if node[flag] == true {
            is_well = false;
            findings.bad("alarms", format!("{name} is short of {short} and takes no messages"), fix);
        }
    }
    if is_well {
        findings.good("alarms", format!("{name} has none"));
    }
}

/// Agents log in with their certificates.
fn certificates(node: &Value, findings: &mut Findings) {
    let is_on = |mechanism: &Value| mechanism["name"] == "EXTERNAL" && mechanism["enabled"] == true;
    if node["auth_mechanisms"].as_array().is_some_and(|all| all.iter().any(is_on)) {
        findings.good("agents' login", "RabbitMQ takes agents' certificates (EXTERNAL)");
    } else {
        let seen = "RabbitMQ does not take certificates (EXTERNAL), so that no agent gets in";
        findings.bad("agents' login", seen, format!("rabbitmq-plugins enable rabbitmq_auth_mechanism_ssl; {MEND}"));
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use axum::response::{IntoResponse, Response};
    use axum::{Json, Router};
    use conductor_boot::doctor::Health;
    use serde_json::json;

    use super::*;

    /// What is found where RabbitMQ says this of its node, and has a guest or not.
    async fn found(node: Value, has_guest: bool) -> Vec<(&'static str, Health)> {
        let answer = move |uri: Uri| {
            let answer: Response = match uri.path() {
                "/api/nodes" => Json(json!([node])).into_response(),
                "/api/users/guest" if has_guest => Json(json!({"name": "guest"})).into_response(),
                _ => StatusCode::NOT_FOUND.into_response(),
            };
            std::future::ready(answer)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        examined(base).await
    }

    async fn examined(base: String) -> Vec<(&'static str, Health)> {
        let api = Api { http: Client::builder().no_proxy().build().unwrap(), base, account: Default::default() };
        let mut findings = Findings::default();
        look(&api, AgentAccounts::Certificate, &mut findings).await;
        findings.findings.into_iter().map(|finding| (finding.what, finding.health)).collect()
    }

    #[tokio::test]
    async fn what_keeps_agents_out_or_messages_back_is_told() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let external = json!([{"name": "PLAIN", "enabled": true}, {"name": "EXTERNAL", "enabled": true}]);
        let well = json!({"name": "rabbit@here", "mem_alarm": false, "disk_free_alarm": false, "auth_mechanisms": external});
        let all_good = ["management API", "alarms", "agents' login", "guest"].map(|what| (what, Health::Good));
        assert_eq!(found(well.clone(), false).await, all_good);
        assert!(found(well, true).await.contains(&("guest", Health::Bad)));
        let closed = json!([{"name": "EXTERNAL", "enabled": false}]);
        let ill = found(json!({"name": "rabbit@here", "disk_free_alarm": true, "auth_mechanisms": closed}), false).await;
        assert!(ill.contains(&("alarms", Health::Bad)) && ill.contains(&("agents' login", Health::Bad)), "{ill:?}");
        assert_eq!(examined("http://127.0.0.1:1".to_owned()).await, [("management API", Health::Bad)]);
    }
}
