//! `make bench`: how fast and how small the whole is, beside what this machine can do at all.
//!
//! Everything is taken in one run, from a real stack (private RabbitMQ, manager on SQLite, agents), with counts and times
//! that are bounded: about three minutes. Prints one table and writes one flat JSON file. A missed target is no error:
//! the exit code is 0 once all figures are there.

mod args;
mod clock;
mod definitions;
mod error;
mod http;
mod limits;
mod measure;
mod plan;
mod plan_workers;
mod plugin;
mod process;
mod report;
mod stack;
mod stats;

use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::Instant;

use args::Args;
use error::BenchError;
use report::Report;

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("conductor-bench: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(error) = source {
                eprintln!("  because: {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BenchError> {
    let args = Args::read()?;
    conductor_client::install_tls_provider();
    std::fs::create_dir_all(&args.work_dir).map_err(BenchError::io(format!("make {}", args.work_dir.display())))?;
    let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(&args.work_dir);
    let dir = dir.map_err(BenchError::io(format!("make a folder below {}", args.work_dir.display())))?;
    // RabbitMQ may run as a user of its own, who must be able to reach its folder in here.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.path(), open).map_err(BenchError::io(format!("open up {}", dir.path().display())))?;
    let begin = Instant::now();
    let mut report = Report::default();
    // Whatever was started is owned by the plan's future: dropping it ends the processes.
    tokio::select! {
        done = plan::measure(&args, dir.path(), &mut report) => done?,
        () = interrupted() => return Err(BenchError::Interrupted),
    }
    report.write(&args.out)?;
    println!("\n{}\n\n{}", machine(), report.table());
    let missed = report.missed();
    println!("{missed} targets missed; {:.0} s; figures in {}", begin.elapsed().as_secs_f64(), args.out.display());
    Ok(())
}

/// Ctrl-C, or TERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// The machine in a line: processor, cores, memory, kernel.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let after = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let processor = after(&read("/proc/cpuinfo"), "model name");
    let memory = after(&read("/proc/meminfo"), "MemTotal");
    let gib = memory.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1_048_576.0;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores of {processor}, {gib:.0} GiB, Linux {}", kernel.trim())
}
