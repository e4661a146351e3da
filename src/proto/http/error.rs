/// The peer's head is not HTTP/1.x as it is read here, or is over a limit that we set.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeadError {
    /// More bytes than [`Limits::max_head`](crate::Limits::max_head).
    #[error("head of more than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// More header lines than [`Limits::max_headers`](crate::Limits::max_headers).
    #[error("more than {limit} header lines")]
    TooManyHeaders {
        /// The limit in lines.
        limit: usize,
    },
    /// A longer request target than [`Limits::max_target`](crate::Limits::max_target).
    #[error("request target of more than {limit} bytes")]
    TargetTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// RFC 9112 §2.2: a line ends with CR LF; neither of the two may stand alone.
    #[error("line that does not end with CR LF")]
    LineEnd,
    /// RFC 9112 §5.2: "A server that receives an obs-fold in a request message … MUST either reject the message …".
    #[error("header line that starts with white space")]
    FoldedLine,
    /// A control character, which neither a start line nor a header line can have.
    #[error("byte {byte:#04x} in a head")]
    ForbiddenByte {
        /// The byte that came.
        byte: u8,
    },
    /// RFC 9112 §3 and §4: the first line is no request line, or no status line.
    #[error("malformed first line")]
    StartLine,
    /// RFC 9112 §3.2: the target has a byte that no URI has, or a fragment.
    #[error("malformed request target")]
    Target,
    /// RFC 9112 §2.3: the version is not HTTP/1.0 or HTTP/1.1.
    #[error("HTTP version is neither 1.0 nor 1.1")]
    Version,
    /// RFC 9112 §5: a line is not a token, a colon and a value.
    #[error("malformed header line")]
    HeaderLine,
}

/// The caller's header cannot be sent (RFC 9110 §5).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidHeader {
    /// RFC 9110 §5.1: a field name is a token.
    #[error("header name {name:?} is not a token")]
    Name {
        /// The name that was given.
        name: String,
    },
    /// RFC 9110 §5.5: CR, LF, NUL and the other control characters are no part of a value.
    #[error("value of header {name} has byte {byte:#04x}")]
    Value {
        /// The header's name.
        name: String,
        /// The first byte that is not allowed.
        byte: u8,
    },
    /// RFC 9110 §5.5: a value has no white space at its ends; a peer would take it off.
    #[error("value of header {name} has white space at its ends")]
    Padded {
        /// The header's name.
        name: String,
    },
}

/// A header value does not follow its grammar.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed at byte {offset}")]
pub struct Malformed {
    /// Where in its line the first byte is that does not fit.
    pub offset: usize,
}
