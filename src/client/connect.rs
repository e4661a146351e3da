use std::{pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

#[cfg(feature = "proxy")]
use super::Proxy;
use super::{
    open::{dial_and_open, open},
    redirect,
};
#[cfg(any(feature = "rustls", feature = "native-tls"))]
use crate::tls::ClientTls;
use crate::{
    Config, DeflateConfig, Error, Keepalive, Limits, Role, Transport, WebSocket,
    proto::{
        handshake::{ClientRequest, HandshakeError, InvalidUri, Response, WsUri},
        http::InvalidHeader,
    },
    stream::after,
};

/// Opens a connection to a `ws://`, `wss://` or `ws+unix:` URL: await it, or set options first.
///
/// ```no_run
/// # async fn example() -> Result<(), sockeye::Error> {
/// let mut ws = sockeye::connect("ws://127.0.0.1:9001/chat").subprotocols(["chat.v2"]).await?;
/// ws.send("hello").await?;
/// println!("{:?}", ws.recv().await?);
/// # Ok(()) }
/// ```
pub fn connect<U>(url: U) -> Connect
where
    U: TryInto<WsUri>,
    U::Error: Into<InvalidUri>,
{
    Connect {
        request: url.try_into().map(ClientRequest::new).map_err(|error| Error::Uri(error.into())),
        options: Options::new(),
    }
}

/// A connection that is to be opened: `.await` opens it.
///
/// What is wrong with the URL or an option shows when it is awaited.
///
/// # Errors
///
/// Awaited: [`Error::Uri`], [`Error::Build`] and [`Error::NoTls`] for what cannot be asked for; [`Error::Io`] if the server
/// cannot be reached, and [`Error::Proxy`] if a proxy is in the way; [`Error::Tls`] if its certificate is not accepted;
/// [`Error::TimedOut`], which says what took too long; [`Error::Handshake`] if it refuses, with its response;
/// [`Error::Redirect`]; [`Error::Http2`].
///
/// # Cancel safety
///
/// Dropping the future gives up the connection.
#[derive(Debug)]
#[must_use = "it connects when it is awaited"]
pub struct Connect {
    request: Result<ClientRequest, Error>,
    options: Options,
}

#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) config: Config,
    pub(super) max_refusal_body: usize,
    pub(super) connect_timeout: Option<Duration>,
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub(super) tls_timeout: Option<Duration>,
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub(super) tls: Option<ClientTls>,
    #[cfg(feature = "proxy")]
    pub(super) proxy: Option<Proxy>,
    #[cfg(feature = "http2")]
    pub(super) http2: bool,
    max_redirects: u8,
}

impl Options {
    fn new() -> Self {
        Self {
            config: Config::new(Role::Client),
            max_refusal_body: 64 * 1024,
            connect_timeout: None,
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            tls_timeout: None,
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            tls: None,
            #[cfg(feature = "proxy")]
            proxy: None,
            #[cfg(feature = "http2")]
            http2: false,
            max_redirects: 0,
        }
    }
}

impl Connect {
    /// Adds a header to the request. `Host` replaces the one that the URL gives; those of the handshake are refused.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Ok(request) = &mut self.request
            && let Err(error) = push(request, name, value.as_ref())
        {
            self.request = Err(Error::Build(Box::new(error.into())));
        }
        self
    }

    /// Offers subprotocols, what is liked best first. [`WebSocket::subprotocol`] says which was taken.
    pub fn subprotocols<I>(mut self, subprotocols: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        if let Ok(request) = &mut self.request {
            request.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        }
        self
    }

    /// Offers permessage-deflate (default: not).
    pub fn deflate(mut self, deflate: DeflateConfig) -> Self {
        if let Ok(request) = &mut self.request {
            request.deflate = Some(deflate);
        }
        self
    }

    /// Sets limits and habits of the connection.
    pub const fn config(mut self, config: Config) -> Self {
        self.options.config = config;
        self
    }

    /// Sets the largest message in bytes that is received whole (default: 64 MiB).
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.options.config = self.options.config.max_message(bytes);
        self
    }

    /// Sends keepalive Pings (default: not).
    pub const fn keepalive(mut self, keepalive: Keepalive) -> Self {
        self.options.config.keepalive = Some(keepalive);
        self
    }

    /// Sets the limits (default: [`Limits::trusted`]).
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.options.config = self.options.config.limits(limits);
        self
    }

    /// Sets how long everything up to the open connection may take (default: 30 s): [`Limits::handshake_timeout`].
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.options.config.limits = self.options.config.limits.handshake_timeout(timeout);
        self
    }

    /// Sets how long it may take to reach the server, or to get through a proxy to it (default: as long as
    /// [`timeout`](Self::timeout) leaves).
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.connect_timeout = Some(timeout);
        self
    }

    /// Sets how long the TLS handshake may take (default: as long as [`timeout`](Self::timeout) leaves).
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub const fn tls_timeout(mut self, timeout: Duration) -> Self {
        self.options.tls_timeout = Some(timeout);
        self
    }

    /// Sets how `wss://` is encrypted and whom it trusts (default: [`ClientTls::platform`]).
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    pub fn tls(mut self, tls: impl Into<ClientTls>) -> Self {
        self.options.tls = Some(tls.into());
        self
    }

    /// Sets which proxy to go through (default: [`Proxy::environment`]).
    #[cfg(feature = "proxy")]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.options.proxy = Some(proxy);
        self
    }

    /// Asks for the WebSocket over HTTP/2 (RFC 8441) if the server of a `wss://` URL speaks it and takes WebSockets over it;
    /// else over HTTP/1.1, as without this.
    ///
    /// The connection carries one WebSocket then; for many on one, see [`Http2`](super::Http2).
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), sockeye::Error> {
    /// let mut ws = sockeye::connect("wss://example.com/chat").http2().await?;
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "http2")]
    pub const fn http2(mut self) -> Self {
        self.options.http2 = true;
        self
    }

    /// Follows so many redirects (default: none, as browsers do: the redirect is the refusal).
    ///
    /// Never from `wss://` to `ws://`; and to another origin without `Authorization`, `Cookie` and `Host` headers of the
    /// caller's.
    pub const fn redirects(mut self, max: u8) -> Self {
        self.options.max_redirects = max;
        self
    }

    /// Sets how many bytes of the body of a refusing response are kept (default: 64 KiB).
    pub const fn max_refusal_body(mut self, bytes: usize) -> Self {
        self.options.max_refusal_body = bytes;
        self
    }

    /// Opens the connection, and gives the server's response beside it, for its headers.
    ///
    /// # Errors
    ///
    /// As for awaiting it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connection.
    pub async fn with_response(self) -> Result<(WebSocket, Response), Error> {
        let Self { request, options } = self;
        let mut request = request?;
        let deadline = after(options.config.limits.handshake_timeout);
        let mut redirects = options.max_redirects;
        loop {
            let error = match dial_and_open(&request, &options, deadline).await {
                Err(Error::Handshake(error)) if redirects > 0 => error,
                opened => return opened,
            };
            let location = match &*error {
                HandshakeError::Refused(response) => redirect::location(response),
                _ => None,
            };
            let Some(location) = location else { return Err(Error::Handshake(error)) };
            redirect::follow(&mut request, location)?;
            #[cfg(feature = "tracing")]
            tracing::debug!(target: "sockeye::client", server = request.uri.host_header(), "redirected");
            redirects -= 1;
        }
    }

    /// Reaches the server as awaiting it would, through a proxy and by TLS, without opening the connection:
    /// [`over`](Self::over) does that, behind whatever the caller puts around the transport.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), sockeye::Error> {
    /// let connect = sockeye::connect("wss://example.com/chat");
    /// let io = connect.dial().await?;
    /// let (mut ws, _response) = connect.over(io).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for awaiting it, but for [`Error::Handshake`] and [`Error::Redirect`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connection.
    pub async fn dial(&self) -> Result<Transport, Error> {
        let deadline = after(self.options.config.limits.handshake_timeout);
        match &self.request {
            Ok(request) => super::dial::dial(&request.uri, &self.options, deadline).await,
            Err(Error::Uri(error)) => Err(error.clone().into()),
            Err(Error::Build(error)) => Err((**error).clone().into()),
            Err(_) => unreachable!("nothing else is refused before there is a connection"),
        }
    }

    /// Opens the connection over a transport that the caller brings, such as a TLS stream or a Unix socket.
    ///
    /// The URL's scheme does not matter then.
    ///
    /// # Errors
    ///
    /// As for awaiting it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the connection.
    pub async fn over<S: AsyncRead + AsyncWrite + Unpin>(self, io: S) -> Result<(WebSocket<S>, Response), Error> {
        let Self { request, options } = self;
        let deadline = after(options.config.limits.handshake_timeout);
        open(io, &request?, &options, deadline).await
    }

    #[cfg(feature = "http2")]
    pub(super) fn into_parts(self) -> Result<(ClientRequest, Options), Error> {
        Ok((self.request?, self.options))
    }
}

fn push(request: &mut ClientRequest, name: &str, value: &[u8]) -> Result<(), InvalidHeader> {
    request.headers.push(name, value)
}

impl IntoFuture for Connect {
    type Output = Result<WebSocket, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async { Ok(self.with_response().await?.0) })
    }
}
