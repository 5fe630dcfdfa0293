//! Who is who between manager, agents and broker, and how an agent gets its identity.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use conductor_model::AgentId;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// What every agent's name on the broker and in certificates begins with.
const USER_PREFIX: &str = "agent.";
/// What every enrolment string begins with, so that people and scanners know one.
pub const ENROLMENT_PREFIX: &str = "cde1_";
/// Longest enrolment string.
const ENROLMENT_CHARS_MAX: usize = 4096;

/// An agent's name on the broker and in its certificate.
#[must_use]
pub fn broker_user(agent: &AgentId) -> String {
    format!("{USER_PREFIX}{agent}")
}

/// The agent of a name on the broker or in a certificate.
#[must_use]
pub fn agent_of_user(user: &str) -> Option<AgentId> {
    user.strip_prefix(USER_PREFIX)?.parse().ok()
}

/// SHA-256 of a certificate (DER), in hexadecimal.
#[must_use]
pub fn fingerprint_of(der: &[u8]) -> String {
    let digest = Sha256::digest(der);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// All that a host must be told to join: where the manager is, how to know it, and what to show it once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentString {
    /// The manager's address, as in `https://conductor.example:53333`.
    #[serde(rename = "m")]
    pub manager: String,
    /// SHA-256 of the authority's certificate, in hexadecimal.
    #[serde(rename = "f")]
    pub fingerprint: String,
    /// The secret.
    #[serde(rename = "t")]
    pub token: String,
}

/// Why a text is no enrolment string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EnrolmentStringError {
    /// It begins with something else.
    #[error("an enrolment string begins with {ENROLMENT_PREFIX}; this text does not")]
    Prefix,
    /// It was cut off or changed on its way.
    #[error("the enrolment string is damaged; copy the whole of it again")]
    Damaged,
}

impl fmt::Display for EnrolmentString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_vec(self).map_err(|_| fmt::Error)?;
        let check = &Sha256::digest(&text)[..4];
        write!(f, "{ENROLMENT_PREFIX}{}", URL_SAFE_NO_PAD.encode([text.as_slice(), check].concat()))
    }
}

impl fmt::Debug for EnrolmentString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentString").field("manager", &self.manager).field("token", &"***").finish_non_exhaustive()
    }
}

impl FromStr for EnrolmentString {
    type Err = EnrolmentStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let coded = text.trim().strip_prefix(ENROLMENT_PREFIX).ok_or(EnrolmentStringError::Prefix)?;
        if coded.len() > ENROLMENT_CHARS_MAX {
            return Err(EnrolmentStringError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(coded).map_err(|_| EnrolmentStringError::Damaged)?;
        let (json, check) = bytes.split_last_chunk::<4>().ok_or(EnrolmentStringError::Damaged)?;
        if Sha256::digest(json)[..4] != check[..] {
            return Err(EnrolmentStringError::Damaged);
        }
        serde_json::from_slice(json).map_err(|_| EnrolmentStringError::Damaged)
    }
}

/// `POST /api/v1/enrolments`: an agent asks to be let in, or again whether it was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolmentRequest {
    /// The secret of the enrolment string.
    pub token: String,
    /// Who the agent wants to be.
    pub id: AgentId,
    /// Its request for a certificate, PEM.
    pub certificate_request: String,
    /// The host's clock, in ms since 1970.
    pub time_ms: i64,
    /// The host's machine id, where it has one.
    #[serde(default)]
    pub machine_id: String,
}

/// `POST /api/v1/agents/{id}/certificate`: an agent asks for its next certificate, showing its present one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewalRequest {
    /// Its request for a certificate, PEM.
    pub certificate_request: String,
}

/// What an agent is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityGrant {
    /// Who it is.
    pub id: AgentId,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The authority's certificate, PEM.
    pub authority: String,
    /// The key that tasks are verified with, in hexadecimal.
    pub task_key: String,
    /// The certificate is good from then, by the manager's clock, in ms since 1970.
    pub issued_at_ms: i64,
    /// The certificate is good until then, by the manager's clock, in ms since 1970.
    pub expires_at_ms: i64,
    /// What operators say of it, from the token.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// The answer to an [`EnrolmentRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum EnrolmentAnswer {
    /// It is let in.
    Granted(IdentityGrant),
    /// Somebody must say yes first; ask again.
    Pending {
        /// After so many ms.
        again_in_ms: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string() -> EnrolmentString {
        EnrolmentString {
            manager: "https://conductor.example:53333".to_owned(),
            fingerprint: "ab".repeat(32),
            token: "s3cret".to_owned(),
        }
    }

    #[test]
    fn an_enrolment_string_comes_back_and_hides_its_secret() {
        let text = string().to_string();
        assert!(text.starts_with("cde1_"), "{text}");
        assert_eq!(text.parse(), Ok(string()));
        assert!(!format!("{:?}", string()).contains("s3cret"));
    }

    #[test]
    fn a_damaged_string_is_told_from_another_text() {
        let text = string().to_string();
        assert_eq!(text[..text.len() - 1].parse::<EnrolmentString>(), Err(EnrolmentStringError::Damaged));
        let mut changed = text.into_bytes();
        changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert_eq!(changed.parse::<EnrolmentString>(), Err(EnrolmentStringError::Damaged));
        assert_eq!("cdt_abc".parse::<EnrolmentString>(), Err(EnrolmentStringError::Prefix));
    }

    #[test]
    fn a_name_on_the_broker_leads_back_to_the_agent() {
        let agent: AgentId = "web-1".parse().unwrap();
        assert_eq!(broker_user(&agent), "agent.web-1");
        assert_eq!(agent_of_user("agent.web-1"), Some(agent));
        assert_eq!(agent_of_user("conductor"), None);
    }
}
