//! Who a certificate is for.

use conductor_model::AgentId;
use conductor_wire::identity::agent_of_user;
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

/// The certificate's serial number, in hexadecimal.
#[must_use]
pub fn serial_of(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(hex::encode(certificate.tbs_certificate.raw_serial()))
}
