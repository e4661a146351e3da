use bytes::Bytes;

use super::{
    Role,
    assemble::{Assembled, Assembly, Stretch},
    event::{Delivery, Event, MAX_CHUNK},
    inbox::Inbox,
    message::{Kind, Message},
};
use crate::proto::{
    Utf8Bytes,
    extension::deflate::Inflater,
    frame::{CloseFrame, Header, MAX_HEADER_LEN, MaskingKey, Opcode, Parsed, ProtocolError},
};

/// The receiving half of a connection: bytes in, events or a fault out.
///
/// It takes every byte out of the inbox that it is given, except those behind an event that it hands over first.
pub(crate) struct ReceiveHalf {
    role: Role,
    max_message: usize,
    inflater: Option<Inflater>,
    phase: Phase,
    /// The data message that is open.
    assembly: Option<Box<Assembly>>,
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
    pub(crate) fn new(role: Role, max_message: usize, inflater: Option<Inflater>) -> Self {
        Self { role, max_message, inflater, phase: HEADER, assembly: None }
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

    /// Takes bytes out of the inbox up to the next event.
    ///
    /// `None` means that the inbox is empty. After an error it is done.
    pub(crate) fn receive(&mut self, inbox: &mut Inbox, delivery: Delivery) -> Result<Option<Event>, ProtocolError> {
        let received = self.advance(inbox, delivery);
        if matches!(received, Err(_) | Ok(Some(Event::Close(_)))) {
            self.stop();
            inbox.clear();
        }
        received
    }

    fn advance(&mut self, inbox: &mut Inbox, delivery: Delivery) -> Result<Option<Event>, ProtocolError> {
        loop {
            let event = match &mut self.phase {
                Phase::Header { len, .. } => {
                    let whole = *len == 0;
                    let Some(header) = self.header(inbox)? else { return Ok(None) };
                    self.judge(&header)?;
                    if whole && let Some(event) = self.whole_message(&header, inbox, delivery)? {
                        return Ok(Some(event));
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

    /// The short way for the usual case: an uncompressed message in one frame that is here as a whole.
    #[inline]
    fn whole_message(
        &self,
        header: &Header,
        inbox: &mut Inbox,
        delivery: Delivery,
    ) -> Result<Option<Event>, ProtocolError> {
        let here = header.payload_len <= inbox.as_bytes().len() as u64;
        let in_parts = header.opcode.is_data() && delivery != Delivery::Whole;
        if !here || !header.fin || header.rsv1 || in_parts || header.payload_len > self.max_message as u64 {
            return Ok(None);
        }
        let len = header.payload_len as usize;
        Ok(Some(match header.opcode {
            Opcode::Text => {
                let text = Utf8Bytes::try_from(inbox.take(len, header.masking_key));
                Event::Message(Message::Text(text.map_err(|_| ProtocolError::InvalidUtf8)?))
            }
            Opcode::Binary => Event::Message(Message::Binary(inbox.take(len, header.masking_key))),
            Opcode::Continuation => return Ok(None),
            control @ (Opcode::Close | Opcode::Ping | Opcode::Pong) => {
                control_event(control, inbox.take(len, header.masking_key))?
            }
        }))
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
            self.assembly = Some(Box::new(Assembly::new(kind, rsv1)));
        }
        if let Some(assembly) = &self.assembly
            && assembly.delivery(delivery) == Delivery::Whole
        {
            // What is not held may be of any length.
            assembly.admit(payload_len, self.max_message)?;
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
        let waiting = match (delivery, inbox.as_bytes()) {
            (Delivery::Whole, waiting) => waiting,
            (Delivery::Chunks | Delivery::Discard, waiting) => &waiting[..waiting.len().min(MAX_CHUNK)],
        };
        let here = frame.remaining.min(waiting.len() as u64);
        if here == 0 && frame.remaining > 0 {
            return Ok(Progress::Wanting);
        }
        let stretch = Stretch {
            payload: &waiting[..here as usize],
            key: frame.key,
            behind: frame.remaining - here,
            fin: frame.fin,
        };
        let Assembled { taken, event, complete } =
            assembly.take(&stretch, self.inflater.as_mut(), delivery, self.max_message)?;
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
