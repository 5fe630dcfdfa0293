//! How fast lines come.

use conductor_model::Timestamp;

/// Over how long it is counted, in ms.
const WINDOW_MS: i64 = 20;
/// Bytes of lines in such a time from which on it is a flood: some 20 MB/s.
const FLOOD_BYTES: u64 = 400 * 1024;

/// Counts bytes of lines over a short time.
#[derive(Debug, Default)]
pub(super) struct Meter {
    began: Timestamp,
    bytes: u64,
    /// Bytes in the last whole window.
    before: u64,
}

impl Meter {
    /// So many bytes came.
    pub(super) fn count(&mut self, bytes: usize, now: Timestamp) {
        self.roll(now);
        self.bytes += bytes as u64;
    }

    /// Whether a task prints as fast as it can.
    pub(super) fn is_flood(&mut self, now: Timestamp) -> bool {
        self.roll(now);
        self.bytes.max(self.before) > FLOOD_BYTES
    }

    fn roll(&mut self, now: Timestamp) {
        let elapsed_ms = now.ms_since(self.began);
        if (0..WINDOW_MS).contains(&elapsed_ms) {
            return;
        }
        // A window that took long was not full of them; a clock that was set back begins anew.
        self.before = self.bytes * WINDOW_MS.unsigned_abs() / elapsed_ms.unsigned_abs().max(1);
        self.bytes = 0;
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_seen_while_it_lasts_and_soon_after_no_more() {
        let mut meter = Meter::default();
        let mut now = Timestamp(1_000_000);
        for _ in 0..30 {
            meter.count(100 * 1024, now);
            now = now.plus_ms(1);
        }
        assert!(meter.is_flood(now), "100 MB/s");
        now = now.plus_ms(2 * WINDOW_MS);
        assert!(!meter.is_flood(now.plus_ms(WINDOW_MS)));
        for _ in 0..1000 {
            meter.count(10 * 1024, now);
            now = now.plus_ms(1);
            assert!(!meter.is_flood(now), "10 MB/s");
        }
        meter.count(500 * 1024, now);
        let earlier = now.plus_ms(-3_600_000);
        assert!(!meter.is_flood(earlier), "the clock was set back by an hour");
    }
}
