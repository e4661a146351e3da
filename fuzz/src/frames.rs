//! Frames on the wire (RFC 6455 §5.2), written and read by hand.

use sockeye::Role;

pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xa;
pub const FIN: u8 = 0x80;
pub const RSV1: u8 = 0x40;

/// A frame without its masking: the first byte, and the payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(first: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { first, payload: payload.into() }
    }

    pub const fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub const fn fin(&self) -> bool {
        self.first & FIN != 0
    }

    pub const fn rsv1(&self) -> bool {
        self.first & RSV1 != 0
    }

    /// As it goes over the wire.
    pub fn encode(&self, key: Option<[u8; 4]>, out: &mut Vec<u8>) {
        header(self.first, self.payload.len() as u64, key, out);
        let at = out.len();
        out.extend_from_slice(&self.payload);
        if let Some(key) = key {
            mask(&mut out[at..], key);
        }
    }

    /// As an endpoint sends it: a client masks.
    pub fn sent_by(&self, role: Role, out: &mut Vec<u8>) {
        self.encode((role == Role::Client).then_some([0x37, 0xfa, 0x21, 0x3d]), out);
    }
}

/// A header whose length has its shortest form.
pub fn header(first: u8, len: u64, key: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let mask = if key.is_some() { 0x80 } else { 0 };
    out.push(first);
    if len < 126 {
        out.push(mask | len as u8);
    } else if len < 0x1_0000 {
        out.push(mask | 126);
        out.extend_from_slice(&(len as u16).to_be_bytes());
    } else {
        out.push(mask | 127);
        out.extend_from_slice(&len.to_be_bytes());
    }
    out.extend(key.iter().flatten());
}

fn mask(payload: &mut [u8], key: [u8; 4]) {
    for piece in payload.chunks_mut(4) {
        piece.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    }
}

/// A Close's payload.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

/// Reads the frame at the front of what `role` sent; gives its masking key and length too. `None` if it is not whole.
///
/// What no endpoint may send is a finding: a length that is not in its shortest form, reserved bits, and so on.
pub fn read(role: Role, bytes: &[u8]) -> Option<(Frame, Option<[u8; 4]>, usize)> {
    let [first, second] = *bytes.first_chunk()?;
    let (len, mut at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let key = match second & 0x80 {
        0 => None,
        _ => {
            at += 4;
            Some(*bytes.get(at - 4..)?.first_chunk()?)
        }
    };
    assert_eq!(key.is_some(), role == Role::Client, "clients mask and servers do not");
    let len = usize::try_from(len).expect("no endpoint here sends so much");
    let mut payload = bytes.get(at..at.checked_add(len)?)?.to_vec();
    if let Some(key) = key {
        mask(&mut payload, key);
    }
    let frame = Frame { first, payload };
    let mut shortest = Vec::new();
    header(first, len as u64, key, &mut shortest);
    assert_eq!(shortest, bytes[..at], "a length that is not in its shortest form");
    assert!(matches!(frame.opcode(), CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG), "opcode {first:#x}");
    assert_eq!(first & 0x30, 0, "RSV2 or RSV3 is set");
    if frame.opcode() >= CLOSE {
        assert!(frame.fin() && !frame.rsv1() && len <= 125, "control frame {first:#x} of {len} bytes");
    }
    Some((frame, key, at + len))
}
