use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{buffers, receiver::ReceiverState, wakers::Wakers};
use crate::{
    Error,
    proto::connection::{Compress, End, Inbox, Message, Role, SendHalf, later},
};

/// From how many queued bytes on `send` waits for the transport.
pub(super) const HIGH_WATER: usize = 64 * 1024;
/// How many chunks one vectored write takes.
const MAX_SLICES: usize = 32;

/// What the halves of a connection share. The lock is held for a poll and never across an await.
pub(super) struct Shared<S>(Mutex<Core<S>>);

/// The transport, and everything that goes out by it.
pub(super) struct Core<S> {
    /// `None` once the connection is over.
    pub(super) io: Option<S>,
    pub(super) send: SendHalf,
    /// Whether the task that owns the connection writes when its handler waits, so that `send` need not.
    pub(super) corked: bool,
    /// Whether bytes may be held back inside the transport.
    unflushed: bool,
    ending: Ending,
    /// Made when somebody first has to wait for a write.
    wakers: Option<Arc<Wakers>>,
    /// The task that waits for the peer.
    reader: Option<Waker>,
    /// What the dropped receiver left, for a sender that still has to see to Pongs and the close.
    pub(super) parked: Option<Box<ReceiverState>>,
    /// Why the transport failed, until it is told.
    failure: Option<io::Error>,
}

/// How far the way down is gone, once the connection has ended on the protocol's side.
enum Ending {
    NotYet,
    /// What is queued is written, then our direction is shut down.
    Flushing {
        until: Instant,
    },
    /// The peer's bytes are discarded until it ends too, so that no reset overtakes our Close.
    Lingering {
        until: Instant,
    },
    Over,
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<S> Shared<S> {
    pub(super) fn new(core: Core<S>) -> Self {
        Self(Mutex::new(core))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Core<S>> {
        // Nothing panics under the lock but a transport; then its connection is as good as any other broken one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_core(self) -> Core<S> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Core<S> {
    pub(super) fn new(io: S, mut send: SendHalf) -> Self {
        send.output().set_contiguous(!io.is_write_vectored());
        Self {
            io: Some(io),
            send,
            corked: false,
            unflushed: false,
            ending: Ending::NotYet,
            wakers: None,
            reader: None,
            parked: None,
            failure: None,
        }
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
        self.borrow_buffer();
        Ok(self.send.send(message, compress)?)
    }

    #[inline]
    pub(super) fn borrow_buffer(&mut self) {
        if self.send.output().has_no_buffer() {
            self.send.output().lend(buffers::take_output());
        }
    }

    /// Wakes everybody who waits for this connection, as its state has changed.
    pub(super) fn wake_all(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        self.wake_writers();
    }

    fn wake_writers(&self) {
        if let Some(wakers) = &self.wakers {
            wakers.wake_all();
        }
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
        let wakers = self.wakers.get_or_insert_default();
        wakers.register(cx.waker());
        Waker::from(Arc::clone(wakers))
    }

    /// Writes what is queued. An error ends the connection.
    pub(super) fn poll_flush(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        if self.send.queued() == 0 && !self.unflushed {
            self.return_buffer();
            return Poll::Ready(if self.send.has_lost() { Err(self.reason()) } else { Ok(()) });
        }
        // The transport almost always takes it at once, and then nobody has to be woken.
        let written = match self.poll_write(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => written,
            Poll::Pending => {
                let waker = self.wait(cx);
                ready!(self.poll_write(&mut Context::from_waker(&waker)))
            }
        };
        self.wake_writers();
        match written {
            Ok(()) => {
                self.return_buffer();
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.transport_failed(error))),
        }
    }

    fn return_buffer(&mut self) {
        if let Some(buffer) = self.send.output().reclaim() {
            buffers::give_output(buffer);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Err(io::ErrorKind::NotConnected.into())) };
        while self.send.queued() > 0 {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = self.send.slices(&mut slices);
            let written = match &slices[..filled] {
                [only] => ready!(Pin::new(&mut *io).poll_write(cx, only))?,
                many => ready!(Pin::new(&mut *io).poll_write_vectored(cx, many))?,
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.send.advance(written);
            self.unflushed = true;
        }
        ready!(Pin::new(io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Reads into the inbox; 0 is the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<Result<usize, Error>> {
        let Some(io) = &mut self.io else { return Poll::Ready(Ok(0)) };
        let mut buf = ReadBuf::new(inbox.spare());
        let read = match &self.wakers {
            None => Pin::new(io).poll_read(cx, &mut buf),
            // Somebody waits for a write, which reading from a TLS stream may have to do.
            Some(wakers) => {
                wakers.register(cx.waker());
                let waker = Waker::from(Arc::clone(wakers));
                Pin::new(io).poll_read(&mut Context::from_waker(&waker), &mut buf)
            }
        };
        let read = ready!(read).map(|()| buf.filled().len());
        Poll::Ready(match read {
            Ok(len) => {
                inbox.filled(len);
                if len > 0 && self.send.wants_heard() {
                    self.send.heard(now());
                }
                Ok(len)
            }
            Err(error) => Err(self.transport_failed(error)),
        })
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

    /// Goes the way down behind the protocol's end: the queue, our direction, the peer's.
    ///
    /// Says the deadline while it is pending.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Result<(), Instant> {
        loop {
            match self.ending {
                Ending::NotYet => {
                    if matches!(self.send.end(), Some(End::Lost | End::TimedOut(_)) | None) {
                        // A peer that has ended its side only may still take what the transport takes at once.
                        let _ = self.poll_flush(cx);
                        self.finish();
                        continue;
                    }
                    self.ending = Ending::Flushing { until: later(now(), self.send.close_timeout()) };
                }
                Ending::Flushing { until } => match self.poll_shut_down(cx) {
                    Poll::Ready(()) => self.ending = Ending::Lingering { until },
                    Poll::Pending => return self.until(until),
                },
                Ending::Lingering { until } => match self.poll_discard(cx) {
                    Poll::Ready(()) => self.finish(),
                    Poll::Pending => return self.until(until),
                },
                Ending::Over => return Ok(()),
            }
        }
    }

    fn until(&mut self, until: Instant) -> Result<(), Instant> {
        if now() < until {
            return Err(until);
        }
        self.finish();
        Ok(())
    }

    /// Writes what is queued and shuts our direction down; errors count as done.
    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(self.poll_flush(cx)).is_err() {
            return Poll::Ready(());
        }
        // §7.1.1: the server closes first; a client that did would have the connection linger on its side.
        let wait_for_server = self.send.role() == Role::Client && self.send.end().is_some_and(End::is_clean);
        if let Some(io) = &mut self.io
            && !wait_for_server
        {
            let _ = ready!(Pin::new(io).poll_shutdown(cx));
        }
        Poll::Ready(())
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Ready(()) };
        let mut inbox = buffers::take_inbox();
        let discarded = loop {
            let mut buf = ReadBuf::new(inbox.spare());
            match Pin::new(&mut *io).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => break Poll::Ready(()),
                Poll::Pending => break Poll::Pending,
            }
        };
        buffers::give_inbox(inbox);
        discarded
    }

    /// Lets go of the transport, and of everything that only a living connection needs.
    pub(super) fn finish(&mut self) {
        self.ending = Ending::Over;
        self.io = None;
        self.parked = None;
        self.send.transport_failed();
        self.wake_all();
    }
}
