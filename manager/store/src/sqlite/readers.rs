//! A few connections that only read. They never wait for the writer.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use super::open;
use crate::StoreError;

/// Reading connections at most; who comes when all are busy waits. More would not read faster on a small machine.
const READERS_MAX: usize = 4;

/// The pool.
pub(super) struct Readers {
    path: PathBuf,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    open: usize,
    closed: bool,
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Readers {
    /// A pool that opens its connections when they are needed.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, state: Mutex::default(), freed: Condvar::new() }
    }

    /// Reads.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let connection = self.take()?;
        let result = work(&connection);
        self.lock().idle.push(connection);
        self.freed.notify_one();
        result
    }

    /// Refuses further reads.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.idle.clear();
        self.freed.notify_all();
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(StoreError::Closed);
            }
            if let Some(connection) = state.idle.pop() {
                return Ok(connection);
            }
            if state.open < READERS_MAX {
                state.open += 1;
                break;
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        open::reader(&self.path).map_err(|error| {
            self.lock().open -= 1;
            StoreError::Backend { operation: "open the database for reading", message: error.to_string() }
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A reader that panicked has lost its connection and nothing else.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
