//! What the tests of the tokio floor share: connections without a handshake, frames as bytes, and a transport whose
//! every poll is the test's own.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

pub(crate) mod authority;
pub(crate) mod served;
#[cfg(feature = "server")]
pub(crate) mod tcp;
pub(crate) mod told;
mod wire;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use sockeye::{
    CloseCode, CloseFrame, Config, Role, WebSocket,
    proto::{
        connection::{Connection, DeflateSettings, Inbox},
        frame::{MaskingKey, apply_mask},
    },
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

pub(crate) use self::wire::Wire;

/// The key of every masked frame here.
const KEY: MaskingKey = MaskingKey([0x37, 0xfa, 0x21, 0x3d]);

// First bytes of frames: FIN and opcode.
pub(crate) const CONTINUATION: u8 = 0x80;
pub(crate) const TEXT: u8 = 0x81;
pub(crate) const BINARY: u8 = 0x82;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8a;
/// To be taken off a first byte: another fragment follows.
pub(crate) const FIN: u8 = 0x80;

/// A frame: its first byte and its payload, unmasked.
pub(crate) type Frame = (u8, Vec<u8>);

/// A connection behind a handshake that nobody made.
pub(crate) fn open<S: AsyncRead + AsyncWrite + Unpin>(
    io: S,
    role: Role,
    config: Config,
    deflate: Option<&DeflateSettings>,
) -> WebSocket<S> {
    let now = tokio::time::Instant::now().into_std();
    let connection = match role {
        Role::Server => Connection::server(config, deflate, now),
        Role::Client => Connection::client(config, deflate, Box::new(|| KEY), now),
    };
    WebSocket::new(io, connection, Inbox::new())
}

pub(crate) fn endpoint<S: AsyncRead + AsyncWrite + Unpin>(io: S, role: Role) -> WebSocket<S> {
    open(io, role, Config::new(role), None)
}

/// A client and a server with `capacity` bytes between them in each direction.
pub(crate) fn pair(capacity: usize) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (client, server) = duplex(capacity);
    (endpoint(client, Role::Client), endpoint(server, Role::Server))
}

/// An endpoint of `role`, and its peer as bytes.
pub(crate) fn endpoint_and_peer(role: Role, config: Config) -> (WebSocket<DuplexStream>, Peer<DuplexStream>) {
    let (ours, theirs) = duplex(64 * 1024);
    (open(ours, role, config, None), Peer::new(theirs, opposite(role)))
}

pub(crate) const fn opposite(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// A frame as an endpoint of `role` sends it: a client masks.
pub(crate) fn frame(role: Role, first: u8, payload: &[u8]) -> Vec<u8> {
    let mask_bit = if role == Role::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(mask_bit | len as u8),
        len @ 126..0x1_0000 => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    let mut payload = payload.to_vec();
    if role == Role::Client {
        bytes.extend_from_slice(&KEY.0);
        apply_mask(&mut payload, KEY);
    }
    bytes.extend_from_slice(&payload);
    bytes
}

/// A Close's payload.
pub(crate) fn close_payload(code: CloseCode, reason: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    CloseFrame::new(code, reason).encode(&mut payload);
    payload
}

/// Takes bytes that end with a whole frame apart.
pub(crate) fn parse(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, consumed) = parse_one(bytes).expect("the bytes end with a whole frame");
        frames.push(frame);
        bytes = &bytes[consumed..];
    }
    frames
}

fn parse_one(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    let (len, mut at) = match second & 0x7f {
        126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
        len => (usize::from(len), 2),
    };
    let key = if second & 0x80 == 0 {
        None
    } else {
        at += 4;
        Some(MaskingKey(bytes.get(at - 4..at)?.try_into().ok()?))
    };
    let mut payload = bytes.get(at..at + len)?.to_vec();
    if let Some(key) = key {
        apply_mask(&mut payload, key);
    }
    Some(((first, payload), at + len))
}

/// The other end of a connection, without a WebSocket library of its own.
pub(crate) struct Peer<S> {
    pub(crate) io: S,
    role: Role,
    read: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) const fn new(io: S, role: Role) -> Self {
        Self { io, role, read: Vec::new() }
    }

    pub(crate) async fn send(&mut self, first: u8, payload: &[u8]) {
        self.io.write_all(&frame(self.role, first, payload)).await.expect("the endpoint takes bytes");
    }

    pub(crate) async fn close(&mut self, code: CloseCode, reason: &str) {
        self.send(CLOSE, &close_payload(code, reason)).await;
    }

    /// The next frame; `None` at the transport's end.
    pub(crate) async fn recv(&mut self) -> Option<Frame> {
        loop {
            if let Some((frame, consumed)) = parse_one(&self.read) {
                self.read.drain(..consumed);
                return Some(frame);
            }
            if self.io.read_buf(&mut self.read).await.ok()? == 0 {
                assert!(self.read.is_empty(), "the transport ended inside a frame");
                return None;
            }
        }
    }

    /// The code of a Close that comes next.
    pub(crate) async fn recv_close(&mut self) -> u16 {
        let (first, payload) = self.recv().await.expect("a Close comes before the end");
        assert_eq!(first, CLOSE, "a Close and no other frame");
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// All that is left, to the transport's end.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        self.io.read_to_end(&mut self.read).await.expect("the endpoint ends without a reset");
        self.read
    }

    /// Reads a head up to its empty line; what is behind it is kept for [`recv`](Self::recv).
    pub(crate) async fn recv_head(&mut self) -> String {
        loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect();
                return String::from_utf8(head).expect("a head is text");
            }
            let read = self.io.read_buf(&mut self.read).await.expect("the endpoint answers");
            assert!(read > 0, "the transport ended inside a head: {:?}", String::from_utf8_lossy(&self.read));
        }
    }
}

/// Whether whoever was polled wants to be polled again.
struct Turn(AtomicBool);

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

thread_local! {
    /// One for all polls, as a new one would be an allocation of the endpoint's to those who count.
    static TURN: (Arc<Turn>, Waker) = {
        let turn = Arc::new(Turn(AtomicBool::new(false)));
        (Arc::clone(&turn), Waker::from(turn))
    };
}

/// Polls until the future waits for something else than its turn.
pub(crate) fn poll_now<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    TURN.with(|(turn, waker)| {
        loop {
            turn.0.store(false, Ordering::Relaxed);
            let polled = future.as_mut().poll(&mut Context::from_waker(waker));
            if polled.is_ready() || !turn.0.load(Ordering::Relaxed) {
                return polled;
            }
        }
    })
}

/// Fails a test that would otherwise hang.
pub(crate) async fn unhung<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), test).await.expect("the test hangs")
}

/// A payload of `len` bytes in which every stretch differs from every other.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}
