//! What is measured, one file each.

mod dynamic;
mod engine;
mod fork;
mod latency;
mod logs;
mod runs;
mod sdk;
mod size;
mod throughput;
mod timers;
mod workers;

pub use dynamic::{dynamic_fork, loop_s};
pub use engine::decisions_per_s as engine_decisions_per_s;
pub use fork::fork_task_us;
pub use latency::{Latency, at_rest, under_load};
pub use logs::flood;
pub use sdk::{round_trips_ms, workflows_per_s as sdk_workflows_per_s};
pub use size::{agents_rss_kb, file_bytes, manager_start, part_rss_kb};
pub use throughput::{Shape, Throughput, throughput};
pub use timers::late_ms as timers_late_ms;
