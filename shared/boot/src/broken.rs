//! Why a connection did not come about, for those who say what to do about it.

use std::io;

/// What was found at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Nobody, or nobody who can be reached.
    Away,
    /// Somebody whose certificate is not believed.
    Untrusted,
    /// Somebody who speaks with TLS where none was expected, without it where it was, or another protocol.
    Foreign,
}

impl Broken {
    /// Tells by the error that a connection ended with, TLS by rustls or none.
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(_)) => return Self::Untrusted,
            Some(_) => return Self::Foreign,
            None => {}
        }
        match error.kind() {
            // What an end that waits for TLS makes of plain text, and one that waits for plain text of TLS.
            io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Foreign,
            _ => Self::Away,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_tells_who_is_there() {
        let unknown = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        assert_eq!(Broken::of(&io::Error::other(unknown)), Broken::Untrusted);
        assert_eq!(Broken::of(&io::Error::other(rustls::Error::DecryptError)), Broken::Foreign);
        assert_eq!(Broken::of(&io::ErrorKind::ConnectionReset.into()), Broken::Foreign);
        assert_eq!(Broken::of(&io::ErrorKind::ConnectionRefused.into()), Broken::Away);
        assert_eq!(Broken::of(&io::ErrorKind::TimedOut.into()), Broken::Away);
    }
}
