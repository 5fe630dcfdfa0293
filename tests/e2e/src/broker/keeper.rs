//! The process that keeps the shared node: it outlives each story and ends by itself when no story comes any more.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Node;
use super::shared::{LOCK_FILE, SOCKET_FILE};

/// How long the node is kept when nobody uses it.
const IDLE: Duration = Duration::from_secs(10);
/// How many stories one node serves. Virtual hosts are not used twice: each story finds an empty broker.
const VHOSTS: usize = 48;
/// How often the keeper looks whether it is still needed.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keeps a node in `folder` for whoever connects to its socket there: each gets the address of a virtual host of its own and
/// keeps the connection as long as it needs it. Returns when nobody does any more.
///
/// # Panics
/// When the node does not come up.
pub fn keep(folder: &Path) {
    let vhosts: Vec<String> = (1..=VHOSTS).map(|number| format!("story-{number}")).collect();
    let node_folder = folder.join(format!("node-{}", std::process::id()));
    let mut node = Node::start(&node_folder, &vhosts);
    let socket = folder.join(SOCKET_FILE);
    drop(fs::remove_file(&socket));
    let listener = UnixListener::bind(&socket).expect("the keeper's socket can be bound");
    let users = Arc::new(AtomicUsize::new(0));
    let urls: Vec<String> = vhosts.iter().map(|vhost| node.url(vhost)).collect();
    let served = Arc::clone(&users);
    thread::spawn(move || serve(&listener, &urls, &served));

    let lock = File::create(folder.join(LOCK_FILE)).expect("the lock file can be opened");
    let mut needed = Instant::now();
    loop {
        thread::sleep(LOOK_EVERY);
        if users.load(Ordering::SeqCst) > 0 {
            needed = Instant::now();
        }
        let is_dead = !node.is_running();
        // Whoever holds the lock is about to connect.
        if (is_dead || needed.elapsed() > IDLE) && lock.try_lock().is_ok() {
            if is_dead || users.load(Ordering::SeqCst) == 0 {
                break;
            }
            drop(lock.unlock());
        }
    }
    drop(fs::remove_file(&socket));
    drop(lock);
    drop(node);
    drop(fs::remove_dir_all(&node_folder));
}

fn serve(listener: &UnixListener, urls: &[String], users: &Arc<AtomicUsize>) {
    let mut urls = urls.iter();
    for stream in listener.incoming().flatten() {
        let url = urls.next().cloned().unwrap_or_default();
        users.fetch_add(1, Ordering::SeqCst);
        let users = Arc::clone(users);
        thread::spawn(move || {
            attend(stream, &url);
            users.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Says the address and waits until the other side hangs up.
fn attend(mut stream: UnixStream, url: &str) {
    if writeln!(stream, "{url}").is_ok() {
        drop(stream.read(&mut [0_u8; 1]));
    }
}
