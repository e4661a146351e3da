use bytes::Bytes;

use super::{
    Role,
    assemble::{Assembled, Assembly, Held, Stretch},
    event::{Delivery, Event, MAX_CHUNK},
    inbox::Inbox,
    message::{Kind, Message},
};
use crate::proto::{
    Limits,
    extension::deflate::Inflater,
    frame::{CloseFrame, Header, MAX_HEADER_LEN, MaskingKey, Opcode, Parsed, ProtocolError, WholeMessage},
};

/// The receiving half of a connection: bytes in, events or a fault out.
///
/// It takes every byte out of the inbox that it is given, except those behind an event that it hands over first.
pub(crate) struct ReceiveHalf {
    role: Role,
    limits: ReceiveLimits,
    inflater: Option<Inflater>,
    phase: Phase,
    /// The data message that is open.
    assembly: Option<Box<Assembly>>,
}

/// Those of the [`Limits`] that what comes is held to.
struct ReceiveLimits {
    frame: u64,
    held: Held,
}

impl ReceiveLimits {
    fn new(limits: &Limits) -> Self {
        Self {
            frame: limits.max_frame,
            held: Held { message: limits.max_message, inflated: limits.max_inflated, retained: limits.max_retained },
        }
    }
}

/// What the next byte belongs to.
enum Phase {
    /// A header, of which so many bytes are here.
    Header { bytes: [u8; MAX_HEADER_LEN], len: u8 },
    /// The payload of a data frame.
    Data(Frame),
    /// The payload of a control frame, and what has come of it.
    Control(Frame, Vec<u8>),
    /// Nothing: a Close came, or the connection failed. What follows is discarded (RFC 6455 §1.4).
    Done,
}

/// A frame whose payload is coming.
#[derive(Clone, Copy)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    /// As it applies to the next byte.
    key: Option<MaskingKey>,
    remaining: u64,
}

const HEADER: Phase = Phase::Header { bytes: [0; MAX_HEADER_LEN], len: 0 };

impl ReceiveHalf {
    pub(crate) fn new(role: Role, limits: &Limits, inflater: Option<Inflater>) -> Self {
        Self { role, limits: ReceiveLimits::new(limits), inflater, phase: HEADER, assembly: None }
    }

    /// How many bytes of memory hold what has come of an unfinished message and an unfinished control frame, and the state
    /// of the inflater.
    #[inline]
    pub(crate) fn retained(&self) -> usize {
        let control = match &self.phase {
            Phase::Control(_, payload) => payload.capacity(),
            Phase::Header { .. } | Phase::Data(_) | Phase::Done => 0,
        };
        let inflater = self.inflater.as_ref().map_or(0, |inflater| inflater.retained());
        control + inflater + self.assembly.as_ref().map_or(0, |assembly| assembly.retained())
    }

    /// Takes nothing in any more.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Done;
        self.assembly = None;
        self.inflater = None;
    }

    /// Discards the rest of the message that is open.
    #[cfg(feature = "stream")]
    pub(crate) fn skip_message(&mut self) {
        if let Some(assembly) = &mut self.assembly {
            assembly.skip();
        }
    }

    /// Whether there may be an event without any more bytes.
    #[cfg(feature = "stream")]
    pub(crate) const fn is_due(&self) -> bool {
        matches!(self.phase, Phase::Data(Frame { remaining: 0, .. }))
    }

    /// Where the transport may put the rest of a large frame, and how much of it, while the inbox is empty.
    #[cfg(feature = "stream")]
    pub(crate) fn direct(&mut self, delivery: Delivery) -> Option<(&mut Vec<u8>, usize)> {
        let (Phase::Data(frame), Some(assembly)) = (&self.phase, &mut self.assembly) else { return None };
        if assembly.delivery(delivery) != Delivery::Whole {
            return None;
        }
        assembly.direct(frame.remaining)
    }

    /// Takes note of `len` bytes that the transport put where [`direct`](Self::direct) said.
    #[cfg(feature = "stream")]
    pub(crate) fn received_directly(&mut self, len: usize) -> Result<(), ProtocolError> {
        let (Phase::Data(frame), Some(assembly)) = (&mut self.phase, &mut self.assembly) else {
            unreachable!("it was asked where to put them");
        };
        let received = assembly.received_directly(len, frame.key);
        frame.remaining -= len as u64;
        frame.key = frame.key.map(|key| key.at_offset(len as u64));
        if received.is_err() {
            self.stop();
        }
        received
    }

    /// Takes bytes out of the inbox up to the next event.
    ///
    /// `None` means that the inbox is empty. After an error it is done.
    pub(crate) fn receive(&mut self, inbox: &mut Inbox, delivery: Delivery) -> Result<Option<Event>, ProtocolError> {
        if delivery == Delivery::Whole
            && let Some(message) = self.whole_message(inbox)
        {
            return Ok(Some(Event::Message(message)));
        }
        let received = self.advance(inbox, delivery);
        if matches!(received, Err(_) | Ok(Some(Event::Close(_)))) {
            self.stop();
            inbox.clear();
        }
        received
    }

    /// The short way for the usual case: an uncompressed message in one frame that is here as a whole.
    ///
    /// `None` says nothing about what is in the inbox: [`receive`](Self::receive) does.
    #[inline(always)]
    pub(crate) fn whole_message(&mut self, inbox: &mut Inbox) -> Option<Message> {
        if self.assembly.is_some() || !matches!(self.phase, Phase::Header { len: 0, .. }) {
            return None;
        }
        let found = WholeMessage::find(inbox.as_bytes(), self.role == Role::Server)?;
        if found.payload_len > self.limits.held.message || found.payload_len as u64 > self.limits.frame {
            return None;
        }
        let WholeMessage { is_text, masking_key, header_len, payload_len } = found;
        if is_text {
            inbox.take_text(header_len, payload_len, masking_key).map(Message::Text)
        } else {
            Some(Message::Binary(inbox.take(header_len, payload_len, masking_key)))
        }
    }

    fn advance(&mut self, inbox: &mut Inbox, delivery: Delivery) -> Result<Option<Event>, ProtocolError> {
        loop {
            let event = match &mut self.phase {
                Phase::Header { len, .. } => {
                    let whole = *len == 0;
                    let Some(header) = self.header(inbox)? else { return Ok(None) };
                    self.judge(&header)?;
                    if whole && header.opcode.is_control() && header.payload_len <= inbox.as_bytes().len() as u64 {
                        let payload = inbox.take(0, header.payload_len as usize, header.masking_key);
                        return control_event(header.opcode, payload).map(Some);
                    }
                    self.begin(&header, delivery)?;
                    None
                }
                Phase::Data(_) => match self.data(inbox, delivery)? {
                    Progress::Wanting => return Ok(None),
                    Progress::Going => None,
                    Progress::Event(event) => Some(event),
                },
                Phase::Control(frame, payload) => {
                    if !take_control(frame, payload, inbox) {
                        return Ok(None);
                    }
                    let (opcode, payload) = (frame.opcode, Bytes::from(std::mem::take(payload)));
                    self.phase = HEADER;
                    Some(control_event(opcode, payload)?)
                }
                Phase::Done => {
                    inbox.clear();
                    return Ok(None);
                }
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    /// Takes a header out of the inbox, or keeps the beginning of one.
    fn header(&mut self, inbox: &mut Inbox) -> Result<Option<Header>, ProtocolError> {
        let Phase::Header { bytes, len } = &mut self.phase else { return Ok(None) };
        if *len == 0
            && let Parsed::Complete { header, consumed } = Header::parse(inbox.as_bytes())?
        {
            inbox.advance(consumed);
            return Ok(Some(header));
        }
        loop {
            let have = usize::from(*len);
            match Header::parse(&bytes[..have])? {
                Parsed::Complete { header, .. } => {
                    *len = 0;
                    return Ok(Some(header));
                }
                Parsed::Partial { needed } => {
                    let waiting = inbox.as_bytes();
                    let count = needed.min(waiting.len());
                    if count == 0 {
                        return Ok(None);
                    }
                    bytes[have..have + count].copy_from_slice(&waiting[..count]);
                    *len += count as u8;
                    inbox.advance(count);
                }
            }
        }
    }

    /// Judges what a header says in this connection, before any byte of its payload.
    #[inline]
    fn judge(&self, header: &Header) -> Result<(), ProtocolError> {
        match (self.role, header.masking_key) {
            (Role::Server, Some(_)) | (Role::Client, None) => {}
            // §5.1: "The server MUST close the connection upon receiving a frame that is not masked."
            (Role::Server, None) => return Err(ProtocolError::UnmaskedFrame),
            // §5.1: "A client MUST close a connection if it detects a masked frame."
            (Role::Client, Some(_)) => return Err(ProtocolError::MaskedFrame),
        }
        if header.payload_len > self.limits.frame {
            return Err(ProtocolError::FrameTooBig { limit: self.limits.frame });
        }
        // RFC 7692 §6: RSV1 means something only if permessage-deflate was agreed to.
        if header.rsv1 && self.inflater.is_none() {
            return Err(ProtocolError::ReservedBits { opcode: header.opcode, bits: 0b100 });
        }
        match (header.opcode, self.assembly.is_some()) {
            // §5.4: fragments continue a message, and another message waits until it is complete.
            (Opcode::Continuation, false) => Err(ProtocolError::UnexpectedContinuation),
            (opcode @ (Opcode::Text | Opcode::Binary), true) => Err(ProtocolError::ExpectedContinuation { opcode }),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, header: &Header, delivery: Delivery) -> Result<(), ProtocolError> {
        let Header { fin, opcode, masking_key, payload_len, rsv1 } = *header;
        let frame = Frame { opcode, fin, key: masking_key, remaining: payload_len };
        let kind = match opcode {
            Opcode::Text => Some(Kind::Text),
            Opcode::Binary => Some(Kind::Binary),
            Opcode::Continuation => None,
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.phase = Phase::Control(frame, Vec::new());
                return Ok(());
            }
        };
        if let Some(kind) = kind {
            self.assembly = Some(Box::new(Assembly::new(kind, rsv1, self.limits.held)));
        }
        if let Some(assembly) = &self.assembly
            && assembly.delivery(delivery) == Delivery::Whole
        {
            // What is not held may be of any length.
            assembly.admit(payload_len)?;
        }
        self.phase = Phase::Data(frame);
        Ok(())
    }

    /// Gives the open message what the inbox has of its frame.
    fn data(&mut self, inbox: &mut Inbox, delivery: Delivery) -> Result<Progress, ProtocolError> {
        let (Phase::Data(frame), Some(assembly)) = (&mut self.phase, &mut self.assembly) else {
            unreachable!("a data frame belongs to a message that is open");
        };
        let delivery = assembly.delivery(delivery);
        let most = if delivery == Delivery::Whole { usize::MAX } else { MAX_CHUNK };
        if delivery == Delivery::Whole {
            // It may have been begun when it was not to be held.
            assembly.admit(frame.remaining)?;
        }
        let waiting = inbox.as_mut_bytes();
        let here = frame.remaining.min(waiting.len().min(most) as u64);
        if here == 0 && frame.remaining > 0 {
            return Ok(Progress::Wanting);
        }
        let mut stretch = Stretch {
            payload: &mut waiting[..here as usize],
            key: frame.key,
            behind: frame.remaining - here,
            fin: frame.fin,
        };
        let Assembled { taken, event, complete } = assembly.take(&mut stretch, self.inflater.as_mut(), delivery)?;
        inbox.advance(taken);
        frame.remaining -= taken as u64;
        frame.key = frame.key.map(|key| key.at_offset(taken as u64));
        if complete {
            self.assembly = None;
        }
        // A frame whose payload is all taken is over, unless its end still has output in the inflater.
        let frame_is_over = frame.remaining == 0 && (complete || !frame.fin);
        if frame_is_over {
            self.phase = HEADER;
        }
        Ok(event.map_or(Progress::Going, Progress::Event))
    }
}

enum Progress {
    /// More bytes are needed.
    Wanting,
    /// There is more to do with what is here.
    Going,
    Event(Event),
}

/// Moves a control frame's payload out of the inbox; says whether it is complete.
fn take_control(frame: &mut Frame, payload: &mut Vec<u8>, inbox: &mut Inbox) -> bool {
    let waiting = inbox.as_bytes();
    let count = frame.remaining.min(waiting.len() as u64) as usize;
    super::assemble::append_masked(payload, &waiting[..count], None);
    inbox.advance(count);
    frame.remaining -= count as u64;
    let complete = frame.remaining == 0;
    if complete && let Some(key) = frame.key {
        crate::proto::frame::apply_mask(payload, key);
    }
    complete
}

fn control_event(opcode: Opcode, payload: Bytes) -> Result<Event, ProtocolError> {
    Ok(match opcode {
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        Opcode::Close => Event::Close(CloseFrame::parse(&payload)?),
        Opcode::Continuation | Opcode::Text | Opcode::Binary => unreachable!("a data frame is no control frame"),
    })
}
