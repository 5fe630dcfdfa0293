//! Journeys of people who use the Conductor SDK as it comes from PyPI. Each is a program of theirs in `tests/sdk`, which
//! knows nothing of this manager but its address and a token.

use std::process::Command;

use conductor_e2e::{Group, Stack, python_environment};

/// Longest time in seconds that a journey may take.
const JOURNEY_SECONDS: u64 = 150;

/// Runs a program of `tests/sdk` against a manager of its own.
async fn take(journey: &str) {
    let python = python_environment("sdk").join("python");
    let stack = Stack::options().start().await;
    let mut command = Command::new(python);
    command.arg(Stack::repository().join("tests/sdk").join(journey)).current_dir(stack.folder());
    command.env("CONDUCTOR_SERVER_URL", format!("{}/api", stack.manager.url()));
    command.env("CONDUCTOR_AUTH_KEY", "any").env("CONDUCTOR_AUTH_SECRET", stack.manager.token());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let mut program = Group::start(journey, &mut command, &stack.folder().join("sdk.log"));
    let (status, log) = program.wait_for_end(journey, JOURNEY_SECONDS).await;
    assert!(status.success() && log.contains("DONE"), "{journey} ended with {status}:\n{log}");
}

/// One story for each program.
macro_rules! journeys {
    ($($story:ident: $program:literal,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $story() {
                take($program).await;
            }
        )*
    };
}

journeys! {
    workers_sync_and_async_have_good_and_bad_days: "workers.py",
    definitions_are_registered_read_changed_and_removed: "definitions.py",
    workflows_are_started_polled_updated_and_observed: "running.py",
    workflows_of_the_fluent_builders_run: "builders.py",
    tasks_that_the_manager_does_itself_run: "system_tasks.py",
    workflows_are_steered_one_by_one_and_in_bulk: "control.py",
    signals_and_synchronous_execution_answer_at_once: "signals.py",
    schemas_are_kept_and_enforced: "schemas.py",
    events_start_complete_fail_and_end_workflows: "events.py",
    schedules_start_workflows_by_the_clock: "schedules.py",
}

#[test]
fn every_program_is_a_journey() {
    let folder = Stack::repository().join("tests/sdk");
    let here = include_str!("sdk_programs.rs");
    let programs = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left_out: Vec<_> =
        programs.filter(|name| name.ends_with(".py") && name != "story.py" && !here.contains(&format!("\"{name}\""))).collect();
    assert!(left_out.is_empty(), "no story runs {left_out:?}");
}
