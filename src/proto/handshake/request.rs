use super::{ExtendedConnect, Key, Refusal, VERSION, uri};
use crate::proto::{
    extension::Offer,
    http::{HeadError, Headers, RequestHead, Version, grammar},
};

/// A request that came to a server: well-formed HTTP, for a WebSocket or not.
///
/// What a server does with it: [`accept`](Self::accept), or answer with a [`Response`](super::Response).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    head: RequestHead,
    /// There if it asks as HTTP/2 does.
    connect: Option<Box<ExtendedConnect>>,
}

impl Request {
    /// Takes the head of a request that another HTTP library has read; an extended CONNECT of HTTP/2 is taken
    /// [otherwise](Self::from_extended_connect).
    ///
    /// ```
    /// use sockeye::proto::{handshake::Request, http::{Headers, RequestHead, Version}};
    /// let mut headers = Headers::new();
    /// headers.push("Host", "example.com")?;
    /// let head = RequestHead { method: "GET".into(), target: "/chat".into(), version: Version::Http11, headers };
    /// assert!(!Request::from_head(head)?.is_upgrade());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Refusal`] for what is no well-formed request, as [`ServerHandshake`](super::ServerHandshake) says it of bytes; the
    /// limits of a head are the other library's.
    pub fn from_head(head: RequestHead) -> Result<Self, Refusal> {
        Self::read_elsewhere(head, None)
    }

    pub(super) fn read_elsewhere(head: RequestHead, connect: Option<ExtendedConnect>) -> Result<Self, Refusal> {
        if !grammar::is_token(head.method.as_bytes()) {
            return Err(HeadError::StartLine.into());
        }
        if head.target.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'#') {
            return Err(HeadError::Target.into());
        }
        Self::new(head, connect)
    }

    /// Checks what holds for every request.
    pub(super) fn new(head: RequestHead, connect: Option<ExtendedConnect>) -> Result<Self, Refusal> {
        let request = Self { head, connect: connect.map(Box::new) };
        // RFC 9112 §3.2: several Host headers, none, or a malformed one are answered with 400.
        match request.at_most_one("Host")? {
            None if request.head.version == Version::Http11 => return Err(Refusal::MissingHost),
            Some(host) if !std::str::from_utf8(host).is_ok_and(uri::is_host_header) => {
                return Err(Refusal::MalformedHost);
            }
            None | Some(_) => {}
        }
        if let Some(connect) = &request.connect {
            connect.check_authority(request.header("Host"))?;
        }
        // A browser's Origin that nobody can read must not look like no Origin.
        if request.at_most_one("Origin")?.is_some_and(|origin| !origin.iter().all(|byte| matches!(byte, b' '..=b'~'))) {
            return Err(Refusal::MalformedOrigin);
        }
        Ok(request)
    }

    /// The method, in the case in which it came.
    pub fn method(&self) -> &str {
        &self.head.method
    }

    /// The request target as it came: visible ASCII.
    pub fn target(&self) -> &str {
        &self.head.target
    }

    /// The path, still percent-encoded; empty if the target is neither a path nor an absolute URI.
    pub fn path(&self) -> &str {
        match self.resource().split_once('?') {
            Some((path, _)) => path,
            None => self.resource(),
        }
    }

    /// What is behind the first `?`, still percent-encoded.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// The version of HTTP.
    pub fn version(&self) -> Version {
        self.head.version
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.head.headers
    }

    /// The value of the first header of this name, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get_str(name)
    }

    /// The pseudo-header fields, if it is an extended CONNECT (RFC 8441 §4).
    pub fn extended_connect(&self) -> Option<&ExtendedConnect> {
        self.connect.as_deref()
    }

    /// The host that was asked for, with its port: the `:authority` of an extended CONNECT, that of an absolute target
    /// (RFC 9112 §3.2.2), else of the `Host` header.
    pub fn host(&self) -> Option<&str> {
        if let Some(connect) = &self.connect {
            return Some(&connect.authority);
        }
        self.absolute().map(|(authority, _)| authority).or_else(|| self.header("Host"))
    }

    /// The value of `Origin`, which browsers send: printable ASCII, not empty of meaning if it is `null`.
    pub fn origin(&self) -> Option<&str> {
        self.header("Origin")
    }

    /// Whether it asks for a WebSocket; [`check_upgrade`](Self::check_upgrade) says whether it does so as it should.
    ///
    /// RFC 9110 §7.8: "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request".
    pub fn is_upgrade(&self) -> bool {
        match &self.connect {
            Some(connect) => connect.names_websocket(),
            // RFC 9113 §8.6: HTTP/2 "does not provide support for the 101 (Switching Protocols)".
            None => self.head.version == Version::Http11 && self.names_websocket(),
        }
    }

    /// Whether `Upgrade`, a list of protocols of which some have a version behind a slash, has `websocket`.
    fn names_websocket(&self) -> bool {
        let lists = self.head.headers.get_all("Upgrade");
        lists
            .flat_map(|list| list.split(|&byte| byte == b','))
            .any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    }

    /// The subprotocols that the client offers, what it likes best first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.head.headers.get_all("Sec-WebSocket-Protocol").flat_map(grammar::tokens).map_while(Result::ok)
    }

    /// The first of the server's `preferences` that the client offers.
    pub fn choose_subprotocol<'a>(&self, preferences: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
        let offered: Vec<&str> = self.subprotocols().collect();
        preferences.into_iter().find(|preferred| offered.contains(preferred))
    }

    /// Checks all that a request for a WebSocket has to be (RFC 6455 §4.2.1, RFC 8441 §5).
    ///
    /// # Errors
    ///
    /// The first [`Refusal`] in the order in which a client would want to hear of them.
    pub fn check_upgrade(&self) -> Result<(), Refusal> {
        self.upgrade().map(|_| ())
    }

    /// As [`check_upgrade`](Self::check_upgrade), with what the answer is made from.
    pub(super) fn upgrade(&self) -> Result<Upgrade, Refusal> {
        let headers = &self.head.headers;
        self.check_protocol()?;
        // A caller who goes on to read frames must not find a body there, or a second request.
        if headers.contains("Transfer-Encoding") || headers.get_all("Content-Length").any(|length| length != b"0") {
            return Err(Refusal::Body);
        }
        if self.resource().is_empty() {
            return Err(Refusal::Target);
        }
        if self.connect.is_none() && !headers.contains_token("Connection", "Upgrade") {
            return Err(Refusal::MissingConnection);
        }
        if headers.contains("Sec-WebSocket-Key1") {
            return Err(Refusal::Hixie76);
        }
        if self.at_most_one("Sec-WebSocket-Version")? != Some(VERSION.as_bytes()) {
            return Err(Refusal::UnsupportedVersion);
        }
        let key = match &self.connect {
            // RFC 8441 §5: "do not do the processing of the Sec-WebSocket-Key and Sec-WebSocket-Accept header fields".
            Some(_) => None,
            None => Some(self.at_most_one("Sec-WebSocket-Key")?.and_then(Key::parse).ok_or(Refusal::Key)?),
        };
        self.check_subprotocols()?;
        let offers =
            Offer::parse_list(headers.get_all("Sec-WebSocket-Extensions")).map_err(Refusal::MalformedExtensions)?;
        Ok(Upgrade { key, offers })
    }

    /// Whether it asks for a WebSocket, in the way of its version of HTTP.
    fn check_protocol(&self) -> Result<(), Refusal> {
        match (&self.connect, self.head.version) {
            (Some(connect), _) => connect.check(&self.head.headers),
            (None, Version::Http10) => Err(Refusal::HttpVersion),
            (None, Version::Http11) if !self.names_websocket() => Err(Refusal::MissingUpgrade),
            (None, Version::Http11) if self.method() != "GET" => Err(Refusal::Method),
            (None, Version::Http11) => Ok(()),
            (None, Version::Http2) if self.method() != "CONNECT" => Err(Refusal::NotConnect),
            (None, Version::Http2) => Err(Refusal::MissingProtocol),
        }
    }

    /// §4.1, 10: tokens, at least one, each once.
    fn check_subprotocols(&self) -> Result<(), Refusal> {
        let lines = self.head.headers.get_all("Sec-WebSocket-Protocol");
        let mut offered = lines
            .flat_map(grammar::tokens)
            .collect::<Result<Vec<&str>, _>>()
            .map_err(Refusal::MalformedSubprotocols)?;
        if offered.is_empty() && self.head.headers.contains("Sec-WebSocket-Protocol") {
            return Err(Refusal::MalformedSubprotocols(crate::proto::http::Malformed { offset: 0 }));
        }
        offered.sort_unstable();
        if offered.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Refusal::RepeatedSubprotocol);
        }
        Ok(())
    }

    fn at_most_one(&self, name: &'static str) -> Result<Option<&[u8]>, Refusal> {
        let mut values = self.head.headers.get_all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Refusal::RepeatedHeader { name }),
            (value, None) => Ok(value),
        }
    }

    /// The path and query; empty if the target has none.
    fn resource(&self) -> &str {
        match self.absolute() {
            Some((_, "")) => "/",
            // Only a query can stand behind the authority without a slash.
            Some((_, resource)) if resource.starts_with('?') => "/",
            Some((_, resource)) => resource,
            None if self.target().starts_with('/') => self.target(),
            None => "",
        }
    }

    /// An absolute URI's authority and what is behind it (RFC 9112 §3.2.2).
    fn absolute(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.target().split_once("://")?;
        let known = ["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        (known && uri::is_host_header(authority)).then_some((authority, resource))
    }
}

/// What the answer to a request to upgrade is made from.
#[derive(Debug)]
pub(super) struct Upgrade {
    /// What a request of HTTP/1.1 proves with that it is understood.
    pub(super) key: Option<Key>,
    pub(super) offers: Vec<Offer>,
}
