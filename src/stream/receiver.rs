use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_core::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    MessageReader, Recv, buffers,
    shared::{Core, Shared, now},
    timer::Timer,
};
use crate::{
    Error, Transport,
    proto::connection::{Delivery, End, Event, Inbox, Message, ReceiveHalf},
};

/// How much a task may take in and hand over until others have their turn: as many bytes, of which those that may be small
/// frames count eightfold. A large message is not torn from its caches for less.
const MAX_WORK: usize = 2560 * 1024;
const SMALL_FRAMES: usize = 8;

/// The receiving half of a [`WebSocket`](super::WebSocket) that was split.
///
/// Dropping it does not end the connection: senders go on, and what the peer sends is read only while one of them is
/// polled, to answer Pings and Closes; messages are discarded.
pub struct Receiver<S = Transport> {
    pub(super) shared: Arc<Shared<S>>,
    /// `None` only while it is dropped or taken apart.
    pub(super) state: Option<Box<ReceiverState>>,
}

/// The receive side without its share in the connection.
pub(super) struct ReceiverState {
    pub(super) half: ReceiveHalf,
    /// Borrowed from the thread while there are bytes to take apart.
    pub(super) inbox: Option<Box<Inbox>>,
    timer: Timer,
    /// What the connection was last told that `half` holds.
    noted: usize,
    /// What was done since the task has last waited, as [`MAX_WORK`] counts.
    work: usize,
    /// Whether this half has armed a cork and not seen it merged since.
    armed: bool,
    /// Whether the end has been told.
    told: bool,
}

impl ReceiverState {
    pub(super) fn new(half: ReceiveHalf, inbox: Inbox) -> Self {
        let inbox = (!inbox.is_empty()).then(|| Box::new(inbox));
        Self { half, inbox, timer: Timer::default(), noted: 0, work: 0, armed: false, told: false }
    }

    /// The next message; `None` once the connection has ended cleanly.
    #[inline(always)]
    pub(super) fn poll_message<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared<S>,
    ) -> Poll<Result<Option<Message>, Error>> {
        loop {
            if let Some(inbox) = &mut self.inbox
                && let Some(message) = self.half.whole_message(inbox)
            {
                if inbox.is_empty() {
                    self.release();
                }
                return Poll::Ready(Ok(Some(message)));
            }
            match ready!(self.poll_take(cx, shared, Delivery::Whole)) {
                Some(Event::Message(message)) => return Poll::Ready(Ok(Some(message))),
                Some(_) => {}
                None => {
                    if !ready!(self.poll_bytes(cx, shared, Delivery::Whole)) {
                        return Poll::Ready(self.verdict(shared));
                    }
                }
            }
        }
    }

    /// The next event; `None` once the connection has ended cleanly.
    pub(super) fn poll_event<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared<S>,
        delivery: Delivery,
    ) -> Poll<Result<Option<Event>, Error>> {
        loop {
            if let Some(event) = ready!(self.poll_take(cx, shared, delivery)) {
                return Poll::Ready(Ok(Some(event)));
            }
            if !ready!(self.poll_bytes(cx, shared, delivery)) {
                return Poll::Ready(self.verdict(shared));
            }
        }
    }

    /// Takes the next event out of the bytes that are here, and answers it.
    #[inline(never)]
    fn poll_take<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &Context<'_>,
        shared: &Shared<S>,
        delivery: Delivery,
    ) -> Poll<Option<Event>> {
        if self.inbox.as_ref().is_none_or(|inbox| inbox.is_empty()) && !self.half.is_due() {
            return Poll::Ready(None);
        }
        if self.work >= MAX_WORK {
            // What one read brings may inflate to a thousand times as much, and a peer may never let us wait.
            self.work = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.armed {
            // The answer to what is next comes behind what another thread has in its cork.
            let mut core = shared.lock();
            if core.cork_is_elsewhere() {
                core.wait(cx);
                return Poll::Pending;
            }
            self.armed = false;
        }
        let inbox = self.inbox.get_or_insert_with(buffers::take_inbox);
        let received = self.half.receive(inbox, delivery);
        self.release();
        if let Ok(Some(event)) = &received {
            self.work += event.len();
        }
        if self.half.retained() < self.noted {
            self.noted = self.half.retained();
            // It is less than before.
            let _ = shared.lock().hold(self.noted);
        }
        Poll::Ready(match received {
            Ok(Some(event)) => {
                if !matches!(event, Event::Message(_) | Event::Chunk(_)) {
                    let mut core = shared.lock();
                    core.borrow_buffer();
                    if core.send.react(&event, now).is_err() {
                        self.half.stop();
                        return Poll::Ready(None);
                    }
                }
                Some(event)
            }
            Ok(None) => None,
            Err(fault) => {
                shared.lock().send.fail(fault);
                None
            }
        })
    }

    /// Gets more bytes, unless the connection is over. Has everything written before it waits.
    #[inline(never)]
    fn poll_bytes<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared<S>,
        delivery: Delivery,
    ) -> Poll<bool> {
        let mut core = shared.lock();
        if core.cork_is_elsewhere() {
            core.wait(cx);
            return Poll::Pending;
        }
        let filled = self.poll_fill(cx, &mut core, delivery);
        if filled.is_pending() {
            core.wait_for_change(cx);
            shared.settle(&mut core);
            self.work = 0;
            self.release();
        } else {
            self.armed = shared.arm(&mut core);
        }
        filled
    }

    /// What the caller is to be told of the end: `None` for a clean one, and an error once.
    #[cold]
    fn verdict<S: AsyncRead + AsyncWrite + Unpin, T>(&mut self, shared: &Shared<S>) -> Result<Option<T>, Error> {
        self.half.stop();
        self.release();
        let told = std::mem::replace(&mut self.told, true);
        match shared.lock().verdict() {
            Ok(()) => Ok(None),
            Err(_) if told => Err(Error::Closed),
            Err(error) => Err(error),
        }
    }

    /// Gets bytes into the inbox, unless the connection is over. Writes what is queued before it waits.
    fn poll_fill<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        core: &mut Core<S>,
        delivery: Delivery,
    ) -> Poll<bool> {
        loop {
            if core.is_over() {
                return Poll::Ready(false);
            }
            if core.send.end().is_some() {
                let Err(deadline) = core.poll_end(cx) else { return Poll::Ready(false) };
                ready!(self.timer.poll_until(cx, deadline));
                continue;
            }
            // A peer that goes on sending must not put off the end.
            if !core.send.is_open() && self.poll_deadline(cx, core).is_ready() {
                continue;
            }
            self.noted = self.half.retained();
            if let Err(fault) = core.hold(self.noted) {
                core.send.fail(fault);
                self.half.stop();
                self.noted = 0;
                let _ = core.hold(0);
                continue;
            }
            let read = match core.poll_flush(cx) {
                // While the peer does not take our Pongs, it is not read.
                Poll::Pending if core.send.owes_pong() => Poll::Pending,
                Poll::Ready(Ok(())) | Poll::Pending => self.poll_read(cx, core, delivery),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
            };
            match read {
                Poll::Ready(Ok(0)) => {
                    self.half.stop();
                    core.send.received_eof();
                }
                Poll::Ready(Ok(_)) => return Poll::Ready(true),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                // Room was made for what is to come.
                Poll::Pending if self.half.retained() > self.noted => {}
                // The peer is silent only if nothing of it waits to be read.
                Poll::Pending => ready!(self.poll_deadline(cx, core)),
            }
        }
    }

    /// Ready when something was due, and is done.
    fn poll_deadline<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        core: &mut Core<S>,
    ) -> Poll<()> {
        let Some(deadline) = core.send.next_deadline() else { return Poll::Pending };
        ready!(self.timer.poll_until(cx, deadline));
        core.borrow_buffer();
        core.send.handle_timeout(now());
        Poll::Ready(())
    }

    /// Reads into the inbox, or straight into the message whose frame is coming; 0 is the end.
    fn poll_read<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        core: &mut Core<S>,
        delivery: Delivery,
    ) -> Poll<Result<usize, Error>> {
        let Some((message, room)) = self.half.direct(delivery) else {
            let len = ready!(core.poll_read(cx, self.inbox.get_or_insert_with(buffers::take_inbox)))?;
            self.work += SMALL_FRAMES * len;
            return Poll::Ready(Ok(len));
        };
        let len = ready!(core.poll_read_message(cx, message, room))?;
        self.work += len;
        if let Err(fault) = self.half.received_directly(len) {
            core.send.fail(fault);
        }
        Poll::Ready(Ok(len))
    }

    /// Gives an empty inbox back to the thread.
    fn release(&mut self) {
        if let Some(inbox) = self.inbox.take_if(|inbox| inbox.is_empty()) {
            buffers::give_inbox(inbox);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<S> {
    /// Receives the next message; `None` once both ends have closed.
    ///
    /// Pings and Closes are answered on the way, and everything that is queued is written before it waits.
    ///
    /// # Errors
    ///
    /// How the connection ended, if not cleanly; told once, and [`Error::Closed`] after that.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that arrived is lost.
    #[inline]
    pub const fn recv(&mut self) -> Recv<'_, S> {
        Recv::new(self)
    }

    /// Receives the next event, control frames among them: they are answered already.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that arrived is lost.
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        poll_fn(|cx| self.poll_event(cx, Delivery::Whole)).await
    }

    /// Waits for the next message and reads it chunk by chunk, without holding it whole: it may be of any length.
    ///
    /// Dropping the reader before the message's end skips the rest of it.
    ///
    /// ```
    /// # use sockeye::{Error, stream::Receiver};
    /// # async fn example<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut receiver: Receiver<S>) -> Result<(), Error> {
    /// while let Some(mut message) = receiver.recv_reader().await? {
    ///     let mut len = 0;
    ///     while let Some(chunk) = message.next().await? {
    ///         len += chunk.len();
    ///     }
    ///     println!("{:?} of {len} bytes", message.kind());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing that arrived is lost.
    pub async fn recv_reader(&mut self) -> Result<Option<MessageReader<'_, S>>, Error> {
        loop {
            match poll_fn(|cx| self.poll_event(cx, Delivery::Chunks)).await? {
                Some(Event::Chunk(first)) => return Ok(Some(MessageReader::new(self, first))),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// How the connection ended, once it has.
    pub fn end(&self) -> Option<End> {
        self.shared.lock().send.end().cloned()
    }

    #[inline(always)]
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        let state = self.state.as_mut().expect("the state is there until the receiver is dropped");
        state.poll_message(cx, &self.shared)
    }

    pub(super) fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        delivery: Delivery,
    ) -> Poll<Result<Option<Event>, Error>> {
        let state = self.state.as_mut().expect("the state is there until the receiver is dropped");
        state.poll_event(cx, &self.shared, delivery)
    }
}

/// The messages; ends behind the first error.
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for Receiver<S> {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.state.as_ref().is_none_or(|state| state.told) {
            return Poll::Ready(None);
        }
        self.poll_recv(cx).map(Result::transpose)
    }
}

impl<S> Drop for Receiver<S> {
    fn drop(&mut self) {
        let Some(state) = self.state.take() else { return };
        if Arc::strong_count(&self.shared) > 1 {
            let mut core = self.shared.lock();
            if core.io.is_some() {
                core.parked = Some(state);
                core.is_left = true;
                // Whoever serves the connection has to see to it.
                self.shared.unsettle(&mut core);
            }
        }
    }
}

impl<S> std::fmt::Debug for Receiver<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
