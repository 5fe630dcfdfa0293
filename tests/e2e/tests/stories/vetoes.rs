//! What those say no to who own an installation and its hosts: hosts that are turned away, and tasks that a host does not let run.

use std::fs;
use std::process::Command;

use conductor_e2e::{agent_task, binary, pack_files, step, until, workflow};
use reqwest::Method;
use serde_json::json;

use crate::installation::Installation;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_an_operator_turns_away_is_told_so_and_stays_out() {
    let house = Installation::start(3600).await;
    let string = house.token(json!({"approval": "manual", "uses": 2})).await;
    let (code, text) = house.enroll("unwanted", &string, 0);
    assert!(code == 14 && text.contains("conductor agents approve unwanted"), "{code} {text}");

    let agents = |words: &[&str]| {
        let token = fs::read_to_string(house.folder.path().join("manager/admin.token")).unwrap();
        let mut command = Command::new(binary("conductor"));
        command.env_clear().env("CONDUCTOR_URL", format!("https://localhost:{}", house.port));
        command.env("CONDUCTOR_TOKEN", token.trim()).env("CONDUCTOR_CA_FILE", house.folder.path().join("manager/pki/ca.crt"));
        let output = command.arg("agents").args(words).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(agents(&["reject", "unwanted"]), (Some(0), "unwanted is turned away\n".to_owned()));
    for _ in 0..2 {
        let (code, text) = house.enroll("unwanted", &string, 5);
        assert_eq!((code, text.as_str()), (26, "conductor-agent: an operator rejected agent unwanted\n"));
    }
    assert!(!house.data_dir("unwanted").join("identity/identity.json").exists());
    let (status, _) = house.call(Method::GET, "/api/v1/agents/unwanted", None).await;
    assert_eq!(status, 404, "it never became an agent");

    // One that nobody asked for cannot be turned away, and what was said of one host is not said of another.
    let (code, text) = agents(&["reject", "nobody"]);
    assert!(code != Some(0) && text.contains("nobody"), "{code:?} {text}");
    assert_eq!(house.enroll("wanted", &string, 0).0, 14);
    assert_eq!(agents(&["approve", "wanted"]), (Some(0), "wanted is let in\n".to_owned()));
    assert_eq!(house.enroll("wanted", &string, 10).0, 0);
}

const PROXIED: &str = "\
name: proxied
version: 1.0.0
entrypoint: run.sh
environment: [HTTP_PROXY]
operations:
  fetch: {}
";
const RUN: &str = "#!/bin/sh\ncat >/dev/null\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_hosts_policy_forbids_waits_with_the_reason_and_runs_where_nobody_does() {
    let mut house = Installation::start(3600).await;
    let request = house.request(Method::POST, "/api/v1/plugins").header("content-type", "application/gzip");
    let uploaded = request.body(pack_files(&[("plugin.yaml", PROXIED, false), ("run.sh", RUN, true)])).send().await.unwrap();
    assert_eq!(uploaded.status(), 201);
    let policy = house.folder.path().join("agent-policy.toml");
    let string = house.token(json!({"uses": 2})).await;
    for (id, settings) in [("strict", vec![("CONDUCTOR_POLICY_FILE", policy.to_str().unwrap())]), ("open", Vec::new())] {
        assert_eq!(house.enroll(id, &string, 10).0, 0);
        house.run_agent_with(id, &settings);
        house.wait_for_agent(id, "active").await;
    }
    let proxied = agent_task("fetch", "fetch", json!({"agent": {"plugin": "proxied"}}));
    house.define(agent_task("quick", "quick", json!({})), workflow("work", &[step("quick", "it", json!({}))])).await;
    house.define(proxied, workflow("proxied", &[step("fetch", "it", json!({}))])).await;

    for (forbids, flow, reason) in [
        ("[deny]\nplugins = ['work']", "work", "this host's policy forbids plugin work@1.0.0 (deny.plugins: work)"),
        (
            "[deny]\noperations = ['*.quick']",
            "work",
            "this host's policy forbids operation work.quick (deny.operations: *.quick)",
        ),
        ("[allow]\nusers = []", "work", "this host's policy does not allow user "),
        (
            "[deny]\nenvironment = ['*_PROXY']",
            "proxied",
            "this host's policy forbids environment variable HTTP_PROXY (deny.environment: *_PROXY)",
        ),
    ] {
        fs::write(&policy, forbids).unwrap();
        assert_eq!(house.call(Method::PUT, "/api/v1/agents/open/cordon", Some(json!({}))).await.0, 204);
        let id = house.start_workflow(flow).await;
        let path = format!("/api/workflow/{id}?includeTasks=true");
        until("the task waits, and says why", 30, async || {
            let (_, run) = house.call(Method::GET, &path, None).await;
            let task = &run["tasks"][0];
            let told = task["reasonForIncompletion"].as_str().unwrap_or_default();
            if task["status"] == "SCHEDULED" && told.starts_with(reason) { Ok(()) } else { Err(run.to_string()) }
        })
        .await;
        assert_eq!(house.call(Method::DELETE, "/api/v1/agents/open/cordon", None).await.0, 204);
        let over = house.wait_for_end(&id).await;
        assert_eq!((&over["tasks"][0]["workerId"], &over["tasks"][0]["retryCount"]), (&json!("open"), &json!(0)), "{over}");
        assert_eq!(over["tasks"].as_array().unwrap().len(), 1, "a veto costs no attempt: {over}");
        assert!(over["tasks"][0].get("reasonForIncompletion").is_none(), "in the end nothing was wrong with it: {over}");
    }
    let begun = house.effects.begun();
    assert!(begun.len() == 3 && begun.values().all(|times| *times == 1), "{begun:?}");
    assert!(house.effects.all().iter().all(|effect| effect.agent == "open"));

    // Where nothing is forbidden any more, the host takes part again.
    fs::remove_file(&policy).unwrap();
    assert_eq!(house.call(Method::PUT, "/api/v1/agents/open/cordon", Some(json!({}))).await.0, 204);
    let id = house.start_workflow("work").await;
    assert_eq!(house.wait_for_end(&id).await["tasks"][0]["workerId"], "strict");
}
