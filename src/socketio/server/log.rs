//! What has gone wrong and nobody else is told: to `tracing`, or without that feature to standard error.

use std::fmt::{self, Display, Write};

use super::{EventError, Socket};

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
    tracing::debug!(target: "sockeye::socketio", socket = %socket.id(), event = %Brief(event), "nobody listens to an event");
    #[cfg(not(feature = "tracing"))]
    let _ = (socket, event);
}

/// A client sent what it must not, and its connection is closed.
pub(super) fn violation(session: &crate::engineio::Sender, what: &dyn std::fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "sockeye::socketio", session = ?session.id(), %what, "a client is not understood");
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
