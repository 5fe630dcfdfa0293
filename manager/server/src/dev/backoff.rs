//! How long to wait before a child that died is started again.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);
/// A child that ran so long was well; its next death counts as the first.
const WELL_AFTER: Duration = Duration::from_secs(30);

/// Doubles with each death in quick succession.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    started: Instant,
}

impl Backoff {
    /// A child was started now.
    pub(super) fn started() -> Self {
        Self { next: FIRST, started: Instant::now() }
    }

    /// The child died: how long to wait.
    pub(super) fn died(&mut self) -> Duration {
        if self.started.elapsed() >= WELL_AFTER {
            self.next = FIRST;
        }
        let wait = self.next;
        self.next = (wait * 2).min(LONGEST);
        self.started = Instant::now() + wait;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quick_deaths_wait_longer_and_a_long_life_is_forgiven() {
        let mut backoff = Backoff::started();
        assert_eq!((backoff.died(), backoff.died(), backoff.died()), (FIRST, FIRST * 2, FIRST * 4));
        for _ in 0..20 {
            assert!(backoff.died() <= LONGEST);
        }
        backoff.started = Instant::now() - WELL_AFTER;
        assert_eq!(backoff.died(), FIRST);
    }
}
