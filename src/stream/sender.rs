use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, MutexGuard},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::coop,
};

use super::{
    MessageWriter, Send, cork,
    shared::{Core, Shared},
};
use crate::{
    Error, Transport,
    proto::{
        Utf8Bytes,
        connection::{Compress, Delivery, End, Kind, Message, PreparedMessage, SendError, SendHalf},
        frame::{CloseCode, CloseFrame},
    },
};

type Locked<'a, S> = MutexGuard<'a, Core<S>>;

/// The sending half of a [`WebSocket`](super::WebSocket) that was split. Its clones send into the same connection,
/// from as many tasks as there are.
///
/// The transport is closed when the connection has ended, or when the receiver and all senders are dropped.
pub struct Sender<S = Transport> {
    pub(super) shared: Arc<Shared<S>>,
    /// Whether it is the only one that sends messages, which may then go to a cork.
    pub(super) sole: bool,
}

impl<S> Sender<S> {
    pub(super) const fn sole(shared: Arc<Shared<S>>) -> Self {
        Self { shared, sole: true }
    }

    /// The same, when others may come to send beside it.
    pub(crate) fn shared_with_others(self) -> Self {
        Self { sole: false, ..self }
    }

    /// Puts a message into this thread's cork, if that may be.
    #[inline]
    pub(super) fn put_into_cork(&self, message: &Message) -> bool {
        self.sole && cork::put(self.shared.id(), message)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sender<S> {
    /// Sends a message, and waits until the transport has taken it; under a [`SlowReader`](crate::SlowReader) policy that
    /// drops messages or closes, it does not wait for that: [`flush`](Self::flush) does.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] if the connection is closing, or how it failed.
    ///
    /// # Cancel safety
    ///
    /// Whole or not at all: cancelled while it waits its turn, nothing is sent; cancelled while the transport is
    /// slow, the message is queued whole, and the next call on any half goes on writing it.
    #[inline]
    pub fn send(&self, message: impl Into<Message>) -> Send<'_, S> {
        self.send_with(message, Compress::Auto)
    }

    /// Like [`send`](Self::send), with a say in the message's compression.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    #[inline]
    pub fn send_with(&self, message: impl Into<Message>, compress: Compress) -> Send<'_, S> {
        Send::new(self, message.into(), compress)
    }

    /// Queues a message without writing it, unless so much is queued that the transport has to take some first.
    ///
    /// It leaves with the next [`flush`](Self::flush) or [`send`](Self::send), or when the receiver has to wait.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a message that was not queued yet is not sent.
    #[inline]
    pub fn feed(&self, message: impl Into<Message>) -> Send<'_, S> {
        self.send(message).unwritten()
    }

    /// Sends a message that others send as well: it is compressed once for all that compress alike.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    pub async fn send_prepared(&self, message: &PreparedMessage) -> Result<(), Error> {
        let mut queued = false;
        poll_fn(|cx| {
            let mut core = self.shared.lock();
            if !queued {
                core = ready!(self.poll_turn(cx, core))?;
                core.queue_with(|send| send.send_prepared(message))?;
                queued = true;
            }
            self.poll_written(cx, core)
        })
        .await
    }

    /// Writes everything that is queued.
    ///
    /// # Errors
    ///
    /// How the transport failed.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn flush(&self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_flush_all(cx)).await
    }

    /// Sends a Ping with at most 125 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the payload is too long; else as for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    pub async fn ping(&self, payload: impl Into<Bytes>) -> Result<(), Error> {
        let payload = payload.into();
        self.send_control(|send| send.ping(&payload)).await
    }

    /// Sends a Pong that nobody asked for, with at most 125 bytes: "a unidirectional heartbeat" (RFC 6455 §5.5.3).
    ///
    /// Pings are answered without it.
    ///
    /// # Errors
    ///
    /// As for [`ping`](Self::ping).
    ///
    /// # Cancel safety
    ///
    /// As for [`send`](Self::send).
    pub async fn pong(&self, payload: impl Into<Bytes>) -> Result<(), Error> {
        let payload = payload.into();
        self.send_control(|send| send.pong(&payload)).await
    }

    async fn send_control(&self, queue: impl Fn(&mut SendHalf) -> Result<(), SendError>) -> Result<(), Error> {
        let mut queued = false;
        poll_fn(|cx| {
            let mut core = self.shared.lock();
            if !queued {
                if core.cork_is_elsewhere() {
                    core.wait(cx);
                    return Poll::Pending;
                }
                core.borrow_buffer();
                queue(&mut core.send)?;
                queued = true;
            }
            self.poll_kept(cx, core)
        })
        .await
    }

    /// Begins a message that is sent in parts. Other senders' messages wait until it is finished.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is sent before the first part.
    pub async fn begin(&self, kind: Kind) -> Result<MessageWriter<'_, S>, Error> {
        poll_fn(|cx| {
            let mut core = ready!(self.poll_turn(cx, self.shared.lock()))?;
            Poll::Ready(core.send.begin(kind, Compress::Auto).map_err(Error::from))
        })
        .await?;
        Ok(MessageWriter::new(self))
    }

    /// Sends one message from a stream of parts, without holding it whole.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the parts of a text are not UTF-8 together, which ends the connection with 1011 as the
    /// message cannot be taken back; else as for [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe behind the first part: a message that is not finished cannot be taken back, so the
    /// connection is closed with 1011.
    pub async fn send_stream(&self, kind: Kind, parts: impl Stream<Item = Bytes>) -> Result<(), Error> {
        let mut parts = std::pin::pin!(parts);
        let mut writer = self.begin(kind).await?;
        while let Some(part) = poll_fn(|cx| parts.as_mut().poll_next(cx)).await {
            writer.write(part).await?;
        }
        writer.finish().await
    }

    /// Closes the connection: sends a Close, and waits until the peer has answered it and the transport has ended.
    ///
    /// The receiver sees to the answer: it has to be polled, or dropped. Messages that still come go to it.
    /// Closing twice is harmless.
    ///
    /// # Errors
    ///
    /// How the connection ended, if not cleanly: [`Error::TimedOut`] if the peer did not answer in time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: once it has been polled, the Close is queued, and the receiver sees the end.
    pub async fn close(&self, code: CloseCode, reason: impl Into<Utf8Bytes>) -> Result<(), Error> {
        self.start_close(code, reason);
        poll_fn(|cx| self.poll_closed(cx)).await
    }

    /// How the connection ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.shared.lock().send.end().cloned()
    }

    /// How many bytes are queued that the transport has not taken, with 64 for each message that waits unencoded. What
    /// the operating system holds is not known.
    pub fn queued(&self) -> usize {
        self.shared.lock().send.queued()
    }

    /// Waits until at most so many bytes are [`queued`](Self::queued): for those who would rather make no message than
    /// have it wait. Writes what is queued.
    ///
    /// ```
    /// # use sockeye::{Error, stream::Sender};
    /// # async fn example<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(sender: Sender<S>) -> Result<(), Error> {
    /// loop {
    ///     sender.drained(16 * 1024).await?;
    ///     sender.send("made at the last moment").await?;
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn drained(&self, bytes: usize) -> Result<(), Error> {
        poll_fn(|cx| {
            loop {
                let core = self.shared.lock();
                if core.send.queued() <= bytes && !core.is_over() {
                    return Poll::Ready(Ok(()));
                }
                match self.poll_flush_of(cx, core) {
                    Poll::Pending if self.queued() <= bytes => return Poll::Ready(Ok(())),
                    // Answers to what came for a receiver that was dropped.
                    Poll::Ready(Ok(())) if self.queued() > bytes => {}
                    drained => return drained,
                }
            }
        })
        .await
    }

    /// How many messages were dropped as the [`SlowReader`](crate::SlowReader) policy wants it.
    pub fn dropped(&self) -> u64 {
        self.shared.lock().send.dropped()
    }

    /// Whether the receiver was dropped before the connection had ended.
    pub(super) fn is_left_open(&self) -> bool {
        let core = self.shared.lock();
        core.is_left && !core.is_over()
    }

    pub(crate) fn start_close(&self, code: CloseCode, reason: impl Into<Utf8Bytes>) {
        self.shared.lock().close(Some(CloseFrame::new(code, reason)));
    }

    /// Writes what the transport takes at once.
    #[cfg(feature = "server")]
    pub(crate) fn write_now(&self) {
        // What it does not take leaves with the next call.
        let _ = self.shared.lock().poll_flush(&Context::from_waker(std::task::Waker::noop()));
    }

    /// Ready when the connection is over. Does the receiver's part if that was dropped.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.drive_parked(cx);
        let mut core = self.shared.lock();
        if core.is_over() {
            return Poll::Ready(core.verdict());
        }
        // A failure shows as the connection's end, which is looked at here in any case.
        let _ = core.poll_flush(cx);
        if core.is_over() {
            return Poll::Ready(core.verdict());
        }
        core.wait(cx);
        Poll::Pending
    }

    /// Writes what is queued, unless the task that owns the connection is about to.
    #[inline]
    pub(super) fn poll_written(&self, cx: &mut Context<'_>, core: Locked<'_, S>) -> Poll<Result<(), Error>> {
        if self.shared.is_corked(&core) && core.send.room() > 0 {
            return Poll::Ready(Ok(()));
        }
        let is_patient = core.send.is_patient();
        let written = self.poll_flush_of(cx, core);
        if written.is_pending() && !is_patient { self.poll_left(cx) } else { written }
    }

    /// As [`poll_written`](Self::poll_written), for what no policy drops: so it waits for a peer that does not read.
    pub(super) fn poll_kept(&self, cx: &mut Context<'_>, core: Locked<'_, S>) -> Poll<Result<(), Error>> {
        match self.poll_written(cx, core) {
            Poll::Ready(Ok(())) => {
                let core = self.shared.lock();
                if core.send.room() > 0 { Poll::Ready(Ok(())) } else { self.poll_flush_of(cx, core) }
            }
            written => written,
        }
    }

    /// Leaves what the transport does not take to whoever receives, but lets other tasks run now and then.
    #[cold]
    fn poll_left(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        ready!(pin!(coop::consume_budget()).poll(&mut Context::from_waker(cx.waker())));
        let mut core = self.shared.lock();
        if core.is_left {
            // Nobody else would write it.
            return Poll::Pending;
        }
        core.wake_reader();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_flush_all(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush_of(cx, self.shared.lock())
    }

    /// Writes what is queued, and does the receiver's part if that was dropped: a peer that is not read may be one that
    /// does not read either.
    fn poll_flush_of(&self, cx: &mut Context<'_>, mut core: Locked<'_, S>) -> Poll<Result<(), Error>> {
        let mut written = core.poll_flush(cx);
        if core.parked.is_some() {
            drop(core);
            self.drive_parked(cx);
            if written.is_pending() {
                written = self.shared.lock().poll_flush(cx);
            }
        }
        written
    }

    /// Ready when a message may be queued: no other is sent in parts, and the queue is not too long.
    #[inline]
    pub(super) fn poll_turn<'a>(
        &'a self,
        cx: &mut Context<'_>,
        mut core: Locked<'a, S>,
    ) -> Poll<Result<Locked<'a, S>, Error>> {
        let mut is_flushed = false;
        loop {
            if core.is_about_to_close() {
                return Poll::Ready(Err(Error::Closed));
            }
            if (core.send.message_is_open() || core.cork_is_elsewhere()) && core.send.is_open() {
                core.wait(cx);
                return Poll::Pending;
            }
            if is_flushed || core.send.room() > 0 || !core.send.is_patient() {
                return Poll::Ready(Ok(core));
            }
            ready!(self.poll_flush_of(cx, core))?;
            // Another sender may have had its turn meanwhile.
            core = self.shared.lock();
            is_flushed = true;
        }
    }

    /// Answers Pings and Closes in place of a receiver that was dropped.
    pub(super) fn drive_parked(&self, cx: &Context<'_>) {
        let (mut state, waker) = {
            let mut core = self.shared.lock();
            let Some(state) = core.parked.take() else { return };
            // Its deadlines are everybody's: the task that polls it now may be gone by then.
            (state, core.wait(cx))
        };
        let cx = &mut Context::from_waker(&waker);
        while let Poll::Ready(Ok(Some(_control))) = state.poll_event(cx, &self.shared, Delivery::Discard) {}
        let mut core = self.shared.lock();
        if !core.is_over() {
            core.parked = Some(state);
        }
    }
}

impl<S> Clone for Sender<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), sole: false }
    }
}

impl<S> std::fmt::Debug for Sender<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// `poll_close` closes with 1000 and does not wait for the peer: the receiver sees to that.
impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for Sender<S> {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_turn(cx, self.shared.lock()).map_ok(drop)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let mut core = self.shared.lock();
        self.shared.unsettle(&mut core);
        core.queue(&message, Compress::Auto)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.poll_flush_all(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.start_close(CloseCode::NORMAL, "");
        self.poll_flush_all(cx)
    }
}
