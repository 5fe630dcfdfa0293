//! Threads that evaluate scripts, each with a helper process of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use conductor_script::{Evaluator, Language, Launcher, Limits, ScriptError};
use serde_json::Value;
use tokio::sync::oneshot;

/// Threads at least: one script that runs into its limits must not hold up all others.
const THREADS_MIN: usize = 2;
/// Threads at most; each may own a helper process.
const THREADS_MAX: usize = 8;
/// Jobs that wait at most. The deciding thread keeps far below; registrations are refused beyond.
const WAITING_MAX: usize = 1024;

type Answer = Box<dyn FnOnce(Result<Value, ScriptError>) + Send>;

enum What {
    Evaluate(Arc<Value>),
    Check,
}

struct Job {
    language: Language,
    source: Arc<str>,
    what: What,
    answer: Answer,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    idle: usize,
    threads: usize,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    came: Condvar,
    launcher: Launcher,
    threads_max: usize,
}

/// The threads, which are started when they are needed and end with this value.
pub struct Scripts {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Scripts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scripts").field("launcher", &self.shared.launcher).finish_non_exhaustive()
    }
}

impl Scripts {
    /// No threads yet.
    pub(super) fn new(launcher: Launcher) -> Self {
        let processors = std::thread::available_parallelism().map_or(THREADS_MIN, std::num::NonZero::get);
        let threads_max = processors.clamp(THREADS_MIN, THREADS_MAX);
        Self { shared: Arc::new(Shared { queue: Mutex::default(), came: Condvar::new(), launcher, threads_max }) }
    }

    /// Evaluates a script and answers on one of the threads.
    pub(super) fn evaluate(
        &self,
        language: Language,
        source: Arc<str>,
        input: Arc<Value>,
        answer: impl FnOnce(Result<Value, ScriptError>) + Send + 'static,
    ) {
        self.submit(Job { language, source, what: What::Evaluate(input), answer: Box::new(answer) });
    }

    /// Evaluates a script and waits.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub async fn value(&self, language: Language, source: Arc<str>, input: Arc<Value>) -> Result<Value, ScriptError> {
        let (reply, answer) = oneshot::channel();
        self.evaluate(language, source, input, move |result| {
            let _ = reply.send(result);
        });
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Whether a source can be read. Blocks; for the blocking pool.
    ///
    /// # Errors
    /// [`ScriptError::Syntax`], or which limit the source met.
    pub fn check(&self, language: Language, source: &str) -> Result<(), ScriptError> {
        let (reply, answer) = std::sync::mpsc::sync_channel(1);
        let send = move |result| {
            let _ = reply.send(result);
        };
        self.submit(Job { language, source: source.into(), what: What::Check, answer: Box::new(send) });
        answer.recv().unwrap_or_else(|_| Err(gone())).map(|_| ())
    }

    fn submit(&self, job: Job) {
        let mut queue = self.shared.lock();
        if queue.jobs.len() >= WAITING_MAX {
            drop(queue);
            return (job.answer)(Err(ScriptError::Unavailable { message: "too many scripts wait".to_owned() }));
        }
        queue.jobs.push_back(job);
        if queue.idle < queue.jobs.len() && queue.threads < self.shared.threads_max {
            let shared = Arc::clone(&self.shared);
            let started = std::thread::Builder::new().name("script".to_owned()).spawn(move || shared.work());
            match started {
                Ok(_) => queue.threads += 1,
                Err(error) if queue.threads == 0 => {
                    let job = queue.jobs.pop_back();
                    drop(queue);
                    if let Some(job) = job {
                        (job.answer)(Err(ScriptError::Unavailable { message: error.to_string() }));
                    }
                    return;
                }
                Err(error) => tracing::warn!(%error, "no further thread for scripts"),
            }
        }
        drop(queue);
        self.shared.came.notify_one();
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.came.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        // Nothing that can panic happens under the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut evaluator = Evaluator::new(self.launcher.clone(), Limits::default());
        while let Some(Job { language, source, what, answer }) = self.next() {
            answer(match what {
                What::Evaluate(input) => evaluator.evaluate(language, &source, &input),
                What::Check => evaluator.check(language, &source).map(|()| Value::Null),
            });
        }
    }

    /// The next job; `None` = it is over.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        queue.idle += 1;
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop_front() {
                queue.idle -= 1;
                return Some(job);
            }
            queue = self.came.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn gone() -> ScriptError {
    ScriptError::Unavailable { message: "the manager is stopping".to_owned() }
}
