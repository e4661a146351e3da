//! What becomes of messages for a peer that does not read.

use std::io::IoSlice;

use sockeye::{
    SlowReader,
    proto::connection::{Connection, SendError},
};

use super::{Stage, Talk};
use crate::output::Want;

/// What a message costs that waits, besides its payload.
const BOOKKEEPING: usize = 64;

impl Talk<'_> {
    /// How many bytes are queued as they go out.
    pub(super) fn encoded(&self) -> usize {
        let mut slices = [IoSlice::new(&[]); 128];
        let filled = self.connection.poll_transmit(&mut slices);
        assert!(filled < slices.len(), "not all are seen");
        slices[..filled].iter().map(|slice| slice.len()).sum()
    }

    /// Has a message of `len` bytes sent; says whether it was taken.
    pub(super) fn submit(&mut self, len: usize, send: impl FnOnce(&mut Connection) -> Result<(), SendError>) -> bool {
        let (queued, dropped) = (self.connection.queued(), self.connection.dropped());
        if queued == 0 {
            self.emptied = self.now;
        }
        let sent = send(&mut self.connection);
        let is_over = queued >= self.habits.max_queued();
        let dropped = self.connection.dropped() - dropped;
        if self.stage == Stage::Open && self.part.is_none() && !self.connection.is_open() {
            assert!(is_over && sent == Err(SendError::Closed), "closed for no reason: {sent:?}");
            self.too_slow();
            return false;
        }
        let is_sent = self.may_send(sent);
        if is_sent {
            self.judge_queue(len + BOOKKEEPING, queued, dropped);
        } else {
            assert_eq!(dropped, 0, "dropped for one that was refused");
        }
        is_sent
    }

    /// Judges what is queued behind a message that `cost` so much, and how many were dropped for it.
    fn judge_queue(&self, cost: usize, before: usize, dropped: u64) {
        let (limit, queued) = (self.habits.max_queued(), self.connection.queued());
        let is_over = before >= limit;
        match self.habits.policy() {
            SlowReader::DropNewest => {
                let is_old = self.habits.max_queued_age().is_some_and(|age| self.emptied + age <= self.now);
                assert!(dropped <= 1 && (dropped == 0 || is_over || is_old), "{dropped} dropped for no reason");
                assert!(dropped == 1 || !is_over, "{queued} bytes are queued, and none dropped");
                assert!(dropped == 0 || queued == before, "another was dropped");
            }
            SlowReader::DropOldest => {
                let waiting = queued - self.encoded();
                assert!(
                    queued <= limit || waiting <= cost,
                    "{queued} bytes are queued, and {waiting} could be dropped"
                );
                assert!(dropped == 0 || before + cost > limit, "{dropped} dropped for no reason");
            }
            _ => {
                assert_eq!(dropped, 0);
                assert!(!self.habits.may_drop() || !is_over, "{before} bytes were queued, and it is open");
            }
        }
    }

    /// Takes note that the policy has closed the connection.
    pub(super) fn too_slow(&mut self) {
        let code = self.habits.policy_code().expect("the policy closes nothing");
        self.output.want(Want::Fault { code });
        self.pongs.owed = None;
        self.is_too_slow = true;
        self.stage = Stage::CloseSent { at: self.now, payload: code.to_be_bytes().to_vec() };
    }
}
