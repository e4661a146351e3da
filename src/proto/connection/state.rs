use std::{fmt, time::Instant};

use crate::proto::frame::{CloseFrame, ProtocolError};

/// How a connection ended.
///
/// The pseudo codes of RFC 6455 §7.4.1 are here: 1005 is a `theirs` of `None`, 1006 is [`Lost`](Self::Lost) or
/// [`TimedOut`](Self::TimedOut).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// Both ends sent a Close: the only clean end.
    Closed {
        /// Who sent it first.
        by: Initiator,
        /// What ours said.
        ours: Option<CloseFrame>,
        /// What the peer's said.
        theirs: Option<CloseFrame>,
    },
    /// The peer broke the protocol or a limit, and was sent a Close that says so.
    Failed(ProtocolError),
    /// The transport ended without a Close from the peer (1006).
    Lost,
    /// The peer let a deadline pass.
    TimedOut(Timeout),
    /// Our own side gave up: a message that was sent in parts was not finished, and can never be.
    Abandoned,
}

impl End {
    /// Whether both ends sent a Close.
    pub const fn is_clean(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// What the peer's Close said, if it sent one with a code.
    pub const fn close_frame(&self) -> Option<&CloseFrame> {
        match self {
            Self::Closed { theirs, .. } => theirs.as_ref(),
            Self::Failed(_) | Self::Lost | Self::TimedOut(_) | Self::Abandoned => None,
        }
    }
}

/// Who began the closing handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Initiator {
    /// This end.
    Us,
    /// The peer.
    Peer,
}

/// Explains itself: who ended the connection and why, for a log.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |f: &mut fmt::Formatter<'_>, frame: &Option<CloseFrame>| match frame {
            Some(CloseFrame { code, reason }) if reason.is_empty() => write!(f, "with {code}"),
            Some(CloseFrame { code, reason }) => write!(f, "with {code} ({reason:?})"),
            None => f.write_str("without a code"),
        };
        match self {
            Self::Closed { by: Initiator::Us, ours, .. } => {
                f.write_str("closed by us ")?;
                said(f, ours)
            }
            Self::Closed { by: Initiator::Peer, theirs, .. } => {
                f.write_str("closed by the peer ")?;
                said(f, theirs)
            }
            Self::Failed(fault) => write!(f, "failed, as the peer broke the protocol or a limit: {fault}"),
            Self::Lost => f.write_str("lost: the transport ended without a closing handshake (1006)"),
            Self::TimedOut(timeout) => write!(f, "given up: {timeout}"),
            Self::Abandoned => f.write_str("abandoned: we did not finish a message that was sent in parts"),
        }
    }
}

/// A deadline that the peer let pass.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Timeout {
    /// It did not answer our Close within `close_timeout`.
    #[error("the peer did not answer our Close in time")]
    Close,
    /// It sent nothing, not even a Pong, after a keepalive Ping.
    #[error("the peer sent nothing, not even a Pong, in time after a keepalive Ping")]
    Keepalive,
    /// It took nothing of what was queued for it within `max_queued_age`.
    #[error("the peer took nothing of what was queued for it in time")]
    Write,
    /// There was no connection to it, or to the proxy, within the time for that.
    #[error("there was no connection in time")]
    Connect,
    /// The TLS handshake took too long.
    #[error("the TLS handshake was not done in time")]
    Tls,
    /// The opening handshake took too long.
    #[error("the opening handshake was not done in time")]
    Handshake,
}

/// Where the connection stands (RFC 6455 §7). The transitions are in [`State::step`] and nowhere else.
#[derive(Debug, Default)]
pub(super) enum State {
    /// Messages go both ways.
    #[default]
    Open,
    /// We sent a Close and wait for the peer's until the deadline.
    CloseSent { ours: Option<CloseFrame>, deadline: Instant },
    /// Nothing more is sent but what is queued, and nothing more is taken in.
    Ended(End),
}

/// What makes a connection change its state.
pub(super) enum Input {
    /// The caller closes.
    Close { ours: Option<CloseFrame>, deadline: Instant },
    /// A Close came.
    Closed { theirs: Option<CloseFrame> },
    /// What came breaks the protocol or a limit.
    Fault(ProtocolError),
    /// The transport gives no more bytes; it may still take some.
    Eof,
    /// The transport takes no more bytes.
    #[cfg_attr(not(feature = "stream"), expect(dead_code, reason = "callers of the core see it for themselves"))]
    TransportFailed,
    /// A deadline passed.
    TimedOut(Timeout),
    /// A message in parts can never be finished.
    Abandoned,
}

/// What the change asks for.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Effect {
    Nothing,
    /// A Close is to be sent.
    SendClose(Option<CloseFrame>),
    /// What is queued will not be taken any more.
    DropOutput,
}

impl State {
    pub(super) fn step(&mut self, input: Input) -> Effect {
        use State::{CloseSent, Ended, Open};
        let (next, effect) = match (std::mem::take(self), input) {
            // §7.1.2: to start the closing handshake, a Close is sent.
            (Open, Input::Close { ours, deadline }) => {
                (CloseSent { ours: ours.clone(), deadline }, Effect::SendClose(ours))
            }
            // §5.5.1: having received a Close and not sent one, the endpoint sends a Close in response; it "typically
            // echos the status code it received".
            (Open, Input::Closed { theirs }) => {
                let ours = theirs.clone();
                (Ended(End::Closed { by: Initiator::Peer, ours: ours.clone(), theirs }), Effect::SendClose(ours))
            }
            // §5.5.1: having both sent and received a Close, the connection is closed.
            (CloseSent { ours, .. }, Input::Closed { theirs }) => {
                (Ended(End::Closed { by: Initiator::Us, ours, theirs }), Effect::Nothing)
            }
            // §7.1.7: to fail the connection, a Close with the reason is sent.
            (Open, Input::Fault(fault)) => (Ended(End::Failed(fault)), Effect::SendClose(Some(explain(fault)))),
            // §5.5.1: no frame follows our Close, not even another Close.
            (CloseSent { .. }, Input::Fault(fault)) => (Ended(End::Failed(fault)), Effect::Nothing),
            // §7.1.5: without a Close from the peer, it is an abnormal end.
            (Open | CloseSent { .. }, Input::Eof) => (Ended(End::Lost), Effect::Nothing),
            (Open | CloseSent { .. }, Input::TransportFailed) => (Ended(End::Lost), Effect::DropOutput),
            (Open | CloseSent { .. }, Input::TimedOut(timeout)) => (Ended(End::TimedOut(timeout)), Effect::DropOutput),
            (Open, Input::Abandoned) => {
                let ours = CloseFrame::new(crate::CloseCode::INTERNAL_ERROR, "message not finished");
                (Ended(End::Abandoned), Effect::SendClose(Some(ours)))
            }
            (sent @ CloseSent { .. }, Input::Close { .. } | Input::Abandoned) => (sent, Effect::Nothing),
            // A transport that fails takes what is still queued with it.
            (ended @ Ended(_), Input::TransportFailed | Input::TimedOut(_)) => (ended, Effect::DropOutput),
            // §1.4: after a Close, further data is discarded.
            (
                ended @ Ended(_),
                Input::Close { .. } | Input::Closed { .. } | Input::Fault(_) | Input::Eof | Input::Abandoned,
            ) => (ended, Effect::Nothing),
        };
        *self = next;
        effect
    }
}

/// The Close that tells the peer what it did.
fn explain(fault: ProtocolError) -> CloseFrame {
    CloseFrame::new(fault.close_code(), fault.to_string())
}
