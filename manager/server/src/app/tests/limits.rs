//! Limits on how many tasks of a name are out, and how many go out in a time.

use conductor_model::{TaskStatus, WorkflowStatus};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use super::stage::{Answer, Stage};
use super::*;
use crate::app::core::HandedOut;

const POLLERS: usize = 50;

fn one_step() -> Value {
    json!({ "name": "one", "tasks": [{ "name": "limited", "taskReferenceName": "a" }] })
}

/// Pollers who always poll again, and complete what they get after a while.
struct Crowd {
    waiting: Vec<Option<Answer<Vec<HandedOut>>>>,
    /// What is being worked on, and until when.
    busy: Vec<(Timestamp, TaskId)>,
    /// When tasks went out.
    starts: Vec<Timestamp>,
    random: StdRng,
}

impl Crowd {
    fn new() -> Self {
        let waiting = (0..POLLERS).map(|_| None).collect();
        Self { waiting, busy: Vec::new(), starts: Vec::new(), random: StdRng::seed_from_u64(7) }
    }

    /// A millisecond of their lives.
    fn live(&mut self, stage: &mut Stage, work_ms: std::ops::Range<i64>) {
        let now = stage.now();
        let (done, busy) = std::mem::take(&mut self.busy).into_iter().partition(|(until, _)| *until <= now);
        self.busy = busy;
        for (_, task) in done {
            stage.complete(task);
        }
        for place in &mut self.waiting {
            place.get_or_insert_with(|| stage.poll("limited", 1, 500));
        }
        stage.round();
        for place in &mut self.waiting {
            let Some(Ok(answer)) = place.as_mut().map(|answer| answer.try_recv()) else { continue };
            *place = None;
            for task in answer.unwrap() {
                assert_eq!(task.task.started_at, Some(now));
                self.starts.push(now);
                self.busy.push((now.plus_ms(self.random.random_range(work_ms.clone())), task.task.id));
            }
        }
        stage.pass_ms(1);
    }
}

fn most_in_a_window(starts: &[Timestamp], window_ms: i64) -> usize {
    let within = |first: &Timestamp| starts.iter().filter(|at| (0..window_ms).contains(&at.ms_since(*first))).count();
    starts.iter().map(within).max().unwrap_or(0)
}

#[test]
fn fifty_pollers_get_seven_tasks_in_every_second_and_no_eighth() {
    let mut stage = Stage::new();
    let limited = json!([{ "name": "limited", "rateLimitPerFrequency": 7, "rateLimitFrequencyInSeconds": 1 }]);
    stage.define(limited, one_step());
    for _ in 0..100 {
        stage.start("one");
    }
    let mut crowd = Crowd::new();
    for ms in 0..5_000 {
        if ms == 2_345 {
            // The pollers' connections break with it.
            stage = stage.killed();
            crowd.waiting = (0..POLLERS).map(|_| None).collect();
        }
        crowd.live(&mut stage, 1..40);
    }
    assert_eq!(most_in_a_window(&crowd.starts, 1_000), 7, "{:?}", crowd.starts);
    assert_eq!(crowd.starts.len(), 35, "an opened window is used at once: {:?}", crowd.starts);
}

#[test]
fn a_clock_that_is_set_back_neither_opens_the_window_nor_shuts_it_for_long() {
    let mut stage = Stage::new();
    stage.define(json!([{ "name": "limited", "rateLimitPerFrequency": 2, "rateLimitFrequencyInSeconds": 10 }]), one_step());
    stage.start("one");
    stage.start("one");
    let mut first = stage.poll("limited", 5, 0);
    stage.round();
    assert_eq!(first.try_recv().unwrap().unwrap().len(), 2);
    stage.pass_ms(-3_600_000);
    for _ in 0..3 {
        stage.start("one");
    }
    let mut early = stage.poll("limited", 5, 0);
    stage.round();
    assert_eq!(early.try_recv().unwrap().unwrap().len(), 0);
    stage.pass_ms(10_000);
    let mut later = stage.poll("limited", 5, 0);
    stage.round();
    assert_eq!(later.try_recv().unwrap().unwrap().len(), 2);
}

#[test]
fn a_task_that_waits_when_the_clock_is_set_back_is_handed_out_once_its_moment_has_come_again() {
    let mut stage = Stage::new();
    stage.define(json!([]), one_step());
    stage.start("one");
    stage.pass_ms(-5_000);
    let mut early = stage.poll("limited", 1, 0);
    let mut patient = stage.poll("limited", 1, 60_000);
    stage.round();
    assert_eq!(early.try_recv().unwrap().unwrap().len(), 0);
    stage.pass_ms(5_000);
    stage.round();
    assert_eq!(patient.try_recv().unwrap().unwrap().len(), 1);
}

#[test]
fn five_tasks_are_out_whenever_five_could_be_and_never_six() {
    let mut stage = Stage::new();
    stage.define(json!([{ "name": "limited", "concurrentExecLimit": 5 }]), one_step());
    for _ in 0..200 {
        stage.start("one");
    }
    let mut crowd = Crowd::new();
    for ms in 0..1_500 {
        if ms == 300 {
            stage = stage.killed();
            crowd.waiting = (0..POLLERS).map(|_| None).collect();
        }
        crowd.live(&mut stage, 5..30);
        let left = 200 - crowd.starts.len();
        let out = stage.store.open_work().unwrap().tasks.iter().filter(|task| task.status == TaskStatus::InProgress).count();
        assert_eq!(out, crowd.busy.len());
        assert!(out <= 5, "{out} are out at {ms} ms");
        assert!(out == 5 || left == 0, "only {out} are out at {ms} ms, and {left} wait");
    }
    assert_eq!(crowd.starts.len(), 200, "all were done");
}

#[test]
fn both_limits_hold_together() {
    let mut stage = Stage::new();
    let limited = json!([{ "name": "limited", "concurrentExecLimit": 3,
        "rateLimitPerFrequency": 4, "rateLimitFrequencyInSeconds": 1 }]);
    stage.define(limited, one_step());
    for _ in 0..40 {
        stage.start("one");
    }
    let mut crowd = Crowd::new();
    for _ in 0..4_000 {
        crowd.live(&mut stage, 100..101);
        assert!(crowd.busy.len() <= 3);
    }
    assert_eq!(most_in_a_window(&crowd.starts, 1_000), 4);
    assert_eq!(crowd.starts.len(), 16, "{:?}", crowd.starts);
}

#[test]
fn a_limit_that_is_raised_lets_waiting_pollers_have_tasks_at_once() {
    let mut stage = Stage::new();
    stage.define(json!([{ "name": "limited", "concurrentExecLimit": 1 }]), one_step());
    for _ in 0..3 {
        stage.start("one");
    }
    let mut first = stage.poll("limited", 3, 0);
    stage.round();
    assert_eq!(first.try_recv().unwrap().unwrap().len(), 1);
    let mut second = stage.poll("limited", 3, 60_000);
    stage.round();
    assert!(second.try_recv().is_err(), "the poller waits");
    stage.define(json!([{ "name": "limited", "concurrentExecLimit": 2 }]), one_step());
    stage.round();
    assert_eq!(second.try_recv().unwrap().unwrap().len(), 1);
}

#[test]
fn a_steps_own_definition_limits_where_none_is_registered() {
    let mut stage = Stage::new();
    let workflow = json!({ "name": "own", "tasks": [{ "name": "unregistered", "taskReferenceName": "a",
        "taskDefinition": { "name": "unregistered", "concurrentExecLimit": 1 } }] });
    stage.define(json!([]), workflow);
    stage.start("own");
    stage.start("own");
    let mut polled = stage.poll("unregistered", 2, 0);
    stage.round();
    assert_eq!(polled.try_recv().unwrap().unwrap().len(), 1);
}

#[test]
fn many_tasks_are_shared_among_the_pollers_who_wait() {
    let mut stage = Stage::new();
    stage.define(json!([{ "name": "limited" }]), one_step());
    let mut answers: Vec<_> = (0..4).map(|_| stage.poll("limited", 10, 60_000)).collect();
    stage.round();
    let tasks = json!((0..8).map(|n| json!([{ "name": "limited", "taskReferenceName": format!("t{n}") }])).collect::<Vec<_>>());
    let forked = json!({ "name": "eight", "tasks": [
        { "name": "fork", "taskReferenceName": "fork", "type": "FORK_JOIN", "forkTasks": tasks },
        { "name": "join", "taskReferenceName": "join", "type": "JOIN" } ] });
    stage.define(json!([]), forked);
    stage.start("eight");
    let shares: Vec<_> = answers.iter_mut().map(|answer| answer.try_recv().unwrap().unwrap().len()).collect();
    assert_eq!(shares, [2, 2, 2, 2]);
}

#[tokio::test]
async fn agents_get_no_more_tasks_than_the_limit_and_the_next_at_once() {
    let mut world = World::new();
    world.plugin("p");
    let (mut task, workflow) = on_agent(false);
    task[0]["concurrentExecLimit"] = json!(2);
    world.define(task, workflow).await;
    for agent in ["a-1", "a-2", "a-3"] {
        world.agent(agent, ("role", "web"), 2).await;
    }
    let ids = futures_util::future::join_all((0..5).map(|_| world.start("remote_flow"))).await;
    for expected_open in (0..5_usize).rev() {
        let (agent, envelope) = world.task_order().await;
        let mut out = 0;
        for id in &ids {
            out += world
                .tasks(*id)
                .await
                .iter()
                .filter(|task| !task.status.is_terminal() && task.agent.as_ref().is_some_and(|part| part.assigned.is_some()))
                .count();
        }
        assert_eq!(out, 2.min(expected_open + 1));
        assert!(world.report(&agent, &envelope, Outcome::Succeeded).await);
    }
    for id in ids {
        world.until(id, "the end", |workflow, _| workflow.status.is_terminal()).await;
    }
}

/// A host that takes a while for each request: when requests came, and how many it had at most at once.
struct SlowHost {
    uri: String,
    came: Arc<std::sync::Mutex<Vec<Instant>>>,
    most: Arc<std::sync::atomic::AtomicUsize>,
}

impl SlowHost {
    async fn new(takes: Duration) -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/", listener.local_addr().unwrap());
        let (came, most, now) = (Arc::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let host = Self { uri, came: Arc::clone(&came), most: Arc::clone(&most) };
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let came: Arc<std::sync::Mutex<Vec<Instant>>> = Arc::clone(&came);
                let (most, now) = (Arc::clone(&most), Arc::clone(&now));
                tokio::spawn(async move {
                    came.lock().unwrap().push(Instant::now());
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 4096]).await;
                    tokio::time::sleep(takes).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut socket, answer.as_bytes()).await;
                });
            }
        });
        host
    }

    fn calling(&self) -> Value {
        json!({ "name": "calls", "tasks": [{ "name": "limited", "taskReferenceName": "call", "type": "HTTP",
            "inputParameters": { "uri": self.uri, "method": "GET", "readTimeOut": 30_000 } }] })
    }
}

#[tokio::test]
async fn requests_keep_to_the_limit_and_the_next_goes_out_when_one_is_answered() {
    let world = World::new();
    let host = SlowHost::new(Duration::from_millis(40)).await;
    world.define(json!([{ "name": "limited", "concurrentExecLimit": 2 }]), host.calling()).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(world.start("calls").await);
    }
    // One that is held back and not wanted any more stands in nobody's way.
    world.app.terminate_workflow(&tenant(), ids[5], None).await.unwrap();
    for (at, id) in ids.iter().enumerate() {
        let ends = if at == 5 { WorkflowStatus::Terminated } else { WorkflowStatus::Completed };
        world.until(*id, "its end", |workflow, _| workflow.status == ends).await;
    }
    assert_eq!(host.most.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert_eq!(host.came.lock().unwrap().len(), 7);
}

#[tokio::test]
async fn requests_keep_to_the_rate_and_an_opened_window_is_used_at_once() {
    let world = World::new();
    let host = SlowHost::new(Duration::ZERO).await;
    let limited = json!([{ "name": "limited", "rateLimitPerFrequency": 3, "rateLimitFrequencyInSeconds": 1 }]);
    world.define(limited, host.calling()).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(world.start("calls").await);
    }
    for id in ids {
        world.until(id, "its end", |workflow, _| workflow.status == WorkflowStatus::Completed).await;
    }
    let came = host.came.lock().unwrap().clone();
    let gap = came[3].duration_since(came[0]).as_millis();
    // They are handed out a second apart; how long each then takes to come differs, on a busy machine by a lot.
    assert!((600..5_000).contains(&gap), "the fourth came {gap} ms after the first");
}
