//! A private RabbitMQ node in a folder of its own.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, io};

use crate::ports::free_port;
use crate::process::Piece;
use crate::wait::until_blocking;

/// Longest wait in seconds for a node to answer. It needs about five on an idle machine.
const START_SECONDS: u64 = 150;
/// Longest silence of a node that is being asked whether it is there.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(2);
/// Name and password of the node's one user.
const USER: &str = "guest";
/// The password "guest" as RabbitMQ stores it: salt and SHA-256.
const PASSWORD_HASH: &str = "ZTJlMNuxpc+GXSQjDHORN10INufn2CT/d6FAZP86JqMF44wG";
/// Where distributions keep the script that does not insist on a certain user.
const SERVER_SCRIPTS: [&str; 2] = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server"];

/// A node: its own ports, data, port mapper and cookie. Killed and started again, it keeps ports and data.
#[derive(Debug)]
pub struct Node {
    folder: PathBuf,
    port: u16,
    distribution_port: u16,
    mapper_port: u16,
    _mapper: Piece,
    server: Option<Piece>,
}

impl Node {
    /// Starts a node in `folder` and waits until it answers. Beside `/` it has the virtual hosts `vhosts`.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(folder: &Path, vhosts: &[String]) -> Self {
        fs::create_dir_all(folder).expect("the broker's folder can be made");
        let (port, distribution_port, mapper_port) = (free_port(), free_port(), free_port());
        let configuration = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = true\nlog.console.level = info\nlog.file = false\n\
             disk_free_limit.absolute = 50MB\nload_definitions = {}/definitions.json\n",
            folder.display()
        );
        Self::configured(folder, [port, distribution_port, mapper_port], &configuration, vhosts, "[].\n")
    }

    /// Starts a node that speaks TLS on `tls_port`, knows clients by the certificates of the authority in `pki`, and has the
    /// management API on `management_port`.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start_secured(folder: &Path, pki: &Path, tls_port: u16, management_port: u16) -> Self {
        fs::create_dir_all(folder).expect("the broker's folder can be made");
        let ports @ [port, ..] = [free_port(), free_port(), free_port()];
        let (folder_text, pki) = (folder.display(), pki.display());
        let configuration = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlisteners.ssl.1 = 127.0.0.1:{tls_port}\nssl_options.cacertfile = {pki}/ca.crt\n\
             ssl_options.certfile = {pki}/broker.crt\nssl_options.keyfile = {pki}/broker.key\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = false\nssl_cert_login_from = common_name\nauth_mechanisms.1 = EXTERNAL\n\
             auth_mechanisms.2 = PLAIN\nauth_mechanisms.3 = AMQPLAIN\nmanagement.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management_port}\nlog.console = true\nlog.console.level = info\nlog.file = false\n\
             disk_free_limit.absolute = 50MB\nload_definitions = {folder_text}/definitions.json\n"
        );
        Self::configured(folder, ports, &configuration, &[], "[rabbitmq_management,rabbitmq_auth_mechanism_ssl].\n")
    }

    fn configured(
        folder: &Path,
        [port, distribution_port, mapper_port]: [u16; 3],
        configuration: &str,
        vhosts: &[String],
        plugins: &str,
    ) -> Self {
        write_file(&folder.join("rabbitmq.conf"), configuration);
        write_file(&folder.join("definitions.json"), &definitions(vhosts));
        write_file(&folder.join("enabled_plugins"), plugins);
        // A port mapper of the node's own: the one that Erlang starts by itself would stay behind.
        let mut mapper = Command::new("epmd");
        mapper.args(["-port", &mapper_port.to_string(), "-address", "127.0.0.1"]);
        let mapper = Piece::start("epmd", &mut mapper, &folder.join("epmd.log"));
        let mut node = Self { folder: folder.to_owned(), port, distribution_port, mapper_port, _mapper: mapper, server: None };
        node.start_again();
        node
    }

    /// Where it is, for the virtual host `vhost` (percent-encoded).
    #[must_use]
    pub fn url(&self, vhost: &str) -> String {
        format!("amqp://{USER}:guest@127.0.0.1:{}/{vhost}", self.port)
    }

    /// kill -9.
    pub fn kill9(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill9();
        }
    }

    /// Starts the node on its old data and ports, and waits until it answers.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_again(&mut self) {
        let script = SERVER_SCRIPTS.into_iter().find(|path| Path::new(path).is_file());
        let mut command = Command::new(script.expect("RabbitMQ is not installed; `make test` installs it"));
        let folder = self.folder.display();
        command.env_clear().current_dir(&self.folder);
        command.env("PATH", format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default()));
        let variables = [
            ("HOME", folder.to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("ERL_EPMD_PORT", self.mapper_port.to_string()),
            ("RABBITMQ_NODENAME", format!("e2e-{}@localhost", self.port)),
            ("RABBITMQ_DIST_PORT", self.distribution_port.to_string()),
            ("RABBITMQ_MNESIA_BASE", format!("{folder}/data")),
            ("RABBITMQ_LOG_BASE", format!("{folder}/log")),
            ("RABBITMQ_CONFIG_FILE", format!("{folder}/rabbitmq")),
            ("RABBITMQ_CONF_ENV_FILE", format!("{folder}/no-such-file")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", format!("{folder}/enabled_plugins")),
            ("RABBITMQ_LOGS", "-".to_owned()),
            // The script then becomes the node instead of watching over it: one pid, and kill -9 meets the node itself.
            ("RABBITMQ_ALLOW_INPUT", "1".to_owned()),
            ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-noinput +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none".to_owned()),
        ];
        command.envs(variables);
        let mut server = Piece::start("rabbitmq", &mut command, &self.folder.join("rabbitmq.log"));
        let port = self.port;
        until_blocking("RabbitMQ answers", START_SECONDS, || {
            server.assert_running();
            greets(port)
        });
        self.server = Some(server);
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.ended().is_none())
    }
}

/// Whether an AMQP server answers our greeting with its own.
fn greets(port: u16) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(HANDSHAKE_LIMIT))?;
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    stream.read_exact(&mut [0_u8; 1])
}

fn write_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{} cannot be written: {error}", path.display()));
}

fn definitions(vhosts: &[String]) -> String {
    let (mut names, mut permissions) = (String::new(), String::new());
    for vhost in std::iter::once("/").chain(vhosts.iter().map(String::as_str)) {
        let comma = if names.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(names, r#"{comma}{{"name":"{vhost}"}}"#);
        let _ =
            write!(permissions, r#"{comma}{{"user":"{USER}","vhost":"{vhost}","configure":".*","write":".*","read":".*"}}"#);
    }
    let user = format!(
        r#"{{"name":"{USER}","password_hash":"{PASSWORD_HASH}","hashing_algorithm":"rabbit_password_hashing_sha256","tags":["administrator"]}}"#
    );
    format!(r#"{{"users":[{user}],"vhosts":[{names}],"permissions":[{permissions}]}}"#)
}
