use bytes::Bytes;

use super::{BuildError, Refusal, VERSION};
use crate::proto::http::Headers;

/// A plain HTTP response: what a server sends instead of an upgrade, or what a client got instead of one.
///
/// ```
/// use sockeye::proto::handshake::Response;
/// let mut response = Response::new(404)?;
/// response.body = "no such room\n".into();
/// assert!(response.encode().starts_with(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 13\r\n"));
/// # Ok::<(), sockeye::proto::handshake::BuildError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Response {
    status: u16,
    reason: String,
    /// The header fields. [`encode`](Self::encode) adds `Connection` and `Content-Length` of its own and leaves out
    /// those that stand here, and `Transfer-Encoding`.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// Starts a response without headers and body.
    ///
    /// # Errors
    ///
    /// [`BuildError::Status`] if `status` is not 200 to 599.
    pub fn new(status: u16) -> Result<Self, BuildError> {
        if !(200..=599).contains(&status) {
            return Err(BuildError::Status { status });
        }
        Ok(Self::of_status(status))
    }

    /// A 401 with a challenge (RFC 9110 §11.6.1), such as `Bearer` or `Basic realm="the house"`.
    ///
    /// # Errors
    ///
    /// [`BuildError::Header`] if the challenge cannot stand in a header.
    pub fn unauthorized(challenge: &str) -> Result<Self, BuildError> {
        let mut response = Self::of_status(401);
        response.headers.push("WWW-Authenticate", challenge)?;
        Ok(response)
    }

    /// A text for whoever reads it.
    pub(crate) fn plain(status: u16, text: &str) -> Self {
        let mut response = Self::of_status(status).with_header("Content-Type", "text/plain; charset=utf-8");
        response.body = format!("{text}\n").into();
        response
    }

    /// The status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase: the usual one, or what the server sent.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The response as it goes over the wire; behind it the connection is closed (RFC 9112 §9.6).
    pub fn encode(&self) -> Bytes {
        self.encode_as(true)
    }

    /// Like [`encode`](Self::encode), without the body: what answers a `HEAD` (RFC 9110 §9.3.2).
    pub fn encode_head(&self) -> Bytes {
        self.encode_as(false)
    }

    fn encode_as(&self, with_body: bool) -> Bytes {
        const OURS: [&str; 3] = ["Connection", "Content-Length", "Transfer-Encoding"];
        let has_body = !matches!(self.status, 204 | 304);
        // RFC 9110 §7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
        let connection = if self.headers.contains("Upgrade") { "close, Upgrade" } else { "close" };
        let mut out = format!("HTTP/1.1 {} {}\r\nConnection: {connection}\r\n", self.status, self.reason).into_bytes();
        if has_body {
            out.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        self.headers.encode_without(&OURS, &mut out);
        out.extend_from_slice(b"\r\n");
        if has_body && with_body {
            out.extend_from_slice(&self.body);
        }
        out.into()
    }

    pub(super) fn received(status: u16, reason: String, headers: Headers) -> Self {
        Self { status, reason, headers, body: Bytes::new() }
    }

    pub(super) fn of_status(status: u16) -> Self {
        Self::received(status, reason_phrase(status).into(), Headers::new())
    }

    fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value).expect("a constant header is well-formed");
        self
    }
}

impl From<&Refusal> for Response {
    /// The answer to a request that is refused: the status, and the reason as plain text.
    fn from(refusal: &Refusal) -> Self {
        let mut response = Self::plain(refusal.status(), &refusal.to_string());
        // RFC 9110 §15.5.6: "The origin server MUST generate an Allow header field in a 405 response".
        match refusal {
            Refusal::Method => response = response.with_header("Allow", "GET"),
            Refusal::NotConnect => response = response.with_header("Allow", "CONNECT"),
            _ => {}
        }
        // RFC 9110 §15.5.22: "The server MUST send an Upgrade header field in a 426 response"; RFC 6455 §4.4.
        if refusal.status() == 426 {
            response = response.with_header("Upgrade", "websocket").with_header("Sec-WebSocket-Version", VERSION);
        }
        response
    }
}

/// The usual reason phrases (RFC 9110 §15); the phrase may be empty (RFC 9112 §4).
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
