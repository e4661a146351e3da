use tokio::io::{AsyncRead, AsyncWrite};

use super::request::receive_request;
use crate::{
    Config, DeflateConfig, Error, Role, WebSocket,
    proto::handshake::{Accept, Origin},
    stream::MemoryBudget,
};

/// What a server allows each connection.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Options {
    /// Limits and habits of the connection, from its opening handshake on.
    pub config: Config,
    /// permessage-deflate for clients that offer it (default: none).
    pub deflate: Option<DeflateConfig>,
    /// Whose pages may connect (default: those of the same host).
    pub origin: Origin,
    /// Memory that the connection shares with others (default: none).
    pub budget: Option<MemoryBudget>,
}

impl Default for Options {
    fn default() -> Self {
        Self { config: Config::new(Role::Server), deflate: None, origin: Origin::same_host(), budget: None }
    }
}

/// Accepts a WebSocket on a transport that a client has just opened, with default [`Options`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
/// let (tcp, _) = listener.accept().await?;
/// let mut ws = sockeye::accept(tcp).await?;
/// ws.send("welcome").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`Error::Refused`] if what came is no proper request for a WebSocket, which the client was told;
/// [`Error::TimedOut`] if it took too long; [`Error::Io`] or [`Error::Lost`] if the transport failed or ended.
///
/// # Cancel safety
///
/// Not cancel safe: the transport is dropped with it.
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(io: S) -> Result<WebSocket<S>, Error> {
    accept_with(io, &Options::default()).await
}

/// Like [`accept`], with options.
///
/// # Errors
///
/// As for [`accept`].
///
/// # Cancel safety
///
/// Not cancel safe: the transport is dropped with it.
pub async fn accept_with<S: AsyncRead + AsyncWrite + Unpin>(io: S, options: &Options) -> Result<WebSocket<S>, Error> {
    receive_request(io, options).await?.accept(Accept::default()).await
}
