use std::time::Instant;

use super::{Blocked, SendHalf, backlog::Item};
use crate::proto::{
    connection::{
        config::later,
        error::SendError,
        state::{Input, Timeout},
    },
    frame::CloseFrame,
};

/// How many bytes are encoded ahead of the transport where a policy may drop what is not.
const WINDOW: usize = 64 * 1024;

/// A peer that does not read.
impl SendHalf {
    /// Since when the transport has taken nothing.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        let blocked = self.blocked.as_ref()?;
        let is_still = blocked.unflushed || (blocked.written == self.output.written() && !self.output.is_empty());
        is_still.then_some(blocked.since)
    }

    /// Takes note of the time, for those who ask how long something has waited.
    pub(crate) fn look_at_clock(&mut self, now: Instant) {
        if self.blocked_since().is_none() {
            if self.output.is_empty() {
                self.blocked = None;
            } else {
                self.block(now, false);
            }
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.set_now(now);
        }
    }

    /// Whether [`look_at_clock`](Self::look_at_clock) would make a difference to the next message. Where the queue is about
    /// to be written, it does not matter yet that there is one.
    #[cfg(feature = "socketio")]
    pub(crate) fn needs_clock(&self, is_about_to_be_written: bool) -> bool {
        let is_new = || !self.output.is_empty() && self.blocked_since().is_none();
        self.has_to_wait() || (!is_about_to_be_written && is_new())
    }

    /// Has what the transport takes from now on counted as progress.
    pub(super) fn block(&mut self, now: Instant, unflushed: bool) {
        let blocked = Blocked { since: now, written: self.output.written(), unflushed };
        match &mut self.blocked {
            Some(before) => **before = blocked,
            none => *none = Some(Box::new(blocked)),
        }
    }

    /// Up to how many bytes messages are encoded as they come, where they could be dropped.
    pub(super) fn window(&self) -> usize {
        // Half of the queue is for what can still be dropped.
        WINDOW.min(self.limits.queued / 2).max(1)
    }

    /// Whether a message has to wait in front of the queue.
    #[inline]
    pub(super) fn has_to_wait(&self) -> bool {
        self.backlog.as_ref().is_some_and(|backlog| !backlog.is_empty() || self.output.len() >= self.window())
    }

    #[cold]
    pub(super) fn delay(&mut self, item: Item) -> Result<(), SendError> {
        let (encoded, blocked) = (self.output.len(), self.blocked_since());
        let Some(backlog) = &mut self.backlog else { return Ok(()) };
        match backlog.push(item, encoded, blocked) {
            None => Ok(()),
            Some(close) => {
                self.close_slow_reader(close);
                Err(SendError::Closed)
            }
        }
    }

    /// Encodes what waits, until so many bytes are encoded.
    #[inline]
    pub(super) fn encode_backlog(&mut self, until: usize) {
        // No frame follows a Close.
        while self.output.len() < until
            && self.is_open()
            && let Some(item) = self.backlog.as_mut().and_then(|backlog| backlog.pop())
        {
            match item {
                Item::Message(message, compress) => self.encode(&message, compress),
                Item::Prepared(prepared) => self.encode_prepared(&prepared),
            }
        }
    }

    /// When something is due because the peer does not read.
    pub(crate) fn write_deadline(&self) -> Option<Instant> {
        match &self.backlog {
            _ if !self.is_open() => None,
            Some(backlog) => backlog.deadline(self.blocked_since()),
            None => self.blocked_since().zip(self.limits.queued_age).map(|(since, age)| later(since, age)),
        }
    }

    pub(super) fn handle_slow_reader(&mut self, now: Instant) {
        if self.write_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let blocked = self.blocked_since();
        match &mut self.backlog {
            None => self.step(Input::TimedOut(Timeout::Write)),
            Some(backlog) => {
                if let Some(close) = backlog.handle_timeout(blocked) {
                    self.close_slow_reader(close);
                }
            }
        }
    }

    fn close_slow_reader(&mut self, close: CloseFrame) {
        let Some(backlog) = &self.backlog else { return };
        let deadline = later(backlog.now(), self.limits.close_timeout);
        self.step(Input::Close { ours: Some(close), deadline });
    }
}
