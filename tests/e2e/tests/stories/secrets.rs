//! A secret on its way to a plugin, which says it aloud.

use std::fs;
use std::path::Path;

use conductor_e2e::{AgentSpec, Stack, agent_task, step, until, workflow};
use conductor_model::WorkflowStatus;
use reqwest::Method;
use serde_json::json;

const SECRET: &str = "cr0c0d1l3-xy";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_plugin_and_nothing_else() {
    let stack = Stack::options().agent(AgentSpec::new("agent-1")).start().await;
    assert_eq!(stack.raw().send(Method::PUT, "/api/secrets/password", "text/plain", SECRET).await.status, 200);
    let tells = workflow("tells", &[step("tell", "tell", json!({"word": "${workflow.secrets.password}"}))]);
    stack.define(&[agent_task("tell", "tell", json!({}))], &[tells]).await;
    let id = stack.run("tells", json!({})).await;
    let over = stack.wait_for_end(id, 60).await;
    // The plugin fails where it got something else.
    assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    assert!(!format!("{over:?}").contains(SECRET), "{over:#?}");
    let (client, task) = (stack.client(), over.tasks[0].task_id.to_string());
    let lines: Vec<String> = until("all three lines are there", 30, async || {
        let page = client.task_logs(&task, 0, 100).await.map_err(|error| error.to_string())?;
        if page.lines.len() >= 3 { Ok(page.lines) } else { Err(format!("{:?}", page.lines)) }
    })
    .await
    .into_iter()
    .map(|line| line.text)
    .collect();
    for told in ["out: ***", "err: ***", "warn: event: ***"] {
        assert!(lines.iter().any(|line| line == told), "{told}: {lines:?}");
    }
    // Not in the store, not in a log of manager or agent, not in the agent's journal.
    let mut looked_at = 0;
    let holders = holders(stack.folder(), &mut looked_at);
    assert!(holders.is_empty(), "the secret lies in {holders:?}");
    assert!(looked_at > 10, "only {looked_at} files were looked at");
}

/// Files below `folder` that hold the secret.
fn holders(folder: &Path, looked_at: &mut usize) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holders(&path, looked_at));
        } else if kind.is_file() {
            // One may be gone by now.
            let bytes = fs::read(&path).unwrap_or_default();
            *looked_at += 1;
            if bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}
