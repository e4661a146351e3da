//! What the passing of time does, and when it may.

use std::time::Duration;

use sockeye::{
    SlowReader,
    proto::{
        connection::{End, Timeout},
        frame::ProtocolError,
    },
};

use super::{Pongs, Stage, Talk};
use crate::{CLOSE_TIMEOUT, frames::PING, output::Want};

/// What was so before time passed.
struct Before {
    is_due: bool,
    /// Whether nobody has looked for a while behind what was due.
    is_late: bool,
    queued: usize,
    encoded: usize,
    dropped: u64,
}

impl Talk<'_> {
    pub(super) fn wait(&mut self, duration: Duration) {
        if self.connection.queued() == 0 {
            (self.taken, self.emptied) = (self.now, self.now);
        }
        self.now += duration;
        let due = self.connection.next_deadline();
        let before = Before {
            is_due: due.is_some_and(|due| due <= self.now),
            is_late: due.is_some_and(|due| due + Duration::from_secs(1) < self.now),
            queued: self.connection.queued(),
            encoded: self.encoded(),
            dropped: self.connection.dropped(),
        };
        self.connection.handle_timeout(self.now);
        match &self.stage {
            Stage::CloseSent { at, .. } => {
                assert_eq!(due, Some(*at + CLOSE_TIMEOUT));
                assert_eq!(before.is_due, self.connection.end() == Some(&End::TimedOut(Timeout::Close)));
                if before.is_due {
                    self.timed_out(Timeout::Close);
                }
            }
            Stage::Open => {
                let is_asked = self.setup.keepalive().is_some() || self.habits.idle_timeout().is_some();
                assert!(due.is_some() || !is_asked, "nobody would notice its silence");
                assert!(due.is_none() || is_asked || self.habits.max_queued_age().is_some(), "what for?");
                self.waited(&before);
            }
            Stage::Ended(_) => assert_eq!(due, None, "a deadline behind the end"),
        }
        let next = self.connection.next_deadline();
        assert!(next.is_none_or(|next| next > self.now), "a deadline that is due again at once");
    }

    /// Judges what time has done to an open connection.
    fn waited(&mut self, before: &Before) {
        let has_changed = !self.connection.is_open()
            || self.encoded() != before.encoded
            || self.connection.dropped() != before.dropped;
        assert!(before.is_due || !has_changed, "something happens that is not due");
        match self.connection.end().cloned() {
            Some(End::TimedOut(Timeout::Keepalive)) => self.lost(before),
            Some(End::TimedOut(Timeout::Write)) => {
                let age = self.habits.max_queued_age().expect("it may be of any age");
                assert!(!self.habits.may_drop(), "the policy is another");
                assert!(before.queued > 0 && self.taken + age <= self.now, "ended too early");
                self.timed_out(Timeout::Write);
            }
            Some(End::Failed(fault @ ProtocolError::Idle { .. })) => {
                let silent = self.now - self.heard_at;
                assert!(self.habits.may_fail(fault, 0, 0, silent), "{fault:?} behind {silent:?}");
                self.output.want(Want::Fault { code: 1008 });
                (self.deaf, self.pongs.owed) = (true, None);
                self.stage = Stage::Ended(End::Failed(fault));
            }
            Some(other) => panic!("{other:?}"),
            None if !self.connection.is_open() => {
                let age = self.habits.max_queued_age().expect("it may be of any age");
                assert!(self.emptied + age <= self.now, "closed too early");
                self.too_slow();
            }
            None => self.asked(before),
        }
        if self.connection.dropped() != before.dropped && self.connection.is_open() {
            let age = self.habits.max_queued_age().expect("it may be of any age");
            assert_eq!(self.habits.policy(), SlowReader::DropOldest);
            assert!(self.emptied + age <= self.now, "dropped too early");
        }
    }

    fn lost(&mut self, before: &Before) {
        let keepalive = self.setup.keepalive().expect("it was never asked");
        // One that was asked, or one that has read nothing for as long.
        let patience = keepalive.interval + keepalive.timeout;
        let is_asked = self.asked.is_some_and(|asked| asked + keepalive.timeout <= self.now);
        assert!(is_asked || before.queued > 0 && self.taken + patience <= self.now, "lost too early");
        self.timed_out(Timeout::Keepalive);
        // It is told if nothing is in front of that.
        if before.queued == 0 {
            self.dropped = false;
            self.output.want(Want::Fault { code: 1008 });
        }
    }

    /// Has a silent peer asked: one that has not read everything is not, and none is where nobody has looked in time.
    fn asked(&mut self, before: &Before) {
        if before.is_due && !before.is_late && before.queued == 0 {
            assert!(self.encoded() > before.encoded, "a deadline at which nothing happens");
            self.pings += 1;
            self.output.want(Want::Control { opcode: PING, payload: self.pings.to_be_bytes().to_vec() });
            self.asked = Some(self.now);
        }
    }

    fn timed_out(&mut self, timeout: Timeout) {
        self.stage = Stage::Ended(End::TimedOut(timeout));
        (self.deaf, self.dropped, self.pongs) = (true, true, Pongs::default());
        assert!(self.connection.queued() < 64, "what is queued for a peer that is gone");
    }
}
