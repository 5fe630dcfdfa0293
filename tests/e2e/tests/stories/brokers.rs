//! The harness itself: brokers for stories.

use conductor_e2e::broker::{Node, VirtualHost};

#[test]
fn two_stories_share_a_node_and_never_a_virtual_host() {
    let (one, other) = (VirtualHost::take(), VirtualHost::take());
    let split = |host: &VirtualHost| host.url().rsplit_once('/').map(|(node, vhost)| (node.to_owned(), vhost.to_owned()));
    let (one, other) = (split(&one).unwrap(), split(&other).unwrap());
    assert_eq!(one.0, other.0, "one node serves both");
    assert_ne!(one.1, other.1);
}

#[test]
fn a_killed_node_comes_back_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(folder.path(), &[]);
    let url = node.url("%2f");
    node.kill9();
    assert!(!node.is_running());
    node.start_again();
    assert!(node.is_running());
    assert_eq!(node.url("%2f"), url);
    node.kill9();
    drop(node);
    let left = conductor_e2e::processes_of(folder.path());
    assert!(left.is_empty(), "left behind: {left:?}");
}
