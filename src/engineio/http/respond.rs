use std::{sync::Arc, time::SystemTime};

use bytes::{Buf, Bytes};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONNECTION, CONTENT_TYPE, ORIGIN, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, SET_COOKIE,
        UPGRADE,
    },
    request::Parts,
};
use hyper::{body::Body, ext::Protocol};
use tokio::time::timeout;

use super::{
    Cors,
    body::{self, BodyError},
    compression::compress,
    query::{Query, Transport},
};
use crate::{
    Compress, Config as WebSocketConfig, Limits, Message, Role, SlowReader, Utf8Bytes,
    engineio::{
        CloseReason, ConnectionError, Engine, Handshake, PeerAddress, Session, Sid, log,
        registry::Place,
        session::{SLOW_READER, Shared, close},
    },
    hyper::{Opening, WebSocketUpgrade, read_head},
    proto::handshake::{self, Origin, Refusal},
    server::Options,
};

/// What a request is answered with, as long as there is a body for it.
type Answer = Response<Bytes>;

impl Engine {
    /// Whether requests for this path are the server's.
    pub fn takes(&self, path: &str) -> bool {
        path.starts_with(&self.registry.config.path)
    }

    /// Answers a request, whatever its path. A poll is answered when there is something to tell.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it is as if the client had gone: a poll that is given up ends its session.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn respond<R, B>(&self, request: Request<R>) -> Response<B>
    where
        R: Body<Data: Buf>,
        B: From<Bytes>,
    {
        self.respond_to(request, None).await
    }

    /// As [`respond`](Self::respond), where it is known whose request it is.
    pub(in crate::engineio) async fn respond_to<R, B>(
        &self,
        request: Request<R>,
        peer: Option<PeerAddress>,
    ) -> Response<B>
    where
        R: Body<Data: Buf>,
        B: From<Bytes>,
    {
        let (mut parts, body) = request.into_parts();
        let config = &self.registry.config;
        let mut response = match &config.cors {
            Some(cors) if Cors::is_preflight(&parts.method) => {
                let mut response = empty(StatusCode::NO_CONTENT);
                cors.answer_preflight(&parts.headers, response.headers_mut());
                response
            }
            cors => {
                let mut response = match self.answer(&mut parts, body, peer).await {
                    Ok(response) => response,
                    Err(error) => {
                        note(peer, &mut parts);
                        self.refuse(&parts, &error)
                    }
                };
                if let Some(cors) = cors {
                    cors.mark(&parts.headers, response.headers_mut());
                }
                response
            }
        };
        if let Some(edit) = &config.hooks.headers {
            edit(response.headers_mut());
        }
        response.map(B::from)
    }

    fn refuse(&self, parts: &Parts, error: &ConnectionError) -> Answer {
        log::refused(error);
        if let (Some(listener), Ok(handshake)) = (&self.registry.config.hooks.error, handshake(parts)) {
            listener(&handshake, error);
        }
        let mut response;
        if is_upgrade(parts) {
            // As node does: what follows was meant for a WebSocket, so that the connection ends.
            response = Response::new(Bytes::copy_from_slice(error.message().as_bytes()));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
            if parts.version < http::Version::HTTP_2 {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
                // RFC 6455 §4.4.
                if parts.headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
                    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                }
            }
        } else {
            response = Response::new(error.body().into());
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        *response.status_mut() = error.status();
        response
    }

    async fn answer(
        &self,
        parts: &mut Parts,
        body: impl Body<Data: Buf>,
        peer: Option<PeerAddress>,
    ) -> Result<Answer, ConnectionError> {
        let config = &self.registry.config;
        if let (Some(files), Some(rest)) = (&config.client_files, parts.uri.path().strip_prefix(&config.path))
            && let Some(response) = files.answer(&parts.method, rest, &parts.headers)
        {
            return Ok(response);
        }
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let is_websocket = match &query.transport {
            Some(Transport::Polling) if config.polling => false,
            Some(Transport::WebSocket) if config.websocket => true,
            Some(Transport::Polling) => return Err(ConnectionError::UnknownTransport("polling".into())),
            Some(Transport::WebSocket) => return Err(ConnectionError::UnknownTransport("websocket".into())),
            Some(Transport::Other(other)) => return Err(ConnectionError::UnknownTransport(other.clone())),
            None => return Err(ConnectionError::UnknownTransport(String::new())),
        };
        if parts.headers.get(ORIGIN).is_some_and(|origin| origin.to_str().is_err()) {
            return Err(ConnectionError::BadRequest("an Origin with illegal characters"));
        }
        if is_websocket != is_upgrade(parts) {
            return Err(ConnectionError::BadRequest(
                "a WebSocket's transport without an upgrade, or the other way round",
            ));
        }
        if is_websocket {
            self.check_origin(parts)?;
        }
        match query.sid {
            None => {
                note(peer, parts);
                self.begin(parts, &query).await
            }
            Some(sid) => {
                let session = sid.and_then(|sid| self.registry.get(sid));
                let session = session.ok_or(ConnectionError::UnknownSid)?;
                let is_other = |_| ConnectionError::BadRequest("another version than the session began with");
                query.check_version().map_err(is_other)?;
                match parts.method {
                    _ if is_websocket => self.upgrade(parts, &session, query.base64),
                    Method::GET => self.poll(&parts.headers, &session).await,
                    Method::POST => self.post(&parts.headers, &session, body).await,
                    _ => Err(ConnectionError::BadRequest("neither GET nor POST")),
                }
            }
        }
    }

    /// A page of another host has to be let in by CORS: browsers do not see to that for WebSockets.
    fn check_origin(&self, parts: &Parts) -> Result<(), ConnectionError> {
        let origin = parts.headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
        let is_let_in = |origin| self.registry.config.cors.as_ref().is_some_and(|cors| cors.allows(origin));
        if origin.is_none_or(is_let_in) || Origin::same_host().check(&handshake(parts)?.request).is_ok() {
            return Ok(());
        }
        Err(ConnectionError::Forbidden("pages of this origin are not let in".into()))
    }

    /// Begins a session.
    async fn begin(&self, parts: &mut Parts, query: &Query) -> Result<Answer, ConnectionError> {
        let config = &self.registry.config;
        let is_websocket = is_upgrade(parts);
        if parts.method != Method::GET && !is_websocket {
            return Err(ConnectionError::BadHandshakeMethod);
        }
        let Some(place) = self.registry.take_place() else {
            return Ok(empty(StatusCode::SERVICE_UNAVAILABLE));
        };
        let handshake = handshake(parts)?;
        if let Some(allow) = &config.hooks.allow {
            allow(&handshake).await.map_err(ConnectionError::Forbidden)?;
        }
        query.check_version().map_err(ConnectionError::UnsupportedVersion)?;
        let id = Sid::random();
        let mut response;
        if is_websocket {
            let (accepted, opening) = self.accept(Ok(handshake.request.clone()), parts)?;
            response = accepted;
            edit_initial(self, &handshake, response.headers_mut());
            tokio::spawn(self.clone().run_websocket(id, handshake, opening, query.base64, place));
        } else {
            response = payload(Bytes::from(open_packet(self, id, config.upgrades())));
            if let Some(cookie) = &config.cookie {
                response.headers_mut().append(SET_COOKIE, cookie.with(id));
            }
            edit_initial(self, &handshake, response.headers_mut());
            let shared = Arc::new(Shared::new(id, Arc::clone(&self.registry), handshake, None, query.base64));
            self.registry.insert(&shared, place);
            tokio::spawn(self.clone().run(Session::new(shared, None)));
        }
        Ok(response)
    }

    /// Runs a session that begins with a WebSocket, once that is open.
    async fn run_websocket(self, id: Sid, handshake: Handshake, opening: Opening, base64: bool, place: Place) {
        let Ok(ws) = opening.await else { return };
        let (sender, receiver) = ws.split();
        let open = Message::Text(open_packet(&self, id, false).into());
        if sender.queue(&open, Compress::Never).is_err() {
            return;
        }
        let registry = Arc::clone(&self.registry);
        let shared = Arc::new(Shared::new(id, registry, handshake, Some(sender), base64));
        self.registry.insert(&shared, place);
        self.run(Session::new(shared, Some(receiver))).await;
    }

    /// Has a session try a WebSocket.
    fn upgrade(&self, parts: &mut Parts, session: &Arc<Shared>, base64: bool) -> Result<Answer, ConnectionError> {
        let (response, opening) = self.accept(read_head(parts), parts)?;
        let probe = if self.registry.config.upgrades() { session.begin_probe() } else { None };
        tokio::spawn(async move {
            let Ok(ws) = opening.await else { return };
            match probe {
                Some(probe) => probe.run(ws, base64).await,
                // The session has one, or tries another.
                None => {
                    let (sender, receiver) = ws.split();
                    close(sender, receiver).await;
                }
            }
        });
        Ok(response)
    }

    fn accept(
        &self,
        request: Result<handshake::Request, Refusal>,
        parts: &mut Parts,
    ) -> Result<(Answer, Opening), ConnectionError> {
        let config = &self.registry.config;
        let limits =
            Limits::internet().max_message(config.max_payload).max_queued(config.end_queued()).idle_timeout(None);
        // node's clients hand the words of a Close on, and expect none.
        let connection = WebSocketConfig::new(Role::Server)
            .limits(limits)
            .keepalive(None)
            .slow_reader(SlowReader::Close(SLOW_READER))
            .without_explanations();
        let deflate = config.deflate.clone();
        // Looked at before: CORS has a say in it.
        let options = Options { config: connection, deflate, origin: Origin::any(), ..Options::default() };
        let upgrade = WebSocketUpgrade::from_read(request, parts);
        // As node's library does, of which nobody has ever asked for anything else: the client's favourite.
        let offered = parts.headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|offered| offered.to_str().ok());
        let favourite = offered.and_then(|offered| offered.split(',').next()).map(str::trim);
        let accepted = upgrade.and_then(|upgrade| upgrade.protocols(favourite).options(options).accept());
        accepted.map_err(|_| ConnectionError::BadRequest("no proper request for a WebSocket"))
    }

    async fn poll(&self, headers: &HeaderMap, session: &Arc<Shared>) -> Result<Answer, ConnectionError> {
        let body = session.poll().await?;
        let mut response = payload(Bytes::new());
        let threshold = self.registry.config.http_compression.unwrap_or(usize::MAX);
        *response.body_mut() = compress(body, threshold, headers, response.headers_mut()).await;
        Ok(response)
    }

    async fn post(
        &self,
        headers: &HeaderMap,
        session: &Arc<Shared>,
        body: impl Body<Data: Buf>,
    ) -> Result<Answer, ConnectionError> {
        let config = &self.registry.config;
        let post = session.begin_post()?;
        if headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream") {
            session.end(CloseReason::TransportError);
            return Ok(empty(StatusCode::BAD_REQUEST));
        }
        let limit = config.patience();
        let body = match timeout(limit, body::read(body, config.max_payload)).await {
            Ok(Ok(body)) => body,
            // The client is told, and its session goes on.
            Ok(Err(BodyError::TooLarge)) => return Ok(empty(StatusCode::PAYLOAD_TOO_LARGE)),
            Ok(Err(BodyError::Broken)) => {
                session.end(CloseReason::TransportError);
                return Ok(empty(StatusCode::BAD_REQUEST));
            }
            Err(_elapsed) => {
                session.end(CloseReason::TransportError);
                return Ok(empty(StatusCode::REQUEST_TIMEOUT));
            }
        };
        // Another POST has ended the session, and what this one brings is lost.
        if session.reason().is_some_and(|reason| reason != CloseReason::ForcedClose) {
            return Ok(empty(StatusCode::BAD_REQUEST));
        }
        let Ok(body) = Utf8Bytes::try_from(body) else {
            session.end(CloseReason::ParseError);
            return Ok(empty(StatusCode::BAD_REQUEST));
        };
        if post.receive(body).await.is_err() {
            return Ok(empty(StatusCode::BAD_REQUEST));
        }
        let mut response = Response::new(Bytes::from_static(b"ok"));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// Whether a request is for a WebSocket, in HTTP/1.1 or HTTP/2. An upgrade to anything else, as Java's clients ask for HTTP/2
/// in passing, may be ignored (RFC 9110 §7.8).
fn is_upgrade(parts: &Parts) -> bool {
    let protocols = parts.headers.get_all(UPGRADE).iter().filter_map(|value| value.to_str().ok());
    parts.extensions.get::<Protocol>().is_some()
        || protocols.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case("websocket"))
}

/// Notes whose request it is, where it matters: extensions take memory.
fn note(peer: Option<PeerAddress>, parts: &mut Parts) {
    if let Some(peer) = peer {
        parts.extensions.insert(peer);
    }
}

fn handshake(parts: &Parts) -> Result<Handshake, ConnectionError> {
    let request = read_head(parts).map_err(|_| ConnectionError::BadRequest("a request that HTTP does not allow"))?;
    let forwarded = parts.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let peer = parts.extensions.get().map(|PeerAddress(peer)| *peer);
    let secure = forwarded || parts.uri.scheme_str() == Some("https");
    Ok(Handshake { request, peer, secure, issued: SystemTime::now() })
}

fn edit_initial(engine: &Engine, handshake: &Handshake, headers: &mut HeaderMap) {
    if let Some(edit) = &engine.registry.config.hooks.initial_headers {
        edit(handshake, headers);
    }
}

/// The first packet: exactly these keys, in this order.
fn open_packet(engine: &Engine, id: Sid, upgrades: bool) -> String {
    let config = &engine.registry.config;
    format!(
        r#"0{{"sid":"{id}","upgrades":[{}],"pingInterval":{},"pingTimeout":{},"maxPayload":{}}}"#,
        if upgrades { r#""websocket""# } else { "" },
        config.ping_interval.as_millis(),
        config.ping_timeout.as_millis(),
        config.max_payload,
    )
}

/// A response with a payload.
fn payload(body: Bytes) -> Answer {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=UTF-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn empty(status: StatusCode) -> Answer {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
