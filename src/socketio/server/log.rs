//! What is told `tracing`, in the scopes that node's `DEBUG` has. What has gone wrong and nobody else is told goes to standard
//! error without that feature; everything else, nowhere.
//!
//! | target | node | what |
//! |---|---|---|
//! | `sockeye::socketio::namespace` | `socket.io:namespace` | namespaces that are made and forgotten; events of other servers that failed |
//! | `sockeye::socketio::client` | `socket.io:client`, `socket.io-parser` | clients that are not understood; at `trace` their packets |
//! | `sockeye::socketio::socket` | `socket.io:socket` | sockets that are let in, refused and gone; events that failed or that nobody heard |
//! | `sockeye::socketio::broadcast` | `socket.io:broadcast-operator` | at `trace`, what is sent to many |
//! | `sockeye::socketio::adapter` | `socket.io-adapter`, `socket.io-redis` | what has failed; at `trace` what goes to other servers |
//!
//! Arguments, what clients say of themselves and the secrets of recovery are never told, of a session's id only the beginning.

use std::fmt::{self, Display, Write};

use super::{ConnectError, DisconnectReason, EventError, Local, Namespace, Socket, rooms::Targets};
use crate::{
    engineio,
    socketio::{
        adapter::ClusterMessage,
        packet::{Arguments, Body, Packet},
    },
};

/// The span of a socket: nothing without the feature.
#[cfg(feature = "tracing")]
pub(super) type Span = tracing::Span;
#[cfg(not(feature = "tracing"))]
pub(super) type Span = ();

/// The span of a socket, inside of that of its session.
#[cfg(feature = "tracing")]
pub(super) fn span(namespace: &Namespace, id: engineio::Sid) -> Span {
    tracing::debug_span!(target: "sockeye::socketio::socket", "socket", namespace = namespace.name(), %id)
}
#[cfg(not(feature = "tracing"))]
pub(super) const fn span(_namespace: &Namespace, _id: engineio::Sid) -> Span {}

/// Enters the span of a socket, until what it gives is dropped.
#[cfg(feature = "tracing")]
pub(super) fn enter(socket: &Socket) -> tracing::span::EnteredSpan {
    socket.shared.span.clone().entered()
}
#[cfg(not(feature = "tracing"))]
pub(super) const fn enter(_socket: &Socket) -> Outside {
    Outside
}

/// No span.
#[cfg(not(feature = "tracing"))]
pub(super) struct Outside;

/// Runs something of a socket's in its span.
#[cfg(feature = "tracing")]
pub(super) fn instrument<F: Future>(socket: &Socket, future: F) -> impl Future<Output = F::Output> + use<F> {
    tracing::Instrument::instrument(future, socket.shared.span.clone())
}
#[cfg(not(feature = "tracing"))]
pub(super) fn instrument<F: Future>(_socket: &Socket, future: F) -> F {
    future
}

/// A namespace was made.
pub(super) fn made(namespace: &Namespace) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::namespace", namespace = namespace.name(), "made");
    #[cfg(not(feature = "tracing"))]
    let _ = namespace;
}

/// A namespace of a pattern's is forgotten, as nobody is in it.
pub(super) fn forgotten(namespace: &Namespace) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::namespace", namespace = namespace.name(), "forgotten");
    #[cfg(not(feature = "tracing"))]
    let _ = namespace;
}

/// A packet has come.
pub(super) fn received(packet: &Packet) {
    #[cfg(feature = "tracing")]
    if tracing::enabled!(target: "sockeye::socketio::client", tracing::Level::TRACE) {
        let (kind, event, bytes) = match &packet.body {
            Body::Connect(_) => ("connect", None, 0),
            Body::Disconnect => ("disconnect", None, 0),
            Body::Event { name, arguments, .. } => ("event", Some(Brief(&**name).to_string()), arguments.len()),
            Body::Ack { arguments, .. } => ("ack", None, arguments.len()),
            Body::ConnectError(_) => ("connect error", None, 0),
        };
        tracing::trace!(target: "sockeye::socketio::client", namespace = Brief(&*packet.namespace).to_string(), kind, event, bytes, "received");
    }
    #[cfg(not(feature = "tracing"))]
    let _ = (packet, Body::Disconnect, Arguments::len);
}

/// An event is sent to many.
pub(super) fn published(namespace: &Namespace, event: &str, targets: &Targets, arguments: &Arguments) {
    #[cfg(feature = "tracing")]
    tracing::trace!(
        target: "sockeye::socketio::broadcast",
        namespace = namespace.name(), event, rooms = ?targets.rooms, except = ?targets.except, bytes = arguments.len(), "sent",
    );
    #[cfg(not(feature = "tracing"))]
    let _ = (namespace, event, targets, arguments);
}

/// A socket was let in.
pub(super) fn let_in(socket: &Socket) {
    #[cfg(feature = "tracing")]
    tracing::debug!(
        target: "sockeye::socketio::socket",
        socket = %socket.id(), namespace = socket.namespace().name(), recovered = socket.is_recovered(), "let in",
    );
    #[cfg(not(feature = "tracing"))]
    let _ = socket;
}

/// A socket was not let in.
pub(super) fn refused(socket: &Socket, error: &ConnectError) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::socket", socket = %socket.id(), namespace = socket.namespace().name(), %error, "refused");
    #[cfg(not(feature = "tracing"))]
    let _ = (socket, error);
}

/// A client asks for a namespace that there is not.
pub(super) fn invalid_namespace(session: &engineio::Sender, name: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::client", session = ?session.id(), namespace = %Brief(name), "there is no such namespace");
    #[cfg(not(feature = "tracing"))]
    let _ = (session, name);
}

/// A socket is disconnected.
pub(super) fn left(socket: &Socket, reason: DisconnectReason) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::socket", socket = %socket.id(), namespace = socket.namespace().name(), %reason, "disconnected");
    #[cfg(not(feature = "tracing"))]
    let _ = (socket, reason);
}

/// How many bytes of what a client has chosen are told.
const MAX_TOLD: usize = 200;

/// The beginning of what may be as long as a client likes: the name of an event, or an error that cites its arguments.
struct Brief<T>(T);

impl<T: Display> Display for Brief<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut beginning = Beginning(String::new());
        // An error says that there is more.
        let is_all = write!(beginning, "{}", self.0).is_ok();
        f.write_str(&beginning.0)?;
        f.write_str(if is_all { "" } else { "…" })
    }
}

struct Beginning(String);

impl Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.0.len() >= MAX_TOLD {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}

/// An event was not handled as it ought to be.
pub(super) fn failed(socket: &Socket, event: &str, error: &EventError) {
    let (event, error) = (Brief(event).to_string(), Brief(error));
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio::socket", socket = %socket.id(), namespace = socket.namespace().name(), event, %error, "an event failed");
    #[cfg(not(feature = "tracing"))]
    super::stderr::say(format_args!(
        "event {event:?} of socket {} in {:?}: {error}",
        socket.id(),
        socket.namespace().name()
    ));
}

/// A client waits for an acknowledgement that is not sent.
pub(super) fn unsent_ack(socket: &Socket) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::socket", socket = %socket.id(), "an acknowledgement was dropped unsent");
    #[cfg(not(feature = "tracing"))]
    let _ = socket;
}

/// An event came that nobody listens to.
pub(super) fn unheard(socket: &Socket, event: &str) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::socket", socket = %socket.id(), event = %Brief(event), "nobody listens to an event");
    #[cfg(not(feature = "tracing"))]
    let _ = (socket, event);
}

/// An event of another server was not handled as it ought to be.
pub(super) fn server_side(namespace: &Namespace, event: &str, error: &EventError) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio::namespace", namespace = namespace.name(), event, %error, "an event of another server failed");
    #[cfg(not(feature = "tracing"))]
    super::stderr::say(format_args!("event {event:?} of another server in {:?}: {error}", namespace.name()));
}

/// What an application wants to be told has panicked.
pub(super) fn panicked(what: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio::namespace", "{what} panicked");
    #[cfg(not(feature = "tracing"))]
    super::stderr::say(format_args!("{what} panicked"));
}

/// Something goes to other servers, or has come from one.
pub(super) fn told(local: &Local, what: &'static str, message: &ClusterMessage) {
    #[cfg(feature = "tracing")]
    tracing::trace!(target: "sockeye::socketio::adapter", namespace = local.namespace(), message = message.kind(), "{what}");
    #[cfg(not(feature = "tracing"))]
    let _ = (local, what, message);
}

/// Something that concerns other servers has failed.
pub(super) fn cluster(local: &Local, what: &dyn Display) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "sockeye::socketio::adapter", server = %local.server(), namespace = local.namespace(), %what, "the cluster failed");
    #[cfg(not(feature = "tracing"))]
    super::stderr::say(format_args!("cluster of {:?}: {what}", local.namespace()));
}

/// A client sent what it must not, and its connection is closed.
pub(super) fn violation(session: &engineio::Sender, what: &dyn Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio::client", session = ?session.id(), %what, "a client is not understood");
    #[cfg(not(feature = "tracing"))]
    let _ = (session, what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_has_chosen_is_told_in_part() {
        assert_eq!(Brief("short").to_string(), "short");
        assert_eq!(Brief("x".repeat(MAX_TOLD)).to_string(), "x".repeat(MAX_TOLD));
        let cited = EventError::Failed(format!("not {}", "€".repeat(100_000)).into());
        let told = Brief(&cited).to_string();
        assert!(told.starts_with("not €") && told.ends_with("€…") && told.len() < MAX_TOLD + 10, "{told}");
    }
}
