//! A transport that does one thing wrong, and what is counted of it.

use std::{
    io::{self, ErrorKind, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a transport can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    Read,
    Write,
    Flush,
    Shutdown,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Flush, Self::Shutdown];
}

/// What a transport does instead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mishap {
    /// Fails from then on.
    Fails(ErrorKind),
    /// Gives nothing more, or takes nothing more, from then on, and says so: a length of 0.
    Ends,
    /// Says nothing from then on, and wakes nobody.
    Hangs,
    /// Was interrupted, and does its work when it is asked again. tokio's own reads and writes do so at once, its
    /// flushes and shutdowns do not.
    IsInterrupted,
    /// Moves one byte.
    MovesOne,
    /// Moves half of what it could.
    MovesHalf,
    /// Wakes its task, and does its work when it is asked again.
    Waits,
}

impl Mishap {
    /// Those that a way of a transport can have.
    pub(crate) fn of(way: Way) -> &'static [Self] {
        const ALL: [Mishap; 8] = [
            Mishap::IsInterrupted,
            Mishap::MovesOne,
            Mishap::MovesHalf,
            Mishap::Ends,
            Mishap::Waits,
            Mishap::Hangs,
            Mishap::Fails(ErrorKind::ConnectionReset),
            Mishap::Fails(ErrorKind::BrokenPipe),
        ];
        match way {
            Way::Read | Way::Write => &ALL,
            Way::Flush | Way::Shutdown => &ALL[4..],
        }
    }

    /// Whether a connection has to go on as if nothing had been.
    pub(crate) const fn is_benign(self) -> bool {
        matches!(self, Self::IsInterrupted | Self::MovesOne | Self::MovesHalf | Self::Waits)
    }
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) way: Way,
    /// How often it went well before.
    pub(crate) nth: usize,
    pub(crate) mishap: Mishap,
}

/// A transport that does one thing wrong.
#[derive(Debug)]
pub(crate) struct Faulty<S> {
    io: S,
    fault: Option<Fault>,
    ledger: Ledger,
    /// What was read and not given yet.
    held_back: Vec<u8>,
}

/// What has been asked of a [`Faulty`], which may be gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    polls: [usize; 4],
    drops: usize,
}

impl Ledger {
    pub(crate) fn polls(&self, way: Way) -> usize {
        self.entries().polls[way as usize]
    }

    pub(crate) fn drops(&self) -> usize {
        self.entries().drops
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().expect("nobody panics under the lock")
    }
}

impl<S> Faulty<S> {
    pub(crate) fn new(io: S, fault: Option<Fault>) -> (Self, Ledger) {
        let ledger = Ledger::default();
        (Self { io, fault, ledger: ledger.clone(), held_back: Vec::new() }, ledger)
    }

    /// What this poll has to do instead of its work.
    fn mishap(&self, way: Way) -> Option<Mishap> {
        let polls = &mut self.ledger.entries().polls[way as usize];
        let nth = std::mem::replace(polls, *polls + 1);
        let fault = self.fault.filter(|fault| fault.way == way)?;
        let is_now = nth == fault.nth || (nth > fault.nth && !fault.mishap.is_benign());
        is_now.then_some(fault.mishap)
    }
}

impl<S> Drop for Faulty<S> {
    fn drop(&mut self) {
        self.ledger.entries().drops += 1;
    }
}

fn wait<T>(cx: &Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

impl<S: AsyncRead + Unpin> AsyncRead for Faulty<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mishap = self.mishap(Way::Read);
        match mishap {
            Some(Mishap::Ends) => return Poll::Ready(Ok(())),
            Some(Mishap::Hangs) => return Poll::Pending,
            Some(Mishap::Waits) => return wait(cx),
            Some(Mishap::IsInterrupted) => return Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Some(Mishap::Fails(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Mishap::MovesOne | Mishap::MovesHalf) | None => {}
        }
        let before = buf.filled().len();
        if self.held_back.is_empty() {
            ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        } else {
            let some = self.held_back.len().min(buf.remaining());
            buf.put_slice(&self.held_back[..some]);
            self.held_back.drain(..some);
        }
        let read = buf.filled().len() - before;
        let given = match mishap {
            Some(Mishap::MovesOne) => read.min(1),
            Some(Mishap::MovesHalf) => read.div_ceil(2),
            _ => read,
        };
        let rest = buf.filled()[before + given..].to_vec();
        self.held_back.splice(..0, rest);
        buf.set_filled(before + given);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Faulty<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let limit = match self.mishap(Way::Write) {
            None => return Pin::new(&mut self.io).poll_write_vectored(cx, slices),
            Some(Mishap::MovesOne) => 1,
            Some(Mishap::MovesHalf) => all.div_ceil(2),
            Some(Mishap::Ends) => return Poll::Ready(Ok(0)),
            Some(Mishap::Hangs) => return Poll::Pending,
            Some(Mishap::Waits) => return wait(cx),
            Some(Mishap::IsInterrupted) => return Poll::Ready(Err(ErrorKind::Interrupted.into())),
            Some(Mishap::Fails(kind)) => return Poll::Ready(Err(kind.into())),
        };
        let bytes: Vec<_> = slices.iter().flat_map(|slice| slice.iter().copied()).take(limit).collect();
        Pin::new(&mut self.io).poll_write(cx, &bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.mishap(Way::Flush) {
            Some(Mishap::Fails(kind)) => Poll::Ready(Err(kind.into())),
            Some(Mishap::Hangs) => Poll::Pending,
            Some(Mishap::Waits) => wait(cx),
            _ => Pin::new(&mut self.io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.mishap(Way::Shutdown) {
            Some(Mishap::Fails(kind)) => Poll::Ready(Err(kind.into())),
            Some(Mishap::Hangs) => Poll::Pending,
            Some(Mishap::Waits) => wait(cx),
            _ => Pin::new(&mut self.io).poll_shutdown(cx),
        }
    }
}
