//! Waits between attempts, spread so that many agents do not come back at one moment.

use std::time::Duration;

use rand::Rng;

const FIRST: Duration = Duration::from_millis(100);

/// Full jitter: each wait is drawn between nothing and a bound that doubles up to a limit.
#[derive(Clone, Debug)]
pub struct Backoff {
    bound: Duration,
    max: Duration,
}

impl Backoff {
    /// Waits of at most `max`.
    #[must_use]
    pub fn new(max: Duration) -> Self {
        Self { bound: FIRST.min(max), max }
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.bound.mul_f64(rand::rng().random_range(0.0..1.0));
        self.bound = (self.bound * 2).min(self.max);
        wait
    }

    /// Sleeps for the next wait.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }

    /// Begins with short waits again.
    pub fn reset(&mut self) {
        self.bound = FIRST.min(self.max);
    }
}
