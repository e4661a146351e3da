use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use h2::{Reason, RecvStream, SendStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection::InUse;

/// How much one write may hand over.
const MAX_WRITE: usize = 64 * 1024;

/// A stream of HTTP/2 in the place of a TCP connection (RFC 8441 §5).
///
/// An orderly end is END_STREAM, and what a TCP reset would be is RST_STREAM with CANCEL: that is also what dropping it
/// sends, unless the peer has ended already. The peer's window is respected, and the peer is given room as bytes are read here.
pub(super) struct Stream {
    send: SendStream<Bytes>,
    recv: RecvStream,
    /// Of the last DATA frame, what is not read yet.
    data: Bytes,
    has_ended: bool,
    _in_use: InUse,
}

impl Stream {
    pub(super) const fn new(send: SendStream<Bytes>, recv: RecvStream, in_use: InUse) -> Self {
        Self { send, recv, data: Bytes::new(), has_ended: false, _in_use: in_use }
    }

    /// Why the stream takes nothing more.
    fn lost(&mut self, cx: &mut Context<'_>) -> io::Error {
        match self.send.poll_reset(cx) {
            Poll::Ready(Ok(reason)) => h2::Error::from(reason).into_io_error(),
            Poll::Ready(Err(error)) => error.into_io_error(),
            Poll::Pending => io::ErrorKind::BrokenPipe.into(),
        }
    }
}

trait IntoIoError {
    fn into_io_error(self) -> io::Error;
}

impl IntoIoError for h2::Error {
    fn into_io_error(self) -> io::Error {
        let kind = if self.is_reset() || self.reason() == Some(Reason::CANCEL) {
            io::ErrorKind::ConnectionReset
        } else if self.is_go_away() {
            io::ErrorKind::ConnectionAborted
        } else {
            io::ErrorKind::Other
        };
        if self.is_io() { self.into_io().unwrap_or_else(|| kind.into()) } else { io::Error::new(kind, self) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Behind the peer's orderly end comes ours; the library resets what else is dropped.
        if !self.has_ended && self.recv.is_end_stream() {
            let _ = self.send.send_data(Bytes::new(), true);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.data.is_empty() {
            match ready!(self.recv.poll_data(cx)) {
                Some(Ok(data)) => self.data = data,
                Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error.into_io_error())),
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.data.len().min(buf.remaining());
        buf.put_slice(&self.data[..len]);
        self.data.advance(len);
        // Of a stream that was reset in the meantime, nobody wants to know how much room there is.
        let _ = self.recv.flow_control().release_capacity(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let wanted = buf.len().min(MAX_WRITE);
        self.send.reserve_capacity(wanted);
        while self.send.capacity() == 0 {
            // Who waits here may never be polled again, and is not to be given a window that the others share.
            self.send.reserve_capacity(1);
            match ready!(self.send.poll_capacity(cx)) {
                Some(Ok(_)) => self.send.reserve_capacity(wanted),
                Some(Err(error)) => return Poll::Ready(Err(error.into_io_error())),
                None => return Poll::Ready(Err(self.lost(cx))),
            }
        }
        let len = self.send.capacity().min(buf.len());
        let sent = self.send.send_data(Bytes::copy_from_slice(&buf[..len]), false);
        // What is reserved and not used would be missing to the connection's other streams.
        self.send.reserve_capacity(0);
        Poll::Ready(sent.map(|()| len).map_err(IntoIoError::into_io_error))
    }

    /// The connection's task writes what it was given by itself.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_ended {
            return Poll::Ready(Ok(()));
        }
        self.has_ended = true;
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(IntoIoError::into_io_error))
    }
}
