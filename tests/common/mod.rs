//! What the tests of the core share: one endpoint or a pair, driven without a socket and by a clock of the test's own.
//! Frames are written and read here by hand, so that the code under test is not its own witness.
#![allow(dead_code, unreachable_pub)] // each test crate uses a part

pub mod heap;
pub mod puff;
#[cfg(feature = "deflate")]
pub mod zlib;

use std::time::{Duration, Instant};

use bytes::Bytes;
use sockeye::{
    CloseCode, CloseFrame, Config, Message, Role,
    proto::{
        connection::{Connection, DeflateSettings, Delivery, End, Event, Inbox, MaskingKeys, SendError},
        frame::{MaskingKey, ProtocolError},
    },
};

/// The masking key of RFC 6455 §5.7: the first that a client takes here, and the one of every frame made by [`frame`].
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame on the wire without its masking: the first byte, and the payload.
pub type Frame = (u8, Vec<u8>);

/// Makes of each function that takes a role two tests, `client::name` and `server::name`.
#[macro_export]
macro_rules! twins {
    ($($name:ident),+ $(,)?) => {
        mod client {
            $(#[test] fn $name() { super::$name(sockeye::Role::Client) })+
        }
        mod server {
            $(#[test] fn $name() { super::$name(sockeye::Role::Server) })+
        }
    };
}

/// One endpoint. Its peer is the test.
pub struct Scenario {
    pub connection: Connection,
    pub inbox: Inbox,
    pub delivery: Delivery,
    pub now: Instant,
    failure: Option<ProtocolError>,
}

impl Scenario {
    /// An endpoint with the defaults of its role.
    pub fn open(role: Role) -> Self {
        Self::new(role, Config::new(role), None)
    }

    /// An endpoint that takes messages of at most so many bytes.
    pub fn limited(role: Role, max_message: usize) -> Self {
        Self::new(role, Config::new(role).max_message(max_message), None)
    }

    /// An endpoint that hands messages over in chunks.
    pub fn chunked(role: Role) -> Self {
        Self { delivery: Delivery::Chunks, ..Self::open(role) }
    }

    /// An endpoint with the defaults of its role that has agreed to permessage-deflate.
    pub fn deflate(role: Role, deflate: &DeflateSettings) -> Self {
        Self::new(role, Config::new(role), Some(deflate))
    }

    pub fn new(role: Role, config: Config, deflate: Option<&DeflateSettings>) -> Self {
        let now = Instant::now();
        let connection = match role {
            Role::Client => Connection::client(config, deflate, keys(), now),
            Role::Server => Connection::server(config, deflate, now),
        };
        Self { connection, inbox: Inbox::new(), delivery: Delivery::Whole, now, failure: None }
    }

    pub fn peer(&self) -> Role {
        other(self.connection.role())
    }

    /// Takes in bytes to their end; gives all events that they make.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.inbox.extend(bytes);
        let mut events = Vec::new();
        loop {
            match self.connection.receive_as(&mut self.inbox, self.delivery, self.now) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(fault) => assert_eq!(self.failure.replace(fault), None, "a connection fails once"),
            }
        }
        assert!(self.inbox.is_empty(), "a connection leaves nothing in the inbox");
        events
    }

    /// Takes in one byte after the other.
    pub fn receive_bytewise(&mut self, bytes: &[u8]) -> Vec<Event> {
        bytes.iter().flat_map(|byte| self.receive(&[*byte])).collect()
    }

    /// Takes in one frame of the peer.
    pub fn receive_frame(&mut self, first: u8, payload: &[u8]) -> Vec<Event> {
        self.receive(&frame(self.peer(), first, payload))
    }

    /// Takes the output, as the frames that it is made of.
    pub fn sent(&mut self) -> Vec<Frame> {
        frames(self.connection.role(), &self.connection.take_output())
    }

    pub fn failure(&self) -> Option<ProtocolError> {
        self.failure
    }

    pub fn end(&self) -> Option<&End> {
        self.connection.end()
    }

    /// Asserts that the peer has failed the connection by `fault`, was told so with `code`, and is not heard any more.
    #[track_caller]
    pub fn assert_failed(&mut self, fault: ProtocolError, code: u16) {
        assert_eq!(self.failure, Some(fault));
        assert_eq!(self.end(), Some(&End::Failed(fault)));
        assert!(self.connection.wants_shutdown());
        assert_eq!(self.sent().last(), Some(&(0x88, close_payload(code, &fault.to_string()))));
        assert_eq!(self.receive_frame(0x82, b"more"), []);
        assert_eq!(self.connection.send(&"more".into()), Err(SendError::Closed));
        assert_eq!(self.connection.queued(), 0);
    }

    /// Lets time pass, and does what is due then.
    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        if self.connection.next_deadline().is_some_and(|deadline| deadline <= self.now) {
            self.connection.handle_timeout(self.now);
        }
    }
}

/// Both ends of a connection, and the clock of both.
pub struct Pair {
    pub client: Scenario,
    pub server: Scenario,
    pub now: Instant,
}

impl Pair {
    pub fn new(config: Config, deflate: Option<&DeflateSettings>) -> Self {
        let mut pair = Self {
            client: Scenario::new(Role::Client, config, deflate),
            server: Scenario::new(Role::Server, config, deflate),
            now: Instant::now(),
        };
        pair.wait(Duration::ZERO);
        pair
    }

    pub fn endpoint(&mut self, role: Role) -> &mut Scenario {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// Brings what `from` has to say to the other end, in reads of at most `read` bytes; gives the events there.
    pub fn carry(&mut self, from: Role, read: usize) -> Vec<Event> {
        let bytes = self.endpoint(from).connection.take_output();
        let to = self.endpoint(other(from));
        bytes.chunks(read).flat_map(|piece| to.receive(piece)).collect()
    }

    pub fn wait(&mut self, time: Duration) {
        self.now += time;
        for end in [&mut self.client, &mut self.server] {
            end.wait(self.now.saturating_duration_since(end.now));
        }
    }
}

pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// Masking keys that differ, and are the same in each run.
pub fn keys() -> MaskingKeys {
    let mut next = KEY;
    Box::new(move || {
        let key = next;
        next = (u32::from_be_bytes(next).wrapping_mul(0x9e37_79b1) | 1).to_be_bytes();
        MaskingKey(key)
    })
}

/// A header with its length in the shortest form, and with a masking key if a client sends it.
pub fn header(from: Role, first: u8, len: u64) -> Vec<u8> {
    let mask = if from == Role::Client { 0x80 } else { 0 };
    let mut header = match len {
        0..=125 => vec![first, mask | len as u8],
        126..=0xffff => [&[first, mask | 126][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, mask | 127][..], &len.to_be_bytes()].concat(),
    };
    if from == Role::Client {
        header.extend_from_slice(&KEY);
    }
    header
}

/// A frame as `from` sends it.
pub fn frame(from: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(from, first, payload.len() as u64);
    match from {
        Role::Client => frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key)),
        Role::Server => frame.extend_from_slice(payload),
    }
    frame
}

/// Several frames as `from` sends them.
pub fn stream(from: Role, frames: &[(u8, &[u8])]) -> Vec<u8> {
    frames.iter().flat_map(|(first, payload)| frame(from, *first, payload)).collect()
}

/// Takes apart what `from` has sent: whole frames, each masked as its role has to, lengths in the shortest form.
pub fn frames(from: Role, mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [first, second, ..] = *bytes {
        assert_eq!(second & 0x80 != 0, from == Role::Client, "masked exactly if a client sends it");
        let (len_len, len) = match second & 0x7f {
            126 => (2, u64::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            127 => (8, u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes"))),
            len => (0, u64::from(len)),
        };
        assert_eq!(header(from, first, len).len(), 2 + len_len + if from == Role::Client { 4 } else { 0 });
        bytes = &bytes[2 + len_len..];
        let mut key = [0; 4];
        if from == Role::Client {
            key.copy_from_slice(&bytes[..4]);
            bytes = &bytes[4..];
        }
        let (payload, rest) = bytes.split_at(len as usize);
        frames.push((first, payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()));
        bytes = rest;
    }
    assert!(bytes.is_empty(), "only whole frames are sent");
    frames
}

/// Bytes from hexadecimal digits; spaces are for the reader.
pub fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "two digits a byte");
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_bytes()].concat()
}

pub fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code).expect("may stand on the wire"), reason)
}

pub fn text(text: &str) -> Event {
    Event::Message(Message::from(text))
}

pub fn binary(bytes: &[u8]) -> Event {
    Event::Message(Message::from(bytes))
}

pub fn ping(payload: &[u8]) -> Event {
    Event::Ping(Bytes::copy_from_slice(payload))
}

pub fn pong(payload: &[u8]) -> Event {
    Event::Pong(Bytes::copy_from_slice(payload))
}

/// The bytes of chunks joined, and how often a message ended.
pub fn joined(events: &[Event]) -> (Vec<u8>, usize) {
    let chunks = events.iter().map(|event| match event {
        Event::Chunk(chunk) => chunk,
        event => panic!("no chunk: {event:?}"),
    });
    let ends = chunks.clone().filter(|chunk| chunk.fin).count();
    (chunks.flat_map(|chunk| chunk.bytes.iter().copied()).collect(), ends)
}

/// Numbers that look random and are the same in each run (xorshift64*).
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((self.next() >> 32) as usize) % bound
    }

    /// Bytes that do not compress.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 56) as u8).collect()
    }
}
