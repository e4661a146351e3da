use std::time::Duration;

use bytes::Bytes;
use sockeye::{
    Message,
    proto::{connection::End, frame::Header, handshake::Response},
};

/// What happens to a connection, for whoever looks on.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Opened {
        url: String,
        /// Not known of a connection that was made again.
        response: Option<Box<Response>>,
        subprotocol: Option<String>,
        compressed: bool,
    },
    Message {
        way: Way,
        message: Message,
    },
    Ping {
        way: Way,
        payload: Bytes,
    },
    Pong {
        way: Way,
        payload: Bytes,
        rtt: Option<Duration>,
    },
    Frame {
        way: Way,
        header: Header,
    },
    /// There is no connection any more, or not yet, and another attempt is made.
    Lost {
        loss: String,
        retry_in: Duration,
    },
    Closed(End),
    /// The answer to a command.
    Note(String),
    /// Something went wrong.
    Fault(String),
}

impl Event {
    /// The bytes that it holds of a message.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Message { message, .. } => message.len(),
            _ => 0,
        }
    }
}

/// Whether it came or was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    In,
    Out,
}

impl Way {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}
