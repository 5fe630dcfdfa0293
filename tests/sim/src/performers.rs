//! What the manager does itself, played: scripts, requests and messages that take their time and fail, and messages that the
//! broker gives to who listens at least once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use conductor_engine::{PerformFailure, ScriptLanguage, ServerWork};
use conductor_manager::app::perform::{Job, Perform};
use conductor_model::TaskId;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// Takes work off the deciding core and keeps it until it is looked at.
#[derive(Clone, Debug, Default)]
pub struct Performers {
    jobs: Arc<Mutex<Vec<Job>>>,
}

impl Perform for Performers {
    fn perform(&self, job: Job) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).push(job);
    }
}

impl Performers {
    /// What was handed out since this was asked last.
    pub fn handed_out(&self) -> Vec<Job> {
        std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Messages that were published. Each has the id of its task, as with the real broker: a task that publishes again after a
/// crash publishes the same message.
#[derive(Debug, Default)]
pub struct Published {
    /// All that were ever published.
    pub all: BTreeSet<TaskId>,
    /// Those that a listener has not dealt with yet.
    pub waiting: Vec<TaskId>,
}

/// What comes of a piece of work. What fails in the calm does so no more.
pub fn result_of(job: &Job, faulty: bool, random: &mut StdRng, published: &mut Published) -> Result<Value, PerformFailure> {
    if faulty && random.random_bool(0.08) {
        return Err(PerformFailure { message: "it went wrong".to_owned(), terminal: random.random_bool(0.2) });
    }
    Ok(match &job.work {
        ServerWork::Script { language: ScriptLanguage::Jq, .. } => json!([{ "n": 1 }]),
        // Also what conditions of loops and switches come to: loops end, and every way is taken.
        ServerWork::Script { language: ScriptLanguage::JavaScript, .. } => match random.random_range(0..5) {
            0 => json!(true),
            1 => json!("0"),
            2 => json!("1"),
            _ => json!(false),
        },
        ServerWork::Http(_) => json!({ "statusCode": if faulty && random.random_bool(0.2) { 503 } else { 200 }, "body": {} }),
        ServerWork::Publish { .. } => {
            published.all.insert(job.turn.task);
            published.waiting.push(job.turn.task);
            Value::Null
        }
    })
}
