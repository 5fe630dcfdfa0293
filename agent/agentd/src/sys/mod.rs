//! What the agent asks of the kernel: starting processes, waiting for them, looking at them.

pub mod cgroup;
pub mod confine;
pub mod descriptors;
pub mod folder;
pub mod lookup;
pub mod memory;
pub mod procfs;
pub mod reaper;
pub mod spawn;
