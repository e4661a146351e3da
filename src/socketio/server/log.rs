//! What has gone wrong and nobody else is told: to `tracing`, or without that feature to standard error.

use super::{EventError, Local, Namespace, Socket};

/// An event was not handled as it ought to be.
pub(super) fn failed(socket: &Socket, event: &str, error: &EventError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio", socket = %socket.id(), namespace = socket.namespace().name(), event, %error, "an event failed");
    #[cfg(not(feature = "tracing"))]
    eprintln!("sockeye: event {event:?} of socket {} in {:?}: {error}", socket.id(), socket.namespace().name());
}

/// A client waits for an acknowledgement that is not sent.
pub(super) fn unsent_ack(socket: &Socket) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio", socket = %socket.id(), "an acknowledgement was dropped unsent");
    #[cfg(not(feature = "tracing"))]
    let _ = socket;
}

/// An event came that nobody listens to.
pub(super) fn unheard(socket: &Socket, event: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio", socket = %socket.id(), event, "nobody listens to an event");
    #[cfg(not(feature = "tracing"))]
    let _ = (socket, event);
}

/// An event of another server was not handled as it ought to be.
pub(super) fn server_side(namespace: &Namespace, event: &str, error: &EventError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio", namespace = namespace.name(), event, %error, "an event of another server failed");
    #[cfg(not(feature = "tracing"))]
    eprintln!("sockeye: event {event:?} of another server in {:?}: {error}", namespace.name());
}

/// What an application wants to be told has panicked.
pub(super) fn panicked(what: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio", "{what} panicked");
    #[cfg(not(feature = "tracing"))]
    eprintln!("sockeye: {what} panicked");
}

/// Something that concerns other servers has failed.
pub(super) fn cluster(local: &Local, what: &dyn std::fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio", server = %local.server(), namespace = local.namespace(), %what, "the cluster failed");
    #[cfg(not(feature = "tracing"))]
    eprintln!("sockeye: cluster of {:?}: {what}", local.namespace());
}

/// A client sent what it must not, and its connection is closed.
pub(super) fn violation(session: &crate::engineio::Sender, what: &dyn std::fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio", session = ?session.id(), %what, "a client is not understood");
    #[cfg(not(feature = "tracing"))]
    let _ = (session, what);
}
