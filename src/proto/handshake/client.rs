use bytes::Bytes;

use super::{Agreed, BuildError, HandshakeError, Key, Response, VERSION, WsUri, is_owned};
use crate::proto::{
    Limits,
    extension::{
        Offer,
        deflate::{self, DeflateConfig},
    },
    http::{BodyReader, HeadReader, Headers, ResponseHead, Version, grammar},
};

/// 100 and 103 come once each; a server that sends more of them than this has something else in mind.
const MAX_INTERIM: u8 = 8;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct ClientRequest {
    /// Whom to ask for what. Its user and password become an `Authorization` header, unless `headers` has one.
    pub uri: WsUri,
    /// More headers. `Host` replaces the one that the URI gives.
    pub headers: Headers,
    /// The subprotocols to offer, what is liked best first.
    pub subprotocols: Vec<String>,
    /// permessage-deflate, if it is to be offered.
    pub deflate: Option<DeflateConfig>,
}

impl ClientRequest {
    /// Asks for `uri`, and nothing else.
    pub const fn new(uri: WsUri) -> Self {
        Self { uri, headers: Headers::new(), subprotocols: Vec::new(), deflate: None }
    }

    /// The request as it goes over the wire (RFC 6455 §4.1).
    fn encode(&self, key: &Key) -> Result<Bytes, BuildError> {
        self.check()?;
        let mut out = format!("GET {} HTTP/1.1\r\n", self.uri.resource()).into_bytes();
        let mut line = |name: &str, value: &[u8]| {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        };
        match self.headers.get("Host") {
            Some(host) => line("Host", host),
            None => line("Host", self.uri.host_header().as_bytes()),
        }
        line("Upgrade", b"websocket");
        line("Connection", b"Upgrade");
        line("Sec-WebSocket-Version", VERSION.as_bytes());
        line("Sec-WebSocket-Key", key.as_str().as_bytes());
        if !self.subprotocols.is_empty() {
            line("Sec-WebSocket-Protocol", self.subprotocols.join(", ").as_bytes());
        }
        if let Some(config) = &self.deflate {
            line("Sec-WebSocket-Extensions", deflate::offer(config).to_string().as_bytes());
        }
        if let Some(credentials) = self.uri.basic_auth()
            && !self.headers.contains("Authorization")
        {
            line("Authorization", credentials.as_bytes());
        }
        self.headers.encode_without(&["Host"], &mut out);
        out.extend_from_slice(b"\r\n");
        Ok(out.into())
    }

    pub(super) fn check(&self) -> Result<(), BuildError> {
        if let Some((name, _)) = self.headers.iter().find(|(name, _)| is_owned(name)) {
            return Err(BuildError::OwnedHeader { name: name.into() });
        }
        for name in ["Host", "Origin"] {
            if self.headers.get_all(name).nth(1).is_some() {
                return Err(BuildError::RepeatedHeader { name });
            }
        }
        for (index, subprotocol) in self.subprotocols.iter().enumerate() {
            if !grammar::is_token(subprotocol.as_bytes()) {
                return Err(BuildError::MalformedSubprotocol { subprotocol: subprotocol.clone() });
            }
            if self.subprotocols[..index].contains(subprotocol) {
                return Err(BuildError::RepeatedSubprotocol { subprotocol: subprotocol.clone() });
            }
        }
        if let Some(config) = &self.deflate {
            config.check()?;
        }
        Ok(())
    }
}

/// The client's half of the opening handshake (RFC 6455 §4.1).
///
/// ```
/// use sockeye::proto::handshake::{ClientHandshake, ClientRequest};
/// # use sockeye::Limits;
/// let request = ClientRequest::new("ws://example.com/chat".parse()?);
/// let nonce = *b"the sample nonce"; // take it from a cryptographic generator
/// let (mut handshake, request) = ClientHandshake::new(&request, nonce, Limits::trusted(), 64 * 1024)?;
/// assert!(request.starts_with(b"GET /chat HTTP/1.1\r\nHost: example.com\r\n"));
/// let input = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nframes";
/// let (consumed, accepted) = handshake.receive(input)?;
/// assert!(accepted.is_some());
/// assert_eq!(&input[consumed..], b"frames");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    expected: Expected,
    limits: Limits,
    max_body: usize,
    interim: u8,
    state: State,
}

/// What the answer is checked against.
#[derive(Debug)]
struct Expected {
    accept: String,
    subprotocols: Vec<String>,
    deflate: Option<DeflateConfig>,
}

#[derive(Debug)]
enum State {
    Head(HeadReader),
    /// The server refuses and says why.
    Body(Response, BodyReader),
    /// Accepted or failed.
    Over,
}

/// A server's acceptance.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// What was agreed.
    pub agreed: Agreed,
    /// The response with status 101 and its headers.
    pub response: Response,
}

impl ClientHandshake {
    /// Starts a handshake, and gives the request to send.
    ///
    /// `nonce` has to be random (§4.1, 7). Up to `max_body` bytes of the body of a response that refuses are kept.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if what `request` says cannot be sent.
    pub fn new(
        request: &ClientRequest,
        nonce: [u8; 16],
        limits: Limits,
        max_body: usize,
    ) -> Result<(Self, Bytes), BuildError> {
        let key = Key::from_nonce(nonce);
        let encoded = request.encode(&key)?;
        let expected = Expected {
            accept: key.accept(),
            subprotocols: request.subprotocols.clone(),
            deflate: request.deflate.clone(),
        };
        let state = State::Head(HeadReader::response(limits));
        Ok((Self { expected, limits, max_body, interim: 0, state }, encoded))
    }

    /// Takes in the next bytes; says how many belong to the handshake, and gives the server's acceptance once it is
    /// there.
    ///
    /// What is behind an acceptance is not taken: the server's first frames. Behind an acceptance or an error, nothing
    /// more is taken.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] once the response of a server that refuses is whole; any other [`HandshakeError`]
    /// as soon as it shows. The connection is of no more use.
    pub fn receive(&mut self, input: &[u8]) -> Result<(usize, Option<Accepted>), HandshakeError> {
        let mut consumed = 0;
        loop {
            let rest = &input[consumed..];
            let (next, accepted) = match std::mem::replace(&mut self.state, State::Over) {
                State::Head(mut reader) => {
                    let (taken, head) = reader.receive(rest)?;
                    consumed += taken;
                    match head {
                        None => (State::Head(reader), None),
                        Some(head) => self.judge(ResponseHead::parse(&head)?)?,
                    }
                }
                State::Body(response, mut body) => {
                    body.receive(rest);
                    consumed = input.len();
                    if body.is_complete() {
                        return Err(refused(response, body));
                    }
                    (State::Body(response, body), None)
                }
                State::Over => return Ok((consumed, None)),
            };
            self.state = next;
            // A refusal may have no body at all, so it is looked at without more input too.
            let body_is_next = matches!(&self.state, State::Body(_, body) if body.is_complete());
            if accepted.is_some() || consumed == input.len() && !body_is_next {
                return Ok((consumed, accepted));
            }
        }
    }

    /// Says how the handshake failed, as the server ended the connection.
    pub fn receive_eof(self) -> HandshakeError {
        let received = match &self.state {
            State::Head(reader) => reader.received(),
            State::Body(..) | State::Over => 0,
        };
        // RFC 9112 §6.3: a body may end with the connection.
        self.refusal().unwrap_or(HandshakeError::Ended { received })
    }

    /// What a server says that refuses, as far as it has come: for a body that does not end in time.
    pub fn refusal(self) -> Option<HandshakeError> {
        match self.state {
            State::Body(response, body) => Some(refused(response, body)),
            State::Head(_) | State::Over => None,
        }
    }

    /// Judges a whole head by its status.
    fn judge(&mut self, head: ResponseHead) -> Result<(State, Option<Accepted>), HandshakeError> {
        match head.status {
            101 => {
                let agreed = self.expected.check(&head)?;
                let response = Response::received(head.status, head.reason, head.headers);
                Ok((State::Over, Some(Accepted { agreed, response })))
            }
            // RFC 9110 §15.2: "A client MUST be able to parse one or more 1xx responses received prior to a final
            // response".
            100..=199 if self.interim < MAX_INTERIM => {
                self.interim += 1;
                Ok((State::Head(HeadReader::response(self.limits)), None))
            }
            100..=199 => Err(HandshakeError::TooManyInterim { limit: MAX_INTERIM }),
            status => {
                let body = BodyReader::new(status, &head.headers, self.max_body);
                Ok((State::Body(Response::received(status, head.reason, head.headers), body), None))
            }
        }
    }
}

impl Expected {
    /// Checks a response with status 101 in the order of §4.1.
    fn check(&self, head: &ResponseHead) -> Result<Agreed, HandshakeError> {
        let headers = &head.headers;
        if head.version < Version::Http11 {
            return Err(HandshakeError::HttpVersion);
        }
        // §4.1, 2: the whole value, not one of a list.
        if !at_most_one(headers, "Upgrade")?.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err(HandshakeError::Upgrade);
        }
        if !headers.contains_token("Connection", "Upgrade") {
            return Err(HandshakeError::Connection);
        }
        match at_most_one(headers, "Sec-WebSocket-Accept")? {
            None => return Err(HandshakeError::MissingAccept),
            Some(accept) if accept != self.accept.as_bytes() => return Err(HandshakeError::WrongAccept),
            Some(_) => {}
        }
        agreed(headers, &self.subprotocols, self.deflate.as_ref())
    }
}

/// What a server has chosen of what was asked for (§4.1, 5 and 6), in HTTP/1.1 and HTTP/2 alike.
pub(super) fn agreed(
    headers: &Headers,
    subprotocols: &[String],
    deflate: Option<&DeflateConfig>,
) -> Result<Agreed, HandshakeError> {
    let deflate = check_extensions(headers, deflate)?;
    let subprotocol = match at_most_one(headers, "Sec-WebSocket-Protocol")? {
        None => None,
        Some(chosen) => match subprotocols.iter().find(|asked| asked.as_bytes() == chosen) {
            Some(asked) => Some(asked.clone()),
            None => {
                let subprotocol = String::from_utf8_lossy(chosen).into_owned();
                return Err(HandshakeError::UnaskedSubprotocol { subprotocol });
            }
        },
    };
    Ok(Agreed { subprotocol, deflate })
}

/// §4.1, 5: only what was asked for, and each extension once.
fn check_extensions(
    headers: &Headers,
    asked: Option<&DeflateConfig>,
) -> Result<Option<deflate::DeflateAgreed>, HandshakeError> {
    let line = at_most_one(headers, "Sec-WebSocket-Extensions")?;
    let mut agreed = None;
    for chosen in Offer::parse_list(line).map_err(HandshakeError::MalformedExtensions)? {
        match asked {
            Some(config) if chosen.name() == deflate::NAME && agreed.is_none() => {
                agreed = Some(deflate::confirm(config, &chosen)?);
            }
            _ => return Err(HandshakeError::UnaskedExtension { name: chosen.name().into() }),
        }
    }
    Ok(agreed)
}

fn at_most_one<'a>(headers: &'a Headers, name: &'static str) -> Result<Option<&'a [u8]>, HandshakeError> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(HandshakeError::RepeatedHeader { name }),
        (value, None) => Ok(value),
    }
}

fn refused(mut response: Response, body: BodyReader) -> HandshakeError {
    response.body = body.into_body().into();
    HandshakeError::Refused(Box::new(response))
}
