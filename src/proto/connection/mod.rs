//! The connection behind the opening handshake (RFC 6455 §5.4–§7), as a value: four pipes and a clock.
//!
//! | pipe | call |
//! |---|---|
//! | bytes in | [`Connection::receive`], [`Connection::receive_eof`] |
//! | events out | what `receive` returns |
//! | commands in | [`Connection::send`], [`begin`](Connection::begin) and [`part`](Connection::part), [`ping`](Connection::ping), [`close`](Connection::close) |
//! | bytes out | [`Connection::poll_transmit`], [`Connection::transmitted`] |
//! | the clock | [`Connection::next_deadline`], [`Connection::handle_timeout`] |

mod assemble;
mod config;
mod copied;
mod error;
mod event;
mod inbox;
mod keepalive;
mod message;
mod output;
mod prepared;
mod receive;
mod send;
mod state;

use std::{
    fmt,
    io::IoSlice,
    time::{Duration, Instant},
};

use bytes::Bytes;

#[cfg(feature = "stream")]
pub(crate) use self::{config::later, event::MAX_CHUNK, output::SHARE_FROM};
pub use self::{
    config::{Compress, Config, DeflateSettings, Keepalive, Role, SlowReader},
    error::SendError,
    event::{Chunk, Delivery, Event},
    inbox::Inbox,
    message::{Kind, Message},
    prepared::PreparedMessage,
    send::MaskingKeys,
    state::{End, Initiator, Timeout},
};
pub(crate) use self::{receive::ReceiveHalf, send::SendHalf};
use super::{
    extension::deflate::codecs,
    frame::{CloseFrame, ProtocolError},
};

/// One end of a WebSocket connection without I/O.
///
/// ```
/// use std::time::Instant;
/// use sockeye::proto::connection::{Config, Connection, Event, Inbox, Role};
///
/// let now = Instant::now();
/// let mut server = Connection::server(Config::new(Role::Server), None, now);
/// let mut inbox = Inbox::new();
/// inbox.extend(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"); // RFC 6455 §5.7: a masked "Hello"
/// let Some(Event::Message(message)) = server.receive(&mut inbox, now)? else { panic!() };
/// assert_eq!(message.as_text(), Some("Hello"));
///
/// server.send(&message)?;
/// assert_eq!(server.take_output(), b"\x81\x05Hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connection {
    receive: ReceiveHalf,
    send: SendHalf,
}

impl Connection {
    /// A server's end.
    pub fn server(config: Config, deflate: Option<&DeflateSettings>, now: Instant) -> Self {
        Self::new(Role::Server, &config, deflate, now)
    }

    /// A client's end, which takes a new key from `keys` for each frame.
    pub fn client(config: Config, deflate: Option<&DeflateSettings>, keys: MaskingKeys, now: Instant) -> Self {
        let Self { receive, send } = Self::new(Role::Client, &config, deflate, now);
        Self { receive, send: send.masking_with(keys) }
    }

    // Without the keys: as an argument that only clients give, they would have rustc 1.95 with `lto = "thin"` link a server
    // against the client's source of them, whose own symbols it drops.
    fn new(role: Role, config: &Config, deflate: Option<&DeflateSettings>, now: Instant) -> Self {
        let codecs = deflate.and_then(|settings| codecs(&settings.config, settings.agreed, role == Role::Client));
        let (inflater, deflater) = codecs.unzip();
        let receive = ReceiveHalf::new(role, &config.limits, inflater);
        Self { receive, send: SendHalf::new(config, deflater, now) }
    }

    #[cfg(feature = "stream")]
    pub(crate) fn into_halves(self) -> (ReceiveHalf, SendHalf) {
        (self.receive, self.send)
    }

    #[cfg(feature = "stream")]
    pub(crate) const fn from_halves(receive: ReceiveHalf, send: SendHalf) -> Self {
        Self { receive, send }
    }

    /// Takes bytes out of `inbox` up to the next event; Pings and Closes are answered on the way.
    ///
    /// `None` means that the inbox is empty and more bytes are needed, or that nothing will come any more.
    ///
    /// # Errors
    ///
    /// What the peer did to fail the connection. A Close that says so is queued, and further bytes are discarded.
    pub fn receive(&mut self, inbox: &mut Inbox, now: Instant) -> Result<Option<Event>, ProtocolError> {
        self.receive_as(inbox, Delivery::Whole, now)
    }

    /// Like [`receive`](Self::receive), with a say in how messages are handed over.
    ///
    /// # Errors
    ///
    /// As for [`receive`](Self::receive).
    pub fn receive_as(
        &mut self,
        inbox: &mut Inbox,
        delivery: Delivery,
        now: Instant,
    ) -> Result<Option<Event>, ProtocolError> {
        if !inbox.is_empty() {
            self.send.heard(now);
        }
        self.send.look_at_clock(now);
        let received = self.receive.receive(inbox, delivery);
        match &received {
            Ok(Some(event)) => {
                if let Err(fault) = self.send.react(event, || now) {
                    self.receive.stop();
                    inbox.clear();
                    return Err(fault);
                }
            }
            Ok(None) => {}
            Err(fault) => self.send.fail(*fault),
        }
        received
    }

    /// Takes note that the transport will give no more bytes. What is queued may still go out.
    pub fn receive_eof(&mut self) {
        self.receive.stop();
        self.send.received_eof();
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] behind a Close, [`SendError::MessageOpen`] between the parts of another message.
    pub fn send(&mut self, message: &Message) -> Result<(), SendError> {
        self.send.send(message, Compress::Auto)
    }

    /// Queues a message, with a say in its compression.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_with(&mut self, message: &Message, compress: Compress) -> Result<(), SendError> {
        self.send.send(message, compress)
    }

    /// Queues a message that others send as well.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn send_prepared(&mut self, message: &PreparedMessage) -> Result<(), SendError> {
        self.send.send_prepared(message)
    }

    /// Begins a message that is sent in parts (RFC 6455 §5.4). Control frames may go between, messages may not.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn begin(&mut self, kind: Kind, compress: Compress) -> Result<(), SendError> {
        self.send.begin(kind, compress)
    }

    /// Queues a part of the message that was begun, as a fragment of its own; `fin` ends the message.
    ///
    /// # Errors
    ///
    /// [`SendError::NoMessageOpen`] if no message was begun; [`SendError::InvalidUtf8`] if the text becomes invalid;
    /// [`SendError::Closed`] behind a Close.
    pub fn part(&mut self, payload: &Bytes, fin: bool) -> Result<(), SendError> {
        self.send.part(payload, fin)
    }

    /// Gives up a message that was begun and will not be finished: closes with 1011 if a part of it was sent, as it
    /// cannot be taken back.
    pub fn abandon(&mut self) {
        self.send.abandon();
        if self.send.end().is_some() {
            self.receive.stop();
        }
    }

    /// Queues a Ping with at most 125 bytes.
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`], or [`SendError::Closed`].
    pub fn ping(&mut self, payload: &Bytes) -> Result<(), SendError> {
        self.send.ping(payload)
    }

    /// Queues a Pong that nobody asked for, with at most 125 bytes. Pings are answered without it.
    ///
    /// # Errors
    ///
    /// [`SendError::ControlTooLong`], or [`SendError::Closed`].
    pub fn pong(&mut self, payload: &Bytes) -> Result<(), SendError> {
        self.send.pong(payload)
    }

    /// Begins the closing handshake; the end shows in [`end`](Self::end). Does nothing if it has begun.
    pub fn close(&mut self, frame: Option<CloseFrame>, now: Instant) {
        self.send.close(frame, now);
    }

    /// Fills `slices` with the bytes that are to go out, from the front; says how many slices.
    pub fn poll_transmit<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.send.slices(slices)
    }

    /// Takes note that the first `len` of those bytes went out.
    pub fn transmitted(&mut self, len: usize) {
        self.send.advance(len);
    }

    /// Takes all bytes that are to go out, for those who do not write in parts.
    pub fn take_output(&mut self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.queued());
        while self.queued() > 0 {
            let mut slices = [IoSlice::new(&[]); 16];
            let filled = self.send.slices(&mut slices);
            let from = out.len();
            slices[..filled].iter().for_each(|slice| out.extend_from_slice(slice));
            self.send.advance(out.len() - from);
        }
        out
    }

    /// How many bytes are to go out: with [`SlowReader`] policies that drop messages, those that wait unencoded too, and
    /// 64 for each of these.
    pub fn queued(&self) -> usize {
        self.send.queued()
    }

    /// How many messages were dropped as the [`SlowReader`] policy wants it.
    pub fn dropped(&self) -> u64 {
        self.send.dropped()
    }

    /// How many bytes are held for this connection: what has come of an unfinished message, spare room included, what is
    /// [`queued`](Self::queued), and the state of permessage-deflate, as long as there is one.
    pub fn retained(&self) -> usize {
        self.receive.retained() + self.send.retained()
    }

    /// Whether the transport's write side is to be shut down once [`queued`](Self::queued) is 0, and what still comes
    /// is to be read and discarded until the peer ends too: so our Close is not lost to a reset (RFC 6455 §7.1.1).
    pub const fn wants_shutdown(&self) -> bool {
        self.send.end().is_some()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.send.next_deadline()
    }

    /// Does what is due: a keepalive Ping, or an end because the peer let a deadline pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.send.handle_timeout(now);
        if self.send.end().is_some() {
            self.receive.stop();
        }
    }

    /// How the connection ended, once it has.
    pub const fn end(&self) -> Option<&End> {
        self.send.end()
    }

    /// Whether messages can be sent.
    pub const fn is_open(&self) -> bool {
        self.send.is_open()
    }

    /// Which end this is.
    pub const fn role(&self) -> Role {
        self.send.role()
    }

    /// Whether permessage-deflate was agreed to.
    pub const fn is_compressed(&self) -> bool {
        self.send.can_compress()
    }

    /// The round trip of the last keepalive Ping that was answered.
    pub const fn rtt(&self) -> Option<Duration> {
        self.send.rtt()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.role())
            .field("end", &self.end())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}
