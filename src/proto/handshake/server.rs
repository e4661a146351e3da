use bytes::Bytes;

use super::{AcceptError, Agreed, BuildError, Refusal, Request, Response, is_owned};
use crate::proto::{
    Limits,
    extension::deflate::{self, DeflateConfig},
    http::{HeadReader, Headers, RequestHead},
};

/// The server's half of the opening handshake (RFC 6455 §4.2), up to the request; [`Request::accept`] is the rest.
///
/// ```
/// use sockeye::proto::handshake::{Accept, ServerHandshake};
/// # use sockeye::Limits;
/// let mut handshake = ServerHandshake::new(Limits::internet());
/// let input = b"GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nframes";
/// let (consumed, request) = handshake.receive(input)?;
/// let request = request.expect("the head is whole");
/// assert_eq!((&input[consumed..], request.path()), (&b"frames"[..], "/chat"));
/// let (response, agreed) = request.accept(&Accept::default())?;
/// assert!(response.starts_with(b"HTTP/1.1 101 "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ServerHandshake {
    reader: HeadReader,
}

impl ServerHandshake {
    /// Waits for a request.
    pub fn new(limits: Limits) -> Self {
        Self { reader: HeadReader::request(limits) }
    }

    /// Takes in the next bytes; says how many belong to the request, and gives it once its head is whole.
    ///
    /// What is behind the head is not taken: the client's first frames, if the request is accepted. Behind a request
    /// or an error, nothing more is taken.
    ///
    /// # Errors
    ///
    /// [`Refusal`] for what is no well-formed request; any well-formed one is given, be it an upgrade or not.
    pub fn receive(&mut self, input: &[u8]) -> Result<(usize, Option<Request>), Refusal> {
        match self.reader.receive(input)? {
            (consumed, None) => Ok((consumed, None)),
            (consumed, Some(head)) => Ok((consumed, Some(Request::new(RequestHead::parse(&head)?, None)?))),
        }
    }

    /// How many bytes of a request have come; with none, a client that goes away has asked for nothing.
    pub fn received(&self) -> usize {
        self.reader.received()
    }
}

/// How a server accepts a request.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// The subprotocol: one that the client offers; see [`Request::choose_subprotocol`].
    pub subprotocol: Option<String>,
    /// More headers for the response.
    pub headers: Headers,
    /// permessage-deflate, for a client that offers it as well. With `None`, what a `Server` or its
    /// `Options` say holds, and without these there is none.
    pub deflate: Option<DeflateConfig>,
}

impl Request {
    /// Accepts the request: gives the response (RFC 6455 §4.2.2), behind which frames follow, and what was agreed.
    ///
    /// # Errors
    ///
    /// [`AcceptError::Refusal`] if the request is no proper upgrade, see [`check_upgrade`](Self::check_upgrade);
    /// [`AcceptError::Build`] if what `accept` says cannot be sent, or the request came over HTTP/2.
    pub fn accept(&self, accept: &Accept) -> Result<(Bytes, Agreed), AcceptError> {
        if self.extended_connect().is_some() {
            return Err(BuildError::Http2.into());
        }
        let mut response = Vec::with_capacity(256);
        response.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        let agreed = self.negotiate(accept, |name, value| {
            for part in [name, ": ", value, "\r\n"] {
                response.extend_from_slice(part.as_bytes());
            }
        })?;
        accept.headers.encode_without(&[], &mut response);
        response.extend_from_slice(b"\r\n");
        Ok((response.into(), agreed))
    }

    /// As [`accept`](Self::accept), with a response that another HTTP library writes: of status 101, or 200 to an extended
    /// CONNECT (RFC 8441 §5).
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub fn acceptance(&self, accept: &Accept) -> Result<(Response, Agreed), AcceptError> {
        let mut response = Response::of_status(if self.extended_connect().is_some() { 200 } else { 101 });
        // Most responses have three lines, or four.
        response.headers = Headers::with_capacity(4, 160);
        let headers = &mut response.headers;
        let agreed = self.negotiate(accept, |name, value| headers.push(name, value).expect("it is well-formed"))?;
        headers.extend(&accept.headers);
        Ok((response, agreed))
    }

    /// Says the header lines that accept the request, without those of the caller's.
    fn negotiate(&self, accept: &Accept, mut line: impl FnMut(&str, &str)) -> Result<Agreed, AcceptError> {
        let upgrade = self.upgrade()?;
        self.check_accept(accept)?;
        if let Some(key) = upgrade.key {
            line("Upgrade", "websocket");
            line("Connection", "Upgrade");
            line("Sec-WebSocket-Accept", &key.accept());
        }
        if let Some(subprotocol) = &accept.subprotocol {
            line("Sec-WebSocket-Protocol", subprotocol);
        }
        let agreed_deflate = accept.deflate.as_ref().and_then(|config| deflate::respond(config, &upgrade.offers));
        if let Some((_, extension)) = &agreed_deflate {
            line("Sec-WebSocket-Extensions", &extension.to_string());
        }
        Ok(Agreed { subprotocol: accept.subprotocol.clone(), deflate: agreed_deflate.map(|(agreed, _)| agreed) })
    }

    fn check_accept(&self, accept: &Accept) -> Result<(), BuildError> {
        if let Some((name, _)) = accept.headers.iter().find(|(name, _)| is_owned(name)) {
            return Err(BuildError::OwnedHeader { name: name.into() });
        }
        // An offered subprotocol is a token, so nothing else gets into the response.
        if let Some(subprotocol) = &accept.subprotocol
            && !self.subprotocols().any(|offered| offered == subprotocol)
        {
            return Err(BuildError::UnaskedSubprotocol { subprotocol: subprotocol.clone() });
        }
        if let Some(config) = &accept.deflate {
            config.check()?;
        }
        Ok(())
    }
}
