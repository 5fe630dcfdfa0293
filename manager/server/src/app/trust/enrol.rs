//! Letting hosts in, and giving them their next certificate.

use std::net::IpAddr;
use std::time::Duration;

use conductor_model::{AgentId, TenantName, Timestamp};
use conductor_store::DocumentKind;
use conductor_wire::identity::{EnrolmentAnswer, EnrolmentRequest, IdentityGrant, RenewalRequest};

use super::record::{AgentIdentity, Approval, CertificateNote, EnrolmentToken, IdentityState};
use super::{document, read};
use crate::app::{App, AppError, Caller, token_hash};
use crate::clock;
use crate::pki::PkiError;

/// A host's clock may differ from the manager's by so many ms; beyond, certificates would seem too young or too old.
const CLOCK_SKEW_MS_MAX: i64 = 5 * 60 * 1000;
/// A host that must wait for an operator asks again after so many ms.
const AGAIN_IN_MS: u64 = 3000;
/// Certificates of one agent that are good at once: the present one, the next, and one whose answer was lost.
const CERTIFICATES_MAX: usize = 3;

/// A request to be let in, with where it came from.
#[derive(Debug)]
pub struct Enrolling {
    /// What the host says.
    pub request: EnrolmentRequest,
    /// Its address, where it is known.
    pub address: Option<IpAddr>,
}

impl App {
    /// Lets a host in that shows a good token, or has it wait for an operator. The same request again gets the same answer
    /// and counts once, so that an answer may be lost on its way.
    ///
    /// # Errors
    /// `enrolment-token-unknown`, `enrolment-token-expired`, `enrolment-token-spent`, `enrolment-address-refused`,
    /// `enrolment-rejected`, `clock-skew`, `agent-id-taken`, `certificate-request-invalid`.
    pub async fn enrol(&self, enrolling: Enrolling) -> Result<EnrolmentAnswer, AppError> {
        let Enrolling { request, address } = enrolling;
        let trust = &self.inner.trust;
        let _one_at_a_time = trust.changing.lock().await;
        let now = clock::now();
        let (tenant, mut token) = self.token_shown(&request.token).await?;
        let request_hash = token_hash(&request.certificate_request);
        let known = trust.identity(&request.id);
        let again = known.as_ref().filter(|(_, known)| known.request_hash == request_hash && known.token == token.id);
        check_place(&token, address)?;
        check_clock(&request, now)?;
        if let Some((_, identity)) = again {
            return match identity.state {
                IdentityState::Pending => Ok(EnrolmentAnswer::Pending { again_in_ms: AGAIN_IN_MS }),
                IdentityState::Active => {
                    let identity = AgentIdentity::clone(identity);
                    Ok(EnrolmentAnswer::Granted(self.grant(&tenant, identity, None, &request.certificate_request, now).await?))
                }
                IdentityState::Rejected => {
                    Err(AppError::forbidden("enrolment-rejected", format!("an operator rejected agent {}", request.id)))
                }
                IdentityState::Revoked => {
                    Err(AppError::forbidden("agent-revoked", format!("agent {} was revoked; make a new token", request.id)))
                }
            };
        }
        check_token(&token, now)?;
        if let Some((owner, known)) = &known {
            let is_alive = known.certificates.iter().any(|note| note.not_after > now);
            if *owner != tenant || known.state == IdentityState::Pending || (known.state == IdentityState::Active && is_alive) {
                let message = format!(
                    "there is an agent {} with an identity of its own; give this host another id (--id), or revoke the other first \
                     (conductor agents revoke {})",
                    request.id, request.id
                );
                return Err(AppError::conflict("agent-id-taken", message));
            }
        }
        let identity = AgentIdentity {
            agent: request.id.clone(),
            state: match token.approval {
                Approval::Automatic => IdentityState::Active,
                Approval::Manual => IdentityState::Pending,
            },
            token: token.id.clone(),
            labels: token.labels.clone(),
            request_hash,
            machine_id: request.machine_id,
            address,
            requested_at: now,
            certificates: Vec::new(),
        };
        // Before anything is counted: a request that is none costs no use.
        let life = self.inner.settings.certificate_life();
        trust.authority.sign_agent(&request.certificate_request, &request.id, life, now).map_err(request_error)?;
        token.used += 1;
        let (document, putting) = document(&tenant, DocumentKind::EnrolmentToken, &token.id, &token)?;
        self.read(move |store| store.put_document(document, putting)).await?;
        match identity.state {
            IdentityState::Active => {
                let grant = self.grant(&tenant, identity, None, &request.certificate_request, now).await?;
                self.note_trust(&tenant, "agent.enrolled", Some(&request.id), &token.id, &grant.id.to_string());
                Ok(EnrolmentAnswer::Granted(grant))
            }
            IdentityState::Pending | IdentityState::Rejected | IdentityState::Revoked => {
                self.keep_identity(&tenant, identity).await?;
                self.note_trust(&tenant, "agent.enrolment-pending", Some(&request.id), &token.id, &request.id.to_string());
                Ok(EnrolmentAnswer::Pending { again_in_ms: AGAIN_IN_MS })
            }
        }
    }

    /// Gives an agent its next certificate. It shows its present one, whose serial number is `shown`: that one stays good.
    ///
    /// # Errors
    /// `not-found`; `certificate-request-invalid`.
    pub async fn renew_identity(
        &self,
        agent: &AgentId,
        shown: Option<&str>,
        request: &RenewalRequest,
    ) -> Result<IdentityGrant, AppError> {
        let trust = &self.inner.trust;
        let _one_at_a_time = trust.changing.lock().await;
        let known = trust.identity(agent).filter(|(_, known)| known.state == IdentityState::Active);
        let Some((tenant, identity)) = known else { return Err(AppError::not_found("identity of agent", agent)) };
        let grant =
            self.grant(&tenant, AgentIdentity::clone(&identity), shown, &request.certificate_request, clock::now()).await?;
        self.note_trust(&tenant, "agent.certificate-renewed", Some(agent), agent.as_str(), agent.as_str());
        Ok(grant)
    }

    /// Says yes or no to a host that waits.
    ///
    /// # Errors
    /// `not-found`; `agent-not-pending`.
    pub async fn decide_enrolment(&self, caller: &Caller, agent: &AgentId, is_approved: bool) -> Result<(), AppError> {
        let _one_at_a_time = self.inner.trust.changing.lock().await;
        let known = self.inner.trust.identity(agent).filter(|(tenant, _)| *tenant == caller.tenant);
        let Some((tenant, identity)) = known else { return Err(AppError::not_found("agent that waits", agent)) };
        if identity.state != IdentityState::Pending {
            return Err(AppError::conflict("agent-not-pending", format!("agent {agent} does not wait for a yes or no")));
        }
        let state = if is_approved { IdentityState::Active } else { IdentityState::Rejected };
        self.keep_identity(&tenant, AgentIdentity { state, ..AgentIdentity::clone(&identity) }).await?;
        let kind = if is_approved { "agent.enrolment-approved" } else { "agent.enrolment-rejected" };
        self.note_trust(&tenant, kind, Some(agent), &caller.name, agent.as_str());
        Ok(())
    }

    /// Makes a certificate, and remembers its number before anybody has it.
    async fn grant(
        &self,
        tenant: &TenantName,
        mut identity: AgentIdentity,
        shown: Option<&str>,
        request: &str,
        now: Timestamp,
    ) -> Result<IdentityGrant, AppError> {
        let trust = &self.inner.trust;
        let life = self.inner.settings.certificate_life();
        let issued = trust.authority.sign_agent(request, &identity.agent, life, now).map_err(request_error)?;
        make_room(&mut identity.certificates, shown, now);
        identity.certificates.push(CertificateNote { serial: issued.serial, not_after: issued.not_after });
        let grant = IdentityGrant {
            id: identity.agent.clone(),
            certificate: issued.certificate_pem,
            authority: trust.authority.certificate_pem().to_owned(),
            task_key: trust.signer.verification_key(),
            issued_at_ms: now.0,
            expires_at_ms: issued.not_after.0,
            labels: identity.labels.clone(),
        };
        self.keep_identity(tenant, identity).await?;
        Ok(grant)
    }

    pub(in crate::app) async fn keep_identity(&self, tenant: &TenantName, identity: AgentIdentity) -> Result<(), AppError> {
        let (document, putting) = document(tenant, DocumentKind::AgentIdentity, identity.agent.as_str(), &identity)?;
        self.read(move |store| store.put_document(document, putting)).await?;
        self.inner.trust.remember(tenant, identity);
        Ok(())
    }

    /// The token that a host shows, of whichever tenant.
    async fn token_shown(&self, shown: &str) -> Result<(TenantName, EnrolmentToken), AppError> {
        let unknown = || {
            let message = "the manager does not know this enrolment token; it was deleted, or is another manager's";
            AppError::forbidden("enrolment-token-unknown", message)
        };
        let id = shown.split_once('.').map(|(id, _)| id.to_owned()).ok_or_else(unknown)?;
        let documents = self.read(|store| store.documents(None, DocumentKind::EnrolmentToken)).await?;
        let document = documents.into_iter().find(|document| document.name == id).ok_or_else(unknown)?;
        let token: EnrolmentToken = read(&document)?;
        // Hashes are compared: how long that takes says nothing of the secret.
        if token.hash == token_hash(shown) { Ok((document.tenant, token)) } else { Err(unknown()) }
    }
}

/// Forgets certificates that are over, and the oldest where there are too many. The one in use is not among them: its agent may
/// never hear of this answer and ask again with what it has.
fn make_room(certificates: &mut Vec<CertificateNote>, in_use: Option<&str>, now: Timestamp) {
    certificates.retain(|note| note.not_after > now);
    while certificates.len() >= CERTIFICATES_MAX {
        let Some(oldest) = certificates.iter().position(|note| Some(note.serial.as_str()) != in_use) else { return };
        certificates.remove(oldest);
    }
}

fn request_error(error: PkiError) -> AppError {
    match error {
        PkiError::Request { .. } => AppError::invalid("certificate-request-invalid", error.to_string()),
        error => AppError::Internal { operation: "making a certificate", source: Box::new(error) },
    }
}

fn check_token(token: &EnrolmentToken, now: Timestamp) -> Result<(), AppError> {
    if token.expires_at <= now {
        let seconds = now.ms_since(token.expires_at) / 1000;
        let message = format!("the enrolment token expired {seconds} s ago; make a new one (conductor agents token create)");
        return Err(AppError::forbidden("enrolment-token-expired", message));
    }
    if token.used >= token.uses {
        let message = format!(
            "the enrolment token has let in {} of {} agents; make a new one (conductor agents token create)",
            token.used, token.uses
        );
        return Err(AppError::forbidden("enrolment-token-spent", message));
    }
    Ok(())
}

fn check_place(token: &EnrolmentToken, address: Option<IpAddr>) -> Result<(), AppError> {
    if token.networks.is_empty() {
        return Ok(());
    }
    match address {
        Some(address) if token.networks.iter().any(|network| network.contains(address)) => Ok(()),
        Some(address) => {
            let message = format!("the enrolment token is not for hosts at {}", address.to_canonical());
            Err(AppError::forbidden("enrolment-address-refused", message))
        }
        None => {
            let message = "the enrolment token is for some addresses alone, and this host's is not known";
            Err(AppError::forbidden("enrolment-address-refused", message))
        }
    }
}

fn check_clock(request: &EnrolmentRequest, now: Timestamp) -> Result<(), AppError> {
    let ahead_ms = request.time_ms.saturating_sub(now.0);
    if ahead_ms.unsigned_abs() <= CLOCK_SKEW_MS_MAX.unsigned_abs() {
        return Ok(());
    }
    let (seconds, side) = (ahead_ms.unsigned_abs() / 1000, if ahead_ms > 0 { "ahead of" } else { "behind" });
    let message = format!("the host's clock is {seconds} s {side} the manager's; set it, by NTP or by hand, and enrol again");
    Err(AppError::conflict("clock-skew", message))
}

impl crate::config::Settings {
    /// How long an agent's certificate is good.
    #[must_use]
    pub fn certificate_life(&self) -> Duration {
        Duration::from_secs(self.tls.certificate_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::{World, tenant};

    #[tokio::test]
    async fn the_certificate_that_an_agent_asks_with_stays_good_however_often_it_asks() {
        let world = World::new();
        let agent: AgentId = "web-1".parse().unwrap();
        let now = clock::now();
        let note = |serial: &str| CertificateNote { serial: serial.to_owned(), not_after: now.plus_ms(3_600_000) };
        let identity = AgentIdentity {
            agent: agent.clone(),
            state: IdentityState::Active,
            token: String::new(),
            labels: Default::default(),
            request_hash: String::new(),
            machine_id: String::new(),
            address: None,
            requested_at: now,
            certificates: vec![note("in use"), note("never heard of")],
        };
        world.app.keep_identity(&tenant(), identity).await.unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let request = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
        let request = RenewalRequest { certificate_request: request };
        for _ in 0..CERTIFICATES_MAX * 2 {
            world.app.renew_identity(&agent, Some("in use"), &request).await.unwrap();
            assert_eq!(world.app.trust().admit(&agent, "in use", now).ok(), Some(tenant()));
        }
        let (_, kept) = world.app.trust().identity(&agent).unwrap();
        assert_eq!(kept.certificates.len(), CERTIFICATES_MAX);
        assert!(world.app.trust().admit(&agent, "never heard of", now).is_err());
    }
}
