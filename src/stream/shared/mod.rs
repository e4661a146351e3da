mod ending;

use std::{
    io::{self, IoSlice},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use self::ending::Ending;
use super::{
    MemoryBudget,
    budget::Share,
    buffers, cork,
    interrupts::{reading, uninterrupted},
    metrics::{Meter, Metrics},
    receiver::ReceiverState,
    timer::Timer,
    wakers::Wakers,
};
use crate::{
    Error,
    proto::{
        connection::{Compress, End, Inbox, Message, SendError, SendHalf},
        frame::{CloseFrame, ProtocolError},
    },
};

/// How many chunks one vectored write takes.
const MAX_SLICES: usize = 32;

/// What the halves of a connection share.
pub(super) struct Shared<S> {
    /// The lock is held for a poll and never across an await.
    core: Mutex<Core<S>>,
    cork: AtomicU8,
}

/// The connection is not served: whoever sends, writes.
const UNCORKED: u8 = 0;
/// The task that serves the connection polls its handler, and writes behind that, so that `send` need not.
///
/// This is set without the lock and cleared under it, behind which everything that was queued before is written: so
/// whoever finds it under the lock may leave the writing to that task.
const CORKED: u8 = 1;
/// The handler waits for the connection, and the receiver has written what was queued before.
const SETTLED: u8 = 2;

/// The transport, and everything that goes out by it.
pub(super) struct Core<S> {
    /// `None` once the connection is over.
    pub(super) io: Option<S>,
    pub(super) send: SendHalf,
    /// Whether bytes may be held back inside the transport.
    unflushed: bool,
    ending: Ending,
    /// Whether a thread that polls the handler may have frames in its cork, which go first.
    cork_is_armed: bool,
    /// A Close that another thread asked for meanwhile.
    late_close: Option<Option<CloseFrame>>,
    /// Made when somebody has to wait for a write.
    wakers: Option<Arc<Wakers>>,
    /// The task that waits for the peer.
    reader: Option<Waker>,
    /// What the dropped receiver left, for a sender that still has to see to Pongs and the close.
    pub(super) parked: Option<Box<ReceiverState>>,
    /// Whether the receiver was dropped before the end, be its state parked or with a sender that sees to it.
    pub(super) is_left: bool,
    /// Why the transport failed, until it is told.
    failure: Option<io::Error>,
    /// Made while the transport takes nothing.
    stall: Timer,
    share: Option<Share>,
    /// Whether dropping the transport before the peer has ended too would overtake what was written.
    awaits_end: bool,
    meter: Option<Box<Meter>>,
    /// What the receiving half held when it was last asked.
    received: usize,
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<S> Shared<S> {
    pub(super) fn new(core: Core<S>) -> Self {
        Self { core: Mutex::new(core), cork: AtomicU8::new(UNCORKED) }
    }

    /// What this thread's cork has for the connection is in the queue behind it.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core<S>> {
        // Nothing panics under the lock but a transport; then its connection is as good as any other broken one.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frames) = cork::take(self.id()) {
            core.merge(frames);
        }
        core
    }

    /// Which connection it is, while it lives.
    pub(super) fn id(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Leaves the writing to the caller, which is about to poll the handler, until [`settle`](Self::settle) or
    /// [`uncork`](Self::uncork).
    pub(super) fn cork(&self) {
        self.cork.store(CORKED, Ordering::Relaxed);
    }

    /// Lets this thread gather messages without the lock, if it serves the connection.
    pub(super) fn arm(&self, core: &mut Core<S>) -> bool {
        let room = core.send.room();
        core.cork_is_armed = self.is_corked(core) && core.send.takes_frames() && room > 0 && cork::arm(self.id(), room);
        core.cork_is_armed
    }

    /// Whether `send` may leave the writing to another.
    #[inline]
    pub(super) fn is_corked(&self, _under_the_lock: &Core<S>) -> bool {
        self.cork.load(Ordering::Relaxed) == CORKED
    }

    /// Has senders write for themselves again. What they queued before is for the caller to write.
    pub(super) fn uncork(&self, _under_the_lock: &mut Core<S>) {
        self.cork.store(UNCORKED, Ordering::Relaxed);
    }

    /// As [`uncork`](Self::uncork), for the receiver that is about to wait.
    pub(super) fn settle(&self, _under_the_lock: &mut Core<S>) {
        self.cork.store(SETTLED, Ordering::Relaxed);
    }

    /// Has the task that serves the connection, if there is one, write what was queued since the receiver settled all.
    pub(super) fn unsettle(&self, under_the_lock: &mut Core<S>) {
        if self.is_settled() {
            self.uncork(under_the_lock);
        }
    }

    /// Whether the receiver has settled everything since the last [`cork`](Self::cork).
    pub(super) fn is_settled(&self) -> bool {
        self.cork.load(Ordering::Relaxed) == SETTLED
    }

    pub(super) fn into_core(self) -> Core<S> {
        self.core.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Core<S> {
    /// Queues what this thread's cork has gathered, and does what had to wait for it.
    fn merge(&mut self, frames: Vec<u8>) {
        if !frames.is_empty()
            && let Some(buffer) = self.send.queue_frames(frames)
        {
            buffers::give_output(buffer);
        }
        if std::mem::take(&mut self.cork_is_armed) {
            if let Some(frame) = self.late_close.take() {
                self.close_now(frame);
            }
            self.wake_writers();
        }
    }

    /// Whether something has to wait for what another thread has in its cork; that wakes `wait`.
    pub(super) const fn cork_is_elsewhere(&self) -> bool {
        // On this thread, whoever took the lock has merged it.
        self.cork_is_armed
    }

    /// Begins the closing handshake, behind what another thread has in its cork.
    pub(super) fn close(&mut self, frame: Option<CloseFrame>) {
        if self.cork_is_elsewhere() {
            self.late_close.get_or_insert(frame);
        } else {
            self.close_now(frame);
        }
    }

    fn close_now(&mut self, frame: Option<CloseFrame>) {
        self.borrow_buffer();
        self.send.close(frame, now());
        // Whoever receives has a deadline to keep now.
        self.wake_all();
    }

    #[inline]
    pub(super) fn borrow_buffer(&mut self) {
        if self.send.output().has_no_buffer() {
            self.send.output().lend(buffers::take_output());
        }
    }

    /// Wakes everybody who waits for this connection, as its state has changed.
    pub(super) fn wake_all(&mut self) {
        self.wake_reader();
        self.wake_writers();
    }

    pub(super) fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Wakes those that wait for a write or for each other; from now on nobody waits.
    fn wake_writers(&mut self) {
        if let Some(wakers) = self.wakers.take() {
            wakers.wake_all();
        }
    }

    /// Whether a Close waits for what another thread has in its cork: nothing may be sent behind it.
    pub(super) const fn is_about_to_close(&self) -> bool {
        self.late_close.is_some()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Core<S> {
    pub(super) fn new(io: S, mut send: SendHalf) -> Self {
        send.output().set_contiguous(!io.is_write_vectored());
        Self {
            io: Some(io),
            send,
            unflushed: false,
            ending: Ending::NotYet,
            cork_is_armed: false,
            late_close: None,
            wakers: None,
            reader: None,
            parked: None,
            is_left: false,
            failure: None,
            stall: Timer::default(),
            share: None,
            awaits_end: false,
            meter: None,
            received: 0,
        }
    }

    pub(super) fn set_budget(&mut self, budget: MemoryBudget) {
        self.share = Some(budget.share());
    }

    #[cfg(feature = "hyper")]
    pub(super) const fn await_end(&mut self) {
        self.awaits_end = true;
    }

    pub(super) fn set_metrics(&mut self, metrics: Arc<dyn Metrics>) {
        self.meter = Some(Box::new(Meter::new(metrics)));
    }

    /// Takes note of how much the receiving half holds.
    #[inline]
    pub(super) fn hold(&mut self, received: usize) -> Result<(), ProtocolError> {
        self.received = received;
        let bytes = received + self.send.retained();
        self.share.as_mut().map_or(Ok(()), |share| share.hold(bytes))
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.ending, Ending::Over)
    }

    /// What the caller is to be told of the end: `Ok` for a clean one. The error is told once.
    pub(super) fn verdict(&mut self) -> Result<(), Error> {
        match (self.failure.take(), self.send.end()) {
            (_, Some(End::Closed { .. })) => Ok(()),
            (Some(error), _) => Err(Error::Io(error)),
            (None, _) => Err(self.reason()),
        }
    }

    /// Why nothing more can be sent.
    fn reason(&self) -> Error {
        match self.send.end() {
            Some(End::Failed(fault)) => Error::Protocol(*fault),
            Some(End::TimedOut(timeout)) => Error::TimedOut(*timeout),
            Some(End::Lost) => Error::Lost,
            Some(End::Closed { .. } | End::Abandoned) | None => Error::Closed,
        }
    }

    /// Queues a message; borrows a buffer for it if there is none.
    #[inline]
    pub(super) fn queue(&mut self, message: &Message, compress: Compress) -> Result<(), Error> {
        self.queue_with(|send| send.send(message, compress))
    }

    /// Queues what `queue` does; borrows a buffer for it if there is none.
    #[inline]
    pub(super) fn queue_with(
        &mut self,
        queue: impl FnOnce(&mut SendHalf) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        self.borrow_buffer();
        if self.send.is_patient() {
            return Ok(queue(&mut self.send)?);
        }
        self.send.look_at_clock(now());
        let queued = queue(&mut self.send);
        // It may have made the connection close, and whoever receives has to see to what is queued.
        self.wake_reader();
        Ok(queued?)
    }

    /// Has the task woken when the connection's state changes; the transport wakes it when bytes come.
    pub(super) fn wait_for_change(&mut self, cx: &Context<'_>) {
        match &mut self.reader {
            Some(reader) => reader.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Has the task woken when the transport takes bytes again, or something else that is waited for happens.
    pub(super) fn wait(&mut self, cx: &Context<'_>) -> Waker {
        self.wakers.get_or_insert_default().register(cx.waker());
        self.waker()
    }

    /// Wakes all that wait.
    pub(super) fn waker(&mut self) -> Waker {
        Waker::from(Arc::clone(self.wakers.get_or_insert_default()))
    }

    /// Writes what is queued. An error ends the connection, and so does a transport that takes nothing for too long.
    pub(super) fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        match self.poll_write_queue(cx) {
            Poll::Pending => self.poll_stalled(cx),
            written => written,
        }
    }

    fn poll_write_queue(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        if self.is_flushed() {
            self.return_buffer();
            return Poll::Ready(if self.send.has_lost() { Err(self.reason()) } else { Ok(()) });
        }
        if self.is_over() {
            // What the transport held back is lost with it.
            return Poll::Ready(Err(self.reason()));
        }
        // The transport almost always takes it at once, and then nobody has to be woken.
        let written = match self.poll_write(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => written,
            Poll::Pending => {
                let waker = self.wait(cx);
                ready!(self.poll_write(&mut Context::from_waker(&waker)))
            }
        };
        self.stall.stop();
        self.send.moved_on();
        // It is less than before.
        let _ = self.hold(self.received);
        self.wake_writers();
        match written {
            Ok(()) => {
                self.return_buffer();
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.transport_failed(error))),
        }
    }

    #[inline]
    fn is_flushed(&self) -> bool {
        self.send.queued() == 0 && !self.unflushed
    }

    fn return_buffer(&mut self) {
        if let Some(buffer) = self.send.output().reclaim() {
            buffers::give_output(buffer);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = self.io.as_mut().expect("the transport is there until the connection is over");
        while self.send.queued() > 0 {
            let written = if let Some(all) = self.send.output().as_contiguous() {
                ready!(uninterrupted(|| Pin::new(&mut *io).poll_write(cx, all)))?
            } else {
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let filled = self.send.slices(&mut slices);
                ready!(uninterrupted(|| Pin::new(&mut *io).poll_write_vectored(cx, &slices[..filled])))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.send.advance(written);
            if let Some(meter) = &self.meter {
                meter.sent(written);
            }
            self.unflushed = true;
        }
        ready!(Pin::new(io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Reads into the inbox; 0 is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<Result<usize, Error>> {
        let mut buf = ReadBuf::new(inbox.spare());
        let len =
            ready!(self.poll_read_with(cx, |io, cx| {
                Pin::new(io).poll_read(cx, &mut buf).map_ok(|()| buf.filled().len())
            }))?;
        inbox.filled(len);
        Poll::Ready(Ok(len))
    }

    /// Appends at most `room` bytes to a message; 0 is the end.
    pub(super) fn poll_read_message(
        &mut self,
        cx: &mut Context<'_>,
        message: &mut Vec<u8>,
        room: usize,
    ) -> Poll<Result<usize, Error>> {
        let mut message = message.limit(room);
        self.poll_read_with(cx, |io, cx| pin!(io.read_buf(&mut message)).poll(cx))
    }

    #[inline]
    fn poll_read_with(
        &mut self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&mut S, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<Result<usize, Error>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(0)) };
        let read = match &self.wakers {
            None => reading(|| read(io, cx)),
            // Somebody waits for a write, which reading from a TLS stream may have to do.
            Some(wakers) => {
                wakers.register(cx.waker());
                let waker = Waker::from(Arc::clone(wakers));
                reading(|| read(io, &mut Context::from_waker(&waker)))
            }
        };
        match ready!(read) {
            Ok(len) => {
                if len > 0 {
                    self.send.heard_lately();
                    if let Some(meter) = &self.meter {
                        meter.received(len);
                    }
                }
                Poll::Ready(Ok(len))
            }
            Err(error) => Poll::Ready(Err(self.transport_failed(error))),
        }
    }

    /// Ends the connection. The caller is told at once, and the receiver, which may be another, at its next call.
    fn transport_failed(&mut self, error: io::Error) -> Error {
        let told = io::Error::new(error.kind(), error.to_string());
        // What the transport does behind the end of the conversation is of no interest.
        if self.send.end().is_none() {
            self.failure = Some(error);
        }
        self.send.transport_failed();
        self.finish();
        Error::Io(told)
    }
}
