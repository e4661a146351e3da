//! What is around an endpoint: the transport, the peer, the clock, and who polls it.

use std::{pin::pin, task::Poll, time::Duration};

use tokio::runtime::{Builder, Runtime};

use crate::{
    CLOSE_TIMEOUT,
    script::Setup,
    transport::{Task, Wire},
};

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without I/O asks for nothing");
}

/// Runs with a clock that stands still but where [`World`] moves it.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    // Polled by hand, a timer would soon have used up the task's budget and never be ready again.
    RUNTIME.with(|runtime| runtime.block_on(tokio::task::unconstrained(future)))
}

/// What is around the endpoint: the transport, the peer and the clock.
pub(crate) struct World<'a> {
    pub(crate) wire: Wire,
    bytes: &'a [u8],
    cut: usize,
    /// How many of the peer's bytes have come.
    pub(crate) fed: usize,
    pub(crate) ended: bool,
    pub(crate) torn: bool,
    /// How much time has passed.
    pub(crate) waited: Duration,
    /// Whether the transport is full, and whether it ever was or is slow.
    is_full: bool,
    is_slow: bool,
    /// Whether so much time passed that an end may have been cut short.
    is_late: bool,
    last_waits: u8,
}

impl<'a> World<'a> {
    pub(crate) fn new(setup: Setup, bytes: &'a [u8]) -> Self {
        Self {
            wire: Wire::new(setup.pace, !setup.has(Setup::CONTIGUOUS)),
            bytes,
            cut: setup.cut(),
            fed: 0,
            ended: false,
            torn: false,
            waited: Duration::ZERO,
            is_full: false,
            is_slow: setup.pace.iter().any(|pace| pace & 0xc0 != 0),
            is_late: false,
            last_waits: 4,
        }
    }

    pub(crate) fn push(&mut self, len: usize) -> bool {
        let piece = &self.bytes[self.fed..][..len.min(self.bytes.len() - self.fed)];
        if piece.is_empty() || self.ended {
            return false;
        }
        self.wire.push(piece);
        self.fed += piece.len();
        true
    }

    pub(crate) fn set_room(&mut self, room: usize) {
        self.is_full = room != usize::MAX;
        self.is_slow |= self.is_full;
        self.wire.set_room(room);
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
        self.wire.end();
    }

    pub(crate) fn tear(&mut self) {
        self.torn = true;
        self.wire.tear();
    }

    pub(crate) async fn wait(&mut self, duration: Duration) {
        self.waited += duration;
        self.is_late |= self.is_slow && self.waited >= CLOSE_TIMEOUT;
        tokio::time::advance(duration).await;
    }

    /// Whether an endpoint had the chance to write everything.
    pub(crate) const fn takes_everything(&self) -> bool {
        !self.torn && !self.is_late
    }

    /// Whether the transport takes what is written.
    pub(crate) const fn takes_now(&self) -> bool {
        !self.torn && !self.is_full
    }

    /// Does the next thing that somebody may wait for; `false` if there is nothing left to wait for.
    pub(crate) async fn go_on(&mut self) -> bool {
        if self.is_full {
            self.set_room(usize::MAX);
            return true;
        }
        if self.push(self.cut) {
            return true;
        }
        if !self.ended {
            self.end();
            return true;
        }
        if self.last_waits > 0 {
            self.last_waits -= 1;
            // All that can be written is written.
            let is_late = self.is_late;
            self.wait(2 * CLOSE_TIMEOUT).await;
            self.is_late = is_late;
            return true;
        }
        false
    }
}

/// Polls whenever it is woken, and has the world go on when it is not.
pub(crate) async fn drive<F: Future>(world: &mut World<'_>, future: F) -> F::Output {
    let (task, mut future) = (Task::default(), pin!(future));
    loop {
        while task.is_woken() {
            if let Poll::Ready(output) = task.poll(future.as_mut()) {
                return output;
            }
        }
        assert!(world.go_on().await, "nobody wakes it");
    }
}
