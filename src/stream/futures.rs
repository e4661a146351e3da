//! The futures of the two calls that every message goes through. They are types of their own, and not `async fn`s, so
//! that a message is not moved through their states.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Receiver, Sender};
use crate::{
    Error, Transport,
    proto::connection::{Compress, Message},
};

/// The future of [`WebSocket::recv`](super::WebSocket::recv) and [`Receiver::recv`].
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct Recv<'a, S = Transport> {
    receiver: &'a mut Receiver<S>,
}

impl<'a, S> Recv<'a, S> {
    #[inline]
    pub(super) const fn new(receiver: &'a mut Receiver<S>) -> Self {
        Self { receiver }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Recv<'_, S> {
    type Output = Result<Option<Message>, Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.receiver.poll_recv(cx)
    }
}

/// The future of [`WebSocket::send`](super::WebSocket::send), [`Sender::send`], and their `send_with` and `feed`.
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct Send<'a, S = Transport> {
    sender: &'a Sender<S>,
    message: Message,
    compress: Compress,
    /// Whether it is to be written, too.
    write: bool,
    queued: bool,
}

impl<'a, S> Send<'a, S> {
    #[inline]
    pub(super) const fn new(sender: &'a Sender<S>, message: Message, compress: Compress) -> Self {
        Self { sender, message, compress, write: true, queued: false }
    }

    /// Leaves the writing to a later call.
    #[inline]
    pub(super) fn unwritten(self) -> Self {
        Self { write: false, ..self }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Send<'_, S> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let sender = self.sender;
        if !self.queued && sender.put_into_cork(&self.message) {
            return Poll::Ready(Ok(()));
        }
        let mut core = sender.shared.lock();
        if !self.queued {
            core = ready!(sender.poll_turn(cx, core))?;
            core.queue(&self.message, self.compress)?;
            self.queued = true;
        }
        if self.write {
            return sender.poll_written(cx, core);
        }
        sender.shared.unsettle(&mut core);
        Poll::Ready(Ok(()))
    }
}
