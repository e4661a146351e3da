//! What the peer says, against what is received, and what the receiver is told of the end.

use sockeye::{
    Error,
    proto::{
        connection::{Event, Timeout},
        frame::ProtocolError,
    },
};

use super::{Ends, Pot, Talk, Verdict, cancelled};
use crate::{CLOSE_TIMEOUT, reference::Said, script::Setup};

impl Talk<'_> {
    pub(super) fn recv(&mut self, polls: u8) {
        self.may_have_passed = true;
        let received = receiving!(self, receiver => cancelled(receiver.recv(), polls));
        if received.is_none() {
            self.check_noted();
        }
        self.received(received.map(|received| received.map(|message| message.map(Event::Message))));
    }

    /// While it waits, the budget knows what it holds.
    fn check_noted(&self) {
        let (Ends::Whole(ws), Some(pot)) = (&self.ends, &self.pot) else { return };
        let (noted, held) = (pot.held(), ws.retained());
        // What the clock has a policy drop, and its Close, are noted with the next write.
        let is_late = self.setup.habits.max_queued_age().is_some() && held < noted + 200;
        assert!(noted == held || is_late || ws.end().is_some(), "{noted} are noted of {held}");
    }

    pub(super) fn recv_event(&mut self, polls: u8) {
        let received = receiving!(self, receiver => cancelled(receiver.recv_event(), polls));
        if let Some(Ok(Some(event))) = &received
            && !self.closing
            && !self.may_have_passed
        {
            let next = self.heard.said.get(self.told).map(|(_, said)| said);
            assert!(next.is_some_and(|said| said == event), "{event:?}, not {next:?}");
        }
        self.received(received);
    }

    pub(super) fn received(&mut self, received: Option<Result<Option<Event>, Error>>) {
        match received {
            None => {}
            Some(Ok(Some(event))) => self.hear(&event),
            Some(Ok(None)) => self.clean_end(),
            Some(Err(error)) => self.error(&error),
        }
    }

    /// Whether what came was discarded and not held, so that a limit which the reference has met did not apply.
    fn is_beyond_reference(&self) -> bool {
        self.refused || self.closing && self.heard.fault.is_some_and(|(_, fault)| is_too_big(fault))
    }

    /// Compares an event to what is said next. `recv` passes over control frames, and `close` over messages too.
    pub(super) fn hear(&mut self, event: &Event) {
        assert_eq!(self.verdict, None, "{event:?} behind the end");
        if self.is_beyond_reference() {
            return;
        }
        let is_message = matches!(event, Event::Message(_));
        let rest = self.heard.said[self.told..].iter();
        let next = rest.enumerate().find(|(_, (_, said))| {
            match (self.closing, self.may_have_passed || is_message) {
                (true, _) => said == event,
                // Messages come one after the other, whatever is between.
                (false, true) => said.is_message() || said == event,
                (false, false) => true,
            }
        });
        match next {
            Some((passed, (at, said))) if said == event => {
                assert!(*at <= self.world.fed, "{event:?} too early");
                self.told += passed + 1;
                self.may_have_passed &= !is_message && self.is_said_again(event);
            }
            other => panic!("{event:?}, not {other:?}"),
        }
    }

    /// Whether it may have been a later one that was told: one that is alike came in front of the next message.
    fn is_said_again(&self, event: &Event) -> bool {
        let came = &self.heard.said[self.told..self.heard.said_within(self.world.fed)];
        came.iter().take_while(|(_, said)| !said.is_message()).any(|(_, said)| said == event)
    }

    /// Reads a message in chunks, and may leave off in the middle.
    pub(super) fn read(&mut self, argument: u8) {
        let polls = (argument & 7) + 1;
        self.may_have_passed = true;
        let next = self.heard.said[self.told..].iter().position(|(_, said)| said.is_message());
        let (mut bytes, mut complete, mut failed) = (Vec::new(), false, None);
        let opened = match receiving!(self, receiver => cancelled(receiver.recv_reader(), polls)) {
            None => return,
            Some(Ok(None)) => Ok(false),
            Some(Err(error)) => Err(error),
            Some(Ok(Some(mut reader))) => {
                for _ in 0..argument >> 3 {
                    match cancelled(reader.next(), polls) {
                        None => {}
                        Some(Ok(Some(chunk))) => {
                            assert!((1..=64 * 1024).contains(&chunk.len()), "a chunk of {} bytes", chunk.len());
                            bytes.extend_from_slice(&chunk);
                        }
                        Some(Ok(None)) => {
                            complete = true;
                            break;
                        }
                        Some(Err(error)) => {
                            failed = Some(error);
                            break;
                        }
                    }
                }
                Ok(true)
            }
        };
        match opened {
            Ok(true) => {}
            Ok(false) => return self.clean_end(),
            Err(error) => return self.error(&error),
        }
        if !self.closing {
            self.has_read(next, &bytes, complete);
        }
        match failed {
            // A peer may close in the middle of its message.
            Some(Error::Lost) if matches!(self.heard.said.last(), Some((_, Said::Close(_)))) => {
                self.verdict = Some(Verdict::Error);
            }
            Some(error) => self.error(&error),
            None => {}
        }
    }

    fn has_read(&mut self, next: Option<usize>, bytes: &[u8], complete: bool) {
        let message = next.map(|passed| &self.heard.said[self.told + passed].1);
        let message = match message {
            Some(Said::Message { bytes, .. }) => bytes,
            _ => &self.heard.open,
        };
        if complete {
            assert!(message == bytes, "{bytes:x?}, not {message:x?}");
            self.told += next.expect("what is open at the end is never complete") + 1;
            self.may_have_passed = false;
            return;
        }
        assert!(message.starts_with(bytes), "{bytes:x?}, not the beginning of {message:x?}");
        // The rest of it is passed over, but not the control frames inside.
        if let Some(passed) = next {
            self.heard.said.remove(self.told + passed);
        }
    }

    fn clean_end(&mut self) {
        assert!(self.verdict.is_none_or(|verdict| verdict == Verdict::Clean), "a clean end behind an error");
        self.verdict = Some(Verdict::Clean);
        if self.is_beyond_reference() {
            return;
        }
        let last = self.heard.said_within(self.world.fed);
        assert!(
            last == self.heard.said.len() && matches!(self.heard.said.last(), Some((_, Said::Close(_)))),
            "a clean end without a Close"
        );
        assert!(self.end_of_ours().is_some_and(|end| end.is_clean()));
        self.assert_all_told();
    }

    fn error(&mut self, error: &Error) {
        match error {
            Error::Protocol(fault) => self.fault(*fault),
            Error::Lost => {
                assert!(self.world.ended || self.world.torn, "lost, and nothing has ended");
                if !self.world.torn {
                    self.assert_all_told();
                }
            }
            Error::Io(_) => assert!(self.world.torn, "{error:?}"),
            Error::TimedOut(timeout) => self.timed_out(*timeout),
            Error::Closed => assert!(self.closing || self.verdict == Some(Verdict::Error), "{error:?}"),
            other => panic!("{other:?}"),
        }
        if !matches!(error, Error::Closed) {
            assert_eq!(self.verdict, None, "told twice: {error:?}");
        }
        self.verdict = Some(Verdict::Error);
    }

    fn timed_out(&self, timeout: Timeout) {
        let habits = self.setup.habits;
        let patience = match timeout {
            Timeout::Keepalive => self.setup.keepalive().map(|keepalive| keepalive.timeout),
            Timeout::Write => habits.max_queued_age().filter(|_| !habits.may_drop()),
            Timeout::Close => (self.closing || habits.policy_code().is_some()).then_some(CLOSE_TIMEOUT),
            _ => None,
        };
        assert!(patience.is_some_and(|patience| patience <= self.world.waited), "{timeout:?} too early");
    }

    /// Whether it is a fault of which the reference knows nothing, as it depends on more than the peer's bytes.
    fn is_beyond_bytes(&self, fault: ProtocolError) -> bool {
        let (fed, waited) = (self.world.fed, self.world.waited);
        let said = &self.heard.said[..self.heard.said_within(fed)];
        let pings = said.iter().filter(|(_, said)| matches!(said, Said::Ping(_))).count();
        let is_inflated = self.setup.has(Setup::DEFLATE);
        // An upper bound, with room for buffers' capacities: a small rest of a large frame, of up to 32 KiB, is read into one
        // block, whatever of it has come.
        let retained = if is_inflated { usize::MAX } else { 8 * fed + 48 * 1024 };
        // What is queued: messages with their bookkeeping, Pings, and Pongs.
        let queued = self.len + 200 * self.number as usize + 5000;
        let is_spent = |pot: &Pot| match fault {
            ProtocolError::BudgetSpent { limit } => pot.may_be_spent(limit, retained.saturating_add(queued)),
            _ => false,
        };
        self.setup.habits.may_fail(fault, pings, retained, waited) || self.pot.as_ref().is_some_and(is_spent)
    }

    fn fault(&mut self, fault: ProtocolError) {
        let is_held = !self.setup.has(Setup::UNLIMITED);
        if fault == ProtocolError::TooManyFinalBlocks || self.is_beyond_bytes(fault) {
            self.refused = true;
            return;
        }
        if fault == ProtocolError::InvalidDeflate
            && self.heard.fault_within(self.world.fed) != Some(fault)
            && self.heard.may_be_refused(is_held)
        {
            self.refused = true;
            return;
        }
        // One that nobody is to hold may announce more than the limit that stands for none.
        if self.setup.has(Setup::UNLIMITED) && is_too_big(fault) {
            self.refused = true;
            return;
        }
        if !self.is_beyond_reference() {
            assert_eq!(self.heard.fault_within(self.world.fed), Some(fault));
            self.assert_all_told();
        }
    }

    pub(super) fn assert_all_told(&self) {
        if !self.closing && !self.refused {
            let rest = &self.heard.said[self.told..self.heard.said_within(self.world.fed).max(self.told)];
            assert!(rest.iter().all(|(_, said)| !said.is_message()), "never told: {rest:?}");
        }
    }
}

/// Whether it is a limit of messages that are held.
pub(super) const fn is_too_big(fault: ProtocolError) -> bool {
    matches!(fault, ProtocolError::MessageTooBig { .. } | ProtocolError::InflatedTooBig { .. })
}
