/// The caller asked for what the connection cannot do; nothing was sent, and the connection goes on as it was.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// A Close was sent, or the connection has ended.
    #[error("the connection is closing or closed")]
    Closed,
    /// RFC 6455 §5.5: a control frame carries at most 125 bytes.
    #[error("control frame payload of {len} bytes, at most 125 are allowed")]
    ControlTooLong {
        /// The payload's length.
        len: usize,
    },
    /// RFC 6455 §5.4: a message that is sent in parts has to be finished before the next one.
    #[error("a message that is sent in parts is not finished")]
    MessageOpen,
    /// A part came without a message that was begun.
    #[error("no message was begun that is sent in parts")]
    NoMessageOpen,
    /// A part of text, or its end, that makes it invalid UTF-8.
    #[error("text sent in parts that is not valid UTF-8")]
    InvalidUtf8,
}
