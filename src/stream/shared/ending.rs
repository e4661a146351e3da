use std::{
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Instant,
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Core, now};
use crate::{
    Error,
    proto::connection::{End, Role, later},
    stream::interrupts::uninterrupted,
};

/// How often a peer that does not end is read before other tasks have their turn.
const READS_A_POLL: usize = 64;

/// How far the way down is gone, once the connection has ended on the protocol's side.
pub(super) enum Ending {
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

impl<S: AsyncRead + AsyncWrite + Unpin> Core<S> {
    /// Pending, as the transport takes nothing, but not for longer than the limits allow.
    #[cold]
    pub(super) fn poll_stalled(&mut self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        self.send.stalled(now());
        if self.send.end().is_none()
            && let Err(fault) = self.hold(self.received)
        {
            // What is queued is most of it, and a peer that takes nothing will not see a Close.
            self.send.fail(fault);
            self.finish();
            return Poll::Ready(Err(self.reason()));
        }
        // Whoever polled is among those that it wakes.
        let waker = self.waker();
        loop {
            let deadline = if self.send.end().is_some() {
                match self.poll_end(&mut Context::from_waker(cx.waker())) {
                    // Perhaps all was written on the way.
                    Ok(()) => return self.poll_write_queue(cx),
                    Err(deadline) => deadline,
                }
            } else {
                match self.send.stall_deadline() {
                    Some(deadline) => deadline,
                    None => return Poll::Pending,
                }
            };
            ready!(self.stall.poll_until(&mut Context::from_waker(&waker), deadline));
            self.send.handle_stall(now());
            self.wake_reader();
        }
    }

    /// Goes the way down behind the protocol's end: the queue, our direction, the peer's.
    ///
    /// Says the deadline while it is pending.
    pub(in crate::stream) fn poll_end(&mut self, cx: &mut Context<'_>) -> Result<(), Instant> {
        loop {
            match self.ending {
                Ending::NotYet => {
                    if matches!(self.send.end(), Some(End::Lost | End::TimedOut(_)) | None) {
                        // A peer that has ended its side only may still take what the transport takes at once.
                        let _ = self.poll_write_queue(cx);
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
                    // A peer whose Close came as it should sends nothing behind it that could make us reset the
                    // connection: all that came was read.
                    Poll::Pending
                        if self.send.role() == Role::Server
                            && self.send.end().is_some_and(End::is_clean)
                            && !self.awaits_end =>
                    {
                        self.finish();
                    }
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
        if ready!(self.poll_write_queue(cx)).is_err() {
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
        let mut scrap = [MaybeUninit::uninit(); 4096];
        for _ in 0..READS_A_POLL {
            let mut buf = ReadBuf::uninit(&mut scrap);
            match ready!(uninterrupted(|| Pin::new(&mut *io).poll_read(cx, &mut buf))) {
                Ok(()) if !buf.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Lets go of the transport, and of everything that only a living connection needs.
    pub(in crate::stream) fn finish(&mut self) {
        self.ending = Ending::Over;
        self.io = None;
        self.parked = None;
        self.stall.stop();
        self.share = None;
        self.send.transport_failed();
        if let Some(mut meter) = self.meter.take() {
            meter.ended(self.send.end());
        }
        self.wake_all();
    }
}
