mod http2;
mod proxy;
mod tls;

use std::io;

pub use self::{http2::Http2Error, proxy::ProxyError, tls::TlsError};
use crate::proto::{
    connection::{SendError, Timeout},
    frame::ProtocolError,
    handshake::{BuildError, HandshakeError, InvalidUri, Refusal},
};

/// Why a call on a connection failed, by whose fault it is.
///
/// All but [`Send`](Self::Send) are final: the connection has ended.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The peer broke the protocol or a limit; it was sent a Close that says so.
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The peer let a deadline pass.
    #[error(transparent)]
    TimedOut(#[from] Timeout),
    /// The transport ended without a Close from the peer, which browsers call 1006.
    #[error("the connection was lost: it ended without a closing handshake (1006)")]
    Lost,
    /// The transport failed.
    #[error("the transport failed: {0}")]
    Io(#[from] io::Error),
    /// As a client: the server refused the connection, or its answer is not what RFC 6455 demands.
    #[error("the opening handshake failed: {0}")]
    Handshake(#[source] Box<HandshakeError>),
    /// As a server: the client asked for what RFC 6455 does not allow; it was sent a response that says so.
    #[error("the request was refused: {0}")]
    Refused(#[source] Box<Refusal>),
    /// The caller's options cannot be put into a request or a response.
    #[error("the opening handshake cannot be made as asked for: {0}")]
    Build(#[source] Box<BuildError>),
    /// The caller's URL is none that a WebSocket can be opened to.
    #[error("the URL cannot be used: {0}")]
    Uri(#[from] InvalidUri),
    /// The caller asked for `wss://`, and this build has no TLS.
    #[error(
        "wss:// needs TLS, which is not built in: turn on the feature `rustls` or `native-tls`, or connect over a TLS \
         stream of your own"
    )]
    NoTls,
    /// There is no TLS connection, most likely because of the server's certificate.
    #[error(transparent)]
    Tls(Box<TlsError>),
    /// As a client: there is no way through the proxy.
    #[error(transparent)]
    Proxy(Box<ProxyError>),
    /// As a client: there is no HTTP/2 connection that WebSockets could be opened on.
    #[error(transparent)]
    Http2(Box<Http2Error>),
    /// As a client: the server redirects to where it is not followed.
    #[error("the server redirects to {location:?}, which is not followed: {reason}")]
    Redirect {
        /// What the server says.
        location: Box<str>,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// The connection has ended, or is ending, and takes nothing more.
    #[error("the connection is closing or closed")]
    Closed,
    /// The caller asked for what cannot be sent; nothing was sent, and the connection goes on.
    #[error(transparent)]
    Send(SendError),
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::Closed,
            other => Self::Send(other),
        }
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(Box::new(error))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Build(Box::new(error))
    }
}

impl From<TlsError> for Error {
    fn from(error: TlsError) -> Self {
        Self::Tls(Box::new(error))
    }
}

impl From<Http2Error> for Error {
    fn from(error: Http2Error) -> Self {
        Self::Http2(Box::new(error))
    }
}

impl From<ProxyError> for Error {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_small_enough_to_return_by_value() {
        assert!(size_of::<super::Error>() <= 40, "{}", size_of::<super::Error>());
    }
}
