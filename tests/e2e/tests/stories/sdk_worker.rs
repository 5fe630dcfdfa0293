//! An unmodified Conductor SDK takes part: its worker serves steps beside an agent's.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use conductor_e2e::{AgentSpec, Piece, Stack, agent_task, binary, step, worker_task, workflow};
use conductor_model::{TaskStatus, WorkflowStatus};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::json;

/// The Python environment with the SDK, made once beside the built programs.
fn sdk_python() -> PathBuf {
    let folder = binary("conductor-manager").with_file_name("e2e-sdk");
    let made = Command::new(Stack::repository().join("scripts/sdk-venv")).arg(&folder).output().unwrap();
    let words = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "the SDK cannot be installed, and this story cannot be told without it: {words}");
    folder.join("bin/python")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_of_an_unmodified_sdk_serves_steps_beside_an_agent() {
    let python = sdk_python();
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
    command.arg(Stack::repository().join("tests/e2e/tests/stories/sdk_worker.py")).current_dir(stack.folder()).process_group(0);
    command.env("CONDUCTOR_SERVER_URL", format!("{}/api", stack.manager.url()));
    command.env("CONDUCTOR_AUTH_KEY", "any").env("CONDUCTOR_AUTH_SECRET", stack.manager.token());
    let worker = Piece::start("the SDK's worker", &mut command, &stack.folder().join("sdk.log"));

    let mixed = stack.run("mixed", json!({})).await;
    let failing = stack.run("failing", json!({})).await;
    let mixed = stack.wait_for_end(mixed, 60).await;
    let failing = stack.wait_for_end(failing, 60).await;
    // It forks; all of it goes at once.
    let _ = killpg(Pid::from_raw(i32::try_from(worker.pid()).unwrap()), Signal::SIGKILL);
    let log = worker.log_text();
    worker.kill9();

    assert_eq!(mixed.status, WorkflowStatus::Completed, "{mixed:#?}\n{log}");
    let after = mixed.tasks.iter().find(|task| task.reference_task_name == "after").unwrap();
    assert_eq!(after.input_data["total"], 42, "the worker's output went on to the agent");
    assert_eq!(failing.status, WorkflowStatus::Failed, "{failing:#?}\n{log}");
    assert_eq!(failing.tasks.iter().map(|task| task.status).collect::<Vec<_>>(), [TaskStatus::Failed, TaskStatus::Failed]);
    let reason = failing.tasks[1].reason_for_incompletion.clone().unwrap_or_default();
    assert!(reason.contains("no luck with this"), "{reason:?}");
}
