//! What was told to be sent, against what went out.

use std::cell::RefCell;

use bytes::Bytes;
use sockeye::{
    Message, Role,
    proto::connection::{End, Initiator},
};

use super::first_opcode;
use crate::{
    frames::{self, CLOSE, CONTINUATION, PING, PONG, close_payload},
    output::Inflater,
    reference::close_code,
    script::{self, Setup},
};

/// What was told.
pub(super) struct Sent {
    role: Role,
    setup: Setup,
    messages: Vec<Told>,
    inflater: RefCell<Option<Inflater>>,
    /// The payload of the first Close that was asked for.
    close: Option<Vec<u8>>,
}

/// A message that was told to be sent.
struct Told {
    number: u32,
    opcode: u8,
    bytes: Bytes,
    fate: Fate,
    /// Whether a policy may drop it.
    may_be_dropped: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// The call was cancelled or failed: it goes out whole or not at all.
    Open,
    Certain,
    Refused,
    /// Sent in parts, and dropped without an end.
    GivenUp,
}

impl Sent {
    pub(super) fn new(role: Role, setup: Setup) -> Self {
        let inflater = RefCell::new(setup.deflate().map(|deflate| Inflater::of_peer(role, &deflate)));
        Self { role, setup, messages: Vec::new(), inflater, close: None }
    }

    pub(super) fn begin(&mut self, number: u32, message: &Message) {
        let (opcode, bytes) = (first_opcode(message.kind()), message.clone().into_bytes());
        let may_be_dropped = self.setup.habits.may_drop();
        self.messages.push(Told { number, opcode, bytes, fate: Fate::Open, may_be_dropped });
    }

    /// One that is sent in parts is never dropped.
    pub(super) fn begin_parts(&mut self, number: u32, message: &Message) {
        self.begin(number, message);
        if let Some(told) = self.messages.last_mut() {
            told.may_be_dropped = false;
        }
    }

    pub(super) fn is_certain(&mut self) {
        self.settle(Fate::Certain);
    }

    pub(super) fn is_refused(&mut self) {
        self.settle(Fate::Refused);
    }

    pub(super) fn is_given_up(&mut self) {
        self.settle(Fate::GivenUp);
    }

    fn settle(&mut self, fate: Fate) {
        if let Some(told) = self.messages.last_mut() {
            told.fate = fate;
        }
    }

    pub(super) fn close(&mut self, code: u16, reason: &str) {
        self.close.get_or_insert_with(|| close_payload(code, reason));
    }

    /// Checks what went out; says how many were `dropped` if nothing of it was lost with the transport.
    pub(super) fn check(&self, output: &[u8], dropped: Option<u64>, answers_all: bool, end: &End, pings: &[&[u8]]) {
        let (whole, keepalive) = (dropped.is_some(), self.setup.has(Setup::KEEPALIVE));
        let mut missing = Vec::new();
        let (mut at, mut told, mut answered, mut answers) = (0, 0, 0, 0);
        let mut open: Option<(u8, bool, Vec<u8>)> = None;
        let mut close = None;
        while let Some((frame, _, len)) = frames::read(self.role, &output[at..]) {
            at += len;
            assert_eq!(close, None, "{frame:?} behind a Close");
            match frame.opcode() {
                CLOSE => close = Some(frame.payload),
                PONG => {
                    let next = pings[answered..].iter().position(|ping| **ping == frame.payload);
                    answered += next.unwrap_or_else(|| panic!("{frame:?} answers none of {pings:?}")) + 1;
                    answers += 1;
                }
                PING => {
                    let is_count = frame.payload.len() == 4 && frame.payload[0] == 0;
                    assert!(script::number(&frame.payload).is_some() || keepalive && is_count, "{frame:?}");
                }
                opcode => {
                    assert_eq!(opcode == CONTINUATION, open.is_some(), "{frame:?} in front of the last one's end");
                    let (_, compressed, bytes) = open.get_or_insert_with(|| (opcode, frame.rsv1(), Vec::new()));
                    match self.inflater.borrow_mut().as_mut() {
                        Some(inflater) if *compressed => bytes.extend(inflater.inflate(&frame.payload, frame.fin())),
                        _ => bytes.extend_from_slice(&frame.payload),
                    }
                    if frame.fin()
                        && let Some((opcode, _, bytes)) = open.take()
                    {
                        let came = self.came(told, opcode, &bytes);
                        missing.extend(&self.messages[told..came]);
                        told = came + 1;
                    }
                }
            }
        }
        if whole {
            assert_eq!(
                at,
                output.len(),
                "the output ends inside a frame: {end:?} {:x?}",
                &output[at..output.len().min(at + 40)]
            );
            missing.extend(&self.messages[told..]);
            self.passed_over(&missing, dropped.unwrap_or(0));
            assert!(open.is_none() || *end == End::Abandoned || close.is_some(), "a message without an end");
            let bytes: usize = pings.iter().map(|ping| ping.len() + 6).sum();
            // Behind our own Close none is answered.
            let is_ours = close.as_ref().is_some_and(|close| self.is_ours(close));
            if answers_all && !is_ours && self.close.is_none() && *end != End::Abandoned && bytes < 4096 {
                assert_eq!(answers, pings.len(), "Pings without a Pong");
            }
            self.check_close(close, end);
        }
    }

    /// Finds a message that came out.
    fn came(&self, told: usize, opcode: u8, bytes: &[u8]) -> usize {
        let number = script::number(bytes);
        let found = self.messages[told..].iter().position(|told| Some(told.number) == number);
        let Some(passed) = found else { panic!("message {number:?} that nobody sent, or twice, or late") };
        let message = &self.messages[told + passed];
        assert_eq!(opcode, message.opcode);
        assert!(*bytes == message.bytes, "{bytes:x?}, not {:x?}", message.bytes);
        assert!(matches!(message.fate, Fate::Open | Fate::Certain), "{:?}", message.fate);
        told + passed
    }

    /// Judges what never came: what was sent for certain was dropped then.
    fn passed_over(&self, missing: &[&Told], dropped: u64) {
        let certain: Vec<_> = missing.iter().filter(|told| told.fate == Fate::Certain).collect();
        for told in &certain {
            assert!(told.may_be_dropped, "message {} was sent and never came", told.number);
        }
        let may_be_missing = missing.iter().filter(|told| told.may_be_dropped).count();
        let range = certain.len() as u64..=may_be_missing as u64;
        assert!(range.contains(&dropped), "{dropped} messages were dropped, and {range:?} are missing");
    }

    /// Whether a Close is one that we asked for, or that our policy did.
    fn is_ours(&self, close: &[u8]) -> bool {
        let code = self.setup.habits.policy_code().map(u16::to_be_bytes);
        self.close.as_deref() == Some(close) || code.is_some_and(|code| close.starts_with(&code))
    }

    fn check_close(&self, close: Option<Vec<u8>>, end: &End) {
        let close = close.expect("an end without a Close");
        let is_ours = self.is_ours(&close);
        match end {
            End::Closed { by: Initiator::Us, .. } => assert!(is_ours, "{close:x?}, not {:x?}", self.close),
            End::Closed { theirs, .. } => {
                let echo =
                    theirs.as_ref().map_or_else(Vec::new, |frame| close_payload(frame.code.get(), &frame.reason));
                assert_eq!(close, echo, "not what the peer's says");
            }
            End::Failed(fault) => assert!(is_ours || close[..2] == close_code(*fault).to_be_bytes(), "{close:x?}"),
            End::Abandoned => assert_eq!(close[..2], 1011_u16.to_be_bytes()),
            other => unreachable!("{other:?} is no whole end"),
        }
    }
}
