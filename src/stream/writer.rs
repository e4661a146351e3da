use std::future::poll_fn;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Sender;
use crate::{Error, Transport};

/// A message that is sent in parts: see [`Sender::begin`].
///
/// It has to be [finished](Self::finish): a message that was begun cannot be taken back, so dropping it closes the
/// connection with 1011. Nothing is sent before the first part, and until then it can be dropped for free.
pub struct MessageWriter<'a, S: AsyncRead + AsyncWrite + Unpin = Transport> {
    sender: &'a Sender<S>,
    finished: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> MessageWriter<'a, S> {
    pub(super) const fn new(sender: &'a Sender<S>) -> Self {
        Self { sender, finished: false }
    }

    /// Sends the next part.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if it makes a text invalid UTF-8; else as for [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// Once it has been polled, the part is queued whole.
    pub async fn write(&mut self, part: impl Into<Bytes>) -> Result<(), Error> {
        self.part(part.into(), false).await
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if a text ends inside a character; else as for [`Sender::send`].
    ///
    /// # Cancel safety
    ///
    /// Once it has been polled, the end is queued.
    pub async fn finish(mut self) -> Result<(), Error> {
        self.part(Bytes::new(), true).await
    }

    async fn part(&mut self, part: Bytes, fin: bool) -> Result<(), Error> {
        {
            let mut core = self.sender.shared.lock();
            core.borrow_buffer();
            core.send.part(&part, fin)?;
            self.finished = fin;
            if fin {
                core.wake_all();
            }
        }
        poll_fn(|cx| self.sender.poll_kept(cx, self.sender.shared.lock())).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Drop for MessageWriter<'_, S> {
    fn drop(&mut self) {
        if !self.finished {
            let mut core = self.sender.shared.lock();
            core.send.abandon();
            core.wake_all();
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> std::fmt::Debug for MessageWriter<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageWriter").field("finished", &self.finished).finish_non_exhaustive()
    }
}
