//! What can go wrong between a caller and the manager.

use std::fmt;

use conductor_model::Violation;
use serde_json::Value;
use thiserror::Error;

/// Why a request brought no result.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The manager's address is no address.
    #[error("{text:?} is no address of a manager: {reason}")]
    Address {
        /// As given.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be set up")]
    Setup {
        /// What the client says.
        #[source]
        source: reqwest::Error,
    },
    /// A file that is to name authorities names none.
    #[error("there is no certificate of an authority in it")]
    NoAuthority,
    /// Nobody answers there, or not in time.
    #[error("the manager at {url} does not answer")]
    Unreachable {
        /// Its address.
        url: String,
        /// What the network says.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody takes the request and does not answer in time.
    #[error("{request} was not answered within {} s", .limit.as_secs())]
    Slow {
        /// Method and path.
        request: String,
        /// How long it was waited for.
        limit: std::time::Duration,
    },
    /// The manager refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// An answer that is none: another program, or another version.
    #[error("the answer to {request} is not understood: {reason}")]
    Answer {
        /// Method and path.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The event stream could not be opened again.
    #[error("the event stream is lost after {attempts} attempts to open it")]
    EventsLost {
        /// How often it was tried.
        attempts: u32,
        /// The last failure.
        #[source]
        source: Box<ClientError>,
    },
}

/// A request that the manager refused, told the same whichever door it went through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Method and path.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable code, as in `plugin-manifest-missing`; empty when the answer had none.
    pub code: String,
    /// What was wrong and where.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// Each fault with its place; may be empty.
    pub violations: Vec<Violation>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        // A single fault is often the message itself.
        let is_said = |fault: &&Violation| self.message == format!("{} {}", fault.path, fault.message);
        for fault in self.violations.iter().filter(|fault| !is_said(fault)) {
            write!(f, "\n  {}: {}", fault.path, fault.message)?;
        }
        Ok(())
    }
}

/// Longest part of a body without structure that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 300;

impl Refusal {
    /// Reads the body of an error: problem JSON, the Conductor door's form, Cloudify's form, or any text.
    pub(crate) fn read(request: String, status: u16, body: &[u8]) -> Self {
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let text = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| json.get(key)?.as_str().filter(|text| !text.is_empty()));
            found.unwrap_or_default().to_owned()
        };
        let violations = ["violations", "validationErrors", "errors"]
            .iter()
            .find_map(|key| serde_json::from_value::<Vec<Violation>>(json.get(key)?.clone()).ok())
            .unwrap_or_default();
        let mut message = text(&["detail", "message", "title"]);
        if message.is_empty() {
            message = String::from_utf8_lossy(body).chars().take(SHOWN_CHARS_MAX).collect::<String>().trim().to_owned();
        }
        if message.is_empty() {
            message = format!("{request} was answered with status {status}");
        }
        Self { request, status, code: text(&["code", "error_code"]), message, hint: text(&["hint"]), violations }
    }
}

impl ClientError {
    /// The refusal's HTTP status, where there is one.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status),
            _ => None,
        }
    }

    /// The refusal's stable code, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) if !refusal.code.is_empty() => Some(&refusal.code),
            _ => None,
        }
    }

    /// Whether the thing asked for is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the same request may succeed later: nobody answered, or the manager says so.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Slow { .. } => true,
            Self::Refused(refusal) => matches!(refusal.status, 429 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// What to do next; empty when there is nothing better than to read the message.
    #[must_use]
    pub fn hint(&self) -> &str {
        match self {
            Self::Address { .. } => "give it as in http://127.0.0.1:53333, with --url or CONDUCTOR_URL",
            Self::Unreachable { source, .. } if is_distrust(source) => {
                "its certificate is not trusted here: name the authority's certificate with --ca-file or CONDUCTOR_CA_FILE \
                 (on the manager's host: /var/lib/conductor/pki/ca.crt)"
            }
            Self::NoAuthority => "it is a PEM file that begins with -----BEGIN CERTIFICATE-----",
            Self::Unreachable { .. } => "is it running there? `make dev` starts one; --url or CONDUCTOR_URL says where it is",
            Self::Refused(refusal) if refusal.status == 401 => "give the manager's token with --token or CONDUCTOR_TOKEN",
            Self::Refused(refusal) if !refusal.hint.is_empty() => &refusal.hint,
            Self::Answer { .. } => "is that address a Conductor manager of this version?",
            _ => "",
        }
    }
}

/// Whether a connection failed because the other side could not show a certificate that is trusted.
fn is_distrust(error: &reqwest::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        // Wrapped in errors of input and output, which do not show it as their source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()).or_else(|| error.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(_)) = tls {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Refusal {
        Refusal::read("POST /x".to_owned(), 400, body.as_bytes())
    }

    #[test]
    fn problem_json_is_read() {
        let refusal = read(
            r#"{"code":"plugin-path-escapes","title":"Plugin path escapes","status":400,"detail":"the entry is bad","hint":"pack again"}"#,
        );
        assert_eq!(
            (refusal.code.as_str(), refusal.message.as_str(), refusal.hint.as_str()),
            ("plugin-path-escapes", "the entry is bad", "pack again")
        );
    }

    #[test]
    fn the_conductor_form_is_read_with_its_faults() {
        let refusal = read(
            r#"{"status":400,"code":"definition-invalid","message":"not valid","validationErrors":[{"path":"tasks[0].name","message":"must not be empty"}]}"#,
        );
        assert_eq!(refusal.violations.len(), 1);
        assert_eq!(refusal.to_string(), "not valid\n  tasks[0].name: must not be empty");
    }

    #[test]
    fn any_text_is_better_than_none() {
        assert_eq!(read("proxy says no").message, "proxy says no");
        assert_eq!(read("").message, "POST /x was answered with status 400");
        assert_eq!(read(r#"{"message":"conflict","error_code":"conflict_error"}"#).code, "conflict_error");
    }
}
