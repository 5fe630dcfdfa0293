//! Limits of the ledger.

/// Most tasks that wait for a slot. The manager sends a small buffer beyond the free slots; more than this is a fault on
/// its side, and refusing tells it so.
pub const WAITING_MAX: usize = 4096;
/// Most reported tasks whose keys are remembered, so that a late copy of an order is known as one. A copy comes from an
/// outbox that was not yet cleared, so a few seconds of the highest rate are enough.
pub const REPORTED_KEYS_MAX: usize = 16_384;
/// Most reported tasks whose whole report is remembered and can be said again.
pub const REPORTED_RESULTS_MAX: usize = 512;
/// Largest output in bytes, roughly, of a report that is remembered whole.
pub const REPORTED_OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// How often an idempotent task is begun again after the agent died under it, before it counts as lost: a task that kills
/// its agent must not do so for ever.
pub const RERUNS_MAX: u32 = 3;
