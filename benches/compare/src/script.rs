//! What one connection sends and what has to come back, made before anything is measured.
//!
//! The messages go round and round. Under context takeover they are compressed twice in a row and the second pass is
//! the one that is repeated: behind it the window is the same as before it, as one pass is longer than the window.

use std::collections::VecDeque;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{
    payload::{Kind, Random},
    socketio,
    wire::{self, Opcode},
};

/// What the messages of one connection look like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub connections: usize,
    pub in_flight: usize,
    pub payload: usize,
    pub kind: Kind,
}

/// The requests of one connection: its frames, one behind the other.
pub struct Requests {
    pub bytes: Vec<u8>,
    /// Where each frame of `bytes` ends.
    pub ends: Vec<usize>,
    /// The frame that comes after the last one.
    pub again_from: usize,
}

/// What checks the replies, and counts the messages that are complete.
pub enum Replies {
    /// Byte for byte the same as the requests'.
    Exact { ring: Vec<u8>, at: usize, reply_len: usize, partial: usize },
    /// Frames that have to say the same once they are inflated.
    Deflated(Box<Deflated>),
}

/// The agreed context takeover.
#[derive(Clone, Copy, Debug)]
pub struct Takeover {
    pub client: bool,
    pub server: bool,
}

impl Shape {
    /// So many frames that a batch always fits, and that the memory of one connection stays in the cache where it can.
    pub(crate) fn ring(self) -> usize {
        self.in_flight * (256 * 1024 / (self.in_flight * (self.payload + 14))).clamp(2, 8)
    }

    fn opcode(self) -> Opcode {
        if self.kind.is_text() { Opcode::Text } else { Opcode::Binary }
    }

    /// The script of connection `nth` with a server that answers in WebSocket frames, or in what it was sent.
    pub fn plain(self, nth: usize, raw: bool) -> (Requests, Replies) {
        let mut keys = Random(nth as u64);
        let (mut bytes, mut ring, mut ends) = (vec![], vec![], vec![]);
        for frame in 0..self.ring() {
            let payload = self.kind.payload(self.payload, nth << 16 | frame);
            wire::put_masked(&mut bytes, 0x80, self.opcode(), &payload, masking_key(&mut keys));
            ends.push(bytes.len());
            if !raw {
                wire::put_header(&mut ring, 0x80, self.opcode(), payload.len(), None);
                ring.extend(payload);
            }
        }
        if raw {
            ring.clone_from(&bytes);
        }
        let reply_len = ring.len() / ends.len();
        (Requests { bytes, ends, again_from: 0 }, Replies::Exact { ring, at: 0, reply_len, partial: 0 })
    }

    /// The script of connection `nth` under permessage-deflate (RFC 7692).
    pub fn deflated(self, nth: usize, takeover: Takeover) -> (Requests, Replies) {
        let frames = 2 * 32 * 1024 / self.payload;
        let payloads: Vec<_> = (0..frames).map(|frame| self.kind.payload(self.payload, nth << 16 | frame)).collect();
        let mut keys = Random(nth as u64);
        let mut deflater = Compress::new(Compression::new(6), false);
        let passes = if takeover.client { 2 } else { 1 };
        let (mut bytes, mut ends) = (vec![], vec![]);
        for payload in (0..passes).flat_map(|_| &payloads) {
            if !takeover.client {
                deflater.reset();
            }
            let compressed = deflate(&mut deflater, payload);
            wire::put_masked(&mut bytes, 0xc0, self.opcode(), &compressed, masking_key(&mut keys));
            ends.push(bytes.len());
        }
        let replies = Deflated {
            opcode: self.opcode(),
            inflater: Decompress::new(false),
            takeover: takeover.server,
            payloads: payloads.into(),
            input: vec![],
            message: Vec::with_capacity(self.payload + 1),
        };
        (Requests { bytes, ends, again_from: (passes - 1) * frames }, Replies::Deflated(Box::new(replies)))
    }
}

pub(crate) fn masking_key(keys: &mut Random) -> [u8; 4] {
    (keys.draw() as u32).to_ne_bytes()
}

/// One message, without the empty block that its end is known by (RFC 7692 §7.2.1).
fn deflate(deflater: &mut Compress, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 64);
    deflater.compress_vec(payload, &mut out, FlushCompress::Sync).expect("there is room");
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]), "the message has to fit");
    out.truncate(out.len() - 4);
    out
}

impl Replies {
    /// Takes what was read, and says how many messages are complete now.
    ///
    /// # Errors
    ///
    /// Says what came where something else should have.
    pub fn receive(&mut self, mut input: &[u8]) -> Result<usize, String> {
        match self {
            Self::Exact { ring, at, reply_len, partial } => {
                let mut total = *partial + input.len();
                while !input.is_empty() {
                    let expected = &ring[*at..];
                    let n = input.len().min(expected.len());
                    if input[..n] != expected[..n] {
                        let wrong = (0..n).find(|&i| input[i] != expected[i]).expect("they differ");
                        // A server of Socket.IO may ping between its replies, all of which begin like that.
                        if wrong > 0 && input[wrong - 1..].starts_with(socketio::PING) {
                            *at += wrong - 1;
                            input = &input[wrong - 1 + socketio::PING.len()..];
                            total -= socketio::PING.len();
                            continue;
                        }
                        let (got, want) = (&input[wrong..n.min(wrong + 16)], &expected[wrong..n.min(wrong + 16)]);
                        return Err(format!("the reply has {got:02x?} in place of {want:02x?}"));
                    }
                    *at = (*at + n) % ring.len();
                    input = &input[n..];
                }
                *partial = total % *reply_len;
                Ok(total / *reply_len)
            }
            Self::Deflated(deflated) => deflated.receive(input),
        }
    }
}

pub struct Deflated {
    opcode: Opcode,
    inflater: Decompress,
    takeover: bool,
    payloads: VecDeque<Vec<u8>>,
    input: Vec<u8>,
    message: Vec<u8>,
}

impl Deflated {
    fn receive(&mut self, input: &[u8]) -> Result<usize, String> {
        self.input.extend(input);
        let (mut consumed, mut messages) = (0, 0);
        while let Some((first, payload_len, header_len)) = wire::header(&self.input[consumed..]) {
            let end = consumed + header_len + payload_len;
            if end > self.input.len() {
                break;
            }
            if first & !0x40 != 0x80 | self.opcode as u8 {
                return Err(format!("the reply's first byte is {first:02x}"));
            }
            self.message.clear();
            if first & 0x40 == 0 {
                self.message.extend(&self.input[consumed + header_len..end]);
            } else {
                if !self.takeover {
                    self.inflater.reset(false);
                }
                for part in [&self.input[consumed + header_len..end], &[0, 0, 0xff, 0xff]] {
                    let status = self.inflater.decompress_vec(part, &mut self.message, FlushDecompress::Sync);
                    if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                        return Err(format!("the reply does not inflate: {status:?}"));
                    }
                }
            }
            if self.message != self.payloads[0] {
                return Err("the reply inflates to something else".into());
            }
            self.payloads.rotate_left(1);
            consumed = end;
            messages += 1;
        }
        self.input.drain(..consumed);
        Ok(messages)
    }
}
