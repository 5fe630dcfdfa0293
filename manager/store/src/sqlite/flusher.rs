//! The one thread that waits for the disk.
//!
//! What the writer has committed is in the kernel's hands when it comes here, and is answered once the disk has it. The
//! writer goes on meanwhile, and groups that wait share one flush.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use super::OpenError;
use crate::{Done, StoreError};

/// Groups that wait at most; the writer waits when there are more.
const GROUPS_WAITING_MAX: usize = 16;

/// Puts everything committed so far on the disk.
pub(super) type Flush = Box<dyn FnMut() -> io::Result<()> + Send>;

/// Who is to be answered what, once the disk has it.
pub(super) type Answers = Vec<(Done, Result<(), StoreError>)>;

/// The thread and the channel to it.
#[derive(Debug)]
pub(super) struct Flusher {
    groups: SyncSender<Answers>,
    thread: JoinHandle<()>,
    failure: Arc<OnceLock<StoreError>>,
}

impl Flusher {
    /// Starts the thread.
    pub(super) fn start(flush: Flush) -> Result<Self, OpenError> {
        let (groups, inbox) = sync_channel(GROUPS_WAITING_MAX);
        let failure = Arc::new(OnceLock::new());
        let noted = failure.clone();
        let thread = std::thread::Builder::new()
            .name("store-flusher".to_owned())
            .spawn(move || run(flush, &inbox, &noted))
            .map_err(|source| OpenError::Thread { source })?;
        Ok(Self { groups, thread, failure })
    }

    /// Hands a committed group over.
    pub(super) fn answer(&self, answers: Answers) {
        if let Err(unsent) = self.groups.send(answers) {
            for (done, _) in unsent.0 {
                done(Err(StoreError::Closed));
            }
        }
    }

    /// Why nothing may be written any more: a flush has failed. What the disk has is not known from then on, and a later
    /// flush that goes well does not tell either.
    pub(super) fn failure(&self) -> Arc<OnceLock<StoreError>> {
        self.failure.clone()
    }

    /// Answers what was handed over and ends the thread.
    pub(super) fn close(self) {
        drop(self.groups);
        if self.thread.join().is_err() {
            tracing::error!("the thread that waits for the disk has panicked");
        }
    }
}

fn run(mut flush: Flush, inbox: &Receiver<Answers>, failure: &OnceLock<StoreError>) {
    while let Ok(mut answers) = inbox.recv() {
        while let Ok(more) = inbox.try_recv() {
            answers.extend(more);
        }
        if failure.get().is_none()
            && answers.iter().any(|(_, result)| result.is_ok())
            && let Err(error) = flush()
        {
            let message = format!("the disk did not take what was written ({error}); restart the manager once it is mended");
            tracing::error!("{message}");
            // It is set here alone.
            let _ = failure.set(StoreError::Backend { operation: "flush", message });
        }
        for (done, result) in answers {
            done(result.and_then(|()| failure.get().map_or(Ok(()), |error| Err(error.clone()))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(number: u32, to: &SyncSender<(u32, Result<(), StoreError>)>) -> Answers {
        let to = to.clone();
        vec![(Box::new(move |result| to.send((number, result)).unwrap()), Ok(()))]
    }

    #[test]
    fn nobody_is_answered_before_the_disk_has_it_and_those_who_wait_share_a_flush() {
        let (begun, begins) = sync_channel(8);
        let (go_on, may_go_on) = sync_channel::<()>(8);
        let flusher = Flusher::start(Box::new(move || {
            begun.send(()).unwrap();
            may_go_on.recv().unwrap();
            Ok(())
        }));
        let flusher = flusher.unwrap();
        let (to, answered) = sync_channel(8);
        flusher.answer(answer(1, &to));
        begins.recv().unwrap();
        flusher.answer(answer(2, &to));
        flusher.answer(answer(3, &to));
        assert!(answered.try_recv().is_err(), "the disk does not have it yet");
        go_on.send(()).unwrap();
        assert!(matches!(answered.recv().unwrap(), (1, Ok(()))));
        begins.recv().unwrap();
        go_on.send(()).unwrap();
        assert!(matches!(answered.recv().unwrap(), (2, Ok(()))));
        assert!(matches!(answered.recv().unwrap(), (3, Ok(()))));
        flusher.close();
        assert!(begins.try_recv().is_err(), "two groups waited and had one flush");
    }

    #[test]
    fn after_a_flush_that_failed_nothing_is_called_stored() {
        let mut flushes = 0;
        let flusher = Flusher::start(Box::new(move || {
            flushes += 1;
            if flushes == 1 { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
        }));
        let flusher = flusher.unwrap();
        let (to, answered) = sync_channel(8);
        for number in [1, 2] {
            flusher.answer(answer(number, &to));
            let (_, result) = answered.recv().unwrap();
            assert!(result.unwrap_err().to_string().contains("the disk is gone"));
        }
        assert!(flusher.failure().get().is_some());
        flusher.close();
    }
}
