//! WebSockets over HTTP/2 (RFC 8441): many on one connection, or one that may be over HTTP/2.

mod connection;
mod stream;

use tokio::time::Instant;

pub use self::connection::Http2;
use super::{connect::Options, dial::dial_http2, open::open};
use crate::{
    Error, Http2Error, WebSocket,
    proto::handshake::{ClientRequest, Response},
};

/// Opens a WebSocket over HTTP/2 if the server chooses it by ALPN, and over HTTP/1.1 if it does not; `None` if it would
/// take one over HTTP/1.1 alone.
pub(super) async fn dial_and_open(
    request: &ClientRequest,
    options: &Options,
    deadline: Instant,
) -> Result<Option<(WebSocket, Response)>, Error> {
    if !request.uri.is_secure() {
        return Ok(None);
    }
    let (io, is_http2) = dial_http2(&request.uri, options, deadline).await?;
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::client", server = request.uri.host_header(), is_http2, "connected");
    if !is_http2 {
        return open(io, request, options, deadline).await.map(Some);
    }
    match Http2::start(io, options.config.limits, deadline).await {
        Ok(http2) => http2.ask(request, options, deadline).await.map(Some),
        Err(Error::Http2(error)) if *error == Http2Error::NoExtendedConnect => Ok(None),
        Err(error) => Err(error),
    }
}
