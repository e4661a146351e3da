//! Sending without waiting, for the floors above: the task that receives does the writing.

use std::{future::poll_fn, task::Context};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Receiver, Sender, shared::now};
use crate::{
    Error,
    proto::connection::{Compress, Message, PreparedMessage, SendError, SendHalf},
};

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
    /// Queues a message. It leaves at the end of the receiver's [turn](Receiver::begin_turn), or when that is woken, which
    /// this does.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the connection is closing, or how it failed. A queue that is too long closes it, if that is
    /// its [`SlowReader`](crate::SlowReader) policy.
    pub(crate) fn queue(&self, message: &Message, compress: Compress) -> Result<(), Error> {
        self.queue_with(|send| send.send(message, compress))
    }

    /// As [`queue`](Self::queue), of a message that others send as well.
    ///
    /// # Errors
    ///
    /// As for [`queue`](Self::queue).
    pub(crate) fn queue_prepared(&self, message: &PreparedMessage) -> Result<(), Error> {
        self.queue_with(|send| send.send_prepared(message))
    }

    fn queue_with(&self, queue: impl FnOnce(&mut SendHalf) -> Result<(), SendError>) -> Result<(), Error> {
        let mut core = self.shared.lock();
        if core.is_about_to_close() {
            return Err(Error::Closed);
        }
        core.borrow_buffer();
        let is_corked = self.shared.is_corked(&core);
        if core.send.needs_clock(is_corked) {
            core.send.look_at_clock(now());
        }
        let queued = queue(&mut core.send);
        if !is_corked {
            core.wake_reader();
        }
        Ok(queued?)
    }

    /// Begins the closing handshake with a Close that has no code, which the peer sees as 1005.
    pub(crate) fn start_close_without_code(&self) {
        self.shared.lock().close(None);
    }

    /// Waits until the connection is over.
    ///
    /// # Errors
    ///
    /// How it ended, if not cleanly.
    pub(crate) async fn closed(&self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_closed(cx)).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<S> {
    /// Begins a turn of the task that receives: what is queued during it need not wake that task.
    pub(crate) fn begin_turn(&self) {
        self.shared.cork();
    }

    /// Has this task woken by what is queued, though nothing is received for now.
    pub(crate) fn wait_for_change(&self, cx: &Context<'_>) {
        self.shared.lock().wait_for_change(cx);
    }

    /// Ends the turn, and writes what was queued, unless the receiver waits and has done so.
    pub(crate) fn end_turn(&self, cx: &Context<'_>) {
        if self.shared.is_settled() {
            return;
        }
        let mut core = self.shared.lock();
        self.shared.uncork(&mut core);
        // A transport that is slow wakes this task; one that failed shows in the receiver's next call.
        let _ = core.poll_flush(cx);
    }
}
