use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    time::sleep,
};

use super::{Engine, PeerAddress};
use crate::hyper::Patient;

/// How long a client may take over the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How large that head may be, but for what the last read brings: its session keeps it.
const MAX_HEAD: usize = 64 * 1024;

impl Engine {
    /// Listens on an address, and serves Engine.IO there over HTTP/1.1 and nothing else.
    ///
    /// # Errors
    ///
    /// If the operating system refuses the address.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it takes no more connections; those that there are go on.
    pub async fn listen(self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.serve(TcpListener::bind(address).await?).await
    }

    /// As [`listen`](Self::listen), on a listener that was made elsewhere.
    ///
    /// # Errors
    ///
    /// None so far: that a connection could not be accepted passes.
    ///
    /// # Cancel safety
    ///
    /// As for [`listen`](Self::listen).
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let patience = self.registry.config.patience();
        loop {
            match listener.accept().await {
                Ok((tcp, peer)) => drop(tokio::spawn(serve_connection(tcp, peer, patience, self.clone()))),
                // Too many open files, mostly: some of them are closed soon.
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Serves the requests of one connection.
async fn serve_connection(tcp: TcpStream, peer: SocketAddr, patience: Duration, engine: Engine) {
    // Small packets are to leave at once.
    let _ = tcp.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let engine = engine.clone();
        async move {
            if engine.takes(request.uri().path()) {
                return Ok::<Response<Whole>, Infallible>(engine.respond_to(request, Some(PeerAddress(peer))).await);
            }
            let mut response = Response::new(Whole(None));
            *response.status_mut() = StatusCode::NOT_FOUND;
            Ok(response)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    // How a client's connection ends shows in its session.
    let _ = http.serve_connection(TokioIo::new(Patient::new(tcp, patience)), service).with_upgrades().await;
}

/// A body that is there as a whole.
#[derive(Debug)]
pub(super) struct Whole(Option<Bytes>);

impl From<Bytes> for Whole {
    fn from(bytes: Bytes) -> Self {
        Self((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
