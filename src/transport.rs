//! What the connections of [`connect`](crate::connect) and [`Server`](crate::Server) run on.

use std::{
    any::Any,
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// TCP, or what stands in its place: TLS, a proxy's tunnel, a Unix socket, a stream of HTTP/2.
///
/// One type for all of them, whichever features are on, so that a handler written for one takes the others.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sockeye::Transport;
/// use tokio::net::{TcpStream, UnixStream};
/// let tcp = Transport::from(TcpStream::connect("127.0.0.1:9001").await?);
/// let unix = Transport::new(UnixStream::connect("/run/chat.sock").await?);
/// assert!(unix.get_ref::<UnixStream>().is_some() && unix.peer_addr().is_none());
/// # Ok(()) }
/// ```
pub struct Transport(Kind);

enum Kind {
    Tcp(TcpStream),
    Other(Box<Layered<dyn Io>>),
}

struct Layered<T: ?Sized> {
    /// Of the TCP connection below it.
    peer: Option<SocketAddr>,
    io: T,
}

trait Io: AsyncRead + AsyncWrite + Any + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Any + Send + Unpin> Io for T {}

impl Transport {
    /// Takes any stream of bytes in both directions.
    pub fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let mut io = Some(io);
        // A TCP stream needs no box, and a transport not another one.
        let any: &mut dyn Any = &mut io;
        if let Some(tcp) = any.downcast_mut::<Option<TcpStream>>().and_then(Option::take) {
            return tcp.into();
        }
        if let Some(transport) = any.downcast_mut::<Option<Self>>().and_then(Option::take) {
            return transport;
        }
        Self::layered(io.expect("nobody has taken it"), None)
    }

    /// Takes a stream above a TCP connection with this other end.
    pub(crate) fn layered(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, peer: Option<SocketAddr>) -> Self {
        Self(Kind::Other(Box::new(Layered { peer, io })))
    }

    /// The stream, if it is of this type: a `TcpStream`, or what was given to [`new`](Self::new).
    pub fn get_ref<T: 'static>(&self) -> Option<&T> {
        let io: &dyn Any = match &self.0 {
            Kind::Tcp(tcp) => tcp,
            Kind::Other(layered) => &layered.io,
        };
        io.downcast_ref()
    }

    /// The other end of the TCP connection, below TLS if there is that: a proxy's address, if one stands between. `None` if
    /// it has gone, or is no TCP connection of ours, such as a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(tcp) => tcp.peer_addr().ok(),
            Kind::Other(layered) => layered.peer,
        }
    }

    fn io(self: Pin<&mut Self>) -> Pin<&mut dyn Io> {
        match &mut self.get_mut().0 {
            Kind::Tcp(tcp) => Pin::new(tcp),
            Kind::Other(layered) => Pin::new(&mut layered.io),
        }
    }
}

impl From<TcpStream> for Transport {
    fn from(tcp: TcpStream) -> Self {
        Self(Kind::Tcp(tcp))
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Tcp(tcp) => f.debug_tuple("Transport").field(tcp).finish(),
            Kind::Other(_) => f.debug_struct("Transport").finish_non_exhaustive(),
        }
    }
}

impl AsyncRead for Transport {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.io().poll_read(cx, buf)
    }
}

impl AsyncWrite for Transport {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io().poll_write(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Kind::Tcp(tcp) => tcp.is_write_vectored(),
            Kind::Other(layered) => layered.io.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io().poll_shutdown(cx)
    }
}
