//! An installed system, for stories of identities: TLS everywhere, and a real agent or only its identity.

use conductor_e2e::broker::Node;
use conductor_e2e::{Effects, Piece, binary, free_port, processes_of, until};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicGetOptions, ConfirmSelectOptions};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::{Channel, Connection, ConnectionProperties};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Certificate, Client, Method};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An installed system on one machine: TLS everywhere, and a user of its own for each agent.
pub struct Installation {
    pub folder: TempDir,
    pub port: u16,
    pub tls_port: u16,
    pub manager: Option<Piece>,
    pub node: Node,
    pub agents: Vec<(String, Piece)>,
    pub http: Client,
    pub effects: Effects,
}

impl Installation {
    /// Brings it up; agents' certificates are good for so many seconds.
    pub async fn start(certificate_seconds: u64) -> Self {
        conductor_client::install_tls_provider();
        let folder = tempfile::Builder::new().prefix("conductor-story-").tempdir().unwrap();
        let (port, tls_port, management_port) = (free_port(), free_port(), free_port());
        let data = folder.path().join("manager");
        let mut command = Command::new(binary("conductor-manager"));
        command.arg("serve").env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
        command.envs([
            ("CONDUCTOR_LISTEN", format!("127.0.0.1:{port}")),
            ("CONDUCTOR_DATA_DIR", data.display().to_string()),
            ("CONDUCTOR_TLS__ADDRESS", format!("https://localhost:{port}")),
            ("CONDUCTOR_TLS__CERTIFICATE_SECONDS", certificate_seconds.to_string()),
            ("CONDUCTOR_BROKER__URL", format!("amqps://guest:guest@localhost:{tls_port}/%2f")),
            ("CONDUCTOR_BROKER__MANAGEMENT_URL", format!("http://127.0.0.1:{management_port}")),
            ("CONDUCTOR_BROKER__AGENT_ACCOUNTS", "certificate".to_owned()),
        ]);
        let mut manager = Piece::start("conductor-manager", &mut command, &folder.path().join("manager.log"));
        let pki = data.join("pki");
        until("the manager has made its keys", 60, async || {
            manager.assert_running();
            if pki.join("broker.crt").exists() { Ok(()) } else { Err("not yet") }
        })
        .await;
        let node = Node::start_secured(&folder.path().join("rabbitmq"), &pki, tls_port, management_port);
        let authority = Certificate::from_pem(&std::fs::read(pki.join("ca.crt")).unwrap()).unwrap();
        let http = Client::builder().tls_certs_only([authority]).build().unwrap();
        let effects = Effects::new(folder.path());
        let house = Self { folder, port, tls_port, manager: Some(manager), node, agents: Vec::new(), http, effects };
        until("the manager is well", 90, async || {
            let health: Value = house.call(Method::GET, "/health", None).await.1;
            if health["healthy"] == true { Ok(()) } else { Err(health) }
        })
        .await;
        let request = house.request(Method::POST, "/api/v1/plugins").header("content-type", "application/gzip");
        assert_eq!(request.body(house.effects.plugin()).send().await.unwrap().status(), 201);
        house
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let token = std::fs::read_to_string(self.folder.path().join("manager/admin.token")).unwrap_or_default();
        self.http.request(method, format!("https://localhost:{}{path}", self.port)).bearer_auth(token.trim())
    }

    /// Status and body of an answer; 0 when there is none.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let Ok(answer) = request.send().await else { return (0, Value::Null) };
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn token(&self, token: Value) -> String {
        self.made_token(token).await["enrolment_string"].as_str().unwrap().to_owned()
    }

    pub async fn made_token(&self, token: Value) -> Value {
        let (status, made) = self.call(Method::POST, "/api/v1/enrolment-tokens", Some(token)).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    pub fn data_dir(&self, id: &str) -> PathBuf {
        self.folder.path().join(id)
    }

    /// `conductor-agent enroll`: exit code and what it said.
    pub fn enroll(&self, id: &str, string: &str, wait_seconds: u64) -> (i32, String) {
        let mut command = agent_command();
        command.args(["enroll", string, "--id", id, "--wait", &wait_seconds.to_string(), "--data-dir"]).arg(self.data_dir(id));
        let output = command.output().unwrap();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub fn run_agent(&mut self, id: &str) {
        self.run_agent_with(id, &[]);
    }

    /// Runs an agent with settings from the environment.
    pub fn run_agent_with(&mut self, id: &str, settings: &[(&str, &str)]) {
        let mut command = agent_command();
        command.envs(settings.iter().copied());
        command.args(["run", "--slots", "2", "--data-dir"]).arg(self.data_dir(id));
        let piece = Piece::start(id, &mut command, &self.agent_log(id));
        self.agents.push((id.to_owned(), piece));
    }

    pub fn kill_agent(&mut self, id: &str) {
        let at = self.agents.iter().position(|(name, _)| name == id).unwrap();
        self.agents.remove(at).1.kill9();
        // Its runner outlives it, and nobody comes for it any more.
        for left in processes_of(&self.data_dir(id)) {
            let _ = kill(Pid::from_raw(left.pid), Signal::SIGKILL);
        }
    }

    pub fn agent_log(&self, id: &str) -> PathBuf {
        self.folder.path().join(format!("{id}.log"))
    }

    pub async fn wait_for_agent(&self, id: &str, state: &str) {
        until(&format!("{id} is {state}"), 60, async || {
            let (_, agent) = self.call(Method::GET, &format!("/api/v1/agents/{id}"), None).await;
            if agent["state"] == state { Ok(()) } else { Err(agent["state"].clone()) }
        })
        .await;
    }

    pub async fn define(&self, task: Value, flow: Value) {
        assert_eq!(self.call(Method::POST, "/api/metadata/taskdefs", Some(json!([task]))).await.0, 200);
        assert_eq!(self.call(Method::PUT, "/api/metadata/workflow", Some(json!([flow]))).await.0, 200);
    }

    pub async fn start_workflow(&self, name: &str) -> String {
        let (status, id) = self.call(Method::POST, "/api/workflow", Some(json!({"name": name}))).await;
        assert_eq!(status, 200, "{id}");
        id.as_str().unwrap().to_owned()
    }

    pub async fn wait_for_end(&self, id: &str) -> Value {
        until("the workflow is over", 60, async || {
            let (_, flow) = self.call(Method::GET, &format!("/api/workflow/{id}?includeTasks=true"), None).await;
            if flow["status"] == "COMPLETED" { Ok(flow) } else { Err(flow["status"].clone()) }
        })
        .await
    }

    /// A channel of whoever owns the broker.
    pub async fn as_owner_of_the_broker(&self) -> (Connection, Channel) {
        let tls = OwnedTLSConfig { identity: None, cert_chain: Some(self.authority_pem()) };
        self.connect(&format!("amqps://guest:guest@localhost:{}/%2f", self.tls_port), tls).await
    }

    /// A channel of whoever owns an agent's host.
    pub async fn as_agent(&self, id: &str) -> (Connection, Channel) {
        let dir = self.data_dir(id).join("identity");
        let identity = OwnedIdentity::PKCS8 {
            pem: std::fs::read(dir.join("agent.crt")).unwrap(),
            key: std::fs::read(dir.join("agent.key")).unwrap(),
        };
        let tls = OwnedTLSConfig { identity: Some(identity), cert_chain: Some(self.authority_pem()) };
        self.connect(&format!("amqps://localhost:{}/%2f?auth_mechanism=external", self.tls_port), tls).await
    }

    /// Takes the one message that lies in an agent's queue, or will, away from it.
    pub async fn take_from(&self, channel: &Channel, agent: &str) -> Delivery {
        let queue = format!("agent.{agent}");
        let message = until("a message lies in the agent's queue", 10, async || {
            let got = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap();
            got.ok_or("nothing yet")
        })
        .await;
        message.ack(BasicAckOptions::default()).await.unwrap();
        message.delivery
    }

    pub async fn connect(&self, uri: &str, tls: OwnedTLSConfig) -> (Connection, Channel) {
        let runtime = lapin::runtime::default_runtime().unwrap();
        let properties = ConnectionProperties::default();
        let connection = Connection::connect_with_config(uri, properties, tls, runtime).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        (connection, channel)
    }

    pub fn authority_pem(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("manager/pki/ca.crt")).unwrap()
    }

    /// A client that shows an agent's certificate.
    pub fn http_of_agent(&self, id: &str) -> Client {
        let dir = self.data_dir(id).join("identity");
        let pem = [std::fs::read(dir.join("agent.crt")).unwrap(), std::fs::read(dir.join("agent.key")).unwrap()].concat();
        let authority = Certificate::from_pem(self.authority_pem().as_bytes()).unwrap();
        let builder = Client::builder().tls_certs_only([authority]).identity(reqwest::Identity::from_pem(&pem).unwrap());
        builder.build().unwrap()
    }

    pub async fn status_for_agent(&self, http: &Client, path: &str) -> u16 {
        http.get(format!("https://localhost:{}{path}", self.port)).send().await.map_or(0, |answer| answer.status().as_u16())
    }

    pub fn manager_log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("manager.log")).unwrap_or_default()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for (_, agent) in self.agents.drain(..) {
            agent.put_down(15);
        }
        if let Some(manager) = self.manager.take() {
            manager.put_down(15);
        }
        if std::thread::panicking() {
            let log = self.manager_log();
            let from = log.len().saturating_sub(6000);
            eprintln!("the manager's last words:\n{}", log.get(from..).unwrap_or(&log));
            for entry in std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_some_and(|extension| extension == "log") && !path.ends_with("manager.log") {
                    let text = std::fs::read_to_string(&path).unwrap_or_default();
                    eprintln!("{}:\n{}", path.display(), text.get(text.len().saturating_sub(3000)..).unwrap_or(&text));
                }
            }
        }
    }
}

pub fn agent_command() -> Command {
    let mut command = Command::new(binary("conductor-agent"));
    command.env_clear().env("PATH", std::env::var("PATH").unwrap_or_default());
    command
}

pub fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Ends a connection, of which an agent's user may have few at once.
pub async fn hang_up(connection: Connection) {
    // A connection that the broker has closed already is as good.
    let _ = connection.close(200, "bye".into()).await;
}
