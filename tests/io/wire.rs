use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A transport in memory whose every poll is counted, and cut short or made to wait as the test says.
///
/// Its clones are the same wire: one goes into the connection, another stays with the test.
#[derive(Clone, Debug)]
pub(crate) struct Wire(Arc<Mutex<State>>);

#[derive(Debug)]
pub(crate) struct State {
    input: VecDeque<u8>,
    ended: bool,
    pub(crate) output: Vec<u8>,
    /// How many polls moved bytes.
    pub(crate) reads: usize,
    pub(crate) writes: usize,
    pub(crate) is_shut_down: bool,
    /// The most that one poll moves.
    pub(crate) step: usize,
    /// Whether every other poll of a direction is pending, and wakes its task at once.
    pub(crate) stutters: bool,
    waited: [bool; 3],
    /// How many bytes are taken before writes wait.
    pub(crate) room: usize,
    pub(crate) writes_fail: bool,
    /// Whether what was written is never flushed.
    pub(crate) flush_hangs: bool,
    /// How many flushes are pending, and wake their task at once.
    pub(crate) slow_flushes: usize,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Way {
    Read,
    Write,
    Flush,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            input: VecDeque::new(),
            ended: false,
            output: Vec::new(),
            reads: 0,
            writes: 0,
            is_shut_down: false,
            step: usize::MAX,
            stutters: false,
            waited: [false; 3],
            room: usize::MAX,
            writes_fail: false,
            flush_hangs: false,
            slow_flushes: 0,
            reader: None,
            writer: None,
        })))
    }

    /// A wire that moves `step` bytes at every other poll.
    pub(crate) fn stuttering(step: usize) -> Self {
        let wire = Self::new();
        (wire.state().step, wire.state().stutters) = (step, true);
        wire
    }

    /// A wire with memory for so many bytes each way, so that it allocates none later.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let wire = Self::new();
        wire.state().input.reserve(bytes);
        wire.state().output.reserve(bytes);
        wire
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics under the lock")
    }

    /// Gives the connection bytes to read.
    pub(crate) fn push(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.input.extend(bytes);
        state.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Ends what the connection can read.
    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.reader.take().into_iter().for_each(Waker::wake);
    }

    /// Lets the connection write so many bytes more.
    pub(crate) fn set_room(&self, bytes: usize) {
        let mut state = self.state();
        state.room = bytes;
        state.writer.take().into_iter().for_each(Waker::wake);
    }

    /// What was written since the last look.
    pub(crate) fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().output)
    }
}

impl State {
    /// Whether this poll is one that has to wait.
    fn stutter(&mut self, way: Way, cx: &Context<'_>) -> bool {
        let waited = &mut self.waited[way as usize];
        *waited = self.stutters && !*waited;
        if *waited {
            cx.waker().wake_by_ref();
        }
        *waited
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.input.is_empty() && !state.ended {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if state.stutter(Way::Read, cx) {
            return Poll::Pending;
        }
        let count = state.input.len().min(state.step).min(buf.remaining());
        let (front, back) = state.input.as_slices();
        let from_front = count.min(front.len());
        buf.put_slice(&front[..from_front]);
        buf.put_slice(&back[..count - from_front]);
        state.input.drain(..count);
        state.reads += 1;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if state.writes_fail {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if state.stutter(Way::Write, cx) {
            return Poll::Pending;
        }
        assert!(!state.is_shut_down, "written behind the shutdown");
        let count = buf.len().min(state.step).min(state.room);
        state.output.extend_from_slice(&buf[..count]);
        state.writes += 1;
        if state.room != usize::MAX {
            state.room -= count;
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state();
        if state.slow_flushes > 0 {
            state.slow_flushes -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.flush_hangs || state.stutter(Way::Flush, cx) { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state().is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}
