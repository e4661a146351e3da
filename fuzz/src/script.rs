//! What a fuzzer's bytes mean where an endpoint talks with a peer: who it is, what it is told to do and when, and the
//! peer's bytes.
//!
//! Everything but the peer's bytes has a fixed length or its length in front, so that a mutation changes one thing, and
//! seeds can be written by hand.

use std::{borrow::Cow, sync::LazyLock};

use arbitrary::{Arbitrary, Unstructured};
use sockeye::{
    Keepalive, Role,
    proto::connection::{DeflateSettings, Delivery},
};

use crate::{
    cuts, deflate_settings,
    frames::{self, Frame},
    habits::Habits,
    reference::Terms,
};

/// A conversation.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Conversation<'a> {
    pub setup: Setup,
    pub script: Script<'a>,
    /// What the peer sends.
    pub bytes: &'a [u8],
}

impl<'a> Conversation<'a> {
    /// All that `peer` sends.
    pub fn bytes(&self, peer: Role) -> Cow<'a, [u8]> {
        match self.setup.front(peer) {
            front if front.is_empty() => Cow::Borrowed(self.bytes),
            front => Cow::Owned([&front, self.bytes].concat()),
        }
    }
}

/// Who the endpoint is.
#[derive(Arbitrary, Clone, Copy, Debug, Default)]
pub struct Setup {
    /// Bit 0: permessage-deflate; 1 and 2: no context takeover; 3 and 4: how messages are handed over, or who drives the
    /// connection; 5: keepalive; 6: no vectored writes; 7: messages of any length are taken.
    pub flags: u8,
    /// The windows, and the largest message, or that one comes.
    pub sizes: u8,
    /// How the transport cuts what the script does not feed.
    pub cut: u8,
    /// How the transport goes on at each poll.
    pub pace: [u8; 4],
    pub habits: Habits,
}

impl Setup {
    pub const DEFLATE: u8 = 1;
    pub const NO_SERVER_CONTEXT: u8 = 2;
    pub const NO_CLIENT_CONTEXT: u8 = 4;
    pub const KEEPALIVE: u8 = 32;
    pub const CONTIGUOUS: u8 = 64;
    pub const UNLIMITED: u8 = 128;
    /// In `sizes`: a large message comes first.
    pub const LARGE: u8 = 3;

    pub const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// One of four ways.
    pub const fn way(self) -> u8 {
        self.flags >> 3 & 3
    }

    /// How messages are handed over; `None` if that changes all the time.
    pub const fn delivery(self) -> Option<Delivery> {
        match self.way() {
            0 => Some(Delivery::Whole),
            1 => Some(Delivery::Chunks),
            2 => Some(Delivery::Discard),
            _ => None,
        }
    }

    /// The largest message.
    pub const fn max_message(self) -> usize {
        if self.has(Self::UNLIMITED) {
            return 1 << 26;
        }
        match self.sizes & 7 {
            0..=2 => 1 << 16,
            3 => 1 << 18,
            4 => 1000,
            5 => 125,
            6 => 4,
            _ => 0,
        }
    }

    /// What `peer` sends in front of its bytes, which are too few for what only large messages meet with.
    fn front(self, peer: Role) -> Vec<u8> {
        if self.sizes & 7 != Self::LARGE {
            return Vec::new();
        }
        let len = [33_000, 40_000, 70_000, 150_000][usize::from(self.cut >> 3 & 3)];
        let mut payload: Vec<u8> = "é€a".bytes().cycle().take(len).collect();
        if self.cut >= 0xe0 {
            payload[len * 3 / 4] = 0xff;
        }
        let kind = if self.cut & 1 == 0 { frames::TEXT } else { frames::BINARY };
        let pieces: Vec<&[u8]> = payload.chunks(len / (1 + usize::from(self.cut >> 1 & 3)) + 1).collect();
        let mut out = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let fin = if i + 1 == pieces.len() { frames::FIN } else { 0 };
            let opcode = if i == 0 { kind } else { frames::CONTINUATION };
            Frame::new(fin | opcode, *piece).sent_by(peer, &mut out);
        }
        out
    }

    /// How the transport cuts what the script does not feed; not too small where there is much of it.
    pub fn cut(self) -> usize {
        let least = if self.sizes & 7 == Self::LARGE { 1500 } else { 1 };
        cuts::length(self.cut).max(least)
    }

    /// The windows: mostly the largest.
    fn bits(self) -> [u8; 2] {
        let bits = |of: u8| if of < 4 { 15 } else { of + 5 };
        [bits(self.sizes >> 3 & 7), bits(self.sizes >> 5 & 7)]
    }

    pub fn keepalive(self) -> Option<Keepalive> {
        self.has(Self::KEEPALIVE).then(|| self.habits.keepalive())
    }

    /// What the reference is to know of an endpoint that takes messages in as a whole, or does not.
    pub fn terms(self, role: Role, is_held: bool) -> Terms {
        let deflate = self.deflate().map(|deflate| match role {
            Role::Server => (deflate.agreed.client_max_window_bits, !deflate.agreed.client_no_context_takeover),
            Role::Client => (deflate.agreed.server_max_window_bits, !deflate.agreed.server_no_context_takeover),
        });
        let max_frame = self.habits.max_frame();
        let limits = |max_message| (max_message, self.habits.max_inflated());
        let (max_message, max_inflated) = if is_held { limits(Some(self.max_message())) } else { (None, usize::MAX) };
        Terms { role, max_message, max_frame, max_inflated, deflate }
    }

    pub fn deflate(self) -> Option<DeflateSettings> {
        let context_takeover = [!self.has(Self::NO_SERVER_CONTEXT), !self.has(Self::NO_CLIENT_CONTEXT)];
        self.has(Self::DEFLATE).then(|| deflate_settings(self.bits(), context_takeover))
    }
}

/// A byte with its length, and two bytes for each step.
#[derive(Clone, Copy, Debug)]
pub struct Script<'a>(&'a [[u8; 2]]);

impl Script<'_> {
    /// The steps, each a choice and its argument.
    pub fn steps(self) -> impl Iterator<Item = (u8, u8)> {
        self.0.iter().map(|[choice, argument]| (*choice, *argument))
    }
}

impl<'a> Arbitrary<'a> for Script<'a> {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let len = usize::from(u8::arbitrary(u)?) * 2;
        let steps = u.bytes(len.min(u.len()))?;
        Ok(Self(steps.as_chunks().0))
    }

    fn size_hint(_depth: usize) -> (usize, Option<usize>) {
        (1, Some(511))
    }
}

/// A payload for the endpoint to send: the `number`th, recognisable by its first eight bytes.
pub fn payload(number: u32, size: u8) -> Vec<u8> {
    const LENGTHS: [usize; 16] = [8, 8, 9, 10, 20, 20, 125, 126, 127, 128, 300, 1000, 4000, 16 * 1024, 65_535, 65_536];
    let mut payload = format!("{number:08x}").into_bytes();
    let rest = LENGTHS[usize::from(size % 16)] - payload.len();
    let from = number as usize * 31 % FRONT;
    payload.extend_from_slice(&TEXTS[usize::from(size >> 4 & 1)][from..from + rest]);
    payload
}

/// Where payloads begin in the texts below.
const FRONT: usize = 4096;

/// Text of two kinds, made once: repetitive, and as good as random.
static TEXTS: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    let numbers = || 0..(FRONT + (1 << 16)) as u32;
    let repetitive = numbers().map(|at| b'a' + (at / 7 % 13) as u8);
    let random = numbers().map(|at| b' ' + (at.wrapping_mul(0x9e37_79b1) >> 25) as u8 % 95);
    [repetitive.collect(), random.collect()]
});

/// The number of a payload that [`payload`] made.
pub fn number(payload: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(payload.get(..8)?).ok()?, 16).ok()
}
