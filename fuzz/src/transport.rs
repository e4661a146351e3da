//! A transport in memory of which every poll goes as the fuzzer says, and a task that is polled only when it was woken.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One end's transport. Its clones are the same: one goes into the connection, another stays with the peer.
#[derive(Clone, Debug)]
pub struct Wire(Rc<RefCell<State>>);

#[derive(Debug)]
struct State {
    input: VecDeque<u8>,
    ended: bool,
    output: Vec<u8>,
    is_shut_down: bool,
    is_vectored: bool,
    /// How many bytes are taken before writes wait.
    room: usize,
    broken: bool,
    pace: [u8; 4],
    polls: usize,
    /// How many polls of a direction have been pending in a row for no reason.
    waited: [u8; 4],
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Way {
    Read,
    Write,
    Flush,
    Shutdown,
}

impl Wire {
    /// A wire that takes and gives as `pace` says.
    pub fn new(pace: [u8; 4], is_vectored: bool) -> Self {
        Self(Rc::new(RefCell::new(State {
            input: VecDeque::new(),
            ended: false,
            output: Vec::new(),
            is_shut_down: false,
            is_vectored,
            room: usize::MAX,
            broken: false,
            pace,
            polls: 0,
            waited: [0; 4],
            reader: None,
            writer: None,
        })))
    }

    /// Gives the endpoint bytes to read.
    pub fn push(&self, bytes: &[u8]) {
        let reader = {
            let mut state = self.0.borrow_mut();
            state.input.extend(bytes);
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Ends what the endpoint can read.
    pub fn end(&self) {
        let reader = {
            let mut state = self.0.borrow_mut();
            state.ended = true;
            state.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    /// Lets the endpoint write so many bytes more.
    pub fn set_room(&self, room: usize) {
        let writer = {
            let mut state = self.0.borrow_mut();
            state.room = room;
            state.writer.take()
        };
        writer.into_iter().for_each(Waker::wake);
    }

    /// Has every call fail from now on.
    pub fn tear(&self) {
        let wakers = {
            let mut state = self.0.borrow_mut();
            state.broken = true;
            [state.reader.take(), state.writer.take()]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Looks at what was written and not taken.
    pub fn with_output<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        look(&self.0.borrow().output)
    }

    /// What was written since the last look.
    pub fn take_output(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().output)
    }
}

impl State {
    /// How many bytes this poll may move; `None` if it is to wait, which wakes its task at once.
    fn pace(&mut self, way: Way, cx: &Context<'_>) -> Option<usize> {
        let pace = self.pace[self.polls % self.pace.len()];
        self.polls = self.polls.wrapping_add(1);
        let waited = &mut self.waited[way as usize];
        let waits = pace & 0x80 != 0 && *waited < 1 + (pace & 3);
        *waited = if waits { *waited + 1 } else { 0 };
        if waits {
            cx.waker().wake_by_ref();
            return None;
        }
        // One in two takes everything.
        Some(if pace & 0x40 == 0 { usize::MAX } else { (usize::from(pace & 0x3f) + 1).pow(2) })
    }

    fn check(&self) -> io::Result<()> {
        if self.broken { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        assert!(buf.remaining() > 0, "a read without room is taken for the end");
        if state.input.is_empty() {
            if !state.ended {
                state.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            return Poll::Ready(Ok(()));
        }
        let Some(pace) = state.pace(Way::Read, cx) else { return Poll::Pending };
        let count = state.input.len().min(pace).min(buf.remaining());
        buf.put_slice(&state.input.make_contiguous()[..count]);
        state.input.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        assert!(!state.is_shut_down, "written behind the shutdown");
        assert!(bufs.iter().any(|buf| !buf.is_empty()), "an empty write");
        assert!(state.is_vectored || bufs.len() == 1, "a vectored write that nobody supports");
        if state.room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let Some(pace) = state.pace(Way::Write, cx) else { return Poll::Pending };
        let mut left = pace.min(state.room);
        let mut written = 0;
        for buf in bufs {
            let count = buf.len().min(left);
            state.output.extend_from_slice(&buf[..count]);
            (left, written) = (left - count, written + count);
        }
        if state.room != usize::MAX {
            state.room -= written;
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_vectored
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        if state.pace(Way::Flush, cx).is_none() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.borrow_mut();
        state.check()?;
        if state.pace(Way::Shutdown, cx).is_none() {
            return Poll::Pending;
        }
        state.is_shut_down = true;
        Poll::Ready(Ok(()))
    }
}

/// A task: whether it was woken since it was polled.
#[derive(Debug)]
pub struct Task {
    flag: Arc<Flag>,
    waker: Waker,
}

#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Relaxed);
    }
}

impl Default for Task {
    fn default() -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Self { waker: Waker::from(Arc::clone(&flag)), flag }
    }
}

impl Task {
    /// Whether it is to be polled.
    pub fn is_woken(&self) -> bool {
        self.flag.0.load(Relaxed)
    }

    /// Has it polled once more.
    pub fn wake(&self) {
        self.waker.wake_by_ref();
    }

    /// Polls a future of this task.
    pub fn poll<F: Future + ?Sized>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        self.flag.0.store(false, Relaxed);
        future.poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls as long as it is woken.
    pub fn run<F: Future + ?Sized>(&self, mut future: Pin<&mut F>) -> Poll<F::Output> {
        self.wake();
        let mut polls = 0;
        while self.is_woken() {
            if let Poll::Ready(output) = self.poll(future.as_mut()) {
                return Poll::Ready(output);
            }
            polls += 1;
            assert!(polls < 1_000_000, "a task that wakes itself for ever");
        }
        Poll::Pending
    }
}
