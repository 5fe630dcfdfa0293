//! The harness itself: brokers for stories.

use conductor_e2e::broker::VirtualHost;

#[test]
fn two_stories_share_a_node_and_never_a_virtual_host() {
    let (one, other) = (VirtualHost::take(), VirtualHost::take());
    let split = |host: &VirtualHost| host.url().rsplit_once('/').map(|(node, vhost)| (node.to_owned(), vhost.to_owned()));
    let (one, other) = (split(&one).unwrap(), split(&other).unwrap());
    assert_eq!(one.0, other.0, "one node serves both");
    assert_ne!(one.1, other.1);
}
