//! What the endpoint is told to send and to wait for, and what has to come of it.

use std::{io::IoSlice, time::Duration};

use bytes::Bytes;
use sockeye::{
    CloseCode, CloseFrame, Compress, Kind, Message, PreparedMessage, Role,
    proto::connection::{End, SendError, Timeout},
};

use super::{MAX_PONG_BYTES, MAX_SENT, Part, Pongs, Stage, Talk};
use crate::{
    CLOSE_TIMEOUT, KEEPALIVE,
    frames::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, close_payload},
    output::Want,
    script::{Setup, payload},
};

impl Talk<'_> {
    pub(super) fn send(&mut self, choice: u8, argument: u8) {
        let compress = [Compress::Auto, Compress::Always, Compress::Never][usize::from(argument >> 5) % 3];
        let Some((message, bytes)) = self.next_message(choice, argument) else { return };
        let sent = self.connection.send_with(&message, compress);
        if self.may_send(sent) {
            let deflates = self.setup.deflate().is_some() && compress != Compress::Never;
            let compressed = match deflates {
                false => Some(false),
                true if self.forgets() => None,
                true => Some(true),
            };
            self.output.want(Want::Data { first: FIN | opcode(message.kind()), bytes, compressed });
        }
    }

    pub(super) fn send_prepared(&mut self, argument: u8) {
        let Some((message, bytes)) = self.next_message(argument, argument) else { return };
        let sent = self.connection.send_prepared(&PreparedMessage::new(message.clone()));
        if self.may_send(sent) {
            let compressed = if self.setup.deflate().is_some() { None } else { Some(false) };
            self.output.want(Want::Data { first: FIN | opcode(message.kind()), bytes, compressed });
        }
    }

    fn next_message(&mut self, choice: u8, argument: u8) -> Option<(Message, Vec<u8>)> {
        let bytes = self.next_payload(argument)?;
        let message = match choice % 2 {
            0 => Message::from(bytes.clone()),
            _ => String::from_utf8(bytes.clone()).expect("it is ASCII").into(),
        };
        Some((message, bytes))
    }

    fn next_payload(&mut self, size: u8) -> Option<Vec<u8>> {
        self.number += 1;
        let payload = payload(self.number, size);
        self.sent += payload.len();
        (self.sent <= MAX_SENT).then_some(payload)
    }

    /// Whether our deflater forgets what it has seen behind each message.
    fn forgets(&self) -> bool {
        self.setup.has(match self.role {
            Role::Server => Setup::NO_SERVER_CONTEXT,
            Role::Client => Setup::NO_CLIENT_CONTEXT,
        })
    }

    /// Judges the answer to a message.
    fn may_send(&self, sent: Result<(), SendError>) -> bool {
        let expected = match (&self.stage, &self.part) {
            (Stage::Open, None) => Ok(()),
            (Stage::Open, Some(_)) => Err(SendError::MessageOpen),
            _ => Err(SendError::Closed),
        };
        assert_eq!(sent, expected);
        sent.is_ok()
    }

    pub(super) fn begin_parts(&mut self, argument: u8) {
        let kind = if argument & 1 == 0 { Kind::Binary } else { Kind::Text };
        let compress = [Compress::Auto, Compress::Always, Compress::Never][usize::from(argument >> 1) % 3];
        let begun = self.connection.begin(kind, compress);
        if self.may_send(begun) {
            let compressed = self.setup.deflate().is_some() && compress != Compress::Never;
            self.part = Some(Part { kind, compressed, begun: false });
        }
    }

    pub(super) fn send_part(&mut self, argument: u8) {
        let fin = argument & 0x80 != 0;
        let bytes = match argument % 8 {
            0 => Vec::new(),
            // No text can have it.
            1 => b"\xff".to_vec(),
            _ => match self.next_payload(argument) {
                Some(bytes) => bytes,
                None => return,
            },
        };
        let sent = self.connection.part(&Bytes::from(bytes.clone()), fin);
        let Some(part) = self.part.as_mut().filter(|_| self.stage == Stage::Open) else {
            let is_open = self.stage == Stage::Open;
            assert_eq!(sent, Err(if is_open { SendError::NoMessageOpen } else { SendError::Closed }));
            return;
        };
        if part.kind == Kind::Text && bytes == b"\xff" {
            assert_eq!(sent, Err(SendError::InvalidUtf8));
            return;
        }
        assert_eq!(sent, Ok(()));
        let opcode = if part.begun { CONTINUATION } else { opcode(part.kind) };
        part.begun = true;
        let first = opcode | if fin { FIN } else { 0 };
        self.output.want(Want::Data { first, bytes, compressed: Some(part.compressed) });
        if fin {
            self.part = None;
        }
    }

    pub(super) fn abandon(&mut self) {
        self.connection.abandon();
        if self.part.take().is_some_and(|part| part.begun) && self.stage == Stage::Open {
            self.output.want(Want::Fault { code: 1011 });
            self.pongs.owed = None;
            self.stage = Stage::Ended(End::Abandoned);
        }
        self.deaf |= matches!(self.stage, Stage::Ended(_));
    }

    pub(super) fn control(&mut self, opcode: u8, argument: u8) {
        let len = usize::from(argument);
        let payload = vec![opcode; len];
        let sent = match opcode {
            PING => self.connection.ping(&Bytes::from(payload.clone())),
            _ => self.connection.pong(&Bytes::from(payload.clone())),
        };
        match (&self.stage, len) {
            (Stage::Open, 0..=125) => {
                assert_eq!(sent, Ok(()));
                self.output.want(Want::Control { opcode, payload });
            }
            (Stage::Open, _) => assert_eq!(sent, Err(SendError::ControlTooLong { len })),
            _ => assert_eq!(sent, Err(SendError::Closed)),
        }
    }

    pub(super) fn close(&mut self, argument: u8) {
        const CODES: [u16; 4] = [1000, 1001, 3000, 4999];
        let code = CODES[usize::from(argument) % 4];
        // Some are longer than a Close can take, and would be cut inside a character.
        let reason = "é".repeat(usize::from(argument >> 2));
        let frame = (argument != 0)
            .then(|| CloseFrame::new(CloseCode::new(code).expect("one that may be sent"), reason.as_str()));
        self.connection.close(frame, self.now);
        if self.stage == Stage::Open {
            let fits = reason.len().min(122);
            let payload = if argument == 0 { Vec::new() } else { close_payload(code, &reason[..fits]) };
            self.output.want(Want::Close { payload: payload.clone() });
            self.pongs.owed = None;
            self.stage = Stage::CloseSent { at: self.now, payload };
        }
    }

    /// Has a Ping answered: at once, or if too many answers wait, later by the newest.
    pub(super) fn answer(&mut self, payload: &[u8], queued: usize) {
        let grown = self.connection.queued() - queued;
        if self.stage != Stage::Open {
            assert_eq!(grown, 0, "a Pong behind our Close");
        } else if self.pongs.bytes >= MAX_PONG_BYTES {
            assert_eq!(grown, 0, "a Pong more than may wait");
            self.pongs.owed = Some(payload.to_vec());
        } else {
            self.pong(payload.to_vec(), grown);
        }
    }

    fn pong(&mut self, payload: Vec<u8>, grown: usize) {
        assert!(grown >= payload.len() + 2, "a Ping without a Pong");
        self.pongs.bytes += grown;
        self.pongs.until = self.pongs.written + self.connection.queued() as u64;
        self.output.want(Want::Control { opcode: PONG, payload });
    }

    pub(super) fn transmit(&mut self, len: usize) {
        let queued = self.connection.queued();
        let bytes = if len == usize::MAX && self.pongs.owed.is_none() {
            self.connection.take_output()
        } else {
            let mut slices = [IoSlice::new(&[]); 3];
            let filled = self.connection.poll_transmit(&mut slices);
            assert!(slices[..filled].iter().all(|slice| !slice.is_empty()), "an empty slice");
            let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).take(len).collect();
            self.connection.transmitted(bytes.len());
            bytes
        };
        assert!(!bytes.is_empty() || queued == 0, "what is queued cannot be taken");
        self.output.hear(&bytes);
        self.pongs.written += bytes.len() as u64;
        self.taken = self.now;
        if self.pongs.bytes > 0 && self.pongs.written >= self.pongs.until {
            self.pongs.bytes = 0;
            if let Some(owed) = self.pongs.owed.take() {
                let grown = self.connection.queued() - (queued - bytes.len());
                self.pong(owed, grown);
            }
        }
    }

    // ── time ──

    pub(super) fn wait(&mut self, duration: Duration) {
        if self.connection.queued() == 0 {
            self.taken = self.now;
        }
        self.now += duration;
        let (due, queued) = (self.connection.next_deadline(), self.connection.queued());
        self.connection.handle_timeout(self.now);
        let is_due = due.is_some_and(|due| due <= self.now);
        match (self.stage.clone(), self.connection.end()) {
            (Stage::CloseSent { at, .. }, end) => {
                assert_eq!(due, Some(at + CLOSE_TIMEOUT));
                assert_eq!(is_due, end == Some(&End::TimedOut(Timeout::Close)));
                if is_due {
                    self.timed_out(Timeout::Close);
                }
            }
            (Stage::Open, Some(end)) => {
                assert_eq!(*end, End::TimedOut(Timeout::Keepalive));
                // One that was asked, or one that has read nothing for as long.
                let patience = KEEPALIVE.interval + KEEPALIVE.timeout;
                let is_asked = self.asked.is_some_and(|asked| asked + KEEPALIVE.timeout <= self.now);
                assert!(is_asked || queued > 0 && self.taken + patience <= self.now, "lost too early");
                self.timed_out(Timeout::Keepalive);
                // It is told if nothing is in front of that.
                if queued == 0 {
                    self.dropped = false;
                    self.output.want(Want::Fault { code: 1008 });
                }
            }
            (Stage::Open, None) => {
                assert_eq!(due.is_some(), self.setup.has(Setup::KEEPALIVE));
                // A peer that has not read everything is not asked, and none is where nobody has looked in time.
                let is_late = due.is_some_and(|due| due + Duration::from_secs(1) < self.now);
                if is_due && !is_late && queued == 0 {
                    assert!(self.connection.queued() > queued, "a deadline at which nothing happens");
                    self.pings += 1;
                    self.output.want(Want::Control { opcode: PING, payload: self.pings.to_be_bytes().to_vec() });
                    self.asked = Some(self.now);
                }
            }
            (Stage::Ended(_), _) => assert_eq!(due, None, "a deadline behind the end"),
        }
        let next = self.connection.next_deadline();
        assert!(next.is_none_or(|next| next > self.now), "a deadline that is due again at once");
    }

    fn timed_out(&mut self, timeout: Timeout) {
        self.stage = Stage::Ended(End::TimedOut(timeout));
        (self.deaf, self.dropped, self.pongs) = (true, true, Pongs::default());
        assert!(self.connection.queued() < 64, "what is queued for a peer that is gone");
    }
}

const fn opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Text => TEXT,
        Kind::Binary => BINARY,
    }
}
