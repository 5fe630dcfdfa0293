//! The one thread that writes.
//!
//! Jobs come over a bounded channel. Whatever waits is put into one transaction (group commit), each job behind a
//! savepoint of its own, so that one that fails leaves nothing behind and takes no other with it. Callers are answered
//! after the commit, once the disk has it: `flusher` waits for that.

use std::sync::mpsc::{Receiver, SendError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::OpenError;
use super::codec::During;
use super::flusher::{Answers, Flush, Flusher};
use super::search::text::TextChanges;
use crate::{Done, StoreError};

/// Jobs that wait at most; who submits more waits.
const JOBS_WAITING_MAX: usize = 1024;
/// Jobs in one commit at most, so that the first of them does not wait long for its answer.
const JOBS_PER_COMMIT_MAX: usize = 256;

/// Does writes, and notes those that are done at the end of the transaction. An error undoes them.
type Work = Box<dyn FnOnce(&Connection, &mut TextChanges) -> Result<(), StoreError> + Send>;

/// A piece of writing.
pub(super) struct Job {
    /// Does it.
    pub(super) work: Work,
    /// Answers the caller, once it is known whether the writes are on the disk.
    pub(super) done: Done,
}

enum Message {
    Job(Job),
    Close,
}

/// The thread and the channel to it.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: SyncSender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
    failure: Arc<OnceLock<StoreError>>,
}

impl Writer {
    /// Starts the thread. `flush` puts on the disk what the connection has committed.
    pub(super) fn start(connection: Connection, flush: Flush) -> Result<Self, OpenError> {
        let (jobs, inbox) = sync_channel(JOBS_WAITING_MAX);
        let flusher = Flusher::start(flush)?;
        let failure = flusher.failure();
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || run(&connection, flusher, &inbox))
            .map_err(|source| OpenError::Thread { source })?;
        Ok(Self { jobs, thread: Mutex::new(Some(thread)), failure })
    }

    /// Whether what is read may be gone after a loss of power.
    ///
    /// # Errors
    /// Why: a flush has failed. Nothing may follow from what is read then.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.failure.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Hands a job over, waiting for room. Once the thread has ended, the answer is `Closed`.
    pub(super) fn submit(&self, job: Job) {
        if let Err(SendError(Message::Job(job))) = self.jobs.send(Message::Job(job)) {
            (job.done)(Err(StoreError::Closed));
        }
    }

    /// Does a job and waits for its value.
    pub(super) fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        let (value_in, value_out) = sync_channel(1);
        self.submit(Job {
            work: Box::new(move |connection, _| {
                let _ = value_in.send(work(connection)?);
                Ok(())
            }),
            done: Box::new(move |result| {
                let _ = sender.send(result);
            }),
        });
        receiver.recv().unwrap_or(Err(StoreError::Closed))?;
        value_out.recv().map_err(|_| StoreError::Closed)
    }

    /// Finishes what was submitted and ends the thread.
    pub(super) fn close(&self) {
        let Ok(mut thread) = self.thread.lock() else { return };
        if let Some(thread) = thread.take() {
            let _ = self.jobs.send(Message::Close);
            if thread.join().is_err() {
                tracing::error!("the database's thread has panicked");
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

fn run(connection: &Connection, flusher: Flusher, inbox: &Receiver<Message>) {
    let failure = flusher.failure();
    let mut open = true;
    while open {
        let Ok(Message::Job(first)) = inbox.recv() else { break };
        let mut jobs = vec![first];
        while jobs.len() < JOBS_PER_COMMIT_MAX {
            match inbox.try_recv() {
                Ok(Message::Job(job)) => jobs.push(job),
                Ok(Message::Close) => {
                    open = false;
                    break;
                }
                Err(_) => break,
            }
        }
        let answers = match failure.get() {
            Some(error) => jobs.into_iter().map(|job| (job.done, Err(error.clone()))).collect(),
            None => commit_group(connection, jobs),
        };
        flusher.answer(answers);
    }
    flusher.close();
    if let Err(error) = connection.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the database was not tidied at its close; the next start does it");
    }
}

fn commit_group(connection: &Connection, jobs: Vec<Job>) -> Answers {
    let began = execute(connection, "BEGIN IMMEDIATE", "begin a transaction");
    // A savepoint copies each page before it changes, which one that is alone can do without: it undoes the transaction.
    let alone = jobs.len() == 1;
    let mut answers: Answers = Vec::with_capacity(jobs.len());
    let mut words = TextChanges::default();
    for Job { work, done } in jobs {
        let mut own = TextChanges::default();
        let result = began.clone().and_then(|()| match alone {
            true => work(connection, &mut own),
            false => in_savepoint(connection, |connection| work(connection, &mut own)),
        });
        if result.is_ok() {
            words.append(own);
        }
        answers.push((done, result));
    }
    // Once SQLite has undone the group, a write would stand alone; the commit tells that there is nothing to commit.
    let words = if connection.is_autocommit() { TextChanges::default() } else { words };
    let undone = alone && answers.iter().any(|(_, result)| result.is_err());
    let committed = began.and_then(|()| match undone {
        true => Ok(()),
        false => words.write(connection).and_then(|()| execute(connection, "COMMIT", "commit")),
    });
    if (undone || committed.is_err()) && !connection.is_autocommit() {
        let _ = execute(connection, "ROLLBACK", "roll back");
    }
    for (_, result) in &mut answers {
        if let (Ok(()), Err(error)) = (&*result, &committed) {
            *result = Err(error.clone());
        }
    }
    answers
}

fn in_savepoint(connection: &Connection, work: impl FnOnce(&Connection) -> Result<(), StoreError>) -> Result<(), StoreError> {
    if connection.is_autocommit() {
        // A full disk or the like has made SQLite undo the whole group; nothing may be written on its own now.
        let message = "the transaction was undone because of an earlier error".to_owned();
        return Err(StoreError::Backend { operation: "write", message });
    }
    execute(connection, "SAVEPOINT job", "open a savepoint")?;
    let result = work(connection);
    if result.is_err() && !connection.is_autocommit() {
        execute(connection, "ROLLBACK TO job", "roll back to a savepoint")?;
    }
    if !connection.is_autocommit() {
        execute(connection, "RELEASE job", "release a savepoint")?;
    }
    result
}

fn execute(connection: &Connection, sql: &str, operation: &'static str) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(sql).during(operation)?;
    statement.execute([]).map(|_| ()).during(operation)
}
