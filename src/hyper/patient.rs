use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::BufMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep_until},
};

use crate::stream::after;

/// How long a response is at most that is copied together: the kernel takes one piece faster than several.
const SHORT: usize = 1024;

/// A connection whose peer may take nothing for some time, and no longer.
///
/// hyper has no such limit: it would hold the body of a response for as long as the peer keeps the connection, though the
/// session behind it has long ended.
pub(crate) struct Patient<S> {
    io: S,
    limit: Duration,
    /// When a write that waits is given up.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) const fn new(io: S, limit: Duration) -> Self {
        Self { io, limit, stalled: None }
    }

    pub(super) fn into_inner(self) -> S {
        self.io
    }

    /// What has come of a write, or that it has waited for too long.
    fn judge<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep_until(after(limit))));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.judge(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = bufs.iter().map(|buf| buf.len()).sum();
        let mut together = [0; SHORT];
        let written = match together.get_mut(..len) {
            Some(mut rest) => {
                for buf in bufs {
                    rest.put_slice(buf);
                }
                Pin::new(&mut self.io).poll_write(cx, &together[..len])
            }
            None => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
        };
        self.judge(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.judge(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(45);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (io, _peer) = duplex(1000);
        let error = Patient::new(io, LIMIT).write_all(&[0; 1001]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_little_by_little_is_not() {
        let (io, mut peer) = duplex(1000);
        let reading = tokio::spawn(async move {
            for _ in 0..100 {
                tokio::time::sleep(LIMIT * 3 / 4).await;
                peer.read_exact(&mut [0; 50]).await.expect("it is written");
            }
            peer
        });
        Patient::new(io, LIMIT).write_all(&[0; 5000]).await.expect("somebody reads");
        drop(reading.await.expect("it has read all"));
    }
}
