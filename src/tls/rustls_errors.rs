use std::io;

use tokio_rustls::rustls::{self, CertificateError};

use super::TlsError;

/// What a handshake with the server `host` failed of.
pub(super) fn of_handshake(error: io::Error, host: &str) -> TlsError {
    let certificate = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(certificate)) => certificate,
        _ => return TlsError::Handshake(error),
    };
    let host = host.to_owned();
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsError::Expired { host },
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsError::NotYetValid { host },
        CertificateError::NotValidForName => {
            TlsError::WrongHost { host, names: "the library does not say which".into() }
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            TlsError::WrongHost { host, names: if presented.is_empty() { "none".into() } else { presented.join(", ") } }
        }
        // A certificate that is its own issuer, and no authority, is refused for that.
        CertificateError::UnknownIssuer => TlsError::UnknownIssuer { host },
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            let reason = "it is an authority's (CA:TRUE), and none of a server: make it with basicConstraints=CA:FALSE";
            TlsError::Certificate { host, reason: reason.into() }
        }
        other => TlsError::Certificate { host, reason: other.to_string() },
    }
}
