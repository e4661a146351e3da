use bytes::Bytes;

use crate::proto::{Utf8Bytes, frame::Opcode};

/// Whether a message holds text or bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Binary,
}

impl Kind {
    pub(crate) const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// A message (RFC 6455 §5.6); cheap to clone.
///
/// ```
/// use sockeye::Message;
/// let text: Message = "hello".into();
/// let binary: Message = vec![1, 2, 3].into();
/// assert_eq!(text.as_text(), Some("hello"));
/// assert_eq!(binary.as_bytes(), [1, 2, 3]);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// UTF-8 text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
}

impl Message {
    /// Whether it is text or binary.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// The payload, of either kind.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.payload()
    }

    /// The payload, of either kind.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The payload's length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.payload().len()
    }

    /// Whether the payload is empty, which is a message all the same.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.payload().is_empty()
    }

    #[inline]
    pub(crate) const fn payload(&self) -> &Bytes {
        match self {
            Self::Text(text) => text.as_shared(),
            Self::Binary(bytes) => bytes,
        }
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::Binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Binary(bytes.into())
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(bytes))
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Self::from(&bytes[..])
    }
}
