//! A real node, as the tests of the whole system use it.

use std::fs;
use std::path::Path;

use super::{BrokerNode, BrokerNodeOptions, handshake};

/// Whether any process was started with this text in its command line.
fn runs(mark: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(mark)
    })
}

fn options(dir: &Path) -> BrokerNodeOptions {
    BrokerNodeOptions { dir: dir.join("broker"), vhosts: vec!["one".to_owned()] }
}

fn port_of(node: &BrokerNode) -> u16 {
    let url = node.url();
    url.expose().rsplit_once(':').unwrap().1.split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_node_comes_up_comes_back_after_a_crash_and_leaves_nothing_behind() {
    let folder = tempfile::TempDir::with_prefix_in("conductor-node", "/tmp").unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
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

    let identity = fs::read_to_string(folder.path().join("broker/identity.json")).unwrap();
    let name = identity.split('"').find(|part| part.ends_with("@localhost")).unwrap().to_owned();
    assert!(runs(&name));
    node.stop().await;
    assert!(!runs(&name), "the node's processes are gone");
    assert!(folder.path().join("broker/data").is_dir(), "its data stay");
}
