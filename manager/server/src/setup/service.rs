//! Services, by systemctl.

use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::SetupError;

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

/// Until the manager takes connections.
pub(super) async fn wait_for_manager(port: u16) -> Result<(), SetupError> {
    let deadline = Instant::now() + ANSWER_WAIT_MAX;
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        if Instant::now() > deadline {
            return Err(SetupError::NoAnswer { waited_s: ANSWER_WAIT_MAX.as_secs() });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
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
