//! Packets of Socket.IO, revision 5 of its protocol: what stands in the messages of an Engine.IO session.

mod decode;
mod encode;
mod error;
mod json;
mod placeholder;

use bytes::Bytes;

pub use self::{decode::Decoder, error::PacketError};
pub(crate) use self::{
    encode::{Encoded, encode, encode_event},
    placeholder::PLACEHOLDER,
};
use crate::Utf8Bytes;

/// What one end tells the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    /// The namespace that it is for, with its slash in front.
    pub namespace: Utf8Bytes,
    /// What it is.
    pub body: Body,
}

/// What a packet is, with what it carries.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `0`: the client wants to join the namespace, or has; with an object as JSON, if any.
    Connect(Option<Utf8Bytes>),
    /// `1`: the client leaves the namespace, or has to.
    Disconnect,
    /// `2`, or `5` with attachments.
    Event {
        /// Asks for an acknowledgement with this id.
        id: Option<u64>,
        /// Its name.
        name: Utf8Bytes,
        /// Its arguments.
        arguments: Arguments,
    },
    /// `3`, or `6` with attachments.
    Ack {
        /// The id of the event that it acknowledges. One without acknowledges nothing.
        id: Option<u64>,
        /// What it says.
        arguments: Arguments,
    },
    /// `4`: the client was not let into the namespace; with an object, or from old servers a text, as JSON.
    ConnectError(Utf8Bytes),
}

/// Arguments as they came: JSON that is known to be well formed, and the bytes that its placeholders stand for.
///
/// They are decoded where they are needed, into what is needed there.
#[derive(Clone, PartialEq)]
pub struct Arguments {
    /// A JSON array that holds them; the name of their event may be in front.
    pub(in crate::socketio) array: Utf8Bytes,
    /// Where the name ends.
    pub(in crate::socketio) name_end: Option<usize>,
    /// What placeholders stand for.
    pub(in crate::socketio) attachments: Vec<Bytes>,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { array: Utf8Bytes::from_static("[]"), name_end: None, attachments: Vec::new() }
    }
}

impl Arguments {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.elements() == "]"
    }

    /// All of them, and the bracket at the end: `1,"two"]`.
    pub(in crate::socketio) fn elements(&self) -> &str {
        let rest = self.array[self.name_end.unwrap_or(1)..].trim_ascii();
        match self.name_end {
            Some(_) => rest.strip_prefix(',').map_or(rest, str::trim_ascii_start),
            None => rest,
        }
    }

    /// The arguments as the elements of a JSON array, with placeholders for what is binary.
    pub fn json(&self) -> String {
        format!("[{}", self.elements())
    }

    /// The bytes that came beside the JSON.
    pub fn attachments(&self) -> &[Bytes] {
        &self.attachments
    }

    /// How many bytes of memory they keep: white space and the event's name are among them.
    pub(in crate::socketio) fn held(&self) -> usize {
        self.array.len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// How many bytes they are.
    pub fn len(&self) -> usize {
        self.elements().len() + self.attachments.iter().map(Bytes::len).sum::<usize>()
    }
}

/// Whether the libraries use the name of an event for themselves: no packet may bear it.
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(name, "connect" | "connect_error" | "disconnect" | "disconnecting" | "newListener" | "removeListener")
}

/// How many attachments a packet may have, unless it is said otherwise: what node's decoder takes.
pub(crate) const MAX_ATTACHMENTS: usize = 10;

/// The namespace that everybody begins with.
pub(crate) const MAIN: &str = "/";

impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arguments").field("json", &self.json()).field("attachments", &self.attachments.len()).finish()
    }
}
