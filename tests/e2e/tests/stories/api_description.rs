//! The OpenAPI document tells the truth: schemathesis reads it and sends what it allows, and what it forbids, to every route.

use std::process::Command;

use conductor_e2e::{Group, Stack, python_environment};

/// Cases of made-up input for each operation.
const CASES_FOR_EACH: &str = "4";
/// The same cases every time; another seed is another walk.
const SEED: &str = "20260101";
/// Longest time in seconds for cases that are worked out instead of made up: each constraint of each parameter, kept and
/// broken. They are some thousands; on a slow machine what is not reached in time is left out.
const COVERAGE_SECONDS: &str = "60";
/// Longest time in seconds for one walk.
const SECONDS: u64 = 150;

/// Walks through all operations.
async fn walk(stack: &Stack, phases: &str, more: &[&str]) {
    let program = python_environment("schemathesis").join("schemathesis");
    let mut command = Command::new(program);
    command.arg("--config-file").arg(Stack::repository().join("tests/sdk/schemathesis.toml"));
    command.args(["run", &format!("{}/api/openapi.json", stack.manager.url())]);
    command.args(["--phases", phases, "--seed", SEED, "--workers", "2"]).args(more);
    command
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"]);
    command.args(["--no-shrink", "--continue-on-failure", "--no-color", "--generation-database", "none"]);
    command.arg("--header").arg(format!("Authorization: Bearer {}", stack.manager.token())).current_dir(stack.folder());
    let mut walk = Group::start("schemathesis", &mut command, &stack.folder().join("schemathesis.log"));
    let (status, log) = walk.wait_for_end("schemathesis", SECONDS).await;
    assert!(status.success(), "schemathesis ended with {status}:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_one_that_the_description_names() {
    let stack = Stack::options().start().await;
    walk(&stack, "examples,fuzzing", &["--max-examples", CASES_FOR_EACH]).await;
    walk(&stack, "coverage", &["--max-time", COVERAGE_SECONDS]).await;
}
