//! What is written for the node before it starts.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use rand::RngCore;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::BrokerNodeError;
use super::account::Account;
use super::ports::Ports;

/// The broker's user that the manager is.
pub(super) const USER: &str = "conductor";
/// Publishers are held back when less of the disk than this is free. The broker's own default is 50 MB as well; here it
/// does not follow the machine's configuration.
const DISK_FREE_BYTES_MIN: u64 = 50_000_000;
/// The node holds publishers back when it uses more memory than this; the default is a share of the whole machine.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The management API, by which the manager makes a user for each agent. It collects no figures: nobody looks at them.
const PLUGINS: &str = "[rabbitmq_management].\n";

/// Where a node's files are.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) dir: PathBuf,
}

impl Layout {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What the node's processes call home.
    pub(super) fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// The variable by which a process of this node is known.
    pub(super) fn mark(&self) -> String {
        format!("HOME={}", self.home().display())
    }

    /// What the node's processes print.
    pub(super) fn output(&self) -> PathBuf {
        self.path("output.log")
    }
}

/// What stays the same when a node is started again in the same folder: its data bear its name.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) password: String,
}

/// Makes the folder, owned by the node's account.
pub(super) fn make_folder(layout: &Layout, account: Option<Account>) -> Result<(), BrokerNodeError> {
    if let Some(parent) = layout.dir.parent() {
        fs::create_dir_all(parent).map_err(BrokerNodeError::prepare(parent))?;
    }
    for name in ["", "data", "log", "home"] {
        let path = layout.path(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(BrokerNodeError::Prepare { path, source: error });
            }
            Ok(()) | Err(_) => own(&path, account)?,
        }
    }
    Ok(())
}

/// Where nodes live whose own folder the broker's user cannot reach.
const OPEN_FOLDER: &str = "/tmp";
const OPEN_PREFIX: &str = "conductor-broker-";

/// Takes a folder under `/tmp` instead and writes its path beside the wanted one, so that a start after a crash finds what
/// the crash left. Returns where that is written.
pub(super) fn redirect(layout: &mut Layout) -> Result<PathBuf, BrokerNodeError> {
    let file = layout.dir.with_added_extension("path");
    let known = fs::read_to_string(&file).ok().map(PathBuf::from);
    let known = known.filter(|dir| dir.is_dir() && dir.starts_with(OPEN_FOLDER));
    let taken = match known {
        Some(dir) => dir,
        None => {
            let dir = Path::new(OPEN_FOLDER).join(format!("{OPEN_PREFIX}{}", random_hex(6)));
            write(&file, &dir.to_string_lossy(), None)?;
            dir
        }
    };
    tracing::info!(wanted = %layout.dir.display(), taken = %taken.display(), "the user rabbitmq cannot reach the broker's folder");
    layout.dir = taken;
    Ok(file)
}

/// The identity that the folder has, or a new one.
pub(super) fn identity(layout: &Layout, account: Option<Account>) -> Result<Identity, BrokerNodeError> {
    let path = layout.path("identity.json");
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|source| BrokerNodeError::Identity { path, source }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let identity = Identity { name: format!("conductor-{}@localhost", random_hex(4)), password: random_hex(24) };
            write(&path, &json!(identity).to_string(), account)?;
            Ok(identity)
        }
        Err(source) => Err(BrokerNodeError::Prepare { path, source }),
    }
}

/// Writes the node's configuration for these ports.
pub(super) fn configure(
    layout: &Layout,
    account: Option<Account>,
    ports: Ports,
    identity: &Identity,
    vhosts: &[String],
) -> Result<(), BrokerNodeError> {
    let definitions = layout.path("definitions.json");
    let configuration = format!(
        "listeners.tcp.local = 127.0.0.1:{}\n\
         loopback_users = none\n\
         load_definitions = {}\n\
         disk_free_limit.absolute = {DISK_FREE_BYTES_MIN}\n\
         vm_memory_high_watermark.absolute = {MEMORY_BYTES_MAX}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {}\n\
         management_agent.disable_metrics_collector = true\n\
         log.console = false\n\
         log.file.level = warning\n",
        ports.amqp,
        definitions.display(),
        ports.management,
    );
    let all: Vec<&str> = std::iter::once("/").chain(vhosts.iter().map(String::as_str)).collect();
    let permission = |vhost| json!({"user": USER, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"});
    let content = json!({
        "users": [{"name": USER, "password": identity.password, "tags": "administrator"}],
        "vhosts": all.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
        "permissions": all.iter().map(permission).collect::<Vec<_>>(),
    });
    write(&layout.path("rabbitmq.conf"), &configuration, account)?;
    write(&definitions, &content.to_string(), account)?;
    write(&layout.path("enabled_plugins"), PLUGINS, account)
}

/// The file that a process of the node prints to.
pub(super) fn open_output(layout: &Layout, account: Option<Account>) -> Result<File, BrokerNodeError> {
    let path = layout.output();
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = opened.map_err(BrokerNodeError::prepare(&path))?;
    own(&path, account)?;
    Ok(file)
}

fn write(path: &Path, text: &str, account: Option<Account>) -> Result<(), BrokerNodeError> {
    let failed = || BrokerNodeError::prepare(path);
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path).map_err(failed())?;
    file.write_all(text.as_bytes()).map_err(failed())?;
    own(path, account)
}

fn own(path: &Path, account: Option<Account>) -> Result<(), BrokerNodeError> {
    let Some(Account { uid, gid }) = account else { return Ok(()) };
    chown(path, Some(uid.as_raw()), Some(gid.as_raw())).map_err(BrokerNodeError::prepare(path))
}

/// `bytes` random bytes in hexadecimal.
pub(super) fn random_hex(bytes: usize) -> String {
    let mut secret = vec![0; bytes];
    rand::rng().fill_bytes(&mut secret);
    hex::encode(secret)
}
