//! What is told `tracing` of sessions, in the scopes that node's `DEBUG` has; nothing without that feature. Of a session's id,
//! which is a secret, only the beginning is told, and of a message no more than how long it is.
//!
//! | target | node | what |
//! |---|---|---|
//! | `sockeye::engineio` | `engine` | sessions that begin, requests that are refused |
//! | `sockeye::engineio::socket` | `engine:socket` | upgrades, ends, what was dropped; at `trace` messages, pings and pongs |
//! | `sockeye::engineio::polling` | `engine:polling` | at `trace`, polls that are answered and bodies of POSTs |

use super::{CloseReason, ConnectionError, Session, Sid};

/// Runs what is done for a session in its span.
#[cfg(feature = "tracing")]
pub(super) fn in_session<F: Future>(
    session: Session,
    run: impl FnOnce(Session) -> F,
) -> impl Future<Output = F::Output> {
    let sender = session.sender();
    let transport = sender.transport();
    let span =
        tracing::debug_span!(target: "sockeye::engineio::socket", "session", sid = ?sender.id(), begun_by = %transport);
    tracing::debug!(target: "sockeye::engineio", parent: &span, "a session begins");
    tracing::Instrument::instrument(span.in_scope(|| run(session)), span)
}

#[cfg(not(feature = "tracing"))]
pub(super) fn in_session<F: Future>(session: Session, run: impl FnOnce(Session) -> F) -> F {
    run(session)
}

/// A request was refused.
pub(super) fn refused(error: &ConnectionError) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::engineio", code = error.code(), %error, "a request is refused");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// A session has gone over to a WebSocket.
pub(super) fn upgraded(session: Sid) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::engineio::socket", sid = ?session, "goes on by WebSocket");
    #[cfg(not(feature = "tracing"))]
    let _ = session;
}

/// A session has ended.
pub(super) fn ended(session: Sid, reason: CloseReason) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::engineio::socket", sid = ?session, %reason, "ended");
    #[cfg(not(feature = "tracing"))]
    let _ = (session, reason);
}

/// What was sent was dropped, as the client is slow.
pub(super) fn dropped(session: Sid, bytes: usize) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::engineio::socket", sid = ?session, bytes, "dropped, as too much waits for the client");
    #[cfg(not(feature = "tracing"))]
    let _ = (session, bytes);
}

/// Something of a session's heartbeat.
pub(super) fn beat(session: Sid, what: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::trace!(target: "sockeye::engineio::socket", sid = ?session, "{what}");
    #[cfg(not(feature = "tracing"))]
    let _ = (session, what);
}

/// A poll is answered, or a POST has come.
pub(super) fn polled(session: Sid, what: &'static str, bytes: usize) {
    #[cfg(feature = "tracing")]
    tracing::trace!(target: "sockeye::engineio::polling", sid = ?session, bytes, "{what}");
    #[cfg(not(feature = "tracing"))]
    let _ = (session, what, bytes);
}
