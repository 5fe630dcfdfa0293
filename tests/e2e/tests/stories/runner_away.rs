//! An agent whose runner is not there: it says so, takes nothing, and works as soon as there is one.

use conductor_e2e::{Piece, agent_task, step, workflow};
use reqwest::Method;
use serde_json::json;

use crate::installation::{Installation, agent_command};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_runner_is_shown_with_its_reason_and_works_when_there_is_one() {
    let mut house = Installation::start(3600).await;
    let string = house.token(json!({})).await;
    assert_eq!(house.enroll("web-1", &string, 10).0, 0);
    let socket = house.folder.path().join("runner.sock");
    house.run_agent_with("web-1", &[("CONDUCTOR_RUNNER__SOCKET", socket.to_str().unwrap())]);
    house.wait_for_agent("web-1", "draining").await;
    let (_, agent) = house.call(Method::GET, "/api/v1/agents/web-1", None).await;
    let reason = agent["state_reason"].as_str().unwrap_or_default();
    assert!(reason.contains("its runner is not to be reached"), "{agent}");

    let task = agent_task("quick", "quick", json!({"retryCount": 0, "agent": {"plugin": "work"}}));
    house.define(task, workflow("run", &[step("quick", "it", json!({}))])).await;
    let flow = house.start_workflow("run").await;
    let mut runner = agent_command();
    runner.args(["runner", "--detach", "--socket"]).arg(&socket).arg("--data-dir").arg(house.folder.path().join("runner"));
    let runner = Piece::start("runner", &mut runner, &house.folder.path().join("runner.log"));
    house.wait_for_agent("web-1", "active").await;
    house.wait_for_end(&flow).await;
    assert_eq!(house.effects.beginnings_of("it").len(), 1);
    runner.put_down(15);
}
