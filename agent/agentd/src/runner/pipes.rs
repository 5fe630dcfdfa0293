//! The pipes between agent and plugin.

use std::cell::RefCell;
use std::io::{ErrorKind, Seek, Write};
use std::os::fd::OwnedFd;

use conductor_agent_log::{Line, Lines};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;
use tokio::net::unix::pipe::{Receiver, Sender};

/// Bytes read at once. Of the shortest lines there are, a chunk is some thousand: as many as the log may hold beyond its
/// limit before reading stops.
const CHUNK_BYTES: usize = 8 * 1024;
/// Most reads from one pipe before others get their turn.
const READS_IN_A_ROW: usize = 16;

/// One buffer that all pipes are read through.
#[derive(Debug)]
pub struct Scratch(RefCell<Box<[u8]>>);

impl Default for Scratch {
    fn default() -> Self {
        Self(RefCell::new(vec![0; CHUNK_BYTES].into_boxed_slice()))
    }
}

/// The agent's end of a pipe that a plugin writes lines to.
#[derive(Debug)]
pub struct LinePipe {
    pipe: Option<Receiver>,
    lines: Lines,
}

impl LinePipe {
    /// Makes a pipe; the other end is for the plugin.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn new(line_bytes_max: usize) -> std::io::Result<(Self, OwnedFd)> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        // Only this end: the plugin's end must block.
        fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let pipe = Receiver::from_owned_fd_unchecked(read)?;
        Ok((Self { pipe: Some(pipe), lines: Lines::new(line_bytes_max) }, write))
    }

    /// Whether the other end may still write.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Waits until there is something to read; for ever when the pipe is closed.
    pub async fn readable(&self) {
        match &self.pipe {
            // An error shows again, and is handled, when the pipe is read.
            Some(pipe) => drop(pipe.readable().await),
            None => std::future::pending().await,
        }
    }

    /// Reads what is there at this moment, also if the event queue has not told of it yet: for the time after the other end
    /// has said that it wrote all.
    pub fn read_rest(&mut self, scratch: &Scratch, mut each: impl FnMut(Line<'_>)) {
        let mut buffer = scratch.0.borrow_mut();
        for _ in 0..READS_IN_A_ROW {
            let Some(pipe) = &self.pipe else { return };
            match nix::unistd::read(pipe, &mut buffer) {
                Ok(0) => return self.close(each),
                Ok(count) => self.lines.feed(&buffer[..count], &mut each),
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Reads what is there without waiting and gives each line.
    pub fn read(&mut self, scratch: &Scratch, mut each: impl FnMut(Line<'_>)) {
        let mut buffer = scratch.0.borrow_mut();
        for _ in 0..READS_IN_A_ROW {
            let Some(pipe) = &self.pipe else { return };
            match pipe.try_read(&mut buffer) {
                Ok(0) => {
                    self.pipe = None;
                    self.lines.finish(&mut each);
                }
                Ok(count) => self.lines.feed(&buffer[..count], &mut each),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.pipe = None;
                    self.lines.finish(&mut each);
                }
            }
        }
    }

    /// Closes this end and gives what stood there without a line end.
    pub fn close(&mut self, each: impl FnMut(Line<'_>)) {
        self.pipe = None;
        self.lines.finish(each);
    }
}

/// A pipe whose reading end is for a plugin's standard input.
///
/// # Errors
/// When there are too many open files.
pub fn writing_pipe() -> std::io::Result<(OwnedFd, Sender)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, Sender::from_owned_fd_unchecked(write)?))
}

/// A file in memory with `content`, read from its beginning: a standard input that ends by itself and never makes the agent
/// wait for a plugin that does not read.
///
/// # Errors
/// When memory or descriptors are short.
pub fn input_file(content: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create(c"task", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}
