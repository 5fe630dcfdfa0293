//! The development stack, as a newcomer starts it: one command, and Ctrl-C takes all of it down.

use std::fs;
use std::path::Path;
use std::process::Command;

use conductor_client::{Client, StartRequest};
use conductor_e2e::{Piece, binary, pack_files, processes_of, step, until, until_blocking, workflow};
use conductor_model::WorkflowStatus;
use conductor_wire::identity::broker_user;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const MANIFEST: &str = "name: hello\nversion: 1.0.0\nentrypoint: hello.sh\noperations:\n  greet: {idempotent: true}\n";
const PROGRAM: &str = "#!/bin/sh\necho '{\"type\":\"output\",\"values\":{\"greeting\":\"hello\"}}' >&3\n";

#[tokio::test(flavor = "multi_thread")]
async fn one_command_brings_everything_up_and_ctrl_c_takes_it_down() {
    let folder = tempfile::Builder::new().prefix("conductor-story-").tempdir().unwrap();
    // Debian's RabbitMQ drops to a user of its own when root starts it, and must be able to reach its folder.
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ready_file = folder.path().join("ready.json");
    let mut command = Command::new(binary("conductor-manager"));
    command.args(["dev", "--listen", "127.0.0.1:0", "--agents", "2", "--data-dir"]).arg(folder.path().join("stack"));
    command.arg("--ready-file").arg(&ready_file);
    let mut dev = Piece::start("conductor-manager dev", &mut command, &folder.path().join("dev.log"));

    let ready: Value = until("the stack is ready", 150, async || {
        dev.assert_running();
        serde_json::from_slice(&fs::read(&ready_file).map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    })
    .await;
    assert_eq!(ready["agents"], json!(["agent-1", "agent-2"]), "{ready}");
    assert_eq!(ready["pid"], dev.pid(), "{ready}");
    assert!(ready["amqp"].as_str().is_some_and(|url| url.starts_with("amqp://")), "{ready}");

    conductor_client::install_tls_provider();
    let client = Client::new(ready["api"].as_str().unwrap(), ready["token"].as_str()).unwrap();
    let agents = client.agents().await.unwrap();
    assert!(agents.len() == 2 && agents.iter().all(|agent| agent.state == "active"), "ready means ready: {agents:?}");
    let users = users_of_agents(&folder.path().join("stack/broker"), ready["amqp"].as_str().unwrap()).await;
    let own = |agent: &str| (broker_user(&agent.parse().unwrap()), format!(r"^agent\.{agent}$"));
    assert_eq!(
        users,
        [own("agent-1"), own("agent-2")],
        "each is somebody of its own, who reads its own queue and nothing else"
    );
    client
        .upload_plugin(pack_files(&[("plugin.yaml", MANIFEST, false), ("hello.sh", PROGRAM, true)]), "application/gzip")
        .await
        .unwrap();
    client
        .put_task_defs(&[json!({"name": "greet", "agent": {"plugin": "hello", "operation": "greet", "requires": "role=web"}})])
        .await
        .unwrap();
    client.put_workflow_defs(&[workflow("greet", &[step("greet", "greet", json!({}))])]).await.unwrap();
    let id = client.start(&StartRequest { name: "greet".to_owned(), ..StartRequest::default() }).await.unwrap().to_string();
    let over = until("the workflow is over", 30, async || {
        let view = client.workflow(&id, true).await.map_err(|error| error.to_string())?;
        if view.status.is_terminal() { Ok(view) } else { Err(format!("{view:?}")) }
    })
    .await;
    assert_eq!((over.status, &over.output["greeting"]), (WorkflowStatus::Completed, &json!("hello")), "{over:#?}");

    dev.signal(Signal::SIGINT);
    let status = dev.wait_for_end(60);
    assert!(status.success(), "{status}: {}", dev.last_words());
    until_blocking("nothing of the stack is left", 10, || {
        let left = processes_of(folder.path());
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
}

/// Agents' users of the private RabbitMQ and the queues that each may read, as its management API says.
async fn users_of_agents(broker: &Path, amqp: &str) -> Vec<(String, String)> {
    let configuration = fs::read_to_string(broker.join("rabbitmq.conf")).unwrap();
    let port = configuration.lines().find_map(|line| line.strip_prefix("management.tcp.port = ")).unwrap();
    let amqp = reqwest::Url::parse(amqp).unwrap();
    let request = reqwest::Client::new().get(format!("http://127.0.0.1:{port}/api/permissions"));
    let answer = request.basic_auth(amqp.username(), amqp.password()).send().await.unwrap();
    let all: Vec<Value> = answer.json().await.unwrap();
    let text = |permission: &Value, key: &str| permission[key].as_str().unwrap().to_owned();
    let mut users: Vec<_> = all.iter().map(|permission| (text(permission, "user"), text(permission, "read"))).collect();
    users.retain(|(user, _)| conductor_wire::identity::agent_of_user(user).is_some());
    users.sort();
    users
}
