//! What a server tells `tracing`, with the target `sockeye::server`; nothing without that feature, and never a payload.

use std::fmt;

use crate::{
    WebSocket,
    proto::{connection::End, handshake::Request},
};

/// A connection is open. What is behind the `?` of its target may be a secret.
pub(super) fn opened(request: &Request, ws: &WebSocket) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: "sockeye::server",
        path = request.path(),
        subprotocol = ws.subprotocol(),
        compressed = ws.is_compressed(),
        "opened"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (request, ws);
}

/// A handler has left a connection, and how it ended.
pub(super) fn ended(end: Option<&End>) {
    #[cfg(feature = "tracing")]
    match end {
        Some(end) => tracing::debug!(target: "sockeye::server", %end, "ended"),
        None => tracing::debug!(target: "sockeye::server", "left, with halves that are still in use"),
    }
    #[cfg(not(feature = "tracing"))]
    let _ = end;
}

/// A handshake came to nothing, or a handler returned an error.
pub(super) fn failed(what: &str, error: &dyn fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::server", %error, "{what} failed");
    #[cfg(not(feature = "tracing"))]
    let _ = (what, error);
}
