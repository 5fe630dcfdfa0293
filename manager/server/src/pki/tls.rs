//! How the manager answers TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::{Authority, PkiError, ServerFiles};

/// TLS with this certificate. A client may show a certificate, which then must be the authority's; people show tokens.
///
/// # Errors
/// When the files cannot be read or do not fit each other.
pub fn server_config(authority: &Authority, files: &ServerFiles) -> Result<Arc<ServerConfig>, PkiError> {
    let tls = |error: &dyn std::fmt::Display| PkiError::Tls { message: error.to_string() };
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der().clone()).map_err(|error| tls(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| tls(&error))?;
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| tls(&error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| tls(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| tls(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| tls(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
