//! Sizes on disk and in memory, and the manager's start.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use conductor_client::Client;

use crate::error::BenchError;
use crate::process::{Program, Seen, rss_kb};
use crate::stack::{Part, Stack};
use crate::stats::median;

const STARTS: usize = 5;
const START_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long a started manager is left alone before its memory is read.
const REST: Duration = Duration::from_secs(2);
/// Nobody listens there: port 1 is below those that anybody may take.
const NO_BROKER: &str = "amqp://guest:guest@127.0.0.1:1/%2f";

/// How the manager starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// From its start to its first answer in ms: the median of some.
    pub ms: f64,
    /// Its memory at rest in KiB.
    pub rss_kb: f64,
}

/// Starts a manager on an empty folder, several times.
///
/// # Errors
/// When it does not answer in time.
pub async fn manager_start(manager: &Path, dir: &Path) -> Result<Start, BenchError> {
    let (mut times, mut sizes) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let data = dir.join(format!("manager-{number}"));
        std::fs::create_dir_all(&data).map_err(BenchError::io(format!("make {}", data.display())))?;
        let port = free_port()?;
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None).map_err(BenchError::client("making a client"))?;
        let mut command = Command::new(manager);
        command.arg("serve").arg("--data-dir").arg(&data);
        command.arg("--listen").arg(format!("127.0.0.1:{port}")).args(["--amqp-url", NO_BROKER]);
        // Asked over plain text, as the development stack is.
        command.env("CONDUCTOR_TLS__ENABLED", "false");
        let begin = Instant::now();
        let mut program = Program::start("the manager", &mut command, &data.join("log"))?;
        wait_answer(&client, &mut program, begin).await?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
        if number + 1 == STARTS {
            tokio::time::sleep(REST).await;
            sizes.extend(rss_kb(program.pid()));
        }
        program.stop();
    }
    Ok(Start { ms: median(&times), rss_kb: median(&sizes) })
}

async fn wait_answer(client: &Client, program: &mut Program, begin: Instant) -> Result<(), BenchError> {
    loop {
        // Any answer will do: without a broker the manager may well call itself unhealthy.
        match client.health().await {
            Ok(_) => return Ok(()),
            Err(error) if error.status().is_some() => return Ok(()),
            Err(_) => {}
        }
        program.check()?;
        if begin.elapsed() >= START_MAX {
            let detail = format!("; its last lines:\n{}", program.log_tail());
            return Err(BenchError::Late { what: "the manager's first answer".to_owned(), limit: START_MAX, detail });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn free_port() -> Result<u16, BenchError> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(BenchError::io("find a free port"))?;
    Ok(listener.local_addr().map_err(BenchError::io("read the free port"))?.port())
}

/// Memory of the largest agent in KiB, and that of the largest runner: the process of an agent that owns its plugins.
#[must_use]
pub fn agents_rss_kb(stack: &Stack) -> [f64; 2] {
    let (runners, agents): (Vec<_>, Vec<_>) =
        stack.processes(Part::Agent).into_iter().partition(|process| is_runner(process.pid));
    [&agents, &runners].map(|processes| largest(processes))
}

fn is_runner(pid: u32) -> bool {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    arguments.split(|byte| *byte == 0).nth(1) == Some(b"runner")
}

/// Memory of the largest process of one part in KiB; `NaN` when there is none.
#[must_use]
pub fn part_rss_kb(stack: &Stack, part: Part) -> f64 {
    largest(&stack.processes(part))
}

fn largest(processes: &[Seen]) -> f64 {
    processes.iter().filter_map(|process| rss_kb(process.pid)).fold(f64::NAN, f64::max)
}

/// Length of a file in bytes.
///
/// # Errors
/// When it is not there.
pub fn file_bytes(path: &Path) -> Result<f64, BenchError> {
    let meta = std::fs::metadata(path).map_err(BenchError::io(format!("read {}", path.display())))?;
    Ok(meta.len() as f64)
}
