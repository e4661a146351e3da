//! What is sent, in each of the ways there are, and what the sender is told.

use sockeye::{CloseCode, Error, Message, PreparedMessage};

use super::{Ends, MAX_SENT, Talk, cancelled};
use crate::{
    reference::Said,
    script::{Setup, payload},
};

impl Talk<'_> {
    pub(super) fn next_message(&mut self, kind: u8, size: u8) -> Option<Message> {
        self.number += 1;
        let bytes = payload(self.number, size);
        self.len += bytes.len();
        (self.len <= MAX_SENT).then(|| match kind % 2 {
            0 => bytes.into(),
            _ => String::from_utf8(bytes).expect("it is ASCII").into(),
        })
    }

    pub(super) fn send(&mut self, choice: u8, argument: u8, polls: u8) {
        let Some(message) = self.next_message(choice >> 4, argument >> 3) else { return };
        self.sent.begin(self.number, &message);
        let sent = sending!(self, sender => cancelled(sender.send(message), polls));
        self.judge_message(sent);
    }

    pub(super) fn feed(&mut self, argument: u8) {
        let Some(message) = self.next_message(argument, argument >> 3) else { return };
        self.sent.begin(self.number, &message);
        let sent = sending!(self, sender => cancelled(sender.feed(message), 1));
        self.judge_message(sent);
    }

    pub(super) fn send_prepared(&mut self, argument: u8) {
        let Some(message) = self.next_message(argument, argument >> 3) else { return };
        self.sent.begin(self.number, &message);
        let prepared = PreparedMessage::new(message);
        let sent = sending!(self, sender => cancelled(sender.send_prepared(&prepared), (argument & 7) + 1));
        self.judge_message(sent);
    }

    /// Waits until little is queued: it does not wait where that is so already.
    pub(super) fn drained(&mut self, argument: u8) {
        let most = [0, 1, 600, 20_000][usize::from(argument >> 3 & 3)];
        let (drained, queued) = sending!(self, sender => {
            let drained = cancelled(sender.drained(most), (argument & 7) + 1);
            (drained, sender.queued())
        });
        match &drained {
            Some(Ok(())) => assert!(queued <= most, "drained, and {queued} bytes are queued"),
            Some(Err(_)) => {}
            None => assert!(queued > most, "{queued} bytes are queued, and it waits"),
        }
        self.judge(drained);
    }

    pub(super) fn ping(&mut self, polls: u8) {
        self.number += 1;
        let sent = sending!(self, sender => cancelled(sender.ping(payload(self.number, 0)), polls));
        self.judge(sent);
    }

    /// Sends a message in parts; it may be given up in the middle.
    pub(super) fn send_in_parts(&mut self, argument: u8) {
        let Some(message) = self.next_message(argument, argument >> 4) else { return };
        let (number, kind) = (self.number, message.kind());
        let polls = (argument >> 1 & 3) + 1;
        let payload = message.clone().into_bytes();
        let half = payload.len() / 2;
        let (mut begun, mut finished, mut failed) = (false, false, None);
        let begin = sending!(self, sender => {
            match cancelled(sender.begin(kind), polls) {
                None => return,
                Some(Ok(mut writer)) => {
                    for part in [payload.slice(..half), payload.slice(half..)] {
                        if let Some(Err(error)) = cancelled(writer.write(part), polls) {
                            failed = Some(error);
                        } else {
                            begun = true;
                        }
                    }
                    if argument & 0x80 == 0 || failed.is_some() {
                        if let Some(Err(error)) = cancelled(writer.finish(), polls) {
                            failed = Some(error);
                        } else {
                            finished = true;
                        }
                    } else {
                        drop(writer);
                    }
                    None
                }
                Some(Err(error)) => Some(error),
            }
        });
        let is_dropped = !finished && failed.is_none();
        if let Some(error) = begin.or(failed) {
            self.judge(Some(Err(error)));
        }
        if begun {
            self.sent.begin_parts(number, &message);
            if finished {
                self.sent.is_certain();
            } else {
                // What fails at its end may have been written whole.
                if is_dropped {
                    self.sent.is_given_up();
                }
                self.closing = true;
            }
        }
    }

    pub(super) fn judge_message(&mut self, sent: Option<Result<(), Error>>) {
        match &sent {
            Some(Ok(())) => self.sent.is_certain(),
            // What is lost with the transport was queued.
            Some(Err(Error::Closed)) if !self.world.torn && self.world.waited.is_zero() => self.sent.is_refused(),
            _ => {}
        }
        self.judge(sent);
    }

    /// Judges what a sender was told.
    pub(super) fn judge(&self, sent: Option<Result<(), Error>>) {
        let Some(Err(error)) = sent else { return };
        let is_over = self.closing
            || self.verdict.is_some()
            || self.world.ended
            || self.world.torn
            || self.setup.has(Setup::KEEPALIVE)
            || self.refused
            || self.setup.habits.policy_code().is_some()
            || self.heard.fault_within(self.world.fed).is_some()
            || matches!(self.heard.said.last(), Some((at, Said::Close(_))) if *at <= self.world.fed)
            // Refused by an inflater that may, or a fault of which the receiver has not been told.
            || self.end_of_ours().is_some();
        assert!(is_over, "{error:?} while the connection is open");
        assert!(!matches!(error, Error::Send(_)), "{error:?}");
    }

    pub(super) fn close(&mut self, argument: u8) {
        let polls = (argument & 7) + 1;
        self.closing = true;
        self.sent.close(3000, "enough");
        let closed = sending!(self, sender => {
            cancelled(sender.close(CloseCode::new(3000).expect("it may be sent"), "enough"), polls)
        });
        if let Some(Ok(())) = closed {
            assert!(self.end_of_ours().is_some_and(|end| end.is_clean()));
        }
    }
}
