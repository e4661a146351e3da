use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much one write may hand over.
const MAX_WRITE: usize = 64 * 1024;

/// A stream of HTTP/2 as hyper has it.
///
/// hyper copies what it is given, however much that is, and holds it until the peer's window has room. A peer that does
/// not read would have the server hold whole messages twice, outside of every limit; so it is given a little at a time.
pub(super) struct Multiplexed<S>(S);

impl<S> Multiplexed<S> {
    pub(super) const fn new(io: S) -> Self {
        Self(io)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Multiplexed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Multiplexed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &buf[..buf.len().min(MAX_WRITE)])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
