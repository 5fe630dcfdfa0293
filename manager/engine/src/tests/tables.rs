//! The state machines as tables: every status and everything that can be said to a task or a workflow in it.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Map, Value, json};

use super::harness::{Story, simple};
use crate::{Event, Refusal, WorkerStatus};

/// What a table says where the engine refuses.
const NO: &str = "-";

/// A workflow of two steps in a status; the first was polled.
fn workflow_in(status: WorkflowStatus) -> Story {
    let definitions = json!([{"name": "a", "retryCount": 0, "responseTimeoutSeconds": 10}]);
    let mut story = Story::start(json!({"tasks": [simple("a"), simple("b"), simple("c")]}), definitions, json!({}));
    story.poll("a");
    match status {
        WorkflowStatus::Running => {}
        WorkflowStatus::Paused => story.event(Event::Pause),
        WorkflowStatus::Completed => ["a", "b", "c"].iter().for_each(|step| story.complete(step, json!({}))),
        WorkflowStatus::Failed => story.fail("a"),
        WorkflowStatus::TimedOut => story.time_out("a"),
        WorkflowStatus::Terminated => story.event(Event::Terminate { reason: None }),
    }
    assert_eq!(story.status(), status);
    story
}

fn rerun(story: &Story, from: Option<&str>) -> Event {
    let from = from.map(|reference| story.id(reference));
    Event::Rerun { from, task_input: None, workflow_input: None, correlation_id: None }
}

fn command(name: &str, story: &Story) -> Event {
    match name {
        "pause" => Event::Pause,
        "resume" => Event::Resume,
        "terminate" => Event::Terminate { reason: Some("enough".to_owned()) },
        "terminate as failed" => Event::TerminateAsFailed { reason: None },
        "restart" => Event::Restart { plan: None },
        "retry" => Event::Retry { resume_subworkflows: false },
        "rerun" => rerun(story, None),
        "rerun from a task" => rerun(story, Some("a")),
        // No step of this workflow waits for another.
        "rerun of a child" => Event::RerunChild { task: story.id("a"), workflow_input: None, correlation_id: None },
        "skip a later step" => Event::Skip { reference: "c".to_owned(), input: Map::new(), output: Map::new() },
        "reset callbacks" => Event::ResetCallbacks,
        "set variables" => Event::SetVariables { variables: Map::new(), append: true },
        other => panic!("{other}"),
    }
}

#[test]
fn each_command_in_each_status_of_a_workflow() {
    use WorkflowStatus::{Completed, Failed, Paused, Running, Terminated, TimedOut};
    let statuses = [Running, Paused, Completed, Failed, TimedOut, Terminated];
    // What the workflow is afterwards. To pause what is paused and to terminate what is terminated asks for nothing: the
    // manager answers that without a decision.
    let table: [(&str, [&str; 6]); 12] = [
        ("pause", ["PAUSED", NO, NO, NO, NO, NO]),
        ("resume", [NO, "RUNNING", NO, NO, NO, NO]),
        ("terminate", ["TERMINATED", "TERMINATED", NO, NO, NO, NO]),
        ("terminate as failed", ["TERMINATED", "TERMINATED", NO, NO, NO, NO]),
        ("restart", [NO, NO, "RUNNING", "RUNNING", "RUNNING", "RUNNING"]),
        ("retry", [NO, NO, NO, "RUNNING", "RUNNING", "RUNNING"]),
        ("rerun", [NO, NO, "RUNNING", "RUNNING", "RUNNING", "RUNNING"]),
        ("rerun from a task", [NO, NO, "RUNNING", "RUNNING", "RUNNING", "RUNNING"]),
        ("rerun of a child", [NO; 6]),
        ("skip a later step", ["RUNNING", NO, NO, NO, NO, NO]),
        ("reset callbacks", ["RUNNING", "PAUSED", NO, NO, NO, NO]),
        ("set variables", ["RUNNING", "PAUSED", NO, NO, NO, NO]),
    ];
    let mut wrong = Vec::new();
    for (name, expected) in table {
        for (status, expected) in statuses.into_iter().zip(expected) {
            let mut story = workflow_in(status);
            let event = command(name, &story);
            let tasks = story.tasks();
            let became = match story.try_event(event) {
                Ok(()) => story.status().to_string(),
                Err(_) => {
                    assert_eq!((story.status(), story.tasks()), (status, tasks), "{name} was refused and left something");
                    NO.to_owned()
                }
            };
            if became != expected {
                wrong.push(format!("{name} in {status}: {became}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A workflow that goes on beside a task, which is in a status.
fn task_in(status: TaskStatus) -> Story {
    let flag = match status {
        TaskStatus::CompletedWithErrors => "optional",
        TaskStatus::Failed | TaskStatus::FailedWithTerminalError | TaskStatus::TimedOut => "permissive",
        _ => "rateLimited",
    };
    let step = json!({"name": "t", "taskReferenceName": "t", flag: true});
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN",
        "forkTasks": [[simple("before"), step], [simple("beside")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["t", "beside"]});
    let definitions = json!([{"name": "t", "retryCount": 0, "responseTimeoutSeconds": 10}]);
    let mut story = Story::start(json!({"tasks": [fork, join, simple("after")]}), definitions, json!({}));
    if status == TaskStatus::Skipped {
        story.event(Event::Skip { reference: "t".to_owned(), input: Map::new(), output: Map::new() });
    }
    story.complete("before", json!({}));
    match status {
        TaskStatus::Scheduled | TaskStatus::Skipped => {}
        TaskStatus::InProgress => story.poll("t"),
        TaskStatus::Completed => story.complete("t", json!({})),
        TaskStatus::CompletedWithErrors | TaskStatus::Failed => story.fail("t"),
        TaskStatus::FailedWithTerminalError => story.update("t", WorkerStatus::FailedWithTerminalError, json!({})),
        TaskStatus::TimedOut => {
            story.poll("t");
            story.time_out("t");
        }
        TaskStatus::Canceled => story.event(Event::Terminate { reason: None }),
    }
    assert_eq!(story.task("t").status, status);
    story
}

fn report(name: &str, story: &Story) -> Event {
    let update = |status, extend_lease| {
        let mut update = story.worker_update("t", status, json!({"said": true}));
        update.extend_lease = extend_lease;
        Event::Updated(update)
    };
    match name {
        "poll" => Event::Polled { task: story.id("t"), worker: "w1".to_owned() },
        "IN_PROGRESS" => update(WorkerStatus::InProgress, false),
        "COMPLETED" => update(WorkerStatus::Completed, false),
        "FAILED" => update(WorkerStatus::Failed, false),
        "FAILED_WITH_TERMINAL_ERROR" => update(WorkerStatus::FailedWithTerminalError, false),
        "extend the lease" => update(WorkerStatus::InProgress, true),
        other => panic!("{other}"),
    }
}

#[test]
fn each_report_in_each_status_of_a_task() {
    use TaskStatus::{
        Canceled, Completed, CompletedWithErrors, Failed, FailedWithTerminalError, InProgress, Scheduled, Skipped, TimedOut,
    };
    // Of each status whether it is final, whether the flow goes on behind it, and whether another attempt may follow; what
    // becomes of a task in it on a poll and on each report.
    type Row = (TaskStatus, [bool; 3], [&'static str; 6]);
    const REPORTS: [&str; 6] = ["poll", "IN_PROGRESS", "COMPLETED", "FAILED", "FAILED_WITH_TERMINAL_ERROR", "extend the lease"];
    const OPEN: [&str; 4] = ["SCHEDULED", "COMPLETED", "FAILED", "FAILED_WITH_TERMINAL_ERROR"];
    const OVER: [&str; 6] = [NO; 6];
    let rows: [Row; 9] = [
        (Scheduled, [false, false, false], ["IN_PROGRESS", OPEN[0], OPEN[1], OPEN[2], OPEN[3], "SCHEDULED"]),
        (InProgress, [false, false, false], [NO, OPEN[0], OPEN[1], OPEN[2], OPEN[3], "IN_PROGRESS"]),
        (Completed, [true, true, false], OVER),
        (CompletedWithErrors, [true, true, false], OVER),
        (Failed, [true, false, true], OVER),
        (TimedOut, [true, false, true], OVER),
        (FailedWithTerminalError, [true, false, false], OVER),
        (Canceled, [true, false, false], OVER),
        (Skipped, [true, true, false], OVER),
    ];
    let mut wrong = Vec::new();
    for (status, [is_final, is_success, is_retriable], expected) in rows {
        assert_eq!(status.is_terminal(), is_final, "{status}");
        assert_eq!(status.is_successful(), is_success, "{status}");
        assert_eq!(status.is_retriable(), is_retriable, "{status}");
        for (name, expected) in REPORTS.into_iter().zip(expected) {
            let mut story = task_in(status);
            let event = report(name, &story);
            let before = story.task("t").clone();
            let became = match story.try_event(event) {
                Ok(()) => story.task("t").status.to_string(),
                Err(refusal) => {
                    assert_eq!(story.task("t"), &before, "{name} was refused and left something");
                    let is_over = matches!(refusal, Refusal::TaskOver { .. } | Refusal::WorkflowStatus { .. });
                    assert_eq!(is_over, status.is_terminal(), "{name} in {status}: {refusal}");
                    NO.to_owned()
                }
            };
            if became != expected {
                wrong.push(format!("{name} in {status}: {became}, not {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_limit_of_time_with_each_policy() {
    // Which limit; what becomes of the task's attempts and the workflow with RETRY, TIME_OUT_WF and ALERT_ONLY.
    const AGAIN: &str = "TIMED_OUT SCHEDULED, RUNNING";
    const END: &str = "TIMED_OUT, TIMED_OUT";
    let table: [(&str, [&str; 3]); 4] = [
        ("totalTimeoutSeconds", [END, END, "IN_PROGRESS, RUNNING"]),
        ("timeoutSeconds", [AGAIN, END, "IN_PROGRESS, RUNNING"]),
        ("pollTimeoutSeconds", [AGAIN, END, "SCHEDULED, RUNNING"]),
        ("responseTimeoutSeconds", [AGAIN, AGAIN, AGAIN]),
    ];
    for (limit, expected) in table {
        for (policy, expected) in ["RETRY", "TIME_OUT_WF", "ALERT_ONLY"].into_iter().zip(expected) {
            let mut definition = json!({"name": "t", "retryCount": 1, "retryDelaySeconds": 0, "timeoutPolicy": policy,
                "responseTimeoutSeconds": 20});
            definition[limit] = Value::from(30);
            let mut story = Story::start(json!({"tasks": [simple("t")]}), json!([definition]), json!({}));
            if limit != "pollTimeoutSeconds" {
                story.poll("t");
            }
            if limit == "timeoutSeconds" || limit == "totalTimeoutSeconds" {
                // A word of the worker, so that it is not its silence that counts.
                story.wait(15);
                story.event(report("extend the lease", &story));
            }
            story.time_out("t");
            let attempts: Vec<String> = story.attempts("t").iter().map(ToString::to_string).collect();
            let became = format!("{}, {}", attempts.join(" "), story.status());
            assert_eq!(became, expected, "{limit} with {policy}");
        }
    }
}
