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

/// Appends what one read gives; 0 is the end.
#[cfg_attr(
    not(any(feature = "client", feature = "server")),
    expect(dead_code, reason = "handshakes are theirs, and connections have buffers of their own")
)]
pub(crate) async fn read_some<S: AsyncRead + Unpin>(io: &mut S, buffer: &mut Vec<u8>) -> io::Result<usize> {
    poll_fn(|cx| uninterrupted(|| pin!(io.read_buf(buffer)).poll(cx))).await
}
