use std::{fmt, net::SocketAddr, time::SystemTime};

use crate::proto::handshake::Request;

/// The request that a session began with.
#[non_exhaustive]
#[derive(Clone)]
pub struct Handshake {
    /// Its target and headers.
    pub request: Request,
    /// Whose it was, where that is known: [`PeerAddress`] says how.
    pub peer: Option<SocketAddr>,
    /// Whether it came over TLS, where that is known: if a scheme or `X-Forwarded-Proto` says so.
    pub secure: bool,
    /// When it came.
    pub issued: SystemTime,
}

/// The client's address, as an extension of a request. [`Engine::listen`](super::Engine::listen) sets it; where another
/// server has the listener, it is for that one to do so.
///
/// ```
/// use std::net::SocketAddr;
/// use axum::extract::{ConnectInfo, Request};
/// use sockeye::engineio::PeerAddress;
/// /// For `axum::middleware::map_request`, around the layer of the sessions.
/// async fn note_peer(ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
///     request.extensions_mut().insert(PeerAddress(peer));
///     request
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerAddress(pub SocketAddr);

impl Handshake {
    /// The parameters behind the `?` of the request, decoded; those of Engine.IO are among them.
    pub fn query(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let query = self.request.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned()))
    }

    /// The first parameter of this name.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query().find_map(|(other, value)| (other == name).then_some(value))
    }
}

/// What may be a secret, the query and the headers, is not shown.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &self.request.path())
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
