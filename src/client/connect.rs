use std::{pin::Pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout_at,
};

use super::open::open;
use crate::{
    Config, DeflateConfig, Error, Keepalive, Limits, Role, Transport, WebSocket,
    proto::{
        connection::Timeout,
        handshake::{ClientRequest, InvalidUri, Response, Scheme, WsUri},
        http::InvalidHeader,
    },
    stream::after,
};

/// Opens a connection to a `ws://` URL: await it, or set options first.
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
        options: Options { config: Config::new(Role::Client), max_refusal_body: 64 * 1024 },
    }
}

/// A connection that is to be opened: `.await` opens it.
///
/// What is wrong with the URL or an option shows when it is awaited.
///
/// # Errors
///
/// Awaited: [`Error::Uri`], [`Error::Build`] and [`Error::NoTls`] for what cannot be asked for; [`Error::Io`] if the server
/// cannot be reached; [`Error::TimedOut`]; [`Error::Handshake`] if it refuses, with its response.
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

#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) config: Config,
    pub(super) max_refusal_body: usize,
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
        let request = request?;
        if request.uri.scheme() == Scheme::Wss {
            return Err(Error::NoTls);
        }
        let deadline = after(options.config.limits.handshake_timeout);
        let connecting = TcpStream::connect((request.uri.host(), request.uri.port()));
        let tcp = timeout_at(deadline, connecting).await.map_err(|_| Timeout::Handshake)??;
        // Small messages must not wait for each other's acknowledgements.
        tcp.set_nodelay(true)?;
        open(Transport::from(tcp), &request, options, deadline).await
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
        open(io, &request?, options, deadline).await
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
