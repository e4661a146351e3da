use std::io;

/// Why there is no TLS connection: the certificate first, as that is what goes wrong most.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The server has shown a certificate for other names than the one it was asked for as.
    #[error("the certificate of {host} is for other names: {names}")]
    WrongHost {
        /// The host of the URL.
        host: String,
        /// The names in the certificate, as far as the TLS library says them.
        names: String,
    },
    /// The certificate, or one that it depends on, was valid once.
    #[error("the certificate of {host} has expired")]
    Expired {
        /// The host of the URL.
        host: String,
    },
    /// The certificate will be valid, by this machine's clock.
    #[error("the certificate of {host} is not valid yet")]
    NotYetValid {
        /// The host of the URL.
        host: String,
    },
    /// The certificate leads to no root that is trusted.
    #[error("nobody who is trusted has signed the certificate of {host}: it is self-signed, or its issuer is unknown")]
    UnknownIssuer {
        /// The host of the URL.
        host: String,
    },
    /// The certificate is refused for another reason.
    #[error("the certificate of {host} is not accepted: {reason}")]
    Certificate {
        /// The host of the URL.
        host: String,
        /// What the TLS library says.
        reason: String,
    },
    /// No certificate can be for this host.
    #[error("{host:?} is neither a name nor an address that a certificate can be for")]
    Host {
        /// The host of the URL.
        host: String,
    },
    /// There are no roots to trust.
    #[error("there are no trusted root certificates: {reason}")]
    Roots {
        /// Where was looked, and what was found.
        reason: String,
    },
    /// The caller's certificate or key cannot be used.
    #[error("the certificate or its key cannot be used: {reason}")]
    Identity {
        /// What is wrong with it.
        reason: String,
    },
    /// The peer has agreed to speak something else than HTTP/1.1.
    #[error("{protocol} was agreed on by ALPN, and not http/1.1")]
    Protocol {
        /// What was agreed on.
        protocol: String,
    },
    /// The two ends found no way to speak TLS, or the peer speaks something else.
    #[error("the TLS handshake failed: {0}")]
    Handshake(#[source] io::Error),
}
