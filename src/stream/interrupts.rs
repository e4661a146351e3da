//! A transport that was interrupted has done nothing and lost nothing: it is asked again, as by tokio's own reads and
//! writes.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    pin::pin,
    task::Poll,
};

use tokio::io::{AsyncRead, AsyncReadExt};

/// Polls until it is not interrupted.
#[inline]
pub(super) fn uninterrupted<T>(mut poll: impl FnMut() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    loop {
        match poll() {
            Poll::Ready(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            polled => return polled,
        }
    }
}

/// Polls a read until it is not interrupted; 0 is the end.
///
/// TLS that ends without a `close_notify` is an end like TCP's: whether the peer meant it shows by its Close frame.
#[inline]
pub(super) fn reading(poll: impl FnMut() -> Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    match uninterrupted(poll) {
        Poll::Ready(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
        polled => polled,
    }
}

/// Appends what one read gives; 0 is the end.
#[cfg_attr(
    not(any(feature = "client", feature = "server")),
    expect(dead_code, reason = "handshakes are theirs, and connections have buffers of their own")
)]
pub(crate) async fn read_some<S: AsyncRead + Unpin>(io: &mut S, buffer: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|cx| reading(|| pin!(io.read_buf(buffer)).poll(cx))).await
}
