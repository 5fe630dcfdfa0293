//! The word to systemd, which started this process and watches over it. Where nobody did, nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

/// Says that the process does its work now: what waits for it may go on.
pub fn ready() {
    say(&[NotifyState::Ready]);
}

/// Says that the process is about to end.
pub fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// Shows one line of text with the state of the unit.
pub fn status(text: &str) {
    say(&[NotifyState::Status(text)]);
}

/// Says that the process is alive. To be called from the loop whose standstill would be the end of all work.
pub fn alive() {
    say(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be called: a third of the time after which systemd kills the process. `None` when nobody watches.
#[must_use]
pub fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 3)
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told how this process is");
    }
}
