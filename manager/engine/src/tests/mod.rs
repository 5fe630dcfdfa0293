//! Stories on virtual time. After every decision the harness stores what it says, as a store would, and checks that the
//! run in memory and a run loaded from the stored records agree.

#![expect(clippy::needless_pass_by_value, reason = "stories read better with their JSON in place")]

mod again;
mod agents;
mod bare;
mod children;
mod definitions;
mod dynamic_forks;
mod failures;
mod forks;
mod harness;
mod linear;
mod loops;
mod pausing;
mod random;
mod retries;
mod server_work;
mod strict;
mod switches;
mod tables;
mod timeouts;
mod waiting;
