//! The certificate authority.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor_model::{AgentId, Timestamp};
use conductor_wire::identity::{broker_user, fingerprint_of};
use rand::RngCore;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{PkiError, files, pin_of};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Life of the authority's own certificate.
const CA_LIFE_DAYS: i64 = 20 * 365;
/// Life of a server's certificate.
const SERVER_LIFE_DAYS: i64 = 825;
/// Certificates are good from a little before they are made: hosts' clocks differ.
const SKEW_MS: i64 = 5 * 60 * 1000;
/// Bytes of a serial number.
const SERIAL_BYTES: usize = 16;
/// Largest certificate request that is looked at.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The installation's certificate authority.
#[derive(Debug)]
pub struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    certificate: CertificateDer<'static>,
}

/// A certificate that was just made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate_pem: String,
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// It is good until then.
    pub not_after: Timestamp,
}

/// Where a server's certificate and key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The key, PEM (PKCS #8), readable by its owner alone.
    pub key: PathBuf,
    /// Whether both were made just now.
    pub made: bool,
}

impl Authority {
    /// Opens the authority in `dir`, or makes it when there is none yet.
    ///
    /// # Errors
    /// When a file cannot be read, written or used, and when only one half of the pair is there.
    pub fn open_or_create(dir: &Path, now: Timestamp) -> Result<Self, PkiError> {
        files::make_dir(dir)?;
        let (key_path, certificate_path) = (dir.join("ca.key"), dir.join("ca.crt"));
        let (key_pem, certificate_pem) = match (files::read(&key_path)?, files::read(&certificate_path)?) {
            (Some(key), Some(certificate)) => (key, certificate),
            (None, None) => {
                let (key, certificate) = make_ca(now)?;
                files::write(&key_path, &key, 0o600)?;
                files::write(&certificate_path, &certificate, 0o644)?;
                tracing::info!(file = %certificate_path.display(), "first start: the certificate authority was made");
                (key, certificate)
            }
            (Some(_), None) => return Err(PkiError::HalfThere { missing: certificate_path, present: key_path }),
            (None, Some(_)) => return Err(PkiError::HalfThere { missing: key_path, present: certificate_path }),
        };
        let unusable = |path: &Path, error: &dyn std::fmt::Display| PkiError::Unusable {
            path: path.to_owned(),
            message: error.to_string(),
        };
        let key = KeyPair::from_pem(&key_pem).map_err(|error| unusable(&key_path, &error))?;
        let certificate =
            CertificateDer::from_pem_slice(certificate_pem.as_bytes()).map_err(|error| unusable(&certificate_path, &error))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|error| unusable(&certificate_path, &error))?;
        Ok(Self { dir: dir.to_owned(), issuer, certificate_pem, certificate })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's certificate, DER.
    #[must_use]
    pub fn certificate_der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// SHA-256 of the authority's certificate, in hexadecimal: what enrolment strings pin.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        fingerprint_of(&self.certificate)
    }

    /// The certificate and key of a server, `server` or `broker`, in the authority's folder. They are made when they are
    /// not there, when the names changed, and when a third of their life or less is left.
    ///
    /// # Errors
    /// When a file cannot be read or written, or a name is none.
    pub fn ensure_server(&self, file: &str, names: &[String], now: Timestamp) -> Result<ServerFiles, PkiError> {
        let (certificate, key) = (self.dir.join(format!("{file}.crt")), self.dir.join(format!("{file}.key")));
        let usable = match (files::read(&certificate)?, files::read(&key)?) {
            (Some(text), Some(_)) => self.is_good_for(&text, names, now),
            _ => false,
        };
        if !usable {
            let (issued, key_pem) = self.issue_server(names, now)?;
            files::write(&key, &key_pem, 0o600)?;
            // Clients are sent the whole chain.
            files::write(&certificate, &format!("{}{}", issued.certificate_pem, self.certificate_pem), 0o644)?;
        }
        Ok(ServerFiles { certificate, key, made: !usable })
    }

    /// The [pin](super::pin_of) of the key that the server of this manager shows; `None` where there is none.
    #[must_use]
    pub fn server_pin(&self) -> Option<String> {
        let pem = files::read(&self.dir.join("server.crt")).ok()??;
        pin_of(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?)
    }

    /// A new key and a certificate for a server of these names and addresses; the key is PEM.
    ///
    /// # Errors
    /// When a name is none.
    pub fn issue_server(&self, names: &[String], now: Timestamp) -> Result<(Issued, String), PkiError> {
        let make = |what| move |source| PkiError::Make { what, source };
        let key = KeyPair::generate().map_err(make("a server's key"))?;
        let mut params = CertificateParams::new(names).map_err(make("a server's certificate"))?;
        let first = names.first().map_or("conductor", String::as_str);
        params.distinguished_name.push(DnType::CommonName, first);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (serial, not_after) = date(&mut params, now, SERVER_LIFE_DAYS * DAY_MS);
        let certificate = params.signed_by(&key, &self.issuer).map_err(make("a server's certificate"))?;
        Ok((Issued { certificate_pem: certificate.pem(), serial, not_after }, key.serialize_pem()))
    }

    /// Signs an agent's request. Nothing of what the request says of itself is believed but its key, of which the agent
    /// proves that it has it.
    ///
    /// # Errors
    /// [`PkiError::Request`] when the request is none or its signature is wrong.
    pub fn sign_agent(&self, request_pem: &str, agent: &AgentId, life: Duration, now: Timestamp) -> Result<Issued, PkiError> {
        if request_pem.len() > REQUEST_BYTES_MAX {
            return Err(PkiError::Request { message: format!("it is larger than {REQUEST_BYTES_MAX} bytes") });
        }
        let mut request = CertificateSigningRequestParams::from_pem(request_pem)
            .map_err(|error| PkiError::Request { message: error.to_string() })?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, broker_user(agent));
        let uri = format!("conductor:agent:{agent}");
        let uri = uri.as_str().try_into().map_err(|source| PkiError::Make { what: "an agent's certificate", source })?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let life_ms = i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
        let (serial, not_after) = date(&mut params, now, life_ms);
        request.params = params;
        let certificate =
            request.signed_by(&self.issuer).map_err(|source| PkiError::Make { what: "an agent's certificate", source })?;
        Ok(Issued { certificate_pem: certificate.pem(), serial, not_after })
    }

    fn is_good_for(&self, pem: &str, names: &[String], now: Timestamp) -> bool {
        let Ok(der) = CertificateDer::from_pem_slice(pem.as_bytes()) else { return false };
        let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
        let left_ms = certificate.validity().not_after.timestamp().saturating_mul(1000) - now.0;
        // One that another authority made is of no use, however long it is good.
        if left_ms < SERVER_LIFE_DAYS * DAY_MS / 3 || !pem.contains(self.certificate_pem.trim()) {
            return false;
        }
        let Ok(Some(alternatives)) = certificate.subject_alternative_name() else { return false };
        let mut there: Vec<String> = alternatives.value.general_names.iter().map(name_of).collect();
        let mut wanted = names.to_vec();
        there.sort();
        wanted.sort();
        wanted.dedup();
        there == wanted
    }
}

fn name_of(name: &x509_parser::extensions::GeneralName<'_>) -> String {
    use x509_parser::extensions::GeneralName;
    match name {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => IpAddr::from(v4).to_string(),
            Err(_) => <[u8; 16]>::try_from(*bytes).map_or_else(|_| String::new(), |v6| IpAddr::from(v6).to_string()),
        },
        other => other.to_string(),
    }
}

fn make_ca(now: Timestamp) -> Result<(String, String), PkiError> {
    let make = |what| move |source| PkiError::Make { what, source };
    let key = KeyPair::generate().map_err(make("the authority's key"))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Conductor CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    date(&mut params, now, CA_LIFE_DAYS * DAY_MS);
    let certificate = params.self_signed(&key).map_err(make("the authority's certificate"))?;
    Ok((key.serialize_pem(), certificate.pem()))
}

/// Gives a certificate its life and serial number.
fn date(params: &mut CertificateParams, now: Timestamp, life_ms: i64) -> (String, Timestamp) {
    let mut serial = [0_u8; SERIAL_BYTES];
    rand::rng().fill_bytes(&mut serial);
    // A serial number is positive, and has no byte to spare in front.
    serial[0] = (serial[0] & 0x7f) | 0x40;
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    let not_after = Timestamp(now.0.saturating_add(life_ms) / 1000 * 1000);
    params.not_before = moment(Timestamp(now.0 - SKEW_MS));
    params.not_after = moment(not_after);
    (hex::encode(serial), not_after)
}

fn moment(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.0 / 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::pki::{agent_of_certificate, good_until, serial_of};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn request() -> String {
        let mut params = CertificateParams::default();
        // Whatever a request claims, the certificate says who the manager means.
        params.distinguished_name.push(DnType::CommonName, "agent.somebody-else");
        params.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap()
    }

    #[test]
    fn the_authority_is_made_once_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = Authority::open_or_create(dir.path(), NOW).unwrap();
        let again = Authority::open_or_create(dir.path(), NOW.plus_ms(1000)).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        let mode = std::fs::metadata(dir.path().join("ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_lost_half_is_never_made_anew_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        Authority::open_or_create(dir.path(), NOW).unwrap();
        std::fs::remove_file(dir.path().join("ca.key")).unwrap();
        let error = Authority::open_or_create(dir.path(), NOW).unwrap_err();
        assert!(matches!(error, PkiError::HalfThere { .. }), "{error}");
    }

    #[test]
    fn a_servers_certificate_is_kept_until_names_change_or_it_grows_old() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(dir.path(), NOW).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let two = names(&["manager.example", "10.0.0.1"]);
        assert!(authority.ensure_server("server", &two, NOW).unwrap().made);
        assert!(!authority.ensure_server("server", &two, NOW).unwrap().made);
        assert!(authority.ensure_server("server", &names(&["manager.example"]), NOW).unwrap().made);
        let old = NOW.plus_ms(SERVER_LIFE_DAYS * DAY_MS * 3 / 4);
        assert!(authority.ensure_server("server", &names(&["manager.example"]), old).unwrap().made);
    }

    #[test]
    fn an_agents_certificate_says_who_the_manager_means() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(dir.path(), NOW).unwrap();
        let agent: AgentId = "web-1".parse().unwrap();
        let issued = authority.sign_agent(&request(), &agent, Duration::from_secs(3600), NOW).unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).unwrap();
        assert_eq!(agent_of_certificate(&der), Some(agent));
        assert_eq!(serial_of(&der), Some(issued.serial));
        assert_eq!(issued.not_after, NOW.plus_ms(3_600_000));
        assert_eq!(good_until(&issued.certificate_pem), Some(issued.not_after));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(dir.path(), NOW).unwrap();
        let agent: AgentId = "web-1".parse().unwrap();
        let mut broken = request();
        let at = broken.len() / 2;
        let other = if broken.as_bytes()[at] == b'A' { "B" } else { "A" };
        broken.replace_range(at..=at, other);
        for text in ["", "-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n", &broken] {
            let error = authority.sign_agent(text, &agent, Duration::from_secs(60), NOW).unwrap_err();
            assert!(matches!(error, PkiError::Request { .. }), "{error}");
        }
    }
}
