//! What can go wrong with keys and certificates.

use std::path::PathBuf;

use thiserror::Error;

/// Why a key or a certificate could not be read, made or used.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// One half of a pair is missing. It is not made anew by itself, because every agent trusts the old one.
    #[error("{missing} is missing, but {present} is there; put it back from a backup, or move both away to begin anew")]
    HalfThere {
        /// The file that is missing.
        missing: PathBuf,
        /// The file that is there.
        present: PathBuf,
    },
    /// A file has something else than it should.
    #[error("{path} is not usable: {message}")]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A key or certificate cannot be made.
    #[error("cannot make {what}")]
    Make {
        /// What.
        what: &'static str,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// The request for a certificate cannot be used.
    #[error("the certificate request is not usable: {message}")]
    Request {
        /// What is wrong with it.
        message: String,
    },
    /// TLS cannot be set up with these.
    #[error("TLS cannot be set up: {message}")]
    Tls {
        /// Why.
        message: String,
    },
}
