//! What an endpoint puts on the wire, against what it was told to send: whole frames, in order, and nothing besides.

use std::collections::VecDeque;

use sockeye::{Role, proto::connection::DeflateSettings};

use crate::{
    frames::{self, Frame},
    key,
    reference::is_close_code,
    zlib::{Inflate, TAIL},
};

/// A frame that is to come.
#[derive(Clone, Debug)]
pub enum Want {
    /// A frame of a message: its opcode and FIN, what it says, and whether it is compressed; `None` if it may be.
    Data { first: u8, bytes: Vec<u8>, compressed: Option<bool> },
    /// A Ping or Pong.
    Control { opcode: u8, payload: Vec<u8> },
    /// A Close with this payload.
    Close { payload: Vec<u8> },
    /// A Close with this code, and some words.
    Fault { code: u16 },
}

/// The peer's ear.
pub struct Output {
    role: Role,
    wanted: VecDeque<Want>,
    /// The messages, where control frames may overtake them, each with whether it may be dropped.
    waiting: Option<VecDeque<(Want, bool)>>,
    /// How many have been passed over.
    skipped: usize,
    /// What is no whole frame yet.
    rest: Vec<u8>,
    read: u32,
    inflater: Option<Inflater>,
    /// Whether the message is compressed of which a frame was heard last.
    compressed: bool,
    closed: bool,
}

impl Output {
    /// Listens to an endpoint.
    pub fn new(role: Role, deflate: Option<&DeflateSettings>) -> Self {
        let inflater = deflate.map(|deflate| Inflater::of_peer(role, deflate));
        Self {
            role,
            wanted: VecDeque::new(),
            waiting: None,
            skipped: 0,
            rest: Vec::new(),
            read: 0,
            inflater,
            compressed: false,
            closed: false,
        }
    }

    /// Listens to one that has messages wait and drops some: control frames and messages come in an order of their own.
    #[must_use]
    pub fn of_dropping(self, drops: bool) -> Self {
        Self { waiting: drops.then(VecDeque::new), ..self }
    }

    /// Waits for one more frame, a message that may be dropped if the endpoint does that.
    pub fn want_message(&mut self, want: Want) {
        match &mut self.waiting {
            Some(waiting) => waiting.push_back((want, true)),
            None => self.want(want),
        }
    }

    /// Waits for one more frame.
    pub fn want(&mut self, want: Want) {
        assert!(!matches!(self.wanted.back(), Some(Want::Close { .. } | Want::Fault { .. })), "the test is wrong");
        match (&mut self.waiting, &want) {
            (Some(waiting), Want::Data { .. }) => waiting.push_back((want, false)),
            _ => self.wanted.push_back(want),
        }
    }

    /// Hears what goes out.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let mut at = 0;
        while let Some((frame, found, len)) = frames::read(self.role, &self.rest[at..]) {
            at += len;
            assert!(!self.closed, "{frame:?} behind a Close");
            if let Some(found) = found {
                assert_eq!(found, key(self.read), "a masking key that is not the next one");
            }
            self.read += 1;
            let said = self.inflated(&frame);
            let want = self.next(&frame, &said);
            self.check(&frame, &said, want.as_ref());
        }
        self.rest.drain(..at);
    }

    /// Ends: everything has come but what was `dropped`, or the connection was given up, which may be in the middle of
    /// a frame.
    pub fn end(&self, given_up: bool, dropped: u64) {
        let missing = self.waiting.as_ref().map_or(0, VecDeque::len) + self.skipped;
        if given_up {
            assert!(dropped <= missing as u64, "{dropped} were dropped, and {missing} are missing");
            return;
        }
        assert!(self.rest.is_empty(), "the output ends inside a frame");
        assert!(self.wanted.is_empty(), "never sent: {:?}", self.wanted);
        assert_eq!(dropped, missing as u64, "what is missing is not what was dropped");
        let is_kept = |(_, may_be_dropped): &(Want, bool)| !may_be_dropped;
        assert!(!self.waiting.iter().flatten().any(is_kept), "dropped what may not be: {:?}", self.waiting);
    }

    /// What a frame says, inflated.
    fn inflated(&mut self, frame: &Frame) -> Vec<u8> {
        if frame.opcode() >= frames::CLOSE {
            return frame.payload.clone();
        }
        if frame.opcode() != frames::CONTINUATION {
            self.compressed = frame.rsv1();
        }
        match &mut self.inflater {
            Some(inflater) if self.compressed => inflater.inflate(&frame.payload, frame.fin()),
            _ => frame.payload.clone(),
        }
    }

    /// What is to come next, or behind messages that were dropped.
    fn next(&mut self, frame: &Frame, said: &[u8]) -> Option<Want> {
        let Some(waiting) = self.waiting.as_mut().filter(|_| frame.opcode() < frames::CLOSE) else {
            return self.wanted.pop_front();
        };
        let passed = waiting.iter().position(|(want, _)| matches!(want, Want::Data { bytes, .. } if bytes == said));
        for (want, may_be_dropped) in waiting.drain(..passed.unwrap_or(0)) {
            assert!(may_be_dropped, "{want:?} was dropped, and may not be");
            self.skipped += 1;
        }
        waiting.pop_front().map(|(want, _)| want)
    }

    fn check(&mut self, frame: &Frame, said: &[u8], want: Option<&Want>) {
        match want {
            Some(Want::Data { first, bytes, compressed }) => {
                assert_eq!(frame.first & !frames::RSV1, *first, "{frame:?}, not {want:?}");
                let starts = frame.opcode() != frames::CONTINUATION;
                match compressed {
                    // RFC 7692 §6.1: RSV1 stands on the first frame.
                    Some(compressed) => assert_eq!(frame.rsv1(), *compressed && starts, "{frame:?}, not {want:?}"),
                    None => assert!(self.inflater.is_some() && starts),
                }
                assert!(said == bytes, "{frame:?} says {said:x?}, not {want:?}");
            }
            Some(Want::Control { opcode, payload }) => {
                assert_eq!((frame.opcode(), &frame.payload), (*opcode, payload), "{frame:?}, not {want:?}");
            }
            Some(Want::Close { payload }) => {
                assert_eq!((frame.opcode(), &frame.payload), (frames::CLOSE, payload), "{frame:?}, not {want:?}");
                self.closed = true;
            }
            Some(Want::Fault { code }) => {
                assert_eq!(frame.opcode(), frames::CLOSE, "{frame:?}, not {want:?}");
                assert_eq!(frame.payload[..2], code.to_be_bytes(), "{frame:?}, not {want:?}");
                assert!(is_close_code(*code) && frame.payload.len() > 2, "a Close that does not say why");
                assert!(std::str::from_utf8(&frame.payload[2..]).is_ok());
                self.closed = true;
            }
            None => panic!("{frame:?} that nobody asked for"),
        }
    }
}

/// The peer's inflater.
pub struct Inflater {
    bits: u8,
    context_takeover: bool,
    stream: Inflate,
}

impl Inflater {
    /// That of the peer of an endpoint of `role`.
    pub fn of_peer(role: Role, deflate: &DeflateSettings) -> Self {
        let agreed = deflate.agreed;
        let (bits, no_context) = match role {
            Role::Client => (agreed.client_max_window_bits, agreed.client_no_context_takeover),
            Role::Server => (agreed.server_max_window_bits, agreed.server_no_context_takeover),
        };
        Self { bits, context_takeover: !no_context, stream: Inflate::new(bits) }
    }

    /// What a frame of a compressed message says. It has to be flushed.
    pub fn inflate(&mut self, payload: &[u8], fin: bool) -> Vec<u8> {
        let input = if fin { [payload, &TAIL].concat() } else { payload.to_vec() };
        let mut out = Vec::new();
        let inflated = self.stream.inflate(&input, &mut out, 1 << 30);
        assert_eq!(inflated, Ok((input.len(), false)), "what was deflated does not inflate");
        if fin && !self.context_takeover {
            self.stream = Inflate::new(self.bits);
        }
        out
    }
}
