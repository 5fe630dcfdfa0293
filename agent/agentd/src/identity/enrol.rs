//! Joining an installation. Nothing secret is said before the manager's authority is known to be the right one.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use conductor_model::{AgentId, Timestamp};
use conductor_wire::identity::{EnrolmentAnswer, EnrolmentRequest, EnrolmentString, fingerprint_of};
use conductor_wire::problem::Problem;
use reqwest::header::HeaderValue;
use reqwest::{Certificate, Client, ClientBuilder, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use super::{Identity, IdentityError, files};
use crate::clock;

/// Longest wait for an answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// The most that this host's clock may be off: with another time neither believes the other's certificates.
const CLOCK_SKEW_MS_MAX: i64 = 5 * 60 * 1000;
/// Least and most time between two questions whether somebody has said yes.
const AGAIN_MS: std::ops::RangeInclusive<u64> = 200..=60_000;

/// What to do.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// What the operator gave.
    pub string: EnrolmentString,
    /// Who to be.
    pub id: AgentId,
    /// Where to keep the identity.
    pub dir: &'a Path,
    /// How long to wait for an operator to say yes.
    pub approval_wait: Duration,
    /// Whether an identity that is there is replaced.
    pub again: bool,
}

/// Why a host could not join.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// The host has an identity.
    #[error("this host is agent {id} of {manager} already; give --again to replace its identity")]
    Enrolled {
        /// Who it is.
        id: AgentId,
        /// Of which manager.
        manager: String,
    },
    /// Nobody answers.
    #[error("the manager at {manager} cannot be reached; is its address right, is it running, is a firewall between?")]
    Unreachable {
        /// Its address.
        manager: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It is not the manager that the string is for.
    #[error(
        "{manager} is not the manager that the enrolment string is for: its authority's fingerprint is {found}, expected {expected}. \
         Nothing secret was sent. Make a new string on the right manager, or find out who answers in its place"
    )]
    Fingerprint {
        /// Its address.
        manager: String,
        /// What the string says.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The manager's answer cannot be understood.
    #[error("{manager} gave an answer that no manager gives: {message}")]
    Strange {
        /// Its address.
        manager: String,
        /// What was wrong.
        message: String,
    },
    /// The host and the manager do not agree on the time. Their certificates would not be believed.
    #[error("this host's clock is {seconds} s {side} the manager's; set it, by NTP or by hand, and enrol again")]
    Clock {
        /// How far.
        seconds: u64,
        /// `ahead of` or `behind`.
        side: &'static str,
    },
    /// The manager says no.
    #[error("{message}")]
    Refused {
        /// Its stable code.
        code: String,
        /// Why.
        message: String,
    },
    /// Nobody has said yes yet.
    #[error("agent {id} waits for an operator (conductor agents approve {id}); run the same command again afterwards")]
    Pending {
        /// Who.
        id: AgentId,
    },
    /// Keys or files.
    #[error("the identity cannot be kept")]
    Identity(#[from] IdentityError),
}

impl EnrolError {
    /// The exit code, one for each cause.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Identity(_) => 1,
            Self::Unreachable { .. } => 10,
            Self::Fingerprint { .. } => 11,
            Self::Strange { .. } => 12,
            Self::Enrolled { .. } => 13,
            Self::Pending { .. } => 14,
            Self::Clock { .. } => 24,
            Self::Refused { code, .. } => match code.as_str() {
                "enrolment-token-unknown" => 20,
                "enrolment-token-expired" => 21,
                "enrolment-token-spent" => 22,
                "enrolment-address-refused" => 23,
                "clock-skew" => 24,
                "agent-id-taken" => 25,
                "enrolment-rejected" => 26,
                "agent-revoked" => 27,
                _ => 29,
            },
        }
    }
}

/// A key and a request that were sent and not answered yet: the same request again counts once.
#[derive(Serialize, Deserialize)]
struct Waiting {
    id: AgentId,
    token_fingerprint: String,
    key: String,
    request: String,
}

/// Joins.
///
/// # Errors
/// Each cause its own; see [`EnrolError`].
pub async fn enrol(enrolment: Enrolment<'_>) -> Result<Identity, EnrolError> {
    let Enrolment { string, id, dir, approval_wait, again } = enrolment;
    if !again && let Some(there) = Identity::load(dir)? {
        return Err(EnrolError::Enrolled { id: there.note.id, manager: there.note.manager });
    }
    let manager = string.manager.trim_end_matches('/').to_owned();
    let authority = authority(&manager, &string.fingerprint).await?;
    let trusted = Certificate::from_pem(authority.as_bytes()).map_err(|error| strange(&manager, &error))?;
    let http = client(&manager, |builder| builder.tls_certs_only([trusted]))?;
    files::make_dir(dir)?;
    let waiting = waiting(dir, &id, &string)?;
    let request = EnrolmentRequest {
        token: string.token,
        id: id.clone(),
        certificate_request: waiting.request,
        time_ms: 0,
        machine_id: machine_id(),
    };
    let give_up = Instant::now() + approval_wait;
    loop {
        let request = EnrolmentRequest { time_ms: clock::now().0, ..request.clone() };
        match ask(&http, &manager, &request).await? {
            EnrolmentAnswer::Granted(grant) => {
                let identity = Identity::store(dir, &manager, &waiting.key, grant)?;
                files::remove(&dir.join("request.json"))?;
                return Ok(identity);
            }
            EnrolmentAnswer::Pending { again_in_ms } => {
                let pause = Duration::from_millis(again_in_ms.clamp(*AGAIN_MS.start(), *AGAIN_MS.end()));
                if Instant::now() + pause > give_up {
                    return Err(EnrolError::Pending { id });
                }
                sleep(pause).await;
            }
        }
    }
}

/// The authority's certificate, which must have this fingerprint. It is fetched from whoever answers, and the clocks are
/// compared: with another time the manager's certificate would not be believed next, and nobody would know why.
async fn authority(manager: &str, expected: &str) -> Result<String, EnrolError> {
    let http = client(manager, |builder| builder.tls_danger_accept_invalid_certs(true))?;
    let unreachable = |source| EnrolError::Unreachable { manager: manager.to_owned(), source };
    let answer = http.get(format!("{manager}/api/v1/authority")).send().await.map_err(unreachable)?;
    let status = answer.status();
    let there = answer.headers().get(reqwest::header::DATE).and_then(time_of);
    let body = body(answer, manager).await?;
    if !status.is_success() {
        return Err(strange(manager, &format!("status {status}")));
    }
    let der = CertificateDer::from_pem_slice(&body).map_err(|error| strange(manager, &error))?;
    let found = fingerprint_of(&der);
    if found != expected.to_ascii_lowercase() {
        return Err(EnrolError::Fingerprint { manager: manager.to_owned(), expected: expected.to_owned(), found });
    }
    if let Some(there) = there {
        compare_clocks(clock::now().ms_since(there))?;
    }
    String::from_utf8(body).map_err(|error| strange(manager, &error))
}

/// The body of an answer of whoever answers: no more than a manager would say.
async fn body(mut answer: Response, manager: &str) -> Result<Vec<u8>, EnrolError> {
    let mut body = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= ANSWER_BYTES_MAX => body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(strange(manager, &format!("more than {ANSWER_BYTES_MAX} bytes"))),
            Ok(None) => return Ok(body),
            Err(source) => return Err(EnrolError::Unreachable { manager: manager.to_owned(), source }),
        }
    }
}

fn time_of(date: &HeaderValue) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(date.to_str().ok()?).ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().map(Timestamp)
}

fn compare_clocks(ahead_ms: i64) -> Result<(), EnrolError> {
    if ahead_ms.unsigned_abs() <= CLOCK_SKEW_MS_MAX.unsigned_abs() {
        return Ok(());
    }
    let side = if ahead_ms > 0 { "ahead of" } else { "behind" };
    Err(EnrolError::Clock { seconds: ahead_ms.unsigned_abs() / 1000, side })
}

async fn ask(http: &Client, manager: &str, request: &EnrolmentRequest) -> Result<EnrolmentAnswer, EnrolError> {
    let unreachable = |source| EnrolError::Unreachable { manager: manager.to_owned(), source };
    let answer = http.post(format!("{manager}/api/v1/enrolments")).json(request).send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = body(answer, manager).await?;
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|error| strange(manager, &error));
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => Err(EnrolError::Refused { code: problem.code, message: problem.detail }),
        Err(_) => Err(strange(manager, &format!("status {status}"))),
    }
}

fn client(manager: &str, tls: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, EnrolError> {
    let builder = tls(Client::builder().timeout(ANSWER_WAIT_MAX).no_proxy().https_only(true));
    builder.build().map_err(|source| EnrolError::Unreachable { manager: manager.to_owned(), source })
}

fn strange(manager: &str, message: &dyn std::fmt::Display) -> EnrolError {
    EnrolError::Strange { manager: manager.to_owned(), message: message.to_string() }
}

/// The key and request of an attempt before that got no answer, or new ones.
fn waiting(dir: &Path, id: &AgentId, string: &EnrolmentString) -> Result<Waiting, EnrolError> {
    let path = dir.join("request.json");
    let token_fingerprint = fingerprint_of(string.token.as_bytes());
    if let Some(text) = files::read(&path)?
        && let Ok(waiting) = serde_json::from_str::<Waiting>(&text)
        && waiting.id == *id
        && waiting.token_fingerprint == token_fingerprint
    {
        return Ok(waiting);
    }
    let key = rcgen::KeyPair::generate().map_err(IdentityError::Make)?.serialize_pem();
    let request = Identity::request_of(&key)?;
    let waiting = Waiting { id: id.clone(), token_fingerprint, key, request };
    let text = serde_json::to_string(&waiting)
        .map_err(|error| IdentityError::Damaged { path: path.clone(), message: error.to_string() })?;
    files::write(&path, &text)?;
    Ok(waiting)
}

/// What tells this host from a copy of its disk.
fn machine_id() -> String {
    std::fs::read_to_string("/etc/machine-id").map(|text| text.trim().to_owned()).unwrap_or_default()
}
