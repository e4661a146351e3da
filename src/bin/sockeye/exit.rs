//! How the tool ends: what is said last, and what `$?` says.

use std::{fmt, process::ExitCode};

use sockeye::{
    CloseCode, Error,
    proto::connection::{End, Initiator},
    tls::TlsError,
};

/// The exit status, by whose fault the end is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Status {
    /// Closed as it should be.
    Clean = 0,
    /// Closed for another reason, or not what was hoped for.
    Unclean = 1,
    /// The caller's fault.
    Usage = 2,
    /// The server refused the handshake.
    Refused = 3,
    /// Not reached, not trusted, or lost.
    Network = 4,
    /// A time limit.
    TimedOut = 5,
    /// Our bug, as Rust has it.
    Panicked = 101,
    /// The terminal is gone; this and the next ones are as the shells have them: 128 and the signal.
    HungUp = 129,
    /// Ctrl-C.
    Interrupted = 130,
    /// Somebody ended it.
    Terminated = 143,
}

impl Status {
    /// The status of a connection that both ends have closed.
    pub(crate) fn of_end(end: &End) -> Self {
        let End::Closed { by, ours, theirs } = end else { return Self::Unclean };
        let Some(theirs) = theirs else { return Self::Clean };
        let as_asked_for = *by == Initiator::Us && ours.as_ref().is_some_and(|ours| ours.code == theirs.code);
        let is_usual = matches!(theirs.code, CloseCode::NORMAL | CloseCode::GOING_AWAY);
        if is_usual || as_asked_for { Self::Clean } else { Self::Unclean }
    }

    /// The status behind an error.
    pub(crate) fn of_error(error: &Error) -> Self {
        match error {
            Error::Uri(_) | Error::Build(_) | Error::NoTls | Error::Send(_) => Self::Usage,
            Error::Tls(error) if matches!(**error, TlsError::Roots { .. } | TlsError::Identity { .. }) => Self::Usage,
            Error::Handshake(_) | Error::Redirect { .. } => Self::Refused,
            Error::TimedOut(_) => Self::TimedOut,
            Error::Protocol(_) => Self::Unclean,
            _ => Self::Network,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        (status as u8).into()
    }
}

/// Why the tool cannot go on.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Why there is no connection.
    pub(crate) fn unopened(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::new(Status::Network, format!("the server cannot be reached: {error}")),
            other => other.into(),
        }
    }

    /// The caller's fault.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(Status::of_error(&error), error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use sockeye::CloseFrame;

    use super::*;

    #[test]
    fn a_close_is_clean_by_its_code_or_if_it_was_asked_for() {
        let frame = |code| CloseCode::new(code).map(|code| CloseFrame::new(code, ""));
        let of = |by, ours, theirs| Status::of_end(&End::Closed { by, ours: frame(ours), theirs: frame(theirs) });
        assert_eq!(of(Initiator::Peer, 1000, 1000), Status::Clean);
        assert_eq!(of(Initiator::Peer, 1001, 1001), Status::Clean);
        assert_eq!(of(Initiator::Peer, 1005, 1005), Status::Clean);
        assert_eq!(of(Initiator::Peer, 4000, 4000), Status::Unclean);
        assert_eq!(of(Initiator::Us, 4000, 4000), Status::Clean);
        assert_eq!(of(Initiator::Us, 1000, 1011), Status::Unclean);
        assert_eq!(Status::of_end(&End::Lost), Status::Unclean);
    }
}
