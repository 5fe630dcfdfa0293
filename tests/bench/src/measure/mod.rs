//! What is measured, one file each.

mod fork;
mod latency;
mod runs;
mod size;
mod throughput;

pub use fork::fork_task_us;
pub use latency::{Latency, at_rest, under_load};
pub use size::{agents_rss_kb, file_bytes, manager_start, part_rss_kb};
pub use throughput::{Shape, Throughput, throughput};
