//! Running plugins as processes.
//!
//! - [`job`]: what is run. [`voice`]: what is said of it while it runs. [`outlet`]: where that goes.
//! - [`oneshot`]: one process for one task, also for scripts. [`killer`]: how processes end that do not want to.
//! - [`persistent`]: one process for many tasks.
//! - [`ending`]: what an exit means.

pub mod artifacts;
pub mod collector;
pub mod desk;
pub mod ending;
pub mod environment;
pub mod job;
pub mod killer;
mod launch;
pub mod oneshot;
pub mod outlet;
pub mod persistent;
pub mod pipes;
mod script;
pub mod voice;
pub mod work_dir;

pub use ending::{Ending, Stop};
pub use environment::{BaseEnvironment, Folders};
pub use job::{Host, Job, Plugin};
pub use outlet::Outlet;
pub use voice::Voice;
