//! A real node, as the tests of the whole system use it.

use std::fs;
use std::path::Path;

use super::files::Layout;
use super::{BrokerNode, BrokerNodeOptions, handshake};
use crate::dev::leftovers;

/// How many processes belong to the node in this folder.
fn processes(dir: &Path) -> usize {
    let layout = Layout { dir: dir.join("broker") };
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| leftovers::bears(*pid, &layout.mark())).count()
}

fn options(dir: &Path) -> BrokerNodeOptions {
    BrokerNodeOptions { dir: dir.join("broker"), vhosts: vec!["one".to_owned()] }
}

fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::TempDir::with_prefix_in("conductor-node", "/tmp").unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

fn port_of(node: &BrokerNode) -> u16 {
    let url = node.url();
    url.expose().rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_node_comes_up_comes_back_after_a_crash_and_leaves_nothing_behind() {
    let folder = open_folder();
    let mut node = BrokerNode::start(options(folder.path())).await.unwrap();
    let port = port_of(&node);
    assert!(handshake::answers(port).await);
    assert!(node.vhost_url("one").expose().ends_with("/one"));
    assert!(node.url().expose().ends_with("/%2f"));

    node.kill().await;
    assert!(!handshake::answers(port).await);
    node.start_again().await.unwrap();
    assert_eq!(port_of(&node), port);
    assert!(handshake::answers(port).await);

    assert!(processes(folder.path()) >= 2, "the broker and its epmd");

    // A second one beside it, which finds the first one's processes in its folder as after a crash of this program.
    let abandoned = node;
    let data = fs::read_to_string(folder.path().join("broker/identity.json")).unwrap();
    let node = BrokerNode::start(options(folder.path())).await.unwrap();
    assert!(!handshake::answers(port).await, "the abandoned node was ended");
    assert!(handshake::answers(port_of(&node)).await);
    assert_eq!(fs::read_to_string(folder.path().join("broker/identity.json")).unwrap(), data);
    drop(abandoned);

    node.stop().await;
    assert_eq!(processes(folder.path()), 0);
    assert!(folder.path().join("broker/data").is_dir(), "its data stay");
}
