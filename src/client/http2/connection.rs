use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use h2::{
    Ping, RecvStream,
    client::{Builder, SendRequest},
    ext::Protocol,
};
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::stream::Stream;
use crate::{
    Error, Http2Error, Limits, Transport, WebSocket,
    client::{Connect, connect::Options, dial::dial_http2, keys::next_key},
    proto::{
        connection::{Connection, DeflateSettings, Inbox, Timeout},
        handshake::{Agreed, ClientRequest, HandshakeError, Response, WsUri},
        http::{HeadError, is_secret},
    },
    stream::after,
};

/// How much of one WebSocket may come unread.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// As much as there may be, as it is shared: a WebSocket that nobody reads is held by its own window, and must not be in
/// the way of the others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// What small DATA frames that wait unread may cost beyond their bytes, 256 less their length each: some 280,000 of them.
/// The library would allow for as much as half the connection's window, which here is no limit.
const SMALL_FRAMES: usize = 64 * 1024 * 1024;

/// An HTTP/2 connection to a server, on which many WebSockets can be opened (RFC 8441). Its clones are the same connection.
///
/// ```no_run
/// # async fn example() -> Result<(), sockeye::Error> {
/// use sockeye::{client::Http2, connect};
/// let http2 = Http2::connect(connect("wss://example.com")).await?;
/// let mut news = http2.open(connect("wss://example.com/news")).await?;
/// let mut chat = http2.open(connect("wss://example.com/chat").subprotocols(["chat.v2"])).await?;
/// # Ok(()) }
/// ```
///
/// The connection ends when this and all its WebSockets are dropped.
///
/// Of each WebSocket, 1 MiB may come unread before the server has to wait; a server that sends it in some 280,000 frames of a
/// few bytes loses the connection.
#[derive(Clone)]
pub struct Http2 {
    requests: SendRequest<Bytes>,
    /// Where it was connected to, if that was done here.
    to: Option<Arc<WsUri>>,
    /// Held by this and all its WebSockets.
    in_use: InUse,
}

/// Nothing is sent: the connection's task sees when the last one is dropped.
pub(super) type InUse = mpsc::Sender<Infallible>;

impl Http2 {
    /// Connects to the server of a URL, as its options say, and waits until the server has said that it takes WebSockets.
    ///
    /// With `wss://`, HTTP/2 is agreed on by ALPN; with `ws://`, the server is taken to speak it (RFC 9113 §3.3).
    ///
    /// # Errors
    ///
    /// As for awaiting `to`; and [`Error::Http2`] if the server does not speak HTTP/2, or takes no WebSockets over it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connection.
    pub async fn connect(to: Connect) -> Result<Self, Error> {
        let (request, options) = to.into_parts()?;
        let deadline = after(options.config.limits.handshake_timeout);
        let (io, is_http2) = dial_http2(&request.uri, &options, deadline).await?;
        if request.uri.is_secure() && !is_http2 {
            return Err(Http2Error::NotNegotiated.into());
        }
        let started = Self::start(io, options.config.limits, deadline).await?;
        Ok(Self { to: Some(Arc::new(request.uri)), ..started })
    }

    /// Makes an HTTP/2 connection of a transport that the caller brings: of TLS that has agreed on `h2`, or any other whose
    /// other end speaks HTTP/2. Whose requests it may carry is the caller's to know.
    ///
    /// # Errors
    ///
    /// [`Error::Http2`] if the other end does not speak HTTP/2, or takes no WebSockets over it; [`Error::TimedOut`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connection.
    pub async fn over(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Self, Error> {
        let limits = Limits::trusted();
        Self::start(io, limits, after(limits.handshake_timeout)).await
    }

    /// Opens a WebSocket on this connection. Of what `what` says, all that concerns the way to the server has no effect.
    ///
    /// # Errors
    ///
    /// As for [`open_with_response`](Self::open_with_response).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets the stream.
    pub async fn open(&self, what: Connect) -> Result<WebSocket, Error> {
        Ok(self.open_with_response(what).await?.0)
    }

    /// Opens a WebSocket on this connection, and gives the server's response beside it.
    ///
    /// # Errors
    ///
    /// [`Error::Http2`] if the connection was made to another origin than `what` names, whose credentials are not for it
    /// (RFC 9113 §9.1.1); [`Error::Build`] for what cannot be asked for; [`Error::Handshake`] if the server refuses, with its response;
    /// [`Error::TimedOut`], also if there are as many streams as the server allows; [`Error::Http2`] or [`Error::Io`] if
    /// the connection failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future resets the stream.
    pub async fn open_with_response(&self, what: Connect) -> Result<(WebSocket, Response), Error> {
        let (request, options) = what.into_parts()?;
        if let Some(to) = &self.to
            && !to.is_same_origin(&request.uri)
        {
            let [connected, asked] = [to, &request.uri].map(|uri| format!("{}://{}", uri.scheme(), uri.host_header()));
            return Err(Http2Error::OtherOrigin { connected, asked }.into());
        }
        let deadline = after(options.config.limits.handshake_timeout);
        self.ask(&request, &options, deadline).await
    }

    pub(in crate::client) async fn start(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        limits: Limits,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .data_frame_budget(SMALL_FRAMES)
            .max_header_list_size(u32::try_from(limits.max_head).unwrap_or(u32::MAX));
        let started = async {
            let (requests, mut connection) = builder.handshake(io).await.map_err(failed)?;
            let mut pings = connection.ping_pong().expect("it is taken once");
            // RFC 9113 §3.4: SETTINGS are the first frame that a server sends, so they are there before any other answer.
            tokio::select! {
                pong = pings.ping(Ping::opaque()) => {
                    pong.map_err(failed)?;
                }
                ended = &mut connection => {
                    let reason = ended.map_or_else(|error| error.to_string(), |()| "the server has ended it".into());
                    return Err(Http2Error::Connection { reason }.into());
                }
            }
            Ok::<_, Error>((requests, connection))
        };
        let (requests, connection): (SendRequest<Bytes>, _) =
            timeout_at(deadline, started).await.map_err(|_| Timeout::Handshake)??;
        // RFC 8441 §3: without it, "a client MUST NOT" use `:protocol`.
        if !requests.is_extended_connect_protocol_enabled() {
            return Err(Http2Error::NoExtendedConnect.into());
        }
        let (in_use, unused) = mpsc::channel(1);
        tokio::spawn(run(connection, unused, limits.close_timeout));
        Ok(Self { requests, to: None, in_use })
    }

    /// Makes the opening handshake (RFC 8441 §5).
    pub(in crate::client) async fn ask(
        &self,
        request: &ClientRequest,
        options: &Options,
        deadline: Instant,
    ) -> Result<(WebSocket, Response), Error> {
        let head = head(request)?;
        let asked = async {
            let mut requests = self.requests.clone().ready().await?;
            let (response, send) = requests.send_request(head, false)?;
            Ok((response.await?, send))
        };
        let (response, send) = timeout_at(deadline, asked).await.map_err(|_| Timeout::Handshake)?.map_err(failed)?;
        let (mut response, mut recv) = received(response)?;
        let agreed = match request.confirm(&response) {
            Ok(agreed) => agreed,
            Err(HandshakeError::Refused(_)) => {
                let mut body = Vec::new();
                // A refusal that does not end says enough.
                let _ = timeout_at(deadline, read_body(&mut recv, &mut body, options.max_refusal_body)).await;
                response.body = body.into();
                return Err(HandshakeError::Refused(Box::new(response)).into());
            }
            Err(error) => return Err(error.into()),
        };
        let Agreed { subprotocol, deflate } = agreed;
        let deflate = request.deflate.clone().zip(deflate).map(|(config, agreed)| DeflateSettings { config, agreed });
        let now = Instant::now().into_std();
        let connection = Connection::client(options.config, deflate.as_ref(), Box::new(next_key), now);
        let io = Transport::new(Stream::new(send, recv, self.in_use.clone()));
        let ws = WebSocket::new(io, connection, Inbox::new()).with_subprotocol(subprotocol.as_deref());
        Ok((ws, response))
    }
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").finish_non_exhaustive()
    }
}

/// Drives the connection, for as long as it is in use and its end may take. What it fails of shows in the requests and streams.
async fn run(mut connection: impl Future + Unpin, mut unused: mpsc::Receiver<Infallible>, close_timeout: Duration) {
    tokio::select! {
        _ = &mut connection => {}
        // A peer that takes nothing would keep it from saying that it ends.
        _ = unused.recv() => drop(timeout_at(after(close_timeout), connection).await),
    }
}

/// The request as the library sends it.
fn head(request: &ClientRequest) -> Result<Request<()>, Error> {
    let (connect, headers) = request.extended_connect()?;
    let uri = Uri::builder().scheme(connect.scheme.as_str()).authority(connect.authority).path_and_query(connect.path);
    let uri = uri.build().map_err(|error| Http2Error::Connection { reason: error.to_string() })?;
    let mut head = Request::new(());
    *head.method_mut() = Method::CONNECT;
    *head.uri_mut() = uri;
    for (name, value) in headers.iter() {
        let mut value = HeaderValue::from_bytes(value).expect("it has no control characters");
        // RFC 7541 §7.1.3: HTTP/2's tables, which others may share, have no credentials in them.
        value.set_sensitive(is_secret(name));
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name is a token");
        head.headers_mut().append(name, value);
    }
    head.extensions_mut().insert(Protocol::from(connect.protocol.as_str()));
    Ok(head)
}

fn received(response: http::Response<RecvStream>) -> Result<(Response, RecvStream), HandshakeError> {
    let (parts, recv) = response.into_parts();
    let mut response = Response::new(parts.status.as_u16()).map_err(|_| HeadError::StartLine)?;
    for (name, value) in &parts.headers {
        response.headers.push(name, value).map_err(|_| HeadError::HeaderLine)?;
    }
    Ok((response, recv))
}

/// Keeps as much of a refusal's body as is wanted.
async fn read_body(recv: &mut RecvStream, body: &mut Vec<u8>, max: usize) {
    while body.len() < max
        && let Some(Ok(data)) = recv.data().await
    {
        // Of a stream that was reset in the meantime, nobody wants to know how much room there is.
        let _ = recv.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data[..data.len().min(max - body.len())]);
    }
}

fn failed(error: h2::Error) -> Error {
    if error.is_io() {
        let reason = error.to_string();
        return error.into_io().map_or(Http2Error::Connection { reason }.into(), Error::Io);
    }
    Http2Error::Connection { reason: error.to_string() }.into()
}
