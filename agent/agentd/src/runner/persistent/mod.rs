//! One process for many tasks: for operations that are too small to pay for a process each.
//!
//! A worker is a process and the local task that attends it. It has one job at a time; idle workers of a plugin wait in its
//! pool, the one used last is used first, and one that nobody needs for a while is ended. Tasks with limits have workers that
//! live under these limits, in a pool of their own.

mod command;
mod worker;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use conductor_model::Outcome;
use conductor_model::definition::ResourceLimits;
use tokio::sync::{mpsc, oneshot};

use super::ending::Ending;
use super::job::{Host, Job};
use worker::Worker;

/// How often a task is given to another worker because the first had just ended.
const HANDOVERS_MAX: u32 = 8;

/// A task for a worker.
#[derive(Debug)]
struct Assignment {
    job: Rc<Job>,
    done: oneshot::Sender<Ending>,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<mpsc::Sender<Assignment>>,
}

/// The workers of all plugins.
#[derive(Debug, Default)]
pub struct Pools {
    pools: RefCell<HashMap<String, Pool>>,
}

impl Pools {
    fn take_idle(&self, pool: &str) -> Option<mpsc::Sender<Assignment>> {
        self.pools.borrow_mut().get_mut(pool)?.idle.pop()
    }

    fn put_idle(&self, pool: &str, worker: mpsc::Sender<Assignment>) {
        let mut pools = self.pools.borrow_mut();
        match pools.get_mut(pool) {
            Some(pool) => pool.idle.push(worker),
            None => drop(pools.insert(pool.to_owned(), Pool { idle: vec![worker] })),
        }
    }

    /// Lets go of all idle workers: they end.
    pub fn close(&self) {
        self.pools.borrow_mut().clear();
    }
}

/// What the workers for a job are kept apart by: plugin and limits.
fn pool_of(job: &Job) -> String {
    if job.limits == ResourceLimits::default() {
        job.plugin.digest.clone()
    } else {
        format!("{} {:?}", job.plugin.digest, job.limits)
    }
}

/// Runs a task of a persistent plugin to its end.
pub async fn run(host: &Rc<Host>, job: &Rc<Job>) -> Ending {
    let pool = pool_of(job);
    for _ in 0..HANDOVERS_MAX {
        let worker = match host.pools.take_idle(&pool) {
            Some(worker) => worker,
            None => match Worker::start(host, job, &pool) {
                Ok(worker) => worker,
                Err(ending) => return ending,
            },
        };
        let (done, ended) = oneshot::channel();
        if worker.send(Assignment { job: job.clone(), done }).await.is_err() {
            continue;
        }
        if let Ok(ending) = ended.await {
            return ending;
        }
        // The worker ended before it looked at the task.
    }
    Ending {
        outcome: Outcome::Failed,
        reason: Some("the plugin's process ends as soon as it is started".to_owned()),
        exit_code: None,
    }
}
