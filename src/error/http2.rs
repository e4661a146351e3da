/// Why a client has no WebSocket over HTTP/2 (RFC 8441).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Http2Error {
    /// RFC 8441 §3: a client asks for none until the server has said that it may.
    #[error("the server takes no WebSockets over HTTP/2: its SETTINGS have no ENABLE_CONNECT_PROTOCOL (RFC 8441 §3)")]
    NoExtendedConnect,
    /// The server did not choose `h2` when TLS asked for it (RFC 9113 §3.2).
    #[error("the server does not speak HTTP/2: it did not choose h2 by ALPN")]
    NotNegotiated,
    /// RFC 9113 §9.1.1: the connection was made to another origin, whose server need not be the one that is asked for.
    #[error("the HTTP/2 connection is to {connected}, and not to {asked}")]
    OtherOrigin {
        /// Where it was connected to.
        connected: String,
        /// What was to be opened on it.
        asked: String,
    },
    /// The other end broke HTTP/2, or ended the connection, or the stream.
    #[error("the HTTP/2 connection failed: {reason}")]
    Connection {
        /// What the HTTP/2 library says.
        reason: String,
    },
}
