//! What the endpoint is told to send and to wait for, and what has to come of it.

use std::io::IoSlice;

use bytes::Bytes;
use sockeye::{
    CloseCode, CloseFrame, Compress, Kind, Message, PreparedMessage, Role,
    proto::connection::{End, SendError},
};

use super::{MAX_PONG_BYTES, MAX_SENT, Part, Stage, Talk};
use crate::{
    frames::{BINARY, CONTINUATION, FIN, PING, PONG, TEXT, close_payload},
    output::Want,
    script::{Setup, payload},
};

impl Talk<'_> {
    pub(super) fn send(&mut self, choice: u8, argument: u8) {
        let compress = [Compress::Auto, Compress::Always, Compress::Never][usize::from(argument >> 5) % 3];
        let Some((message, bytes)) = self.next_message(choice, argument) else { return };
        if self.submit(bytes.len(), |connection| connection.send_with(&message, compress)) {
            let deflates = self.setup.deflate().is_some() && compress != Compress::Never;
            let compressed = match deflates {
                false => Some(false),
                true if self.forgets() => None,
                true => Some(true),
            };
            self.output.want_message(Want::Data { first: FIN | opcode(message.kind()), bytes, compressed });
        }
    }

    pub(super) fn send_prepared(&mut self, argument: u8) {
        let Some((message, bytes)) = self.next_message(argument, argument) else { return };
        let prepared = PreparedMessage::new(message.clone());
        if self.submit(bytes.len(), |connection| connection.send_prepared(&prepared)) {
            let compressed = if self.setup.deflate().is_some() { None } else { Some(false) };
            self.output.want_message(Want::Data { first: FIN | opcode(message.kind()), bytes, compressed });
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
    pub(super) fn may_send(&self, sent: Result<(), SendError>) -> bool {
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
        let dropped = self.connection.dropped();
        self.connection.close(frame, self.now);
        assert_eq!(self.connection.dropped(), dropped, "a Close that drops what was sent before");
        if self.stage == Stage::Open {
            let fits = reason.len().min(122);
            let payload = if argument == 0 { Vec::new() } else { close_payload(code, &reason[..fits]) };
            self.output.want(Want::Close { payload: payload.clone() });
            self.pongs.owed = None;
            self.stage = Stage::CloseSent { at: self.now, payload };
        }
    }

    /// Has a Ping answered: at once, or if too many answers wait, later by the newest.
    pub(super) fn answer(&mut self, payload: &[u8], encoded: usize) {
        let grown = self.encoded() - encoded;
        self.admit_ping();
        if self.stage != Stage::Open {
            assert_eq!(grown, 0, "a Pong behind our Close");
        } else if self.pongs.bytes >= MAX_PONG_BYTES {
            assert_eq!(grown, 0, "a Pong more than may wait");
            self.pongs.owed = Some(payload.to_vec());
        } else {
            assert_eq!(grown, self.pong_len(payload), "a Ping without a Pong");
            self.pong(payload.to_vec(), self.encoded());
        }
    }

    /// As many Pings as are allowed within a second, and as many again at the turn of two counts.
    fn admit_ping(&mut self) {
        if let Some(limit) = self.habits.max_pings()
            && self.stage == Stage::Open
        {
            self.heard_pings.push(self.now);
            assert!(self.pings_lately() <= 2 * limit as usize, "more Pings than are allowed");
        }
    }

    fn pong_len(&self, payload: &[u8]) -> usize {
        payload.len() + if self.role == Role::Client { 6 } else { 2 }
    }

    /// Takes note of a Pong, the last of so many bytes that are encoded.
    fn pong(&mut self, payload: Vec<u8>, encoded: usize) {
        self.pongs.bytes += self.pong_len(&payload);
        self.pongs.until = self.pongs.written + encoded as u64;
        self.output.want(Want::Control { opcode: PONG, payload });
    }

    pub(super) fn transmit(&mut self, len: usize) {
        let (queued, encoded) = (self.connection.queued(), self.encoded());
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
                let encoded = encoded - bytes.len() + self.pong_len(&owed);
                assert!(self.encoded() >= encoded, "a Pong that is owed and does not come");
                self.pong(owed, encoded);
            }
        }
    }
}

const fn opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Text => TEXT,
        Kind::Binary => BINARY,
    }
}
