//! The next certificate, in time and without end: a manager that is away for a while costs nothing.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use conductor_boot::report;
use conductor_model::Timestamp;

use super::{Identity, IdentityNote};
use crate::clock;
use crate::rest::Rest;

/// Longest sleep: a clock that is set, or a host that slept, is noticed after it.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Shortest and longest wait between two attempts.
const AGAIN_MS: std::ops::RangeInclusive<i64> = 1_000..=600_000;

/// The identity of a running agent, which changes when it is renewed.
pub type Renewed = Rc<RefCell<Identity>>;

/// When a certificate is to be renewed: after two thirds of its life, a little later on each host.
fn due(note: &IdentityNote, chance: f64) -> Timestamp {
    let life_ms = note.expires_at.ms_since(note.issued_at).max(0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "a moment some minutes off is as good")]
    let jitter_ms = (life_ms as f64 / 12.0 * chance) as i64;
    note.issued_at.plus_ms(life_ms / 3 * 2 + jitter_ms)
}

/// Renews the certificate whenever it is due. `offset_ms` gives the manager's clock less ours.
pub async fn keep(dir: PathBuf, identity: Renewed, rest: Rc<Rest>, offset_ms: impl Fn() -> i64) {
    let mut chance = rand::random();
    let mut told_expired = false;
    loop {
        let note = identity.borrow().note.clone();
        let now = clock::now().plus_ms(offset_ms());
        let due = due(&note, chance);
        if now < due {
            let wait = Duration::from_millis(u64::try_from(due.ms_since(now)).unwrap_or(0));
            tokio::time::sleep(wait.min(LOOK_EVERY)).await;
            continue;
        }
        match renew(&dir, &identity, &rest).await {
            Ok(()) => {
                tracing::info!(expires_at = %identity.borrow().note.expires_at, "the agent's certificate was renewed");
                chance = rand::random();
                told_expired = false;
            }
            Err(error) => {
                if now >= note.expires_at && !told_expired {
                    told_expired = true;
                    tracing::error!(
                        "the agent's certificate has expired: let this host in again with `conductor-agent enroll --again STRING`"
                    );
                }
                tracing::warn!(%error, "the agent's certificate could not be renewed; trying again");
                let left_ms = note.expires_at.ms_since(now).max(0) / 10;
                let pause_ms = left_ms.clamp(*AGAIN_MS.start(), *AGAIN_MS.end());
                tokio::time::sleep(Duration::from_millis(u64::try_from(pause_ms).unwrap_or(1000))).await;
            }
        }
    }
}

async fn renew(dir: &std::path::Path, identity: &Renewed, rest: &Rest) -> Result<(), String> {
    let (key, manager) = {
        let identity = identity.borrow();
        (identity.key.clone(), identity.note.manager.clone())
    };
    let request = Identity::request_of(&key).map_err(|error| report(&error).to_string())?;
    let grant = rest.renew_certificate(request).await.map_err(|error| report(&error).to_string())?;
    let renewed = Identity::store(dir, &manager, &key, grant).map_err(|error| report(&error).to_string())?;
    rest.use_identity(&renewed).map_err(|error| report(&error).to_string())?;
    *identity.borrow_mut() = renewed;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_between_two_and_three_thirds_of_its_life() {
        let note = IdentityNote {
            id: "a".parse().unwrap(),
            manager: String::new(),
            task_key: String::new(),
            issued_at: Timestamp(1_000),
            expires_at: Timestamp(13_000),
            labels: Default::default(),
        };
        assert_eq!(due(&note, 0.0), Timestamp(9_000));
        assert_eq!(due(&note, 1.0), Timestamp(10_000));
    }
}
