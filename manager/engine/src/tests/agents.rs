//! Tasks that run on agents.

use conductor_model::limits::LOST_REDISPATCH_MAX;
use conductor_model::{Outcome, TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{BEGIN, Story, simple};
use crate::{Effect, Event, Refusal, WorkerStatus};

fn start(mut definition: Value, agent: &Value) -> Story {
    definition["name"] = json!("t");
    definition["agent"] = json!({"plugin": "web@1.0", "operation": "deploy"});
    for (key, value) in agent.as_object().unwrap() {
        definition["agent"][key] = value.clone();
    }
    let step = json!({"name": "t", "taskReferenceName": "t", "inputParameters": {"host": "${workflow.input.host}", "n": 3}});
    Story::start(json!({"tasks": [step, simple("after")]}), json!([definition]), json!({"host": "agent-2"}))
}

fn lost(story: &Story, never_begun: bool) -> Event {
    Event::Lost { task: story.id("t"), dispatch: story.dispatch("t"), reason: "agent went away".to_owned(), never_begun }
}

#[test]
fn a_task_is_assigned_started_and_finished() {
    let mut story = start(json!({}), &json!({"requires": "role=web", "limits": {"pids": 7}}));
    let part = story.task("t").agent.as_ref().unwrap();
    assert_eq!(
        (part.plugin.as_str(), part.operation.as_str(), part.requires.as_deref()),
        ("web@1.0", "deploy", Some("role=web"))
    );
    assert_eq!((part.dispatch, part.limits.as_ref().unwrap().pids), (0, Some(7)));
    let task = story.id("t");
    assert!(matches!(story.try_event(Event::Polled { task, worker: "w".to_owned() }), Err(Refusal::TaskStatus { .. })));

    story.assign("t", "agent-1");
    assert_eq!(story.effects, [Effect::Dispatch { task }]);
    assert_eq!(story.task("t").status, TaskStatus::Scheduled);
    assert_eq!((story.dispatch("t"), story.task("t").worker_id.as_deref()), (1, Some("agent-1")));
    let again = Event::Assigned { task, agent: "agent-2".parse().unwrap(), incarnation: String::new(), alternates: Vec::new() };
    assert!(matches!(story.try_event(again), Err(Refusal::TaskStatus { .. })));

    story.wait(1);
    story.started("t");
    assert_eq!((story.task("t").status, story.task("t").started_at), (TaskStatus::InProgress, Some(story.now)));
    let twice = Event::Started { task, dispatch: 1, at: story.now };
    assert!(matches!(story.try_event(twice), Err(Refusal::TaskStatus { .. })));
    story.wait(1);
    story.finish("t", Outcome::Succeeded, json!({"url": "http://x"}));
    assert_eq!(story.task("t").output.as_ref(), &json!({"url": "http://x"}));
    assert_eq!(story.open(), ["after"]);
    assert!(story.effects.is_empty(), "the agent needs not be told");
}

#[test]
fn a_short_task_ends_without_a_start() {
    let mut story = start(json!({}), &json!({}));
    story.assign("t", "agent-1");
    story.finish("t", Outcome::NotNeeded, json!({}));
    assert_eq!((story.task("t").status, story.task("t").outcome), (TaskStatus::Completed, Some(Outcome::NotNeeded)));
    assert_eq!(story.task("t").started_at, Some(BEGIN));
}

#[test]
fn texts_of_the_agent_key_are_resolved() {
    let story = start(
        json!({"inputTemplate": {"zone": "z7"}}),
        &json!({"target": "${task.input.host}", "requires": "zone=${task.input.zone}", "nodeInstance": "${workflow.input.host}_site"}),
    );
    let part = story.task("t").agent.as_ref().unwrap();
    assert_eq!(part.target.as_ref().unwrap().as_str(), "agent-2");
    assert_eq!(part.requires.as_deref(), Some("zone=z7"));
    assert_eq!(part.node_instance.as_deref(), Some("agent-2_site"));
}

#[test]
fn texts_that_come_to_rubbish_end_the_task_for_good() {
    for (agent, part) in [
        (json!({"target": "${workflow.input.no}"}), "agent.target comes to nothing"),
        (json!({"target": "${workflow.input}"}), "agent.target comes to an object"),
        (json!({"target": "no such/agent"}), "agent.target: agent id"),
        (json!({"requires": "role ~ ${workflow.input.host}"}), "agent.requires: selector"),
        (json!({"operation": "${workflow.input.no}"}), "agent.operation comes to nothing"),
        (json!({"nodeInstance": "${workflow.input.no}"}), "agent.nodeInstance comes to nothing"),
    ] {
        let story = start(json!({"retryCount": 3}), &agent);
        assert_eq!(story.attempts("t"), [TaskStatus::FailedWithTerminalError], "{agent}");
        assert_eq!(story.status(), WorkflowStatus::Failed);
        let reason = story.task("t").reason.clone().unwrap();
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn outcomes_become_statuses() {
    for (outcome, status) in [
        (Outcome::Succeeded, TaskStatus::Completed),
        (Outcome::NotNeeded, TaskStatus::Completed),
        (Outcome::Failed, TaskStatus::Failed),
        (Outcome::OutOfMemory, TaskStatus::Failed),
        (Outcome::Lost, TaskStatus::Failed),
        (Outcome::Refused, TaskStatus::Failed),
        (Outcome::FailedTerminally, TaskStatus::FailedWithTerminalError),
        (Outcome::TimedOut, TaskStatus::TimedOut),
        (Outcome::Cancelled, TaskStatus::Canceled),
    ] {
        let mut story = start(json!({"retryCount": 1, "timeoutPolicy": "RETRY"}), &json!({}));
        let first = story.id("t");
        story.assign("t", "agent-1");
        story.started("t");
        story.finish("t", outcome, json!({}));
        let ended = story.run.task(first).unwrap();
        assert_eq!((ended.status, ended.outcome), (status, Some(outcome)));
        assert_eq!(story.attempts("t").len(), if status.is_retriable() { 2 } else { 1 }, "{outcome}");
        let expected = match status {
            TaskStatus::FailedWithTerminalError => WorkflowStatus::Failed,
            TaskStatus::Canceled => WorkflowStatus::Terminated,
            _ => WorkflowStatus::Running,
        };
        assert_eq!(story.status(), expected, "{outcome}");
    }
}

#[test]
fn a_timeout_on_the_host_follows_the_policy() {
    let mut story = start(json!({"retryCount": 5, "timeoutSeconds": 9, "responseTimeoutSeconds": 9}), &json!({}));
    story.assign("t", "agent-1");
    story.started("t");
    story.finish("t", Outcome::TimedOut, json!({}));
    assert_eq!((story.attempts("t"), story.status()), (vec![TaskStatus::TimedOut], WorkflowStatus::TimedOut));
}

#[test]
fn the_managers_run_timeout_comes_after_the_hosts() {
    let mut story = start(json!({"timeoutSeconds": 60, "responseTimeoutSeconds": 60, "timeoutPolicy": "RETRY"}), &json!({}));
    story.assign("t", "agent-1");
    story.started("t");
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(65)));
    let task = story.id("t");
    story.time_out("t");
    let [Effect::Cancel { task: cancelled, dispatch: 1, agent, .. }] = story.effects.as_slice() else {
        panic!("{:?}", story.effects)
    };
    assert_eq!((*cancelled, agent.as_str()), (task, "agent-1"));
}

#[test]
fn a_renewed_task_is_not_silent() {
    let mut story = start(json!({"responseTimeoutSeconds": 80, "retryCount": 0}), &json!({}));
    story.assign("t", "agent-1");
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(90)), "an assigned task must be heard of, too");
    let task = story.id("t");
    story.wait(9);
    assert_eq!(story.try_event(Event::Renewed { task, dispatch: 1 }), Err(Refusal::NothingDue), "not worth a commit");
    story.wait(1);
    story.event(Event::Renewed { task, dispatch: 1 });
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(100)));
    assert!(matches!(story.try_event(Event::Renewed { task, dispatch: 2 }), Err(Refusal::StaleDispatch { .. })));
    story.time_out("t");
    assert_eq!(story.task("t").outcome, Some(Outcome::TimedOut));
    assert_eq!(story.status(), WorkflowStatus::TimedOut);
}

#[test]
fn a_lost_idempotent_task_is_sent_again() {
    let mut story = start(json!({"retryCount": 0}), &json!({"idempotent": true}));
    let task = story.id("t");
    story.assign("t", "agent-1");
    story.started("t");
    story.wait(5);
    let event = lost(&story, false);
    story.event(event.clone());
    let record = story.task("t");
    assert_eq!(
        (record.id, record.status, record.started_at, record.visible_at),
        (task, TaskStatus::Scheduled, None, story.now)
    );
    let part = record.agent.as_ref().unwrap();
    assert_eq!((part.assigned.is_none(), part.dispatch, part.lost_count), (true, 1, 1));
    assert!(matches!(story.try_event(event), Err(Refusal::StaleDispatch { .. })), "lost once");

    story.assign("t", "agent-2");
    assert_eq!(story.dispatch("t"), 2);
    let old = Event::Started { task, dispatch: 1, at: story.now };
    assert_eq!(story.try_event(old), Err(Refusal::StaleDispatch { task }));
    story.finish("t", Outcome::Succeeded, json!({}));
    assert_eq!(story.attempts("t"), [TaskStatus::Completed]);
}

#[test]
fn a_result_that_comes_after_all_counts() {
    let mut story = start(json!({}), &json!({"idempotent": true}));
    story.assign("t", "agent-1");
    let event = lost(&story, false);
    story.event(event);
    story.finish("t", Outcome::Succeeded, json!({"n": 1}));
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn a_task_that_never_began_is_sent_again_also_if_it_is_not_idempotent() {
    let mut story = start(json!({"retryCount": 0}), &json!({}));
    for _ in 0..LOST_REDISPATCH_MAX {
        story.assign("t", "agent-1");
        let event = lost(&story, true);
        story.event(event);
        assert_eq!(story.task("t").status, TaskStatus::Scheduled);
    }
    story.assign("t", "agent-1");
    let event = lost(&story, true);
    story.event(event);
    assert_eq!(story.task("t").outcome, Some(Outcome::Lost), "but not for ever");
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn a_lost_task_that_is_not_idempotent_follows_the_retry_rules() {
    let mut story = start(json!({"retryCount": 1, "retryDelaySeconds": 4}), &json!({}));
    let first = story.id("t");
    story.assign("t", "agent-1");
    story.started("t");
    let event = lost(&story, false);
    story.event(event);
    let ended = story.run.task(first).unwrap();
    assert_eq!((ended.status, ended.outcome), (TaskStatus::Failed, Some(Outcome::Lost)));
    assert_eq!(story.task("t").attempt, 1);
    let part = story.task("t").agent.as_ref().unwrap();
    assert_eq!((part.dispatch, part.lost_count, part.assigned.is_none()), (0, 0, true));
    assert!(story.feed.contains(&"task.lost"));
}

#[test]
fn a_task_that_cannot_be_placed_ever_is_refused() {
    let mut story = start(json!({"retryCount": 5}), &json!({}));
    let task = story.id("t");
    story.event(Event::Unplaceable { task, reason: "plugin web has no version 1.0".to_owned() });
    assert_eq!(story.task("t").outcome, Some(Outcome::Refused));
    assert_eq!(story.status(), WorkflowStatus::Failed);
    assert!(story.feed.contains(&"task.refused"));
}

#[test]
fn terminating_tells_the_agents_that_have_tasks() {
    let mut story = start(json!({}), &json!({}));
    story.assign("t", "agent-1");
    story.started("t");
    let task = story.id("t");
    story.event(Event::Terminate { reason: None });
    assert!(matches!(story.effects.as_slice(), [Effect::Cancel { task: cancelled, dispatch: 1, .. }] if *cancelled == task));
    let late =
        crate::AgentOutcome { outcome: Outcome::Cancelled, output: serde_json::Map::new(), reason: None, started_at: None };
    assert!(matches!(
        story.try_event(Event::Finished { task, dispatch: 1, outcome: late }),
        Err(Refusal::TaskOver { status: TaskStatus::Canceled, .. })
    ));
}

#[test]
fn a_report_by_hand_takes_the_task_from_the_agent() {
    let mut story = start(json!({}), &json!({}));
    story.assign("t", "agent-1");
    story.update("t", WorkerStatus::InProgress, json!({"seen": 1}));
    assert_eq!(story.task("t").status, TaskStatus::Scheduled, "it stays with the agent");
    assert!(story.task("t").agent.as_ref().unwrap().assigned.is_some());
    story.complete("t", json!({}));
    assert!(matches!(story.effects.as_slice(), [Effect::Cancel { .. }]));
}

#[test]
fn a_paused_workflow_is_not_placed_but_hears_of_what_is_out() {
    let mut story = start(json!({}), &json!({"idempotent": true}));
    story.assign("t", "agent-1");
    story.event(Event::Pause);
    story.started("t");
    let event = lost(&story, false);
    story.event(event);
    let task = story.id("t");
    let assigned = Event::Assigned { task, agent: "a".parse().unwrap(), incarnation: String::new(), alternates: Vec::new() };
    assert!(matches!(story.try_event(assigned), Err(Refusal::WorkflowStatus { .. })));
    story.event(Event::Resume);
    story.assign("t", "agent-2");
}

#[test]
fn clocks_that_differ_do_no_harm() {
    let mut story = start(json!({}), &json!({}));
    story.assign("t", "agent-1");
    let (task, at) = (story.id("t"), story.now.plus_seconds(1000));
    story.event(Event::Started { task, dispatch: 1, at });
    assert_eq!(story.task("t").started_at, Some(story.now));
}
