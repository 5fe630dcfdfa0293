//! An unmodified Conductor SDK takes part: its worker serves steps beside an agent's.

use std::process::Command;

use conductor_e2e::{AgentSpec, Group, Stack, agent_task, python_environment, step, worker_task, workflow};
use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_an_unmodified_sdk_serves_steps_beside_an_agent() {
    let python = python_environment("sdk").join("python");
    let stack = Stack::options().agent(AgentSpec::new("agent-1")).start().await;
    let tasks = [
        agent_task("quick", "quick", json!({})),
        worker_task("sdk_double", json!({})),
        worker_task("sdk_fail", json!({"retryCount": 1})),
    ];
    let mixed = [
        step("quick", "before", json!({})),
        step("sdk_double", "double", json!({"amount": 21})),
        step("quick", "after", json!({"total": "${double.output.total}"})),
    ];
    let failing = [step("sdk_fail", "fail", json!({"text": "this"}))];
    stack.define(&tasks, &[workflow("mixed", &mixed), workflow("failing", &failing)]).await;

    let mut command = Command::new(python);
    command.arg(Stack::repository().join("tests/e2e/tests/stories/sdk_worker.py")).current_dir(stack.folder());
    command.env("CONDUCTOR_SERVER_URL", format!("{}/api", stack.manager.url()));
    command.env("CONDUCTOR_AUTH_KEY", "any").env("CONDUCTOR_AUTH_SECRET", stack.manager.token());
    let worker = Group::start("the SDK's worker", &mut command, &stack.folder().join("sdk.log"));

    let mixed = stack.run("mixed", json!({})).await;
    let failing = stack.run("failing", json!({})).await;
    let mixed = stack.wait_for_end(mixed, 60).await;
    let failing = stack.wait_for_end(failing, 60).await;
    let log = worker.log_text();
    drop(worker);

    assert_eq!(mixed.status, WorkflowStatus::Completed, "{mixed:#?}\n{log}");
    let after = mixed.tasks.iter().find(|task| task.reference_task_name == "after").unwrap();
    assert_eq!(after.input_data["total"], 42, "the worker's output went on to the agent");
    assert_eq!(failing.status, WorkflowStatus::Failed, "{failing:#?}\n{log}");
    assert_eq!(failing.tasks.iter().map(|task| task.status).collect::<Vec<_>>(), [TaskStatus::Failed, TaskStatus::Failed]);
    let reason = failing.tasks[1].reason_for_incompletion.clone().unwrap_or_default();
    assert!(reason.contains("no luck with this"), "{reason:?}");
}
