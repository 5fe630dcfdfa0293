//! Services, by systemctl.

use std::process::Command;
use std::time::Duration;

use conductor_boot::report;
use tokio::time::Instant;

use super::SetupError;
use crate::config::Settings;

const ANSWER_WAIT_MAX: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(200);

/// Has the service start with the host.
pub(super) fn enable(name: &str, changes: &mut Vec<String>) -> Result<(), SetupError> {
    if !answers(&["is-enabled", "--quiet", name]) {
        systemctl(&["enable", "--quiet", name])?;
        changes.push(format!("enabled {name}.service"));
    }
    Ok(())
}

/// Has the service run, and with `anew` run what its files say now.
pub(super) fn start(name: &str, anew: bool, changes: &mut Vec<String>) -> Result<(), SetupError> {
    let runs = answers(&["is-active", "--quiet", name]);
    if !runs || anew {
        systemctl(&["restart", name])?;
        changes.push(format!("{} {name}.service", if runs { "restarted" } else { "started" }));
    }
    Ok(())
}

/// Until the manager says, over TLS, that it and its connections are well.
pub(super) async fn wait_for_manager(settings: &Settings, authority_pem: &str) -> Result<(), SetupError> {
    let deadline = Instant::now() + ANSWER_WAIT_MAX;
    loop {
        let last = match crate::health::ask(settings, authority_pem).await {
            Ok(health) if health["healthy"] == true => return Ok(()),
            Ok(health) => health.to_string(),
            Err(error) => report(&error).to_string(),
        };
        if Instant::now() > deadline {
            return Err(SetupError::NotWell { waited_s: ANSWER_WAIT_MAX.as_secs(), last });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn answers(words: &[&str]) -> bool {
    Command::new("systemctl").args(words).status().is_ok_and(|status| status.success())
}

fn systemctl(words: &[&str]) -> Result<(), SetupError> {
    let action = format!("systemctl {}", words.join(" "));
    let done = Command::new("systemctl").args(words).output();
    let done = done.map_err(|error| SetupError::Service { action: action.clone(), said: error.to_string() })?;
    if done.status.success() {
        return Ok(());
    }
    Err(SetupError::Service { action, said: String::from_utf8_lossy(&done.stderr).trim().to_owned() })
}
