//! Hosts that join over TLS, and what those cannot do who own the network, another agent's host or the broker.

use std::process::Command;

use conductor_e2e::{agent_task, free_port, step, until, workflow};
use conductor_wire::identity::EnrolmentString;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel};
use reqwest::Method;
use serde_json::{Value, json};

use crate::installation::{Installation, agent_command, hang_up, mode_of};

#[tokio::test(flavor = "multi_thread")]
async fn the_installers_line_believes_the_one_manager_that_printed_it() {
    let house = Installation::start(3600).await;
    let made = house.made_token(json!({})).await;
    let line = made["installer"].as_str().unwrap();
    let (fetch, rest) = line.split_once(" | ").unwrap();
    let pin = rest.split(' ').skip_while(|word| *word != "--pin").nth(1).unwrap();
    let expected =
        format!("sh -s -- --from https://localhost:{} --pin {pin} {}", house.port, made["enrolment_string"].as_str().unwrap());
    assert_eq!(rest, expected);
    let shell = |line: &str| Command::new("sh").args(["-c", line]).output().unwrap();
    let fetched = shell(fetch);
    assert!(fetched.status.success() && fetched.stdout.starts_with(b"#!/bin/sh\n"), "{fetch}: {fetched:?}");
    // Somebody else who answers there has another key.
    let strangers = fetch.replace(pin, &format!("sha256//{}=", "A".repeat(43)));
    let refused = shell(&strangers);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{strangers}: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_joins_and_nobody_can_speak_or_read_in_its_place() {
    let mut house = Installation::start(3600).await;
    let string = house.token(json!({"labels": {"role": "web"}, "pool": "edge", "uses": 2})).await;
    assert_eq!(
        house.enroll("web-1", &string, 10),
        (0, format!("this host is agent web-1 of https://localhost:{}\n", house.port))
    );
    assert_eq!(mode_of(&house.data_dir("web-1").join("identity")), 0o700);
    assert_eq!(mode_of(&house.data_dir("web-1").join("identity/agent.key")), 0o600);
    house.run_agent("web-1");
    house.wait_for_agent("web-1", "active").await;
    let (_, agent) = house.call(Method::GET, "/api/v1/agents/web-1", None).await;
    assert_eq!(agent["labels"], json!({"role": "web", "pool": "edge"}));

    // A task travels there and back.
    let on_edge = json!({"retryCount": 0, "agent": {"plugin": "work", "requires": "pool=edge"}});
    house.define(agent_task("quick", "quick", on_edge), workflow("run", &[step("quick", "it", json!({}))])).await;
    let flow = house.start_workflow("run").await;
    house.wait_for_end(&flow).await;

    // Another agent can neither read its queue nor speak in its name.
    assert_eq!(house.enroll("web-2", &string, 10).0, 0);
    house.run_agent("web-2");
    house.wait_for_agent("web-2", "active").await;
    house.kill_agent("web-2");
    let (connection, channel) = house.as_agent("web-2").await;
    let options = BasicConsumeOptions::default();
    let refused = channel.basic_consume("agent.web-1".into(), "x".into(), options, FieldTable::default()).await.unwrap_err();
    assert!(refused.to_string().contains("ACCESS_REFUSED"), "{refused}");
    let forged = json!({"protocol": 2, "agent": "web-1", "incarnation": "x", "sent_at": 0,
        "body": {"kind": "lease", "tasks": [], "draining": true, "free_slots": 0}});
    hang_up(connection).await;
    let (connection, channel) = house.as_agent("web-2").await;
    let publish = async |channel: &Channel, exchange: &str, key: &str, body: &Value, user: &str| {
        let properties = BasicProperties::default().with_user_id(user.into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let body = body.to_string();
        match channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties).await {
            Ok(confirm) => confirm.await.map(|_| ()),
            Err(error) => Err(error),
        }
    };
    let refused = publish(&channel, "conductor.inbound", "lease", &forged, "agent.web-1").await.unwrap_err();
    assert!(refused.to_string().contains("PRECONDITION_FAILED"), "{refused}");
    hang_up(connection).await;
    let (connection, channel) = house.as_agent("web-2").await;
    publish(&channel, "conductor.inbound", "lease", &forged, "agent.web-2").await.unwrap();
    until("the manager has dropped the forged lease", 15, async || {
        if house.manager_log().contains("in another agent's name") { Ok(()) } else { Err("not yet") }
    })
    .await;
    house.wait_for_agent("web-1", "active").await;
    hang_up(connection).await;
    let (connection, channel) = house.as_agent("web-2").await;
    let refused = publish(&channel, "conductor.agents", "web-1", &json!({}), "agent.web-2").await.unwrap_err();
    assert!(refused.to_string().contains("ACCESS_REFUSED"), "{refused}");

    // Nor may it do more over REST than its tasks need.
    let http = house.http_of_agent("web-2");
    assert_eq!(house.status_for_agent(&http, "/api/v1/agents/web-2").await, 200);
    assert_eq!(house.status_for_agent(&http, "/api/v1/agents/web-1").await, 403);
    assert_eq!(house.status_for_agent(&http, "/api/v1/agents").await, 403);

    // Revoked, it is out within seconds, on both roads.
    hang_up(connection).await;
    let (connection, _channel) = house.as_agent("web-2").await;
    let (status, said) = house.call(Method::POST, "/api/v1/agents/web-2/revoke", None).await;
    assert_eq!(status, 204, "{said}");
    assert_eq!(house.status_for_agent(&http, "/api/v1/agents/web-2").await, 401);
    until(
        "the broker has closed the connection",
        5,
        async || {
            if connection.status().connected() { Err("it is open") } else { Ok(()) }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_was_altered_on_the_broker_is_refused_and_said_so() {
    let mut house = Installation::start(3600).await;
    let string = house.token(json!({})).await;
    assert_eq!(house.enroll("web-1", &string, 10).0, 0);
    house.run_agent("web-1");
    house.wait_for_agent("web-1", "active").await;
    let task = agent_task("quick", "quick", json!({"retryCount": 0, "agent": {"plugin": "work"}}));
    house.define(task, workflow("run", &[step("quick", "it", json!({"word": "right"}))])).await;

    // Whoever owns the broker changes the task while its agent is away, and sends an honest one to it a second time.
    house.kill_agent("web-1");
    let flow = house.start_workflow("run").await;
    let (_connection, channel) = house.as_owner_of_the_broker().await;
    let message = house.take_from(&channel, "web-1").await;
    let text = String::from_utf8(message.data.clone()).unwrap();
    let altered = text.replace("\"word\":\"right\"", "\"word\":\"wrong\"");
    assert_ne!(text, altered);
    let options = BasicPublishOptions::default();
    let properties = BasicProperties::default();
    let sent = channel.basic_publish("conductor.agents".into(), "web-1".into(), options, altered.as_bytes(), properties).await;
    sent.unwrap().await.unwrap();
    house.run_agent("web-1");
    until("the manager has heard of the refusal", 30, async || {
        let (_, feed) = house.call(Method::GET, "/api/v1/events?follow=false", None).await;
        let text = feed.to_string();
        if text.contains("agent.refused-task") || house.manager_log().contains("signature-invalid") {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    // The manager gives the task out anew, rightly signed.
    let over = house.wait_for_end(&flow).await;
    assert_eq!(over["tasks"][0]["inputData"]["word"], "right");
    let log = std::fs::read_to_string(house.agent_log("web-1")).unwrap();
    assert!(log.contains("signature-invalid"), "{log}");

    // The honest message again, to another agent: it is not for that one.
    let string = house.token(json!({})).await;
    assert_eq!(house.enroll("web-2", &string, 10).0, 0);
    house.run_agent("web-2");
    house.wait_for_agent("web-2", "active").await;
    let properties = BasicProperties::default();
    let sent = channel.basic_publish("conductor.agents".into(), "web-2".into(), options, text.as_bytes(), properties).await;
    sent.unwrap().await.unwrap();
    until("the other agent has refused it", 15, async || {
        let log = std::fs::read_to_string(house.agent_log("web-2")).unwrap_or_default();
        if log.contains("signature-invalid") { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(house.effects.all().iter().filter(|effect| effect.begin).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_task_that_is_sent_again_runs_once_also_after_a_restart() {
    let mut house = Installation::start(3600).await;
    let string = house.token(json!({})).await;
    assert_eq!(house.enroll("web-1", &string, 10).0, 0);
    house.run_agent("web-1");
    house.wait_for_agent("web-1", "active").await;
    let task = agent_task("quick", "quick", json!({"retryCount": 0, "agent": {"plugin": "work"}}));
    house.define(task, workflow("run", &[step("quick", "it", json!({}))])).await;

    // Whoever owns the broker keeps a copy of what the manager sends.
    house.kill_agent("web-1");
    let flow = house.start_workflow("run").await;
    let (_connection, channel) = house.as_owner_of_the_broker().await;
    let message = house.take_from(&channel, "web-1").await;
    let send = async || {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let sent = channel.basic_publish("conductor.agents".into(), "web-1".into(), options, &message.data, properties).await;
        sent.unwrap().await.unwrap();
    };
    send().await;
    house.run_agent("web-1");
    let over = house.wait_for_end(&flow).await;
    for restarts in [false, true] {
        if restarts {
            house.kill_agent("web-1");
        }
        send().await;
        if restarts {
            house.run_agent("web-1");
        }
        // What comes behind it in the queue is done once it was looked at.
        let next = house.start_workflow("run").await;
        house.wait_for_end(&next).await;
    }
    let begun = house.effects.begun();
    assert_eq!(begun[over["tasks"][0]["taskId"].as_str().unwrap()], 1, "{begun:?}");
    assert_eq!(begun.len(), 3, "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_says_of_anothers_task_is_dropped_and_said_so() {
    let mut house = Installation::start(3600).await;
    for (id, role) in [("web-1", "web"), ("db-1", "db")] {
        let string = house.token(json!({"labels": {"role": role}})).await;
        assert_eq!(house.enroll(id, &string, 10).0, 0);
        house.run_agent(id);
        house.wait_for_agent(id, "active").await;
    }
    let on_web = json!({"retryCount": 0, "agent": {"plugin": "work", "requires": "role=web", "idempotent": true}});
    let steps = [step("gated", "it", json!({"gate": "open"}))];
    house.define(agent_task("gated", "gated", on_web), workflow("run", &steps)).await;
    let flow = house.start_workflow("run").await;
    let begun = house.effects.wait_for("it", 1, 30).await;

    // Its agent is gone, so that nobody has the task; another one claims to have done it, and writes in its log.
    house.kill_agent("web-1");
    house.kill_agent("db-1");
    until("the task is lost", 60, async || {
        let (_, feed) = house.call(Method::GET, "/api/v1/events?follow=false", None).await;
        if feed.to_string().contains("task.lost") { Ok(()) } else { Err("not yet") }
    })
    .await;
    let (connection, channel) = house.as_agent("db-1").await;
    let forged_report = json!({"kind": "report", "events": [{"task_id": begun.task, "dispatch": 1, "workflow_id": flow,
        "event": {"event": "finished", "outcome": "succeeded", "output": {"word": "forged"}, "ended_at": 1}}]});
    let forged_lines = json!({"kind": "logs", "tenant": "default_tenant",
        "lines": [{"task_id": begun.task, "seq": 1, "at": 1, "stream": "stdout", "text": "forged"}]});
    for (key, body) in [("result", &forged_report), ("log", &forged_lines)] {
        let message = json!({"protocol": 2, "agent": "db-1", "incarnation": "x", "sent_at": 0, "body": body}).to_string();
        let properties = BasicProperties::default().with_user_id("agent.db-1".into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let sent = channel.basic_publish("conductor.inbound".into(), key.into(), options, message.as_bytes(), properties).await;
        sent.unwrap().await.unwrap();
    }
    until("the manager has dropped both", 15, async || {
        let log = house.manager_log();
        let told = ["a report on a task that the agent was not given", "log lines of a task that the agent was not given"];
        if told.iter().all(|words| log.contains(words)) { Ok(()) } else { Err("not yet") }
    })
    .await;
    hang_up(connection).await;
    assert_eq!(house.call(Method::GET, &format!("/api/workflow/{flow}"), None).await.1["status"], "RUNNING");
    house.effects.open_gate("open");
    house.run_agent("web-1");
    let over = house.wait_for_end(&flow).await;
    assert_ne!(over["tasks"][0]["outputData"]["word"], "forged");
    let (_, lines) = house.call(Method::GET, &format!("/api/tasks/{}/log", begun.task), None).await;
    assert!(!lines.to_string().contains("forged"), "{lines}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_not_joining_has_its_own_words_and_certificates_are_renewed() {
    let mut house = Installation::start(9).await;
    let good = house.token(json!({"uses": 1})).await;
    let parsed: EnrolmentString = good.parse().unwrap();
    let with = |change: &dyn Fn(&mut EnrolmentString)| {
        let mut changed = parsed.clone();
        change(&mut changed);
        changed.to_string()
    };
    let wrong_print = with(&|string| string.fingerprint = "00".repeat(32));
    let wrong_token = with(&|string| string.token = format!("{}0", string.token));
    let nobody = with(&|string| string.manager = format!("https://localhost:{}", free_port()));
    let elsewhere = house.token(json!({"networks": ["192.0.2.0/24"]})).await;
    let brief = house.token(json!({"ttl_seconds": 1, "uses": 1000})).await;
    for (string, code, says) in [
        (&wrong_print, 11, "Nothing secret was sent"),
        (&wrong_token, 20, "does not know this enrolment token"),
        (&nobody, 10, "cannot be reached"),
        (&elsewhere, 23, "not for hosts at 127.0.0.1"),
    ] {
        let (found, text) = house.enroll("web-1", string, 5);
        assert_eq!(found, code, "{text}");
        assert!(text.contains(says), "{text}");
        assert!(!house.data_dir("web-1").join("identity/identity.json").exists());
    }
    let mut hosts = 0;
    until("the brief token has expired", 10, async || {
        // Each try is another host: as long as it is good, the token lets it in.
        hosts += 1;
        let (code, text) = house.enroll(&format!("late-{hosts}"), &brief, 5);
        if code == 21 { Ok(()) } else { Err(text) }
    })
    .await;
    assert_eq!(house.enroll("web-1", &good, 5).0, 0);
    let (code, text) = house.enroll("web-2", &good, 5);
    assert!(code == 22 && text.contains("1 of 1"), "{code} {text}");
    let (code, text) = house.enroll("web-1", &good, 5);
    assert!(code == 13 && text.contains("--again"), "{code} {text}");

    // One that must be approved waits until somebody says yes.
    let manual = house.token(json!({"approval": "manual"})).await;
    let (code, text) = house.enroll("slow", &manual, 0);
    assert!(code == 14 && text.contains("conductor agents approve slow"), "{code} {text}");
    assert_eq!(house.call(Method::POST, "/api/v1/agents/slow/approve", None).await.0, 204);
    assert_eq!(house.enroll("slow", &manual, 10).0, 0);
    for (id, decision, code) in [("unwanted", "reject", 26), ("withdrawn", "revoke", 27)] {
        let manual = house.token(json!({"approval": "manual"})).await;
        assert_eq!(house.enroll(id, &manual, 0).0, 14);
        assert_eq!(house.call(Method::POST, &format!("/api/v1/agents/{id}/{decision}"), None).await.0, 204);
        let (found, text) = house.enroll(id, &manual, 5);
        assert_eq!(found, code, "{text}");
    }
    // Another host under the name of one that is in.
    let string = house.token(json!({})).await;
    let mut impostor = agent_command();
    impostor.args(["enroll", &string, "--id", "web-1", "--data-dir"]).arg(house.data_dir("impostor"));
    assert_eq!(impostor.output().unwrap().status.code(), Some(25));

    // The certificate is replaced long before its end, and the agent goes on.
    house.run_agent("web-1");
    house.wait_for_agent("web-1", "active").await;
    let file = house.data_dir("web-1").join("identity/agent.crt");
    let first = std::fs::read_to_string(&file).unwrap();
    let key = std::fs::read_to_string(house.data_dir("web-1").join("identity/agent.key")).unwrap();
    until("the certificate was renewed", 30, async || {
        if std::fs::read_to_string(&file).unwrap_or_default() == first { Err("it is the first one") } else { Ok(()) }
    })
    .await;
    assert_eq!(std::fs::read_to_string(house.data_dir("web-1").join("identity/agent.key")).unwrap(), key);
    let http = house.http_of_agent("web-1");
    assert_eq!(house.status_for_agent(&http, "/api/v1/agents/web-1").await, 200);
}
