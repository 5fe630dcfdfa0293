//! Who a certificate is for.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use conductor_model::{AgentId, Timestamp};
use conductor_wire::identity::agent_of_user;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The agent whose certificate this is; `None` when it is nobody's. The certificate's signature was checked by TLS.
#[must_use]
pub fn agent_of_certificate(der: &[u8]) -> Option<AgentId> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut names = certificate.subject().iter_common_name();
    let name = names.next()?.as_str().ok()?;
    // A second name would leave open which one counts.
    if names.next().is_some() { None } else { agent_of_user(name) }
}

/// Until when the first certificate in a text of PEM is good; `None` when there is none.
#[must_use]
pub fn good_until(pem: &str) -> Option<Timestamp> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    Some(Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1000)))
}

/// SHA-256 of the public key in a certificate, as `curl --pinnedpubkey` wants it.
#[must_use]
pub fn pin_of(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate.public_key().raw);
    Some(format!("sha256//{}", BASE64_STANDARD.encode(digest.as_ref())))
}

/// The certificate's serial number, in hexadecimal.
#[must_use]
pub fn serial_of(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(hex::encode(certificate.tbs_certificate.raw_serial()))
}
