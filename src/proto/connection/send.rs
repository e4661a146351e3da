use std::{
    io::IoSlice,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    config::{Compress, Config, Role, later},
    error::SendError,
    event::Event,
    keepalive::{Due, Pulse},
    message::{Kind, Message},
    output::Output,
    prepared::PreparedMessage,
    state::{Effect, End, Input, State, Timeout},
};
use crate::proto::{
    extension::deflate::Deflater,
    frame::{CloseFrame, Header, MAX_CONTROL_PAYLOAD, MaskingKey, Opcode, ProtocolError, Utf8Validator},
};

/// How many bytes of Pongs may wait to be written. Beyond, only the newest is owed (RFC 6455 §5.5.3).
const MAX_PONG_BYTES: usize = 4096;

/// Where a client takes its masking keys from: unpredictable, a new one for each frame (RFC 6455 §5.3).
pub type MaskingKeys = Box<dyn FnMut() -> MaskingKey + Send>;

/// The sending half of a connection: its state, and everything that goes to the peer.
pub(crate) struct SendHalf {
    state: State,
    close_timeout: Duration,
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
    pulse: Option<Box<Pulse>>,
    rtt: Option<Duration>,
}

struct OpenMessage {
    kind: Kind,
    compressed: bool,
    begun: bool,
    utf8: Utf8Validator,
}

impl SendHalf {
    pub(crate) fn new(config: &Config, keys: Option<MaskingKeys>, deflater: Option<Deflater>, now: Instant) -> Self {
        Self {
            state: State::Open,
            close_timeout: config.close_timeout,
            keys,
            output: Output::default(),
            deflater,
            open: None,
            pong_bytes: 0,
            pongs_until: 0,
            owed_pong: None,
            lost: false,
            pulse: config.keepalive.map(|keepalive| Box::new(Pulse::new(keepalive, now))),
            rtt: None,
        }
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
        let (opcode, payload) = (message.kind().opcode(), message.payload());
        if self.wants_compressed(payload.len(), compress) {
            self.send_compressed(opcode, payload);
        } else {
            self.frame(opcode, payload, true, false);
        }
        Ok(())
    }

    /// Queues a message that others send as well.
    pub(crate) fn send_prepared(&mut self, prepared: &PreparedMessage) -> Result<(), SendError> {
        self.check_open()?;
        if self.open.is_some() {
            return Err(SendError::MessageOpen);
        }
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
        Ok(())
    }

    /// Begins a message that is sent in parts.
    pub(crate) fn begin(&mut self, kind: Kind, compress: Compress) -> Result<(), SendError> {
        self.check_open()?;
        if self.open.is_some() {
            return Err(SendError::MessageOpen);
        }
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
        let deadline = later(now, self.close_timeout);
        self.step(Input::Close { ours: frame, deadline });
    }

    // ── what the other half and the transport report ──

    /// Takes note of bytes from the peer.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Some(pulse) = &mut self.pulse {
            pulse.heard(now);
        }
    }

    /// Answers what the receiving half took in.
    pub(crate) fn react(&mut self, event: &Event, now: impl FnOnce() -> Instant) {
        match event {
            Event::Message(_) | Event::Chunk(_) => {}
            // §5.5.2: "an endpoint MUST send a Pong frame in response, unless it already received a Close frame".
            Event::Ping(payload) if self.is_open() => self.owe_pong(payload),
            Event::Ping(_) => {}
            Event::Pong(payload) => {
                if let Some(pulse) = &mut self.pulse
                    && let Some(rtt) = pulse.pong(payload, now())
                {
                    self.rtt = Some(rtt);
                }
            }
            Event::Close(theirs) => self.step(Input::Closed { theirs: theirs.clone() }),
        }
    }

    /// Fails the connection (RFC 6455 §7.1.7).
    pub(crate) fn fail(&mut self, fault: ProtocolError) {
        self.step(Input::Fault(fault));
    }

    /// Takes note that the transport gives no more bytes; it may still take some.
    pub(crate) fn received_eof(&mut self) {
        self.step(Input::Eof);
    }

    // ── the clock ──

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Open => self.pulse.as_ref().map(|pulse| pulse.deadline()),
            State::CloseSent { deadline, .. } => Some(*deadline),
            State::Ended(_) => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &self.state {
            State::Open => match self.pulse.as_mut().map_or(Due::Nothing, |pulse| pulse.due(now)) {
                Due::Nothing => {}
                Due::Ping(payload) => {
                    // Nothing has come for a while: what is to be sent next has little to do with what was.
                    if let Some(deflater) = &mut self.deflater {
                        deflater.forget();
                    }
                    self.frame(Opcode::Ping, &payload, true, false);
                }
                Due::Lost => self.step(Input::TimedOut(Timeout::Keepalive)),
            },
            State::CloseSent { deadline, .. } if *deadline <= now => self.step(Input::TimedOut(Timeout::Close)),
            State::CloseSent { .. } | State::Ended(_) => {}
        }
    }

    // ── bytes out ──

    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.output.len()
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
                let mut payload = Vec::new();
                if let Some(close) = close {
                    close.encode(&mut payload);
                }
                self.frame(Opcode::Close, &Bytes::from(payload), true, false);
            }
            Effect::DropOutput => {
                (self.pong_bytes, self.owed_pong) = (0, None);
                self.lost |= self.output.clear();
            }
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

    fn owe_pong(&mut self, payload: &Bytes) {
        if self.pong_bytes >= MAX_PONG_BYTES {
            self.owed_pong = Some(payload.clone());
            return;
        }
        let before = self.output.len();
        self.frame(Opcode::Pong, payload, true, false);
        self.pong_bytes += self.output.len() - before;
        self.pongs_until = self.output.written() + self.output.len() as u64;
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

/// What only a transport on this side of the core needs.
#[cfg(feature = "stream")]
impl SendHalf {
    /// Takes note that the transport is gone.
    pub(crate) fn transport_failed(&mut self) {
        self.step(Input::TransportFailed);
    }

    /// Whether something was queued that never went out.
    pub(crate) const fn has_lost(&self) -> bool {
        self.lost
    }

    /// Whether messages may be encoded elsewhere, to be queued by [`queue_frames`](Self::queue_frames).
    pub(crate) const fn takes_frames(&self) -> bool {
        self.is_open() && self.open.is_none() && self.keys.is_none() && self.deflater.is_none()
    }

    /// Queues messages that were encoded elsewhere; gives back what they came in if it is not needed.
    pub(crate) fn queue_frames(&mut self, frames: Vec<u8>) -> Option<Vec<u8>> {
        if self.is_open() {
            return self.output.append_frames(frames);
        }
        // No frame follows a Close.
        self.lost = true;
        Some(frames)
    }

    pub(crate) const fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// Whether a message is being sent in parts.
    pub(crate) const fn message_is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether somebody wants to know when bytes come.
    pub(crate) const fn wants_heard(&self) -> bool {
        self.pulse.is_some()
    }

    /// Whether Pongs wait to be written: while the peer does not take them, it is not read.
    pub(crate) const fn owes_pong(&self) -> bool {
        self.pong_bytes > 0
    }

    pub(crate) const fn output(&mut self) -> &mut Output {
        &mut self.output
    }
}
