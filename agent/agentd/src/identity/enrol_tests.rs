//! Joining, with the test in the manager's place: what it may say before anybody has reason to believe it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use conductor_wire::identity::{EnrolmentString, fingerprint_of};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{EnrolError, Enrolment, enrol};

/// A body that has as good as no end.
const ENDLESS: u64 = 1 << 40;

/// Answers everything with the authority's certificate, by a clock so far ahead, and gives what a token would say of it.
fn server(late_s: i64, padding: u64) -> EnrolmentString {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der = CertificateDer::from_pem_slice(certificate.pem().as_bytes()).unwrap();
    let private = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_no_client_auth().with_single_cert(vec![der.clone()], private).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let manager = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let pem = certificate.pem();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), stream);
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let there_ms = crate::clock::now().plus_ms(late_s * 1000).0.unsigned_abs();
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(there_ms));
            let length = padding.saturating_add(pem.len() as u64);
            let head = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{pem}");
            let mut sent = stream.write_all(head.as_bytes());
            let mut left = padding;
            while sent.is_ok() && left > 0 {
                sent = stream.write_all(&[b'\n'; 4096]);
                left = left.saturating_sub(4096);
            }
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    let text = EnrolmentString { manager, fingerprint: fingerprint_of(&der), token: "id.secret".to_owned() };
    text.to_string().parse().unwrap()
}

async fn refusal(string: EnrolmentString) -> EnrolError {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("identity");
    let enrolment = Enrolment { string, id: "web-1".parse().unwrap(), dir: &dir, approval_wait: Duration::ZERO, again: false };
    enrol(enrolment).await.unwrap_err()
}

#[tokio::test]
async fn a_host_whose_clock_is_wrong_is_told_so_before_certificates_are_not_believed() {
    let behind = refusal(server(3600, 0)).await;
    assert_eq!(behind.exit_code(), 24, "{behind}");
    assert!(behind.to_string().contains("s behind the manager's"), "{behind}");
    let ahead = refusal(server(-3600, 0)).await;
    assert_eq!(ahead.exit_code(), 24, "{ahead}");
    assert!(ahead.to_string().contains("s ahead of the manager's"), "{ahead}");
    let right = refusal(server(0, 0)).await;
    assert_ne!(right.exit_code(), 24, "{right}");
}

#[tokio::test]
async fn whoever_answers_without_end_is_not_listened_to() {
    let error = refusal(server(0, ENDLESS)).await;
    assert_eq!(error.exit_code(), 12, "{error}");
    assert!(error.to_string().contains("more than"), "{error}");
}

#[test]
fn each_refusal_has_a_number_of_its_own() {
    let code = |code: &str| EnrolError::Refused { code: code.to_owned(), message: String::new() }.exit_code();
    let codes = ["clock-skew", "agent-id-taken", "enrolment-rejected", "agent-revoked", "something-new"].map(code);
    assert_eq!(codes, [24, 25, 26, 27, 29]);
}
