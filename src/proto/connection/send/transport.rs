use std::time::{Duration, Instant};

use super::{Output, SendHalf};
use crate::proto::connection::state::{Input, State};

/// What only a transport on this side of the core needs.
impl SendHalf {
    /// Takes note that the transport is gone.
    pub(crate) fn transport_failed(&mut self) {
        self.step(Input::TransportFailed);
    }

    /// Whether something was queued that never went out.
    pub(crate) const fn has_lost(&self) -> bool {
        self.lost
    }

    /// Whether messages may be encoded elsewhere, to be queued by [`queue_frames`](Self::queue_frames).
    pub(crate) const fn takes_frames(&self) -> bool {
        self.is_open()
            && self.open.is_none()
            && self.keys.is_none()
            && self.deflater.is_none()
            && self.backlog.is_none()
    }

    /// Queues messages that were encoded elsewhere; gives back what they came in if it is not needed.
    pub(crate) fn queue_frames(&mut self, frames: Vec<u8>) -> Option<Vec<u8>> {
        if self.is_open() {
            return self.output.append_frames(frames);
        }
        // No frame follows a Close.
        self.lost = true;
        Some(frames)
    }

    pub(crate) const fn close_timeout(&self) -> Duration {
        self.limits.close_timeout
    }

    /// Takes note of bytes from the peer, whenever they came.
    pub(crate) fn heard_lately(&mut self) {
        if let Some(pulse) = &mut self.pulse {
            pulse.heard_lately();
        }
    }

    /// Takes note that the transport takes nothing, or does not pass on what it took.
    pub(crate) fn stalled(&mut self, now: Instant) {
        let unflushed = self.output.is_empty();
        let since = self.blocked_since().unwrap_or(now);
        self.block(since, unflushed);
        self.look_at_clock(now);
    }

    /// Takes note that the transport has taken everything and passed it on.
    #[inline]
    pub(crate) fn moved_on(&mut self) {
        self.blocked = None;
    }

    /// When a transport that takes nothing is not waited for any more.
    pub(crate) fn stall_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Open => self.write_deadline(),
            State::CloseSent { deadline, .. } => Some(*deadline),
            State::Ended(_) => None,
        }
    }

    /// Does what is due then; the peer's silence is no matter while nobody reads.
    pub(crate) fn handle_stall(&mut self, now: Instant) {
        self.look_at_clock(now);
        self.handle_slow_reader(now);
        self.handle_close_timeout(now);
    }

    /// Whether senders wait for a peer that does not read.
    pub(crate) const fn is_patient(&self) -> bool {
        self.backlog.is_none()
    }

    /// How many bytes may be queued until senders wait.
    pub(crate) fn room(&self) -> usize {
        self.limits.queued.saturating_sub(self.queued())
    }

    /// Whether a message is being sent in parts.
    pub(crate) const fn message_is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether Pongs wait to be written: while the peer does not take them, it is not read.
    pub(crate) const fn owes_pong(&self) -> bool {
        self.pong_bytes > 0
    }

    pub(crate) const fn output(&mut self) -> &mut Output {
        &mut self.output
    }
}
