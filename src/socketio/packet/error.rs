/// What is no packet: the peer's fault, for which its connection is closed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PacketError {
    /// A message without anything.
    #[error("a packet without a type")]
    Empty,
    /// A first character that is none of `0` to `6`.
    #[error("a packet of the unknown type {0:?}")]
    UnknownType(char),
    /// The number of attachments is missing or none.
    #[error("a binary packet that does not say how many attachments it has, or has none")]
    IllegalAttachments,
    /// More attachments than are allowed, or placeholders that stand for them.
    #[error("{count} attachments, at most {limit} are allowed")]
    TooManyAttachments {
        /// How many there are.
        count: u64,
        /// How many may be.
        limit: usize,
    },
    /// An id that is not below 2⁶⁴.
    #[error("an acknowledgement's id that is too large")]
    IdTooLarge,
    /// The payload is no JSON, or not of the kind that the type wants.
    #[error("a payload that is not what the packet's type wants")]
    InvalidPayload,
    /// An event's name that the libraries use for themselves.
    #[error("an event with a reserved name")]
    ReservedName,
    /// A placeholder for an attachment that there is not.
    #[error("a placeholder for an attachment that there is not")]
    IllegalPlaceholder,
    /// A text where attachments were to come.
    #[error("a text among the attachments of a packet")]
    UnexpectedText,
    /// Bytes that belong to no packet.
    #[error("bytes that belong to no packet")]
    UnexpectedBinary,
}
