//! Messages as frames: a length in four bytes, the highest first, and that many bytes of JSON.

use std::cell::{Cell, RefCell};
use std::io;

use conductor_model::limits::TASK_PAYLOAD_BYTES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;

/// Longest message in bytes: the largest input or output, whose numbers may grow when they are written anew.
pub const FRAME_BYTES_MAX: usize = 8 * TASK_PAYLOAD_BYTES_MAX;
/// Bytes of a frame's length.
const LENGTH_BYTES: usize = 4;
/// Room that buffers keep when they are empty.
const KEPT_BYTES: usize = 64 * 1024;

/// Puts a message behind others; one that cannot be written leaves nothing.
///
/// # Errors
/// When it is too long.
pub fn append<T: Serialize>(bytes: &mut Vec<u8>, message: &T) -> io::Result<()> {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; LENGTH_BYTES]);
    let written = serde_json::to_writer(&mut *bytes, message).map_err(io::Error::from).and_then(|()| {
        let length = bytes.len() - start - LENGTH_BYTES;
        let fits = u32::try_from(length).ok().filter(|_| length <= FRAME_BYTES_MAX);
        fits.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("it has {length} bytes")))
    });
    match written {
        Ok(length) => bytes[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes()),
        Err(_) => bytes.truncate(start),
    }
    written.map(drop)
}

/// What waits to be written to one connection. Messages that come together are written together.
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: RefCell<Vec<u8>>,
    closed: Cell<bool>,
    wake: Notify,
    emptied: Notify,
}

impl Outgoing {
    /// Puts a message behind the others. Without a connection it goes nowhere.
    pub fn send<T: Serialize>(&self, message: &T) {
        if self.closed.get() {
            return;
        }
        if let Err(error) = append(&mut self.bytes.borrow_mut(), message) {
            tracing::error!(%error, "a message between agent and runner cannot be written; it is left out");
        }
        self.wake.notify_one();
    }

    /// Bytes that wait.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Nothing is written any more.
    pub fn close(&self) {
        self.closed.set(true);
        self.bytes.borrow_mut().clear();
        self.emptied.notify_waiters();
    }

    /// Waits until everything is written, or nothing is written any more.
    pub async fn flushed(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.closed.get() || self.bytes.borrow().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    /// Writes what comes until the connection ends.
    ///
    /// # Errors
    /// How it ended.
    pub async fn pump(&self, mut stream: OwnedWriteHalf) -> io::Result<()> {
        let mut writing = Vec::new();
        loop {
            std::mem::swap(&mut writing, &mut self.bytes.borrow_mut());
            if writing.is_empty() {
                self.emptied.notify_waiters();
                if self.closed.get() {
                    return Ok(());
                }
                self.wake.notified().await;
                continue;
            }
            stream.write_all(&writing).await?;
            writing.clear();
            writing.shrink_to(KEPT_BYTES);
        }
    }
}

/// The reading end of a connection.
#[derive(Debug)]
pub struct Incoming<R = OwnedReadHalf> {
    stream: R,
    buffer: Vec<u8>,
    start: usize,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    /// Reads from `stream`.
    #[must_use]
    pub fn new(stream: R) -> Self {
        Self { stream, buffer: Vec::new(), start: 0 }
    }

    /// The next message; `None` at the end of the connection, also in the middle of a message: its sender was killed.
    /// A call that is dropped loses nothing.
    ///
    /// # Errors
    /// A message that is too long or not to be read, and a connection that broke.
    pub async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(length) = self.whole()? {
                let from = self.start + LENGTH_BYTES;
                let message = serde_json::from_slice(&self.buffer[from..from + length])?;
                self.start = from + length;
                return Ok(Some(message));
            }
            self.make_room();
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Everything behind the messages that were read, as bytes.
    #[must_use]
    pub fn into_bytes(mut self) -> impl AsyncRead + Send + Unpin + 'static
    where
        R: Send + 'static,
    {
        self.buffer.drain(..self.start);
        io::Cursor::new(self.buffer).chain(self.stream)
    }

    /// The length of the next message, if all of it is here.
    fn whole(&self) -> io::Result<Option<usize>> {
        let unread = &self.buffer[self.start..];
        let Some(length) = unread.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a message of {length} bytes is too long")));
        }
        Ok((unread.len() >= LENGTH_BYTES + length).then_some(length))
    }

    fn make_room(&mut self) {
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.is_empty() {
            self.buffer.shrink_to(KEPT_BYTES);
        }
        if self.buffer.capacity() == self.buffer.len() {
            self.buffer.reserve(8 * 1024);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    fn on_a_thread<F: Future>(story: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, story)
    }

    #[test]
    fn messages_come_whole_and_in_order_and_half_a_one_is_none() {
        on_a_thread(async {
            let (here, there) = UnixStream::pair().unwrap();
            let (_, write) = here.into_split();
            let (read, _keep) = there.into_split();
            let outgoing = Outgoing::default();
            let mut incoming = Incoming::new(read);
            let long = "x".repeat(100_000);
            for text in ["one", long.as_str(), "three"] {
                outgoing.send(&text);
            }
            let pumping = outgoing.pump(write);
            let reading = async {
                for text in ["one", long.as_str(), "three"] {
                    assert_eq!(incoming.next::<String>().await.unwrap().as_deref(), Some(text));
                }
            };
            tokio::select! {
                _ = pumping => panic!("the connection ended"),
                () = reading => {}
            }
            // The writing end is gone now.
            assert_eq!(incoming.next::<String>().await.unwrap(), None);
        });
        on_a_thread(async {
            let (mut here, there) = UnixStream::pair().unwrap();
            here.write_all(&[0, 0, 0, 9, b'"']).await.unwrap();
            drop(here);
            let (read, _keep) = there.into_split();
            assert_eq!(Incoming::new(read).next::<String>().await.unwrap(), None);
        });
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_at_once() {
        on_a_thread(async {
            let (mut here, there) = UnixStream::pair().unwrap();
            here.write_all(&[0xff, 0xff, 0xff, 0xff]).await.unwrap();
            let (read, _keep) = there.into_split();
            assert!(Incoming::new(read).next::<String>().await.is_err());
            let outgoing = Outgoing::default();
            outgoing.send(&"x".repeat(FRAME_BYTES_MAX + 1));
            assert_eq!(outgoing.waiting_bytes(), 0);
        });
    }
}
