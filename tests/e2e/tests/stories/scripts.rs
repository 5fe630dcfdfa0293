//! Scripts in the real manager. It allocates otherwise than the tests of the scripts themselves.

use std::fs;

use conductor_e2e::{Stack, workflow};
use conductor_model::WorkflowStatus;
use serde_json::json;

/// The program, its libraries, the thread's stack and what they need: some 130 MiB here.
const AT_REST_KIB_MAX: u64 = 300 * 1024;

/// The kernel counts what is reserved, not what is used. What the helper had reserved before its limit is set, a script
/// could take beyond it.
#[tokio::test(flavor = "multi_thread")]
async fn the_helper_that_runs_scripts_reserves_no_memory_ahead() {
    let stack = Stack::options().start().await;
    let jq = json!({"name": "adds", "taskReferenceName": "adds", "type": "JSON_JQ_TRANSFORM",
        "inputParameters": {"queryExpression": "1 + 1"}});
    stack.define(&[], &[workflow("adds", &[jq])]).await;
    let id = stack.run("adds", json!({})).await;
    let over = stack.wait_for_end(id, 60).await;
    assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    let sizes = helpers_kib(stack.manager.pid());
    assert!(!sizes.is_empty(), "the helper of an evaluation stays for the next");
    assert!(sizes.iter().all(|size| *size < AT_REST_KIB_MAX), "{sizes:?} KiB of address space");
}

/// The address space of each helper of a manager.
fn helpers_kib(manager: u32) -> Vec<u64> {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let status = |path: &std::path::Path| fs::read_to_string(path.join("status")).unwrap_or_default();
    let field = |status: &str, name: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    processes
        .filter(|path| fs::read(path.join("cmdline")).is_ok_and(|line| line.ends_with(b"script-worker\0")))
        .map(|path| status(&path))
        .filter(|status| field(status, "PPid:") == Some(manager.into()))
        .filter_map(|status| field(&status, "VmSize:"))
        .collect()
}
