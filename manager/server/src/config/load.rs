//! Reading settings from all their sources, and the checks across values.

use std::net::SocketAddr;
use std::path::PathBuf;

use conductor_boot::{Loaded, Loader, SettingLine, SettingsError};
use thiserror::Error;

use super::{AgentAccounts, BrokerUrl, Settings};

/// The settings file of an installed manager.
pub const DEFAULT_FILE: &str = "/etc/conductor/manager.toml";

/// A lease must survive some lost renewals.
const LEASE_INTERVALS_MIN: u64 = 2;
/// RabbitMQ flow control works best with a window in this range; below it a publisher waits for every single confirm.
const CONFIRM_WINDOW: std::ops::RangeInclusive<u32> = 1..=10_000;
/// A broken interval would make agents flood the manager.
const LEASE_INTERVAL_MS_MIN: u64 = 100;

/// An agent must have time to renew its certificate.
const CERTIFICATE_SECONDS_MIN: u64 = 3;

/// Settings that may be given on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<SocketAddr>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--amqp-url`
    pub amqp_url: Option<String>,
}

/// Why the settings cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A source cannot be read, or a key or value in it is wrong.
    #[error("the settings cannot be used")]
    Load(#[from] SettingsError),
    /// Values that do not fit each other or their range.
    #[error("the settings cannot be used: {origin}: key `{key}`: {message}")]
    Range {
        /// Where the value came from.
        origin: String,
        /// The key.
        key: &'static str,
        /// What is wrong and what is expected.
        message: String,
    },
}

/// Loads the manager's settings.
///
/// # Errors
/// With the place, the key and what is expected.
pub fn load(flags: &Flags) -> Result<Loaded<Settings>, ConfigError> {
    load_from(Loader::new(DEFAULT_FILE), flags)
}

/// As [`load`], but the file of a manager that is installed on this machine is not read.
///
/// # Errors
/// As [`load`].
pub fn load_without_default_file(flags: &Flags) -> Result<Loaded<Settings>, ConfigError> {
    load_from(Loader::without_default_file(), flags)
}

fn load_from(loader: Loader, flags: &Flags) -> Result<Loaded<Settings>, ConfigError> {
    let loaded: Loaded<Settings> = loader
        .file(flags.config.clone())
        .flag("--listen", "listen", flags.listen)
        .flag("--data-dir", "data_dir", flags.data_dir.as_ref().map(|path| path.display()))
        .flag("--amqp-url", "broker.url", flags.amqp_url.as_ref())
        .load()?;
    check(&loaded)?;
    Ok(loaded)
}

/// Every setting with its origin, secrets hidden.
#[must_use]
pub fn effective(loaded: &Loaded<Settings>) -> Vec<SettingLine> {
    let mut lines = loaded.lines.clone();
    for line in &mut lines {
        let url = match line.key.as_str() {
            "broker.url" => Some(&loaded.settings.broker.url),
            "broker.agent_url" => loaded.settings.broker.agent_url.as_ref(),
            _ => None,
        };
        if let Some(url) = url {
            line.value = format!("{:?}", BrokerUrl::to_string(url));
        }
    }
    lines
}

fn check(loaded: &Loaded<Settings>) -> Result<(), ConfigError> {
    let settings = &loaded.settings;
    let wrong = |key: &'static str, message: String| {
        let line = loaded.lines.iter().find(|line| line.key == key);
        let origin = line.map_or_else(|| "settings".to_owned(), |line| line.origin.clone());
        Err(ConfigError::Range { origin, key, message })
    };
    let lease = &settings.lease;
    if lease.interval_ms < LEASE_INTERVAL_MS_MIN {
        return wrong("lease.interval_ms", format!("is {}; at least {LEASE_INTERVAL_MS_MIN} is needed", lease.interval_ms));
    }
    if lease.lease_ms < lease.interval_ms.saturating_mul(LEASE_INTERVALS_MIN) {
        let message = format!(
            "is {}; at least {LEASE_INTERVALS_MIN} times lease.interval_ms ({}) is needed, so that one lost message loses no task",
            lease.lease_ms, lease.interval_ms
        );
        return wrong("lease.lease_ms", message);
    }
    if !CONFIRM_WINDOW.contains(&settings.broker.confirm_window) {
        let (low, high) = (CONFIRM_WINDOW.start(), CONFIRM_WINDOW.end());
        return wrong("broker.confirm_window", format!("is {}; expected {low} to {high}", settings.broker.confirm_window));
    }
    if settings.broker.prefetch == 0 {
        return wrong("broker.prefetch", "is 0, which would mean no limit; expected 1 to 65535".to_owned());
    }
    if !settings.tls.enabled && !settings.listen.ip().is_loopback() {
        let message = format!(
            "is false, but the manager listens on {}: tokens and tasks would cross the network unprotected; leave TLS on, or \
             listen on 127.0.0.1",
            settings.listen
        );
        return wrong("tls.enabled", message);
    }
    if settings.tls.certificate_seconds < CERTIFICATE_SECONDS_MIN {
        let message = format!("is {}; at least {CERTIFICATE_SECONDS_MIN} is needed", settings.tls.certificate_seconds);
        return wrong("tls.certificate_seconds", message);
    }
    if !settings.tls.address.is_empty() && !settings.tls.address.starts_with("https://") {
        return wrong("tls.address", "expected an address as in https://conductor.example:53333".to_owned());
    }
    if settings.broker.agent_accounts != AgentAccounts::Shared && settings.broker.management_url.is_none() {
        let message = "needs broker.management_url, as in http://127.0.0.1:15672, by which users are made".to_owned();
        return wrong("broker.agent_accounts", message);
    }
    if settings.limits.http_requests_per_host == 0 {
        return wrong(
            "limits.http_requests_per_host",
            "is 0, so that no HTTP step would ever end; at least 1 is needed".to_owned(),
        );
    }
    if settings.data_dir.as_os_str().is_empty() {
        return wrong("data_dir", "is empty; expected a directory".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Loaded<Settings>, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_from(Loader::new("/nowhere").environment(variables), &Flags::default())
    }

    #[test]
    fn the_defaults_pass_their_own_checks() {
        assert_eq!(with(&[]).unwrap().settings, Settings::default());
    }

    #[test]
    fn a_lease_shorter_than_two_intervals_is_refused_with_its_origin() {
        let error = with(&[("CONDUCTOR_LEASE__LEASE_MS", "6000")]).unwrap_err().to_string();
        for part in ["CONDUCTOR_LEASE__LEASE_MS", "lease.lease_ms", "6000", "5000"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn what_is_over_is_kept_for_days_that_may_be_said_for_each_way_to_end() {
        use conductor_model::WorkflowStatus as Status;
        let given = [
            ("CONDUCTOR_RETENTION__WORKFLOWS_DAYS", "30"),
            ("CONDUCTOR_RETENTION__COMPLETED_DAYS", "7"),
            ("CONDUCTOR_RETENTION__TERMINATED_DAYS", "0"),
        ];
        let days = with(&given).unwrap().settings.retention;
        let days =
            [Status::Completed, Status::Failed, Status::TimedOut, Status::Terminated, Status::Running].map(|s| days.days(s));
        assert_eq!(days, [Some(7), Some(30), Some(30), None, None]);

        let error = conductor_boot::report(&with(&[("CONDUCTOR_RETENTION__PAUSED_DAYS", "7")]).unwrap_err()).to_string();
        for part in ["CONDUCTOR_RETENTION__PAUSED_DAYS", "retention.paused_days", "completed_days, failed_days"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn plain_text_is_for_loopback_alone() {
        assert!(with(&[("CONDUCTOR_TLS__ENABLED", "false")]).is_ok());
        let open = [("CONDUCTOR_TLS__ENABLED", "false"), ("CONDUCTOR_LISTEN", "0.0.0.0:53333")];
        let error = with(&open).unwrap_err().to_string();
        assert!(error.contains("tls.enabled") && error.contains("0.0.0.0:53333"), "{error}");
        assert!(with(&[("CONDUCTOR_LISTEN", "0.0.0.0:53333")]).is_ok());
    }

    #[test]
    fn no_requests_at_all_are_refused_with_the_settings_origin() {
        let error = with(&[("CONDUCTOR_LIMITS__HTTP_REQUESTS_PER_HOST", "0")]).unwrap_err().to_string();
        for part in ["CONDUCTOR_LIMITS__HTTP_REQUESTS_PER_HOST", "limits.http_requests_per_host", "at least 1"] {
            assert!(error.contains(part), "{error}");
        }
        let one = with(&[("CONDUCTOR_LIMITS__HTTP_REQUESTS_PER_HOST", "1")]).unwrap();
        assert_eq!(one.settings.limits.http_requests_per_host, 1);
    }

    #[test]
    fn flags_win() {
        let flags = Flags { listen: Some(([127, 0, 0, 1], 1).into()), ..Flags::default() };
        let loader = Loader::new("/nowhere").environment([("CONDUCTOR_LISTEN".to_owned(), "127.0.0.1:2".to_owned())]);
        assert_eq!(load_from(loader, &flags).unwrap().settings.listen.port(), 1);
    }

    #[test]
    fn the_brokers_password_is_not_shown() {
        let loaded = with(&[("CONDUCTOR_BROKER__URL", "amqp://u:s3cret@h/%2f")]).unwrap();
        let text = format!("{:?} {:?}", effective(&loaded), loaded.settings);
        assert!(text.contains("amqp://u:***@h") && !text.contains("s3cret"), "{text}");
    }

    #[test]
    fn a_wrong_broker_url_says_what_is_expected_and_where() {
        let error = with(&[("CONDUCTOR_BROKER__URL", "localhost")]).unwrap_err();
        let text = conductor_boot::report(&error).to_string();
        for part in ["CONDUCTOR_BROKER__URL", "broker.url", "amqp://"] {
            assert!(text.contains(part), "{text}");
        }
    }
}
