//! What the doctors of manager and agent say of RabbitMQ, with a real one.

use std::fs;
use std::path::Path;
use std::process::Command;

use conductor_e2e::{binary, free_port};
use reqwest::Method;
use serde_json::{Value, json};

use crate::installation::{Installation, agent_command};

/// What a doctor found out about `what`: its health, what was seen, and the fix.
fn finding(mut doctor: Command, what: &str) -> (String, String, String) {
    let output = doctor.args(["doctor", "--output", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let found = report["findings"].as_array().unwrap().iter().find(|finding| finding["what"] == what);
    let found = found.unwrap_or_else(|| panic!("nothing is said of {what}: {report:#}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("health"), text("seen"), text("fix"))
}

/// What is bad, what it says of it, and what mends it.
fn assert_bad((health, seen, fix): (String, String, String), says: &[&str], mends: &str) {
    assert_eq!(health, "bad", "{seen}");
    assert!(says.iter().all(|words| seen.contains(words)), "{says:?} in: {seen}");
    assert!(fix.contains(mends), "{mends:?} in: {fix}");
}

/// The certificate of an authority that nobody here has to do with.
fn strangers_authority(folder: &Path) -> String {
    let (key, certificate) = (folder.join("stranger.key"), folder.join("stranger.crt"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=stranger"]);
    let made = openssl.arg("-keyout").arg(key).arg("-out").arg(&certificate).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    certificate.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_managers_doctor_logs_in_to_rabbitmq_and_tells_each_way_of_failing_apart() {
    let house = Installation::start(3600).await;
    let look = |url: &str, more: &[(&str, &str)]| {
        let mut doctor = Command::new(binary("conductor-manager"));
        doctor.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        doctor.env("CONDUCTOR_LISTEN", format!("127.0.0.1:{}", house.port));
        doctor.env("CONDUCTOR_DATA_DIR", house.folder.path().join("manager"));
        doctor.env("CONDUCTOR_TLS__ADDRESS", format!("https://localhost:{}", house.port));
        doctor.env("CONDUCTOR_BROKER__URL", url).envs(more.iter().copied());
        finding(doctor, "broker")
    };
    let tls = house.tls_port;
    let plain_url = house.node.url("%2f");
    let right = format!("amqps://guest:guest@localhost:{tls}/%2f");
    let (health, seen, fix) = look(&right, &[]);
    assert_eq!((health.as_str(), fix.as_str()), ("good", ""), "{seen}");
    assert!(seen.starts_with("lets the manager in at amqps://") && !seen.contains("guest:guest"), "{seen}");
    assert_eq!(look(&plain_url, &[]).0, "good", "where it speaks plain text as well");

    let wrong_word = format!("amqps://guest:wrong-word@localhost:{tls}/%2f");
    let refused = look(&wrong_word, &[]);
    assert!(!refused.1.contains("wrong-word"), "no password is shown: {}", refused.1);
    assert_bad(refused, &["does not let the manager in", "ACCESS_REFUSED"], "rabbitmqctl list_users");
    let no_vhost = look(&format!("amqps://guest:guest@localhost:{tls}/nowhere"), &[]);
    assert_bad(no_vhost, &["does not let the manager in", "nowhere"], "rabbitmqctl list_vhosts");

    let nobody = look(&format!("amqps://guest:guest@localhost:{}/%2f", free_port()), &[]);
    assert_bad(nobody, &["refused"], "systemctl restart rabbitmq-server");

    let without_tls = look(&format!("amqp://guest:guest@localhost:{tls}/%2f"), &[]);
    assert_bad(without_tls, &["does not speak as broker.url says"], "amqps:// where RabbitMQ speaks TLS");
    let with_tls = look(&plain_url.replacen("amqp://", "amqps://", 1).replacen("127.0.0.1", "localhost", 1), &[]);
    assert_bad(with_tls, &["does not speak as broker.url says"], "amqp:// where it does not");
    let strangers = strangers_authority(house.folder.path());
    let strangers = look(&right, &[("CONDUCTOR_BROKER__CA_FILE", &strangers)]);
    assert_bad(strangers, &["certificate is not believed"], "broker.ca_file");
    let other_name = look(&format!("amqps://guest:guest@127.0.0.2:{tls}/%2f"), &[]);
    // RabbitMQ listens at one address here.
    assert_bad(other_name, &["refused"], "broker.url");
    let no_file = look(&right, &[("CONDUCTOR_BROKER__CA_FILE", "/no/such.crt")]);
    assert_bad(no_file, &["broker.ca_file cannot be read"], "broker.ca_file");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_doctor_logs_in_to_rabbitmq_as_the_agent_and_tells_each_way_of_failing_apart() {
    let mut house = Installation::start(3600).await;
    let string = house.token(json!({})).await;
    assert_eq!(house.enroll("web-1", &string, 10).0, 0);
    house.run_agent("web-1");
    house.wait_for_agent("web-1", "active").await;
    let data_dir = house.data_dir("web-1");
    let note = data_dir.join("broker.url");
    let look = || {
        let mut doctor = agent_command();
        doctor.env("CONDUCTOR_DATA_DIR", &data_dir);
        finding(doctor, "RabbitMQ")
    };
    let right = fs::read_to_string(&note).unwrap();
    assert_eq!(look(), ("good".to_owned(), format!("lets this agent in at {right}"), String::new()));
    house.kill_agent("web-1");

    let elsewhere = |port: u16| right.replacen(&format!(":{}/", house.tls_port), &format!(":{port}/"), 1);
    fs::write(&note, elsewhere(free_port())).unwrap();
    assert_bad(look(), &["cannot be reached"], "packet filters");
    let plain_port: u16 = house.node.url("").rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
    fs::write(&note, elsewhere(plain_port)).unwrap();
    assert_bad(look(), &["does not speak as its address says"], "conductor-manager setup");
    fs::write(&note, &right).unwrap();

    // RabbitMQ shows a certificate of an authority that this host has not joined under.
    let authority = data_dir.join("identity/ca.crt");
    let own = fs::read(&authority).unwrap();
    fs::copy(strangers_authority(house.folder.path()), &authority).unwrap();
    assert_bad(look(), &["not of the authority that this host joined under"], "conductor-manager setup");
    fs::write(&authority, own).unwrap();
    assert_eq!(look().0, "good");

    // Its user on RabbitMQ goes with its identity.
    assert_eq!(house.call(Method::POST, "/api/v1/agents/web-1/revoke", None).await.0, 204);
    assert_bad(look(), &["does not let this agent in", "ACCESS_REFUSED"], "conductor-agent enroll --again");
}
