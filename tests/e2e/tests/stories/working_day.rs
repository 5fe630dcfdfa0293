//! A day on which nothing goes wrong: agents and a polling worker serve one workflow, and everything can be seen over REST.

use std::time::Duration;

use conductor_client::{Client, EventQuery, SseParser, TaskUpdate};
use conductor_e2e::{AgentSpec, Stack, agent_task, fork, join, step, until, worker_task, workflow};
use conductor_model::{FeedEntry, TaskStatus, WorkflowId, WorkflowStatus};
use reqwest::Method;
use serde_json::{Map, json};

/// A worker as the SDKs have them: it polls, works, reports, and goes on.
async fn price_worker(client: Client) {
    loop {
        for task in client.poll("price", "worker-1", 5, 500).await.unwrap_or_default() {
            let amount = task.input_data["amount"].as_i64().unwrap_or_default();
            let output = Map::from_iter([("total".to_owned(), json!(amount * 2))]);
            client.update_task(&TaskUpdate::completed(&task, output)).await.unwrap();
        }
    }
}

async fn market() -> Stack {
    let stack =
        Stack::options().agent(AgentSpec::new("agent-1").label("role", "web")).agent(AgentSpec::new("agent-2")).start().await;
    let tasks = [
        agent_task("hear", "echo", json!({})),
        agent_task("note", "note", json!({"agent": {"target": "agent-1"}})),
        agent_task("sum", "flaky", json!({"retryCount": 2, "agent": {"requires": "role=web"}})),
        worker_task("price", json!({})),
    ];
    let mut market = workflow(
        "market",
        &[
            step("hear", "hear", json!({"call": "${workflow.input.call}"})),
            fork(
                "apart",
                &[
                    vec![step("note", "note", json!({"note": "${workflow.input.call}"}))],
                    vec![step("price", "price", json!({"amount": 21}))],
                ],
            ),
            join("together", &["note", "price"]),
            step("sum", "sum", json!({"total": "${price.output.total}"})),
        ],
    );
    market["outputParameters"] =
        json!({"total": "${price.output.total}", "heard": "${hear.output.agent}", "tries": "${sum.output.attempt}"});
    stack.define(&tasks, &[market]).await;
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_a_polling_worker_serve_the_steps_of_one_workflow() {
    let stack = market().await;
    let client = stack.client();
    let worker = tokio::spawn(price_worker(stack.client()));
    let id = stack.run("market", json!({"call": "fresh fish"})).await;
    let over = stack.wait_for_end(id, 60).await;
    worker.abort();

    assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    assert_eq!(over.output["total"], 42, "the worker's output reached the workflow's");
    assert_eq!(over.output["tries"], 1, "the step that fails at first was tried again");
    let heard_by = over.output["heard"].as_str().unwrap();
    let hear = over.tasks.iter().find(|task| task.reference_task_name == "hear").unwrap();
    assert_eq!(hear.worker_id.as_deref(), Some(heard_by), "the agent that ran it is the one that is shown");
    let sums: Vec<_> = over.tasks.iter().filter(|task| task.reference_task_name == "sum").collect();
    assert_eq!(sums.iter().map(|task| task.status).collect::<Vec<_>>(), [TaskStatus::Failed, TaskStatus::Completed]);
    let reason = sums[0].reason_for_incompletion.clone().unwrap_or_default();
    assert!(reason.contains("not the first time"), "the last words are in the reason: {reason:?}");
    assert!(sums.iter().all(|task| task.worker_id.as_deref() == Some("agent-1")), "only agent-1 bears role=web");
    stack.effects.assert_nothing_ran_twice(|_| false);

    let lines = until("the log is complete", 20, async || {
        let page = client.task_logs(&hear.task_id.to_string(), 0, 100).await.map_err(|error| error.to_string())?;
        if page.lines.len() >= 3 { Ok(page.lines) } else { Err(format!("{:?}", page.lines)) }
    })
    .await;
    for text in ["a line on standard output", "a line on standard error", "a line by event"] {
        assert_eq!(lines.iter().filter(|line| line.text.contains(text)).count(), 1, "{text}: {lines:?}");
    }
    assert!(lines.iter().zip(1..).all(|(line, seq)| line.seq == seq), "lines are counted without a gap: {lines:?}");

    let host = client.node_instance("agent-1").await.unwrap();
    assert_eq!(host["runtime_properties"]["note"], "fresh fish");
    assert_eq!(host["runtime_properties"]["by"], "note");
    assert_eq!(client.node_instance("agent-2").await.unwrap()["runtime_properties"].get("note"), None);
}

/// Reads events of a stream until one is of the kind `last` or there are `most`, then hangs up.
async fn read_events(stack: &Stack, id: WorkflowId, after: Option<u64>, most: usize, last: &str) -> Vec<FeedEntry> {
    let mut request = stack
        .raw()
        .request(Method::GET, &format!("/api/v1/events?workflow_id={id}{}", if after.is_none() { "&after=0" } else { "" }));
    if let Some(after) = after {
        request = request.header("Last-Event-ID", after.to_string());
    }
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (mut parser, mut entries) = (SseParser::new(1 << 20), Vec::<FeedEntry>::new());
    loop {
        let piece = tokio::time::timeout(Duration::from_secs(30), response.chunk()).await.expect("the stream speaks");
        let mut events = Vec::new();
        parser.push(&piece.unwrap().expect("the stream goes on"), &mut events).unwrap();
        for event in events {
            let entry: FeedEntry = serde_json::from_str(&event.data).unwrap();
            assert_eq!(event.id.as_deref(), Some(entry.id.to_string().as_str()));
            let is_last = entry.kind == last;
            entries.push(entry);
            if is_last || entries.len() == most {
                return entries;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_hangs_up_and_comes_back_misses_nothing_and_hears_nothing_twice() {
    let stack = market().await;
    let worker = tokio::spawn(price_worker(stack.client()));
    let id = stack.run("market", json!({"call": "ripe figs"})).await;

    // While it runs: three events at a time, each time a new connection.
    let mut heard: Vec<FeedEntry> = Vec::new();
    while heard.last().is_none_or(|entry| entry.kind != "workflow.completed") {
        let after = heard.last().map(|entry| entry.id);
        heard.extend(read_events(&stack, id, after, 3, "workflow.completed").await);
    }
    worker.abort();
    let at_once = read_events(&stack, id, None, usize::MAX, "workflow.completed").await;
    let key = |entry: &FeedEntry| (entry.id, entry.kind.clone(), entry.task_id);
    assert_eq!(heard.iter().map(key).collect::<Vec<_>>(), at_once.iter().map(key).collect::<Vec<_>>());
    assert_eq!(heard.first().map(|entry| &*entry.kind), Some("workflow.started"));
    assert!(
        heard.iter().any(|entry| entry.kind == "task.retried")
            || heard.iter().filter(|entry| entry.kind == "task.scheduled").count() > 4
    );
    let completed: Vec<&FeedEntry> = heard.iter().filter(|entry| entry.kind == "task.completed").collect();
    for reference in ["hear", "note", "price", "sum"] {
        let of_step = |entry: &&&FeedEntry| entry.data.parse()["reference"] == reference;
        assert_eq!(completed.iter().filter(of_step).count(), 1, "{reference}: {completed:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_ends_when_it_is_asked_to() {
    let mut stack = Stack::options().agent(AgentSpec::new("agent-1")).start().await;
    stack.define(&[agent_task("quick", "quick", json!({}))], &[workflow("short", &[step("quick", "quick", json!({}))])]).await;
    let id = stack.run("short", json!({})).await;
    assert_eq!(stack.wait_for_end(id, 30).await.status, WorkflowStatus::Completed);
    let mut events = stack.client().events(EventQuery::default()).await.unwrap();
    stack.agent("agent-1").stop();
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let entry = events.next().await.unwrap();
            if entry.agent_id.is_some_and(|agent| agent.as_str() == "agent-1") {
                return entry.kind;
            }
        }
    });
    assert_eq!(gone.await.unwrap(), "agent.draining", "the manager hears of it from the agent, and not by its silence");
    drop(events);
    // An open stream does not keep the manager from ending.
    let open = stack.client().events(EventQuery::default()).await.unwrap();
    stack.manager.stop();
    drop(open);
}
