//! Small languages that people write.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::str::FromStr;

use conductor_model::size::ByteSize;
use conductor_model::{AgentId, PluginDigest, PluginName, Selector, TaskId, TenantName, WorkflowId};
use conductor_store::search::{Field, TaskField, WorkflowField, parse_free_text, parse_order, parse_query};
use serde_json::json;

/// Searches: a query that is understood reads back from its own text as the same.
pub fn search(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let workflows = search_of::<WorkflowField>(text);
    let tasks = search_of::<TaskField>(text);
    workflows || tasks
}

fn search_of<F: Field + Debug + PartialEq>(text: &str) -> bool {
    let query = parse_query::<F>(text);
    if let Ok(query) = &query {
        let written = query.to_string();
        // Writing adds quotes and groups, which may pass a limit that the text itself kept.
        if let Ok(again) = parse_query::<F>(&written) {
            assert_eq!(&again, query, "{written}");
        } else {
            assert!(written.len() > text.len(), "{written}");
        }
    }
    let _ = parse_free_text::<F>(text);
    let _ = parse_order::<F>(text);
    query.is_ok()
}

/// Label selectors: what is shown reads back as the same, and decides the same.
pub fn selector(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(selector) = text.parse::<Selector>() else { return false };
    let again: Selector = selector.to_string().parse().expect("a selector's own text is a selector");
    assert_eq!(again, selector);
    let labels = BTreeMap::from([("role".to_owned(), "web".to_owned()), ("env".to_owned(), "prod".to_owned())]);
    let facts = json!({ "memory": { "total": 1_u64 << 30 }, "os": { "id": "debian" }, "roles": ["a", "b", 3] });
    let facts = facts.as_object().cloned().unwrap_or_default();
    assert_eq!(selector.matches(&labels, &facts), again.matches(&labels, &facts));
    true
}

/// Sizes: what is shown reads back as the same.
pub fn size(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    reads_back::<ByteSize>(text) | serde_json::from_slice::<ByteSize>(bytes).is_ok()
}

/// Names and ids: what is taken is shown as it was given, and has nothing in it that leads elsewhere.
pub fn name(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let taken = [
        reads_back::<AgentId>(text),
        reads_back::<TenantName>(text),
        reads_back::<PluginName>(text),
        reads_back::<PluginDigest>(text),
    ];
    if taken.contains(&true) {
        assert!(!text.contains(['/', '\\', '\0', '\n', ' ']) && !text.starts_with('.'), "{text:?}");
    }
    taken.contains(&true) | reads_back::<TaskId>(text) | reads_back::<WorkflowId>(text)
}

/// Whether the text is one; then its own text must be one as well, the same.
fn reads_back<T: FromStr + Display + PartialEq + Debug>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    let shown = value.to_string();
    assert_eq!(shown.parse::<T>().ok(), Some(value), "{shown}");
    true
}
