//! Processes: posix_spawn and wait, nothing else.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};

use super::ROUNDS;
use crate::error::BenchError;
use crate::stats::median;

const ROUND: Duration = Duration::from_millis(700);

/// How many processes of `program` can be started and waited for in a second: by one thread, or by as many as there are
/// processors, whichever is more.
///
/// # Errors
/// When one cannot be started or fails.
pub fn spawns_per_s(program: &Path) -> Result<f64, BenchError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut best = f64::NAN;
    for threads in [1, threads] {
        let rates = (0..ROUNDS).map(|_| round(program, threads)).collect::<Result<Vec<f64>, BenchError>>()?;
        best = best.max(median(&rates));
    }
    Ok(best)
}

fn round(program: &Path, threads: usize) -> Result<f64, BenchError> {
    let begin = Instant::now();
    let counts: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| spawn_until(program, begin + ROUND))).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or(Ok(0))).collect()
    });
    let count: u32 = counts.into_iter().collect::<Result<Vec<u32>, BenchError>>()?.into_iter().sum();
    Ok(f64::from(count) / begin.elapsed().as_secs_f64())
}

fn spawn_until(program: &Path, end: Instant) -> Result<u32, BenchError> {
    let failed = |source| BenchError::Process { what: "start the no-op program", source };
    let path = CString::new(program.as_os_str().as_bytes()).unwrap_or_default();
    let args = [path.clone(), c"noop".to_owned()];
    let environment: [CString; 0] = [];
    let mut actions = PosixSpawnFileActions::init().map_err(failed)?;
    for fd in 0..=conductor_wire::plugin_io::EVENT_FD {
        actions.add_open(fd, c"/dev/null", OFlag::O_RDWR, Mode::empty()).map_err(failed)?;
    }
    let attributes = PosixSpawnAttr::init().map_err(failed)?;
    let mut count = 0;
    while Instant::now() < end {
        let pid = posix_spawn(path.as_c_str(), &actions, &attributes, &args, &environment).map_err(failed)?;
        let status = waitpid(pid, None).map_err(|source| BenchError::Process { what: "wait for the no-op program", source })?;
        if !matches!(status, WaitStatus::Exited(_, 0)) {
            return Err(BenchError::Shape { what: "the end of the no-op program", reason: format!("{status:?}") });
        }
        count += 1;
    }
    Ok(count)
}
