use bytes::Bytes;

use super::message::{Kind, Message};
use crate::proto::frame::CloseFrame;

/// What the peer sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A whole message.
    Message(Message),
    /// A part of a message, where [`Delivery::Chunks`] was asked for.
    Chunk(Chunk),
    /// A Ping; its Pong is already on its way.
    Ping(Bytes),
    /// A Pong.
    Pong(Bytes),
    /// The peer's Close, which is answered already; `None` if it gave no code (1005).
    Close(Option<CloseFrame>),
}

#[cfg(feature = "stream")]
impl Event {
    /// How many bytes of payload it hands over.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Message(message) => message.len(),
            Self::Chunk(chunk) => chunk.bytes.len(),
            Self::Ping(payload) | Self::Pong(payload) => payload.len(),
            Self::Close(_) => 0,
        }
    }
}

/// The most bytes that a [`Chunk`] holds.
pub(crate) const MAX_CHUNK: usize = 64 * 1024;

/// A part of a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chunk {
    /// Whether the message is text or binary. Text is checked, but a chunk may end inside a character.
    pub kind: Kind,
    /// The bytes, inflated; may be empty on the last chunk.
    pub bytes: Bytes,
    /// Whether the message ends here.
    pub fin: bool,
}

/// How messages are to be handed over.
///
/// A message of which a chunk was handed over goes on in chunks to its end, and one of which anything was discarded is
/// discarded to its end.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Delivery {
    /// As [`Event::Message`], once they are complete and if they keep to `max_message`.
    #[default]
    Whole,
    /// As [`Event::Chunk`]s of at most 64 KiB, as they come; the message itself may be of any length. Asked for in the
    /// middle of a message, the first chunk holds all that was gathered so far.
    Chunks,
    /// Not at all: they are checked, and dropped as they come.
    Discard,
}
