use super::Response;
use crate::proto::{
    extension::deflate::{InvalidDeflateConfig, InvalidDeflateResponse},
    http::{HeadError, InvalidHeader, Malformed},
};

/// A client's request is refused: the client's fault (RFC 6455 §4.2.1).
///
/// `Response::from(&refusal)` is what to answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It is not HTTP/1.x as it is read here, or over a limit.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// RFC 9112 §3.2: a 400 "to any HTTP/1.1 request message that lacks a Host header field".
    #[error("no Host header")]
    MissingHost,
    /// RFC 9112 §3.2: a Host header "with an invalid field value".
    #[error("malformed Host header")]
    MalformedHost,
    /// RFC 6454 §7.3: one origin in ASCII, or a list of them.
    #[error("malformed Origin header")]
    MalformedOrigin,
    /// §10.2: a server "SHOULD verify the |Origin| field is an origin they expect".
    #[error("this Origin is not let in")]
    Origin,
    /// A header stands more than once, and must not.
    #[error("{name} header stands more than once")]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// §4.2.1, 1: "An HTTP/1.1 or higher GET request".
    #[error("method is not GET")]
    Method,
    /// §4.2.1, 1: "An HTTP/1.1 or higher GET request".
    #[error("HTTP/1.0 cannot be upgraded")]
    HttpVersion,
    /// §4.2.1, 1: the target is neither a path nor an absolute URI.
    #[error("request target is no resource name")]
    Target,
    /// §4.2.1, 3: "An |Upgrade| header field containing the value "websocket"".
    #[error("no Upgrade header with websocket")]
    MissingUpgrade,
    /// §4.2.1, 4: "A |Connection| header field that includes the token "Upgrade"".
    #[error("no Connection header with upgrade")]
    MissingConnection,
    /// §4.2.1, 5: "A |Sec-WebSocket-Key| header field" that decodes to 16 bytes; missing or not.
    #[error("Sec-WebSocket-Key is not the base64 of 16 bytes")]
    Key,
    /// §4.2.1, 6: "A |Sec-WebSocket-Version| header field, with a value of 13"; missing or another.
    #[error("Sec-WebSocket-Version is not 13")]
    UnsupportedVersion,
    /// The draft hixie-76, which has other frames and no header for a version.
    #[error("draft hixie-76 is not supported, only Sec-WebSocket-Version 13")]
    Hixie76,
    /// RFC 8441 §4: HTTP/2 asks for a WebSocket by CONNECT.
    #[error("a WebSocket over HTTP/2 is asked for by the method CONNECT with :protocol")]
    NotConnect,
    /// RFC 8441 §4: a CONNECT without `:protocol` asks for a tunnel.
    #[error("CONNECT without :protocol")]
    MissingProtocol,
    /// RFC 8441 §5: `:protocol` "MUST have a value of "websocket"".
    #[error(":protocol is not websocket")]
    Protocol,
    /// RFC 8441 §5: the scheme "MUST be "https" for "wss"-schemed WebSockets and "http" for "ws"-schemed WebSockets".
    #[error(":scheme is neither http nor https")]
    Scheme,
    /// RFC 9113 §8.2.2: "An endpoint MUST NOT generate an HTTP/2 message containing connection-specific header fields".
    #[error("{name} header in HTTP/2")]
    ConnectionHeader {
        /// Its name.
        name: &'static str,
    },
    /// A request to upgrade has no body: what is behind it are frames, or a smuggled request.
    #[error("request to upgrade with a body")]
    Body,
    /// §4.1, 10: the elements of `Sec-WebSocket-Protocol` are tokens.
    #[error("Sec-WebSocket-Protocol {0}")]
    MalformedSubprotocols(Malformed),
    /// §4.1, 10: the elements of `Sec-WebSocket-Protocol` "MUST all be unique strings".
    #[error("Sec-WebSocket-Protocol has an element twice")]
    RepeatedSubprotocol,
    /// §9.1: of a header that does not follow the grammar, the recipient "MUST immediately _Fail the WebSocket
    /// Connection_".
    #[error("Sec-WebSocket-Extensions {0}")]
    MalformedExtensions(Malformed),
}

impl Refusal {
    /// The status of the response. No `_` arm: a new variant has to choose.
    pub const fn status(self) -> u16 {
        match self {
            Self::Head(HeadError::TooLarge { .. } | HeadError::TooManyHeaders { .. }) => 431,
            Self::Head(HeadError::TargetTooLong { .. }) => 414,
            Self::Head(HeadError::Version) => 505,
            Self::Head(
                HeadError::LineEnd
                | HeadError::FoldedLine
                | HeadError::ForbiddenByte { .. }
                | HeadError::StartLine
                | HeadError::Target
                | HeadError::HeaderLine,
            )
            | Self::MissingHost
            | Self::MalformedHost
            | Self::RepeatedHeader { .. }
            | Self::Target
            | Self::MissingConnection
            | Self::Key
            | Self::Body
            | Self::MissingProtocol
            | Self::Scheme
            | Self::ConnectionHeader { .. }
            | Self::MalformedSubprotocols(_)
            | Self::RepeatedSubprotocol
            | Self::MalformedExtensions(_) => 400,
            Self::MalformedOrigin | Self::Origin => 403,
            Self::Method | Self::NotConnect => 405,
            // RFC 9220 §3, which says it for HTTP/2 as well: the server "SHOULD respond to the request with a 501".
            Self::Protocol => 501,
            Self::HttpVersion | Self::MissingUpgrade | Self::UnsupportedVersion | Self::Hixie76 => 426,
        }
    }
}

/// A client's handshake has failed: the server's fault, or its refusal (RFC 6455 §4.1).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HandshakeError {
    /// The server answered with a status other than 101. The response has as much of the body as was to be kept.
    #[error("server refused with status {} {}", .0.status(), .0.reason())]
    Refused(Box<Response>),
    /// The server ended the connection in front of its response's end.
    #[error("connection ended after {received} bytes of a response")]
    Ended {
        /// How many bytes had come.
        received: usize,
    },
    /// The response is not HTTP/1.x as it is read here, or over a limit.
    #[error("response: {0}")]
    Head(#[from] HeadError),
    /// More interim responses (RFC 9110 §15.2) than any server has a reason to send.
    #[error("more than {limit} interim responses")]
    TooManyInterim {
        /// The limit.
        limit: u8,
    },
    /// HTTP/1.0 has no 101 (RFC 9110 §15.2).
    #[error("status 101 in HTTP/1.0")]
    HttpVersion,
    /// §4.1, 2: the response lacks `Upgrade`, or its value is not "websocket".
    #[error("status 101 without Upgrade: websocket")]
    Upgrade,
    /// §4.1, 3: the response lacks `Connection`, or has no "Upgrade" in it.
    #[error("status 101 without Connection: Upgrade")]
    Connection,
    /// §4.1, 4: the response lacks `Sec-WebSocket-Accept`.
    #[error("status 101 without Sec-WebSocket-Accept")]
    MissingAccept,
    /// §4.1, 4: the value is not the one that belongs to the key sent.
    #[error("Sec-WebSocket-Accept does not belong to the key that was sent")]
    WrongAccept,
    /// A header stands more than once, and must not (§11.3).
    #[error("{name} header stands more than once")]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// §4.1, 6: "a subprotocol that was not present in the client's handshake".
    #[error("server chose subprotocol {subprotocol:?}, which was not asked for")]
    UnaskedSubprotocol {
        /// What the server chose.
        subprotocol: String,
    },
    /// §9.1: the header does not follow its grammar.
    #[error("Sec-WebSocket-Extensions {0}")]
    MalformedExtensions(Malformed),
    /// §4.1, 5: "an extension that was not present in the client's handshake", or one twice.
    #[error("server chose extension {name}, which was not asked for")]
    UnaskedExtension {
        /// Its name.
        name: String,
    },
    /// RFC 7692 §7.1: the answer to permessage-deflate is none that the offer allows.
    #[error("permessage-deflate: {0}")]
    Deflate(#[from] InvalidDeflateResponse),
}

/// What the caller wants to send cannot be sent: the caller's fault.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BuildError {
    /// A header that is none.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// The handshake sets this header itself; subprotocols and extensions have parameters of their own.
    #[error("header {name} is set by the handshake itself")]
    OwnedHeader {
        /// Its name.
        name: String,
    },
    /// A header that may stand only once.
    #[error("header {name} stands more than once")]
    RepeatedHeader {
        /// Its name.
        name: &'static str,
    },
    /// RFC 6455 §4.1, 10: a subprotocol's name is a token.
    #[error("subprotocol {subprotocol:?} is not a token")]
    MalformedSubprotocol {
        /// What was given.
        subprotocol: String,
    },
    /// RFC 6455 §4.1, 10: subprotocols "MUST all be unique strings".
    #[error("subprotocol {subprotocol} is given twice")]
    RepeatedSubprotocol {
        /// What was given.
        subprotocol: String,
    },
    /// RFC 6455 §4.2.2: a server chooses among the subprotocols in the client's request.
    #[error("subprotocol {subprotocol:?} was not asked for by the client")]
    UnaskedSubprotocol {
        /// What was given.
        subprotocol: String,
    },
    /// The settings for permessage-deflate are none.
    #[error(transparent)]
    Deflate(#[from] InvalidDeflateConfig),
    /// An extended CONNECT is answered in HTTP/2, whose bytes another library writes:
    /// [`acceptance`](super::Request::acceptance).
    #[error("a request over HTTP/2 has no answer in the bytes of HTTP/1.1")]
    Http2,
    /// A status that ends no request.
    #[error("status {status}, 200 to 599 are allowed")]
    Status {
        /// What was given.
        status: u16,
    },
}

/// A request cannot be accepted: the client's fault or the caller's.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AcceptError {
    /// The client's.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The caller's.
    #[error(transparent)]
    Build(#[from] BuildError),
}
