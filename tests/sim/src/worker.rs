//! A worker that polls: it may never hear of a task that it was given, and says what it has to say until it is heard.

use conductor_engine::{WorkerStatus, WorkerUpdate};
use conductor_manager::app::core::{CommandError, CoreHandle, HandedOut, Message, PollRequest, UpdateOrder};
use conductor_model::{TaskId, Timestamp};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Map;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::scenario::{POLLED, tenant};

type Answer<T> = oneshot::Receiver<Result<T, CommandError>>;

/// What it does at the moment.
enum Doing {
    Resting(Timestamp),
    Polling(Answer<Vec<HandedOut>>),
    Working(TaskId, Timestamp),
    Reporting(TaskId, WorkerStatus, Answer<Option<HandedOut>>),
    Waiting(TaskId, WorkerStatus, Timestamp),
}

/// See the module's text.
pub struct Worker {
    doing: Doing,
    /// Whether it loses and doubles.
    pub faulty: bool,
}

impl Worker {
    /// One that has nothing to do.
    pub fn new() -> Self {
        Self { doing: Doing::Resting(Timestamp(0)), faulty: true }
    }

    /// The clock was set.
    pub fn shift(&mut self, ms: i64) {
        match &mut self.doing {
            Doing::Resting(at) | Doing::Working(_, at) | Doing::Waiting(_, _, at) => *at = at.plus_ms(ms),
            Doing::Polling(_) | Doing::Reporting(..) => {}
        }
    }

    /// A moment of its life.
    ///
    /// # Errors
    /// When it is told something that cannot be.
    pub fn live(&mut self, now: Timestamp, random: &mut StdRng, manager: &CoreHandle) -> Result<(), String> {
        let doing = std::mem::replace(&mut self.doing, Doing::Resting(now));
        self.doing = match doing {
            Doing::Resting(until) if until > now => Doing::Resting(until),
            Doing::Resting(_) => Doing::Polling(poll(now, random, manager)),
            Doing::Polling(mut answer) => match answer.try_recv() {
                Err(TryRecvError::Empty) => Doing::Polling(answer),
                Err(TryRecvError::Closed) | Ok(Err(_)) => Doing::Resting(now.plus_ms(500)),
                Ok(Ok(mut tasks)) => match tasks.pop() {
                    None => Doing::Resting(now),
                    // The answer got lost on its way.
                    Some(_) if self.faulty && random.random_bool(0.05) => Doing::Resting(now),
                    Some(given) => Doing::Working(given.task.id, now.plus_ms(random.random_range(10..2_000))),
                },
            },
            Doing::Working(task, until) if until > now => Doing::Working(task, until),
            Doing::Working(task, _) => {
                let status = match random.random_range(0..100) {
                    0..8 if self.faulty => WorkerStatus::Failed,
                    14..16 if self.faulty => WorkerStatus::FailedWithTerminalError,
                    8..14 if self.faulty => WorkerStatus::InProgress,
                    _ => WorkerStatus::Completed,
                };
                if self.faulty && random.random_bool(0.1) {
                    drop(report(task, status, manager));
                }
                Doing::Reporting(task, status, report(task, status, manager))
            }
            Doing::Reporting(task, status, mut answer) => match answer.try_recv() {
                Err(TryRecvError::Empty) => Doing::Reporting(task, status, answer),
                Ok(Ok(_)) => Doing::Resting(now),
                Err(TryRecvError::Closed) | Ok(Err(CommandError::NotStored(_) | CommandError::Unavailable)) => {
                    Doing::Waiting(task, status, now.plus_ms(500))
                }
                // Its workflow was run again from an earlier step, and the task removed.
                Ok(Err(CommandError::UnknownTask(_))) => Doing::Resting(now),
                Ok(Err(error)) => return Err(format!("a worker was refused: {error}")),
            },
            Doing::Waiting(task, status, until) if until > now => Doing::Waiting(task, status, until),
            Doing::Waiting(task, status, _) => Doing::Reporting(task, status, report(task, status, manager)),
        };
        Ok(())
    }
}

fn poll(now: Timestamp, random: &mut StdRng, manager: &CoreHandle) -> Answer<Vec<HandedOut>> {
    let (reply, answer) = oneshot::channel();
    let task_type = POLLED[random.random_range(0..POLLED.len())].to_owned();
    let until = now.plus_ms(random.random_range(0..1_500));
    manager.tell(Message::Poll(PollRequest {
        tenant: tenant(),
        task_type,
        domain: None,
        worker: "worker".to_owned(),
        count: 1,
        until,
        reply,
    }));
    answer
}

fn report(task: TaskId, status: WorkerStatus, manager: &CoreHandle) -> Answer<Option<HandedOut>> {
    let (reply, answer) = oneshot::channel();
    let update = WorkerUpdate {
        task,
        status,
        output: Map::new(),
        merge_output: false,
        reason: None,
        worker_id: None,
        callback_after_seconds: 1,
        extend_lease: false,
    };
    manager.tell(Message::Update(UpdateOrder { tenant: tenant(), update, claimed: None, next_for: None, reply }));
    answer
}
