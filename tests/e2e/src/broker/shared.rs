//! A virtual host of the node that all stories of a run share.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::binary;
use crate::wait::until_blocking;

/// Held while somebody connects, starts a keeper or ends one.
pub(super) const LOCK_FILE: &str = "lock";
/// Where the keeper listens.
pub(super) const SOCKET_FILE: &str = "keeper.sock";
/// Longest wait in seconds for a node that is being started.
const START_SECONDS: u64 = 180;

/// An empty virtual host, ours until this is dropped.
#[derive(Debug)]
pub struct VirtualHost {
    url: String,
    _held: UnixStream,
}

impl VirtualHost {
    /// A virtual host of the shared node, which is started if nobody has yet.
    ///
    /// # Panics
    /// When the node does not come up.
    #[must_use]
    pub fn take() -> Self {
        let folder = keeper_folder();
        fs::create_dir_all(&folder).expect("the keeper's folder can be made");
        let lock = File::create(folder.join(LOCK_FILE)).expect("the lock file can be opened");
        lock.lock().expect("the lock can be taken");
        let socket = folder.join(SOCKET_FILE);
        match connect(&socket) {
            Ok(found) => found,
            Err(_) => {
                start_keeper(&folder);
                until_blocking("the shared RabbitMQ answers", START_SECONDS, || connect(&socket))
            }
        }
    }

    /// The virtual host's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// One folder for each set of built programs: stories of two checkouts do not meet. Short, for it holds a socket.
fn keeper_folder() -> PathBuf {
    let mut hasher = DefaultHasher::new();
    binary("conductor-e2e-broker").hash(&mut hasher);
    env::temp_dir().join(format!("conductor-e2e-{:016x}", hasher.finish()))
}

fn connect(socket: &Path) -> io::Result<VirtualHost> {
    let stream = UnixStream::connect(socket)?;
    let mut url = String::new();
    BufReader::new(&stream).read_line(&mut url)?;
    let url = url.trim().to_owned();
    if url.is_empty() {
        return Err(io::Error::other("all virtual hosts of the shared RabbitMQ are used up"));
    }
    Ok(VirtualHost { url, _held: stream })
}

fn start_keeper(folder: &Path) {
    // A keeper that was killed may have left its socket, and its node's folder, behind.
    drop(fs::remove_file(folder.join(SOCKET_FILE)));
    let log = OpenOptions::new().create(true).append(true).open(folder.join("keeper.log")).expect("a log file can be made");
    let errors = log.try_clone().expect("a file can be opened twice");
    let mut command = Command::new(binary("conductor-e2e-broker"));
    // A process group of its own: the end of this story is not the keeper's.
    command.arg(folder).process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
    let keeper = command.spawn().expect("the keeper of the shared RabbitMQ can be started");
    // Nobody waits for it: it ends by itself, after this process.
    drop(keeper);
}
