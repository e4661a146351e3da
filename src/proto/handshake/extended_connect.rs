use super::{Agreed, BuildError, ClientRequest, HandshakeError, Refusal, Request, Response, VERSION, client, uri};
use crate::proto::{
    extension::deflate,
    http::{Headers, RequestHead, Version},
};

/// The pseudo-header fields of an extended CONNECT (RFC 8441 §4): how a WebSocket is asked for over HTTP/2.
///
/// There is no key and no `Upgrade`; a status of 2xx accepts. Origin, version, subprotocols and extensions are the header
/// fields that they are in HTTP/1.1 (§5).
///
/// ```
/// use sockeye::proto::{handshake::{Accept, ExtendedConnect, Request}, http::Headers};
/// let connect = ExtendedConnect {
///     protocol: "websocket".into(),
///     scheme: "https".into(),
///     authority: "example.com".into(),
///     path: "/chat".into(),
/// };
/// let mut headers = Headers::new();
/// headers.push("sec-websocket-version", "13")?;
/// let request = Request::from_extended_connect(connect, headers)?;
/// let (response, _agreed) = request.acceptance(&Accept::default())?;
/// assert_eq!((response.status(), response.headers.len()), (200, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExtendedConnect {
    /// `:protocol`: `websocket` (§5).
    pub protocol: String,
    /// `:scheme`: `https` for a URI with `wss:`, `http` for one with `ws:` (§5).
    pub scheme: String,
    /// `:authority`: the host, and the port if it is not the scheme's own.
    pub authority: String,
    /// `:path`: the path and the query.
    pub path: String,
}

/// The value of `:protocol` (§5).
const PROTOCOL: &str = "websocket";

impl ExtendedConnect {
    pub(super) fn names_websocket(&self) -> bool {
        self.protocol == PROTOCOL
    }

    /// RFC 9113 §8.3.1: a server "SHOULD treat a request as malformed if it contains a Host header field that identifies
    /// an entity that differs from the entity in the ":authority" pseudo-header field".
    pub(super) fn check_authority(&self, host: Option<&str>) -> Result<(), Refusal> {
        if self.authority.is_empty() {
            return Err(Refusal::MissingHost);
        }
        if !uri::is_host_header(&self.authority) || host.is_some_and(|host| !host.eq_ignore_ascii_case(&self.authority))
        {
            return Err(Refusal::MalformedHost);
        }
        Ok(())
    }

    /// Checks what is not as in HTTP/1.1 (§4 and §5).
    pub(super) fn check(&self, headers: &Headers) -> Result<(), Refusal> {
        if !self.names_websocket() {
            return Err(Refusal::Protocol);
        }
        if !matches!(self.scheme.as_str(), "http" | "https") {
            return Err(Refusal::Scheme);
        }
        // §5: "[RFC6455] requires the use of Connection and Upgrade header fields that are not part of HTTP/2".
        let of_one_connection = ["Connection", "Upgrade"].into_iter().find(|name| headers.contains(name));
        of_one_connection.map_or(Ok(()), |name| Err(Refusal::ConnectionHeader { name }))
    }
}

impl Request {
    /// Takes an extended CONNECT that an HTTP/2 library has read.
    ///
    /// # Errors
    ///
    /// [`Refusal`] for what is no well-formed request.
    pub fn from_extended_connect(connect: ExtendedConnect, headers: Headers) -> Result<Self, Refusal> {
        let target = connect.path.clone();
        let head = RequestHead { method: "CONNECT".into(), target, version: Version::Http2, headers };
        Self::read_elsewhere(head, Some(connect))
    }
}

/// As HTTP/2 asks for it.
impl ClientRequest {
    /// The request that an HTTP/2 library sends (RFC 8441 §5).
    ///
    /// ```
    /// use sockeye::proto::handshake::{ClientRequest, Response};
    /// let request = ClientRequest::new("wss://example.com/chat".parse()?);
    /// let (connect, headers) = request.extended_connect()?;
    /// assert_eq!((&connect.scheme[..], &connect.authority[..], &connect.path[..]), ("https", "example.com", "/chat"));
    /// assert_eq!(headers.get_str("sec-websocket-version"), Some("13"));
    /// let agreed = request.confirm(&Response::new(200)?)?;
    /// assert_eq!(agreed, Default::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`BuildError`] if what it says cannot be sent.
    pub fn extended_connect(&self) -> Result<(ExtendedConnect, Headers), BuildError> {
        self.check()?;
        let connect = ExtendedConnect {
            protocol: PROTOCOL.into(),
            scheme: if self.uri.is_secure() { "https" } else { "http" }.into(),
            authority: self.headers.get_str("Host").map_or_else(|| self.uri.host_header(), String::from),
            path: self.uri.resource().into(),
        };
        let mut headers = Headers::new();
        headers.push("Sec-WebSocket-Version", VERSION)?;
        if !self.subprotocols.is_empty() {
            headers.push("Sec-WebSocket-Protocol", self.subprotocols.join(", "))?;
        }
        if let Some(config) = &self.deflate {
            headers.push("Sec-WebSocket-Extensions", deflate::offer(config).to_string())?;
        }
        if let Some(credentials) = self.uri.basic_auth()
            && !self.headers.contains("Authorization")
        {
            headers.push("Authorization", credentials)?;
        }
        for (name, value) in self.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Host")) {
            headers.push(name, value)?;
        }
        Ok((connect, headers))
    }

    /// Judges the answer to an extended CONNECT (RFC 8441 §5): a status of 2xx accepts.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] for another status; any other [`HandshakeError`] if what was chosen was not asked for.
    pub fn confirm(&self, response: &Response) -> Result<Agreed, HandshakeError> {
        if !(200..300).contains(&response.status()) {
            return Err(HandshakeError::Refused(Box::new(response.clone())));
        }
        client::agreed(&response.headers, &self.subprotocols, self.deflate.as_ref())
    }
}
