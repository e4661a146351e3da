mod answers;
mod backlog;
mod slow_reader;
#[cfg(feature = "stream")]
mod transport;

use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use bytes::Bytes;

use self::backlog::{Backlog, Item};
use super::{
    config::{Compress, Config, Role, later},
    error::SendError,
    keepalive::Pulse,
    message::{Kind, Message},
    output::Output,
    prepared::PreparedMessage,
    state::{Effect, End, Input, State},
};
use crate::proto::{
    Utf8Bytes,
    extension::deflate::Deflater,
    frame::{CloseFrame, Header, MAX_CONTROL_PAYLOAD, MaskingKey, Opcode, Utf8Validator},
};

/// Where a client takes its masking keys from: unpredictable, a new one for each frame (RFC 6455 §5.3).
pub type MaskingKeys = Box<dyn FnMut() -> MaskingKey + Send>;

/// The sending half of a connection: its state, and everything that goes to the peer.
pub(crate) struct SendHalf {
    state: State,
    limits: SendLimits,
    /// `Some` for clients.
    keys: Option<MaskingKeys>,
    output: Output,
    deflater: Option<Deflater>,
    /// The message that is being sent in parts.
    open: Option<OpenMessage>,
    /// How many bytes of Pongs wait in `output`, and what it has written when they are out.
    pong_bytes: usize,
    pongs_until: u64,
    /// The newest Pong beyond those.
    owed_pong: Option<Bytes>,
    /// Whether something was queued that never went out.
    lost: bool,
    pulse: Option<Pulse>,
    rtt: Option<Duration>,
    /// Since when the transport has taken nothing, as far as anybody has looked.
    blocked: Option<Box<Blocked>>,
    /// What waits unencoded; only with a policy that may drop it.
    backlog: Option<Box<Backlog>>,
    pings: Option<Box<Pings>>,
}

/// Those of the [`Limits`] that what is sent is held to.
struct SendLimits {
    close_timeout: Duration,
    queued: usize,
    queued_age: Option<Duration>,
    pings: Option<u32>,
    explains_failures: bool,
}

struct Blocked {
    since: Instant,
    /// What had been written then.
    written: u64,
    /// Whether everything was written, but the transport has not passed it on since. What it takes besides says nothing.
    unflushed: bool,
}

/// The peer's Pings within a second.
struct Pings {
    since: Instant,
    count: u32,
}

struct OpenMessage {
    kind: Kind,
    compressed: bool,
    begun: bool,
    utf8: Utf8Validator,
}

impl SendHalf {
    /// A server's.
    pub(crate) fn new(config: &Config, deflater: Option<Deflater>, now: Instant) -> Self {
        let limits = &config.limits;
        Self {
            state: State::Open,
            limits: SendLimits {
                close_timeout: limits.close_timeout,
                queued: limits.max_queued,
                queued_age: limits.max_queued_age,
                pings: limits.max_pings,
                explains_failures: config.explains_failures,
            },
            keys: None,
            output: Output::default(),
            deflater,
            open: None,
            pong_bytes: 0,
            pongs_until: 0,
            owed_pong: None,
            lost: false,
            pulse: Pulse::new(config.keepalive, limits.idle_timeout, now),
            rtt: None,
            blocked: None,
            backlog: Backlog::new(config.slow_reader, limits, now).map(Box::new),
            pings: None,
        }
    }

    /// Makes a client's of it.
    pub(crate) fn masking_with(mut self, keys: MaskingKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    pub(crate) const fn role(&self) -> Role {
        if self.keys.is_some() { Role::Client } else { Role::Server }
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    pub(crate) const fn end(&self) -> Option<&End> {
        match &self.state {
            State::Ended(end) => Some(end),
            State::Open | State::CloseSent { .. } => None,
        }
    }

    /// The round trip of the last keepalive Ping that was answered.
    pub(crate) const fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Whether permessage-deflate was agreed to.
    pub(crate) const fn can_compress(&self) -> bool {
        self.deflater.is_some()
    }

    // ── commands ──

    /// Queues a message.
    #[inline]
    pub(crate) fn send(&mut self, message: &Message, compress: Compress) -> Result<(), SendError> {
        self.check_open()?;
        if self.open.is_some() {
            return Err(SendError::MessageOpen);
        }
        if self.has_to_wait() {
            return self.delay(Item::Message(message.clone(), compress));
        }
        self.encode(message, compress);
        Ok(())
    }

    #[inline]
    fn encode(&mut self, message: &Message, compress: Compress) {
        let (opcode, payload) = (message.kind().opcode(), message.payload());
        if self.wants_compressed(payload.len(), compress) {
            self.send_compressed(opcode, payload);
        } else {
            self.frame(opcode, payload, true, false);
        }
    }

    /// Queues a message that others send as well.
    pub(crate) fn send_prepared(&mut self, prepared: &PreparedMessage) -> Result<(), SendError> {
        self.check_open()?;
        if self.open.is_some() {
            return Err(SendError::MessageOpen);
        }
        if self.has_to_wait() {
            return self.delay(Item::Prepared(prepared.clone()));
        }
        self.encode_prepared(prepared);
        Ok(())
    }

    fn encode_prepared(&mut self, prepared: &PreparedMessage) {
        let (opcode, payload) = (prepared.message().kind().opcode(), prepared.message().payload());
        let deflated = match &mut self.deflater {
            Some(deflater) if payload.len() >= deflater.threshold() => {
                let deflated = prepared.deflated(deflater);
                if deflated.is_some() {
                    // The peer's window has a message now that this deflater's has not.
                    deflater.forget();
                }
                deflated
            }
            _ => None,
        };
        match deflated {
            Some(deflated) => self.frame(opcode, &deflated, true, true),
            None => self.frame(opcode, payload, true, false),
        }
    }

    /// Begins a message that is sent in parts.
    pub(crate) fn begin(&mut self, kind: Kind, compress: Compress) -> Result<(), SendError> {
        self.check_open()?;
        if self.open.is_some() {
            return Err(SendError::MessageOpen);
        }
        self.encode_backlog(usize::MAX);
        // Its length is not known, so only an explicit `Never` speaks against compressing.
        let compressed = compress != Compress::Never && self.deflater.is_some();
        self.open = Some(OpenMessage { kind, compressed, begun: false, utf8: Utf8Validator::new() });
        Ok(())
    }

    /// Queues a part of the message that was begun.
    pub(crate) fn part(&mut self, payload: &Bytes, fin: bool) -> Result<(), SendError> {
        self.check_open()?;
        let Some(open) = &mut self.open else { return Err(SendError::NoMessageOpen) };
        if open.kind == Kind::Text {
            let mut utf8 = open.utf8.clone();
            utf8.push(payload).map_err(|_| SendError::InvalidUtf8)?;
            if fin {
                utf8.clone().finish().map_err(|_| SendError::InvalidUtf8)?;
            }
            open.utf8 = utf8;
        }
        let opcode = if open.begun { Opcode::Continuation } else { open.kind.opcode() };
        let rsv1 = open.compressed && !open.begun;
        open.begun = true;
        let compressed = open.compressed;
        if fin {
            self.open = None;
        }
        match &mut self.deflater {
            Some(deflater) if compressed => {
                let deflated = Bytes::from(deflater.deflate(payload, fin));
                self.frame(opcode, &deflated, fin, rsv1);
            }
            _ => self.frame(opcode, payload, fin, false),
        }
        Ok(())
    }

    /// Gives up a message that was begun and will not be finished. The connection cannot go on without its end.
    pub(crate) fn abandon(&mut self) {
        if let Some(OpenMessage { begun: true, .. }) = self.open.take() {
            self.step(Input::Abandoned);
        }
    }

    /// Queues a Ping.
    pub(crate) fn ping(&mut self, payload: &Bytes) -> Result<(), SendError> {
        self.control(Opcode::Ping, payload)
    }

    /// Queues a Pong that nobody asked for (RFC 6455 §5.5.3).
    pub(crate) fn pong(&mut self, payload: &Bytes) -> Result<(), SendError> {
        self.control(Opcode::Pong, payload)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2); does nothing if it has begun.
    pub(crate) fn close(&mut self, frame: Option<CloseFrame>, now: Instant) {
        let deadline = later(now, self.limits.close_timeout);
        self.encode_backlog(usize::MAX);
        self.step(Input::Close { ours: frame, deadline });
    }

    // ── bytes out ──

    /// How many bytes are to go out, and what their bookkeeping takes.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.output.len() + self.backlog.as_ref().map_or(0, |backlog| backlog.bytes())
    }

    /// How many bytes of memory hold what is to go out, and the state of the deflater.
    #[inline]
    pub(crate) fn retained(&self) -> usize {
        self.queued() + self.deflater.as_ref().map_or(0, |deflater| deflater.retained())
    }

    /// How many messages were dropped, as the peer did not read.
    pub(crate) fn dropped(&self) -> u64 {
        self.backlog.as_ref().map_or(0, |backlog| backlog.dropped())
    }

    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.output.slices(slices)
    }

    pub(crate) fn advance(&mut self, len: usize) {
        self.output.advance(len);
        if self.pong_bytes > 0 && self.output.written() >= self.pongs_until {
            self.pong_bytes = 0;
            if let Some(payload) = self.owed_pong.take() {
                self.owe_pong(&payload);
            }
        }
        self.encode_backlog(self.window());
    }

    // ── within ──

    const fn check_open(&self) -> Result<(), SendError> {
        if self.is_open() { Ok(()) } else { Err(SendError::Closed) }
    }

    fn step(&mut self, input: Input) {
        match self.state.step(input) {
            Effect::Nothing => {}
            Effect::SendClose(close) => {
                // Pongs that are still owed come too late: no frame follows a Close.
                self.owed_pong = None;
                self.drop_backlog();
                let mut payload = Vec::new();
                if let Some(mut close) = close {
                    if !self.limits.explains_failures && matches!(self.state, State::Ended(End::Failed(_))) {
                        close.reason = Utf8Bytes::new();
                    }
                    close.encode(&mut payload);
                }
                self.frame(Opcode::Close, &Bytes::from(payload), true, false);
            }
            Effect::DropOutput => {
                (self.pong_bytes, self.owed_pong) = (0, None);
                self.lost |= self.output.clear();
                self.drop_backlog();
            }
        }
    }

    fn drop_backlog(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.clear();
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &Bytes) -> Result<(), SendError> {
        self.check_open()?;
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(SendError::ControlTooLong { len: payload.len() });
        }
        self.frame(opcode, payload, true, false);
        Ok(())
    }

    #[inline]
    fn wants_compressed(&self, len: usize, compress: Compress) -> bool {
        match (&self.deflater, compress) {
            (None, _) | (_, Compress::Never) => false,
            (Some(_), Compress::Always) => true,
            (Some(deflater), Compress::Auto) => len >= deflater.threshold(),
        }
    }

    fn send_compressed(&mut self, opcode: Opcode, payload: &Bytes) {
        let Some(deflater) = &mut self.deflater else { return };
        let deflated = deflater.deflate(payload, true);
        // What did not shrink goes as it is, but only if the deflater forgets it: its window and the peer's must stay
        // the same (RFC 7692 §7.2.1).
        if deflated.len() >= payload.len() && deflater.may_discard() {
            self.frame(opcode, payload, true, false);
        } else {
            self.frame(opcode, &Bytes::from(deflated), true, true);
        }
    }

    #[inline]
    fn frame(&mut self, opcode: Opcode, payload: &Bytes, fin: bool, rsv1: bool) {
        let masking_key = self.keys.as_mut().map(|next| next());
        let header = Header { fin, rsv1, opcode, masking_key, payload_len: payload.len() as u64 };
        header.encode(self.output.buffer());
        match masking_key {
            None => self.output.append(payload),
            Some(key) => self.output.append_masked(payload, key),
        }
    }
}
