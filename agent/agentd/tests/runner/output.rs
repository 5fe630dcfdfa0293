//! What tasks say.

use conductor_model::limits::{LOG_LINE_BYTES_MAX, TASK_LOG_BYTES_MAX};
use conductor_model::{LogStream, Outcome};
use serde_json::json;

use crate::rig::on_a_host;

#[test]
fn every_event_is_heard() {
    on_a_host(|rig| async move {
        let ended = rig.run("good").await;
        assert_eq!(ended.ending.outcome, Outcome::NotNeeded);
        assert_eq!(ended.reason(), "it was there");
        let output = json!({
            "a": 2, "b": {"c": [true]},
            "links": [{"name": "site", "url": "http://localhost"}],
            "metrics": {"took_ms": 1.5},
        });
        assert_eq!(json!(ended.output), output);
        assert_eq!(json!(ended.properties), json!({"url": "http://localhost", "old": null}));
        assert_eq!(ended.lines(LogStream::Event), ["warn: careful"]);
        assert_eq!(*ended.ears.progress.borrow(), [Some(50.0)]);
        assert!(ended.ears.process.borrow().is_some_and(|process| process.start_ticks > 0));
    });
}

#[test]
fn rubbish_on_the_event_channel_becomes_warnings() {
    on_a_host(|rig| async move {
        let ended = rig.run("rubbish").await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded);
        assert_eq!(json!(ended.output), json!({"fine": true, "last": "without a line end"}));
        let warnings = ended.lines(LogStream::Event);
        assert!(warnings.len() >= 5, "{warnings:?}");
        assert!(warnings.iter().all(|line| line.starts_with("warn: not an event")), "{warnings:?}");
    });
}

#[test]
fn a_flood_is_cut_off_with_a_mark_and_does_not_hold_the_task() {
    on_a_host(|rig| async move {
        let ended = rig.run("flood").await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded);
        let bytes = *ended.ears.bytes.borrow() as u64;
        assert!(bytes <= TASK_LOG_BYTES_MAX + 1000 && bytes > TASK_LOG_BYTES_MAX / 2, "{bytes} bytes were kept");
        let marks = ended.lines(LogStream::Event);
        assert!(marks[0].contains("the rest is dropped") && marks[1].contains("log lines were dropped"), "{marks:?}");
    });
}

#[test]
fn a_long_line_is_cut_with_a_mark() {
    on_a_host(|rig| async move {
        let lines = rig.run("long-line").await.lines(LogStream::Stdout);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].len() < LOG_LINE_BYTES_MAX + 64);
        assert!(lines[0].ends_with(&format!("[… {} bytes cut]", 1_000_000 - LOG_LINE_BYTES_MAX)));
        assert_eq!(lines[1], "short");
    });
}

#[test]
fn too_much_output_is_a_failure_that_no_other_attempt_mends() {
    on_a_host(|rig| async move {
        let ended = rig.run("big-output").await;
        assert_eq!(ended.ending.outcome, Outcome::FailedTerminally);
        assert!(ended.reason().contains("output came to more than"), "{}", ended.reason());
    });
}
