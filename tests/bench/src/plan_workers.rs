//! The second half: the engine and the door for polling workers, with agents out of the picture.

use std::path::Path;

use crate::args::Args;
use crate::definitions;
use crate::error::BenchError;
use crate::measure;
use crate::plan::register;
use crate::report::Report;
use crate::report::Target::{AtLeast, AtMost, None as Shown};
use crate::stack::{Part, Stack};
use crate::stats::percentile;

const WORKFLOWS_PER_S: f64 = 600.0;
const ROUND_TRIP_MS: f64 = 2.0;
const FORK_S: f64 = 10.0;
const FORK_KB: f64 = 300.0 * 1024.0;
const TIMER_LATE_MS: f64 = 50.0;

/// Takes the figures from a stack of its own, without agents, below `dir`.
///
/// # Errors
/// When something cannot be measured.
pub async fn measure(args: &Args, dir: &Path, report: &mut Report) -> Result<(), BenchError> {
    eprintln!("the engine alone");
    let decisions = measure::engine_decisions_per_s()?;
    report.add("engine_decisions_per_s", "decisions, the engine alone, one core", "1/s", decisions, Shown);
    eprintln!("a stack without agents");
    std::fs::create_dir_all(dir).map_err(BenchError::io(format!("make {}", dir.display())))?;
    let mut stack = Stack::start(args, dir, 0).await?;
    let result = on_stack(&mut stack, report).await;
    stack.check().and(result)
}

async fn on_stack(stack: &mut Stack, report: &mut Report) -> Result<(), BenchError> {
    register(stack, &definitions::worker_tasks(), &definitions::worker_workflows()).await?;
    // First, so that the memory seen is that of the fork alone.
    let fork = measure::dynamic_fork(stack).await?;
    report.add("dynamic_fork_10000_s", "dynamic fork of 10,000 branches, start to joined", "s", fork.seconds, AtMost(FORK_S));
    report.add("dynamic_fork_10000_rss_kb", "manager: most memory meanwhile", "KiB", fork.rss_kb, AtMost(FORK_KB));
    let trips = measure::round_trips_ms(stack).await?;
    let (p50, p99) = (percentile(&trips, 50.0), percentile(&trips, 99.0));
    report.add("poll_to_update_ms_p50", "task in hand to update answered, 100 workers, p50", "ms", p50, AtMost(ROUND_TRIP_MS));
    report.add("poll_to_update_ms_p99", "task in hand to update answered, 100 workers, p99", "ms", p99, Shown);
    let rate = measure::sdk_workflows_per_s(stack).await?;
    let what = format!("workflows of {} steps by polling workers", definitions::SDK_STEPS);
    report.add("sdk_workflows_per_s", what, "1/s", rate, AtLeast(WORKFLOWS_PER_S));
    let late = measure::timers_late_ms(stack).await?;
    report.add("timer_late_ms_max", "timers at 10,000 pending: latest", "ms", late, AtMost(TIMER_LATE_MS));
    report.add("loop_10000_s", "loop of 10,000 rounds, start to end", "s", measure::loop_s(stack).await?, Shown);
    let manager = measure::part_rss_kb(stack, Part::Manager);
    report.add("manager_rss_after_workers_kb", "manager: memory after all this", "KiB", manager, Shown);
    Ok(())
}
