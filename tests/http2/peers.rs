//! A server of ours behind hyper, and ends that are the crate `h2` and nothing of ours.

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response};
use bytes::Bytes;
use h2::{RecvStream, SendStream, client, ext::Protocol, server};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sockeye::{Error, Role, WebSocket, hyper::WebSocketUpgrade};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, duplex};

use crate::io::{Frame, frame, parse};

pub(crate) type Upgrade = WebSocketUpgrade<Full<Bytes>>;

pub(crate) async fn echo(mut ws: WebSocket) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// hyper as [`sockeye::hyper`] wants it.
pub(crate) fn hyper() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.enable_connect_protocol();
    builder.initial_stream_window_size(256 * 1024).initial_connection_window_size(64 * 1024 * 1024);
    builder
}

/// Serves one connection, whose other end it gives.
pub(crate) fn serve<A>(answer: A) -> DuplexStream
where
    A: Fn(Upgrade) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let (theirs, ours) = duplex(64 * 1024);
    tokio::spawn(serve_on(hyper(), ours, answer));
    theirs
}

pub(crate) async fn serve_on<A, S>(builder: http2::Builder<TokioExecutor>, io: S, answer: A)
where
    A: Fn(Upgrade) -> Response<Full<Bytes>> + Send + Sync + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let answer = Arc::new(answer);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let response = match Upgrade::from_request(&mut request) {
            Ok(upgrade) => answer(upgrade),
            Err(rejection) => rejection.into_response(),
        };
        async { Ok::<_, Infallible>(response) }
    });
    let _ = builder.serve_connection(TokioIo::new(io), service).await;
}

/// A client that knows HTTP/2 and no WebSockets.
pub(crate) async fn client(io: DuplexStream) -> client::SendRequest<Bytes> {
    client_with(&client::Builder::new(), io).await
}

pub(crate) async fn client_with(builder: &client::Builder, io: DuplexStream) -> client::SendRequest<Bytes> {
    let (requests, mut connection) = builder.handshake(io).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    tokio::spawn(connection);
    pings.ping(h2::Ping::opaque()).await.unwrap(); // the SETTINGS are there
    requests
}

/// A server that knows HTTP/2 and no WebSockets.
pub(crate) async fn server(io: DuplexStream) -> server::Connection<DuplexStream, Bytes> {
    let mut builder = server::Builder::new();
    builder.enable_connect_protocol();
    builder.handshake(io).await.unwrap()
}

/// An extended CONNECT as the RFC's example has it (§5.1).
pub(crate) fn connect() -> Request<()> {
    let request = Request::connect("https://server.example.com/chat").header("sec-websocket-version", "13");
    request.extension(Protocol::from_static("websocket")).body(()).unwrap()
}

/// Asks, and says how it is answered: the status, the header fields, the body.
pub(crate) async fn ask(
    requests: &client::SendRequest<Bytes>,
    request: Request<()>,
) -> Result<(Response<()>, String), h2::Error> {
    let (response, _send) = requests.clone().ready().await?.send_request(request, false)?;
    let (parts, mut recv) = response.await?.into_parts();
    let mut body = Vec::new();
    while !recv.is_end_stream()
        && !parts.status.is_success()
        && let Some(data) = recv.data().await
    {
        body.extend_from_slice(&data?);
    }
    Ok((Response::from_parts(parts, ()), String::from_utf8(body).unwrap()))
}

/// A stream on which frames of WebSockets are sent and received as bytes.
pub(crate) struct Raw {
    pub(crate) send: SendStream<Bytes>,
    pub(crate) recv: RecvStream,
    role: Role,
    read: Vec<u8>,
}

impl Raw {
    pub(crate) const fn new(role: Role, send: SendStream<Bytes>, recv: RecvStream) -> Self {
        Self { send, recv, role, read: Vec::new() }
    }

    pub(crate) async fn open(requests: &client::SendRequest<Bytes>) -> Self {
        let (response, send) = requests.clone().ready().await.unwrap().send_request(connect(), false).unwrap();
        let response = response.await.unwrap();
        assert_eq!(response.status(), 200);
        Self::new(Role::Client, send, response.into_body())
    }

    pub(crate) fn frame(&mut self, first: u8, payload: &[u8]) {
        self.data(&frame(self.role, first, payload));
    }

    pub(crate) fn data(&mut self, bytes: &[u8]) {
        self.send.send_data(Bytes::copy_from_slice(bytes), false).unwrap();
    }

    pub(crate) fn end(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    /// So many bytes, and gives the room for them back.
    pub(crate) async fn bytes(&mut self, len: usize) -> Vec<u8> {
        while self.read.len() < len {
            let data = self.recv.data().await.expect("the stream goes on").unwrap();
            self.recv.flow_control().release_capacity(data.len()).unwrap();
            self.read.extend_from_slice(&data);
        }
        self.read.drain(..len).collect()
    }

    /// All frames up to the stream's end.
    pub(crate) async fn rest(mut self) -> Result<Vec<Frame>, h2::Error> {
        while let Some(data) = self.recv.data().await {
            let data = data?;
            self.recv.flow_control().release_capacity(data.len())?;
            self.read.extend_from_slice(&data);
        }
        Ok(parse(&self.read))
    }
}
