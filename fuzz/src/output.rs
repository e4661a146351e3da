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
    /// What is no whole frame yet.
    rest: Vec<u8>,
    read: u32,
    inflater: Option<Inflater>,
    closed: bool,
}

impl Output {
    /// Listens to an endpoint.
    pub fn new(role: Role, deflate: Option<&DeflateSettings>) -> Self {
        let inflater = deflate.map(|deflate| Inflater::of_peer(role, deflate));
        Self { role, wanted: VecDeque::new(), rest: Vec::new(), read: 0, inflater, closed: false }
    }

    /// Waits for one more frame.
    pub fn want(&mut self, want: Want) {
        assert!(!matches!(self.wanted.back(), Some(Want::Close { .. } | Want::Fault { .. })), "the test is wrong");
        self.wanted.push_back(want);
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
            let want = self.wanted.pop_front();
            self.check(&frame, want.as_ref());
        }
        self.rest.drain(..at);
    }

    /// Ends: everything has come, or the connection was given up, which may be in the middle of a frame.
    pub fn end(&self, given_up: bool) {
        if !given_up {
            assert!(self.rest.is_empty(), "the output ends inside a frame");
            assert!(self.wanted.is_empty(), "never sent: {:?}", self.wanted);
        }
    }

    fn check(&mut self, frame: &Frame, want: Option<&Want>) {
        match want {
            Some(Want::Data { first, bytes, compressed }) => {
                assert_eq!(frame.first & !frames::RSV1, *first, "{frame:?}, not {want:?}");
                let starts = frame.opcode() != frames::CONTINUATION;
                match compressed {
                    // RFC 7692 §6.1: RSV1 stands on the first frame.
                    Some(compressed) => assert_eq!(frame.rsv1(), *compressed && starts, "{frame:?}, not {want:?}"),
                    None => assert!(self.inflater.is_some() && starts),
                }
                let heard = match &mut self.inflater {
                    Some(inflater) if frame.rsv1() || *compressed == Some(true) => {
                        &inflater.inflate(&frame.payload, frame.fin())
                    }
                    _ => &frame.payload,
                };
                assert!(heard == bytes, "{frame:?} says {heard:x?}, not {want:?}");
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
