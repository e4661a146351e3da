//! What a peer's bytes mean, by a reader of the RFCs that takes one byte after the other.
//!
//! It shares no code with the endpoint, has all bytes before it, and says at which of them everything has to show.

use sockeye::{
    Role,
    proto::{
        connection::{Event, Kind},
        frame::{Opcode, ProtocolError},
    },
};

use crate::{
    puff,
    zlib::{Inflate, Invalid, TAIL},
};

/// What an endpoint has agreed to before the first frame.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The endpoint that listens.
    pub role: Role,
    /// The largest message; `None` if messages are not held.
    pub max_message: Option<usize>,
    /// The largest frame, and what a compressed message that is held may inflate to.
    pub max_frame: u64,
    pub max_inflated: usize,
    /// The peer's window and whether it looks back at earlier messages.
    pub deflate: Option<(u8, bool)>,
}

impl Terms {
    /// Without limits on frames and on what is inflated.
    pub const fn new(role: Role, max_message: Option<usize>, deflate: Option<(u8, bool)>) -> Self {
        Self { role, max_message, max_frame: u64::MAX, max_inflated: usize::MAX, deflate }
    }

    /// How long a message may become, and what it is that is longer.
    fn limit(&self, compressed: bool) -> (usize, ProtocolError) {
        let limit = self.max_message.unwrap_or(usize::MAX);
        match self.max_inflated {
            inflated if compressed && inflated < limit => (inflated, ProtocolError::InflatedTooBig { limit: inflated }),
            _ => (limit, ProtocolError::MessageTooBig { limit }),
        }
    }
}

/// Something that the peer says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Said {
    Message { is_text: bool, bytes: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
}

impl Said {
    pub const fn is_message(&self) -> bool {
        matches!(self, Self::Message { .. })
    }
}

/// Whether an event is what was said; a chunk is not.
impl PartialEq<Event> for Said {
    fn eq(&self, event: &Event) -> bool {
        match (self, event) {
            (Self::Message { is_text, bytes }, Event::Message(message)) => {
                *is_text == (message.kind() == Kind::Text) && *bytes == message.as_bytes()
            }
            (Self::Ping(bytes), Event::Ping(payload)) | (Self::Pong(bytes), Event::Pong(payload)) => bytes == payload,
            (Self::Close(None), Event::Close(None)) => true,
            (Self::Close(Some((code, reason))), Event::Close(Some(frame))) => {
                *code == frame.code.get() && *reason == *frame.reason
            }
            _ => false,
        }
    }
}

/// All that is said, and how it ends.
#[derive(Debug)]
pub struct Heard {
    /// What is said, each with the number of bytes in which it shows.
    pub said: Vec<(usize, Said)>,
    /// The fault, with the number of bytes in which it shows.
    pub fault: Option<(usize, ProtocolError)>,
    /// What has come of the message that is open at the end.
    pub open: Vec<u8>,
    /// Bytes of the DEFLATE streams.
    deflated: Vec<u8>,
    /// How many bytes of the messages came in front of the first final block; zlib forgets its window there.
    restarted: bool,
    window: usize,
}

impl Heard {
    /// Whether the inflater may refuse what is valid DEFLATE: references beyond the agreed window, which zlib sees or
    /// does not see depending on how it is fed, and references over a final block to what is not at hand any more.
    pub fn may_be_refused(&self, is_held: bool) -> bool {
        puff::farthest(&self.deflated) > self.window || (self.restarted && !is_held)
    }

    /// How many things are said within so many bytes.
    pub fn said_within(&self, len: usize) -> usize {
        self.said.partition_point(|(at, _)| *at <= len)
    }

    /// The fault, if it shows within so many bytes.
    pub fn fault_within(&self, len: usize) -> Option<ProtocolError> {
        self.fault.filter(|(at, _)| *at <= len).map(|(_, fault)| fault)
    }
}

/// Whether a code may stand in a Close frame: RFC 6455 §7.4 and what IANA has registered since.
pub fn is_close_code(code: u16) -> bool {
    const REGISTERED: [u16; 12] = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    REGISTERED.contains(&code) || (3000..5000).contains(&code)
}

/// Reads everything that the peer sent.
pub fn hear(terms: Terms, bytes: &[u8]) -> Heard {
    let mut reader = Reader { terms, input: bytes, at: 0, open: None, inflater: None, heard: Heard::new(terms) };
    while let Ok(true) = reader.frame().map_err(|fault| reader.heard.fault = Some((reader.at, fault))) {}
    if let Some(open) = reader.open {
        reader.heard.open = open.bytes;
    }
    reader.heard
}

impl Heard {
    fn new(terms: Terms) -> Self {
        Self {
            said: Vec::new(),
            fault: None,
            open: Vec::new(),
            deflated: Vec::new(),
            restarted: false,
            window: terms.deflate.map_or(0, |(bits, _)| 1 << bits.max(9)),
        }
    }
}

struct Reader<'a> {
    terms: Terms,
    input: &'a [u8],
    /// How many bytes were taken.
    at: usize,
    open: Option<Open>,
    inflater: Option<Inflate>,
    heard: Heard,
}

/// A message of which the end is still to come.
struct Open {
    is_text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    /// Up to where the text was found valid.
    checked: usize,
    /// Whether the DEFLATE stream has a block that is open.
    open_block: bool,
}

/// A header, judged.
struct Header {
    fin: bool,
    opcode: u8,
    key: [u8; 4],
    len: u64,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = *self.input.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        (0..bytes).try_fold(0, |number, _| Some(number << 8 | u64::from(self.next()?)))
    }

    /// Takes one frame; `false` if no other comes behind it.
    fn frame(&mut self) -> Result<bool, ProtocolError> {
        let Some(header) = self.header()? else { return Ok(false) };
        if header.opcode >= 8 {
            return self.control(&header);
        }
        for i in 0..header.len {
            let Some(byte) = self.next() else { return Ok(false) };
            self.payload(byte ^ header.key[(i % 4) as usize])?;
        }
        if header.fin {
            self.end_of_message()?;
        }
        Ok(true)
    }

    fn header(&mut self) -> Result<Option<Header>, ProtocolError> {
        let Some(first) = self.next() else { return Ok(None) };
        let (fin, rsv, bits) = (first & 0x80 != 0, first >> 4 & 0b111, first & 0x0f);
        let opcode = opcode(bits).ok_or(ProtocolError::ReservedOpcode { bits })?;
        if rsv & 0b011 != 0 || rsv != 0 && !matches!(bits, 1 | 2) {
            return Err(ProtocolError::ReservedBits { opcode, bits: rsv });
        }
        if bits >= 8 && !fin {
            return Err(ProtocolError::FragmentedControlFrame { opcode });
        }
        let Some(second) = self.next() else { return Ok(None) };
        let short = u64::from(second & 0x7f);
        if bits >= 8 && short > 125 {
            return Err(ProtocolError::ControlFrameTooLong { opcode });
        }
        let (len, least) = match short {
            126 => (self.number(2), 126),
            127 => (self.number(8), 0x1_0000),
            short => (Some(short), 0),
        };
        let Some(len) = len else { return Ok(None) };
        if len < least {
            return Err(ProtocolError::LengthNotMinimal { payload_len: len });
        }
        if len >> 63 != 0 {
            return Err(ProtocolError::LengthTopBit);
        }
        let is_masked = second & 0x80 != 0;
        let key = if is_masked { self.number(4).map(|key| (key as u32).to_be_bytes()) } else { Some([0; 4]) };
        let Some(key) = key else { return Ok(None) };
        match (self.terms.role, is_masked) {
            (Role::Server, false) => return Err(ProtocolError::UnmaskedFrame),
            (Role::Client, true) => return Err(ProtocolError::MaskedFrame),
            _ => {}
        }
        if len > self.terms.max_frame {
            return Err(ProtocolError::FrameTooBig { limit: self.terms.max_frame });
        }
        if rsv != 0 && self.terms.deflate.is_none() {
            return Err(ProtocolError::ReservedBits { opcode, bits: rsv });
        }
        match (bits, &self.open) {
            (0, None) => return Err(ProtocolError::UnexpectedContinuation),
            (1 | 2, Some(_)) => return Err(ProtocolError::ExpectedContinuation { opcode }),
            (1 | 2, None) => {
                self.open = Some(Open {
                    is_text: bits == 1,
                    compressed: rsv != 0,
                    bytes: Vec::new(),
                    checked: 0,
                    open_block: false,
                });
            }
            _ => {}
        }
        if let (Some(open), Some(limit), true) = (&self.open, self.terms.max_message, bits < 8)
            && !open.compressed
            && len > (limit - open.bytes.len()) as u64
        {
            return Err(ProtocolError::MessageTooBig { limit });
        }
        Ok(Some(Header { fin, opcode: bits, key, len }))
    }

    fn control(&mut self, header: &Header) -> Result<bool, ProtocolError> {
        let mut payload = Vec::new();
        for i in 0..header.len {
            let Some(byte) = self.next() else { return Ok(false) };
            payload.push(byte ^ header.key[(i % 4) as usize]);
        }
        let said = match header.opcode {
            9 => Said::Ping(payload),
            10 => Said::Pong(payload),
            _ => Said::Close(close(&payload)?),
        };
        let goes_on = !matches!(said, Said::Close(_));
        self.heard.said.push((self.at, said));
        Ok(goes_on)
    }

    /// Takes a byte of payload, unmasked.
    fn payload(&mut self, byte: u8) -> Result<(), ProtocolError> {
        match &mut self.open {
            Some(Open { compressed: true, .. }) => self.deflated(byte),
            Some(open) => {
                open.bytes.push(byte);
                open.check(self.terms.limit(false))
            }
            None => unreachable!("a header without a message was refused"),
        }
    }

    fn deflated(&mut self, byte: u8) -> Result<(), ProtocolError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        self.heard.deflated.push(byte);
        // Beyond the largest window, so that the verdict depends on nothing but the bytes.
        let inflater = self.inflater.get_or_insert_with(|| Inflate::new(15));
        let limit = self.terms.limit(true);
        let room = limit.0.saturating_add(1) - open.bytes.len();
        let inflated = inflater.inflate(&[byte], &mut open.bytes, room.min(1 << 30));
        open.open_block = true;
        open.check(limit)?;
        match inflated {
            Err(Invalid) => Err(ProtocolError::InvalidDeflate),
            Ok((_, true)) => {
                let mut next = Inflate::new(15);
                next.set_dictionary(&open.bytes[open.bytes.len().saturating_sub(1 << 15)..]);
                self.inflater = Some(next);
                (open.open_block, self.heard.restarted) = (false, true);
                Ok(())
            }
            Ok((_, false)) => Ok(()),
        }
    }

    fn end_of_message(&mut self) -> Result<(), ProtocolError> {
        if let Some(Open { compressed: true, open_block: true, .. }) = self.open {
            TAIL.into_iter().try_for_each(|byte| self.deflated(byte))?;
        }
        if self.open.as_ref().is_some_and(|open| open.is_text && open.checked < open.bytes.len()) {
            return Err(ProtocolError::InvalidUtf8);
        }
        let Some(open) = self.open.take() else { return Ok(()) };
        if open.compressed && self.terms.deflate.is_some_and(|(_, context_takeover)| !context_takeover) {
            self.inflater = None;
        }
        self.heard.said.push((self.at, Said::Message { is_text: open.is_text, bytes: open.bytes }));
        Ok(())
    }
}

impl Open {
    /// Judges the bytes that are new, one after the other: text, then the limit.
    fn check(&mut self, (limit, fault): (usize, ProtocolError)) -> Result<(), ProtocolError> {
        let within = &self.bytes[..self.bytes.len().min(limit.saturating_add(1))];
        if self.is_text {
            match std::str::from_utf8(&within[self.checked..]) {
                Ok(_) => self.checked = within.len(),
                Err(error) if error.error_len().is_some() => return Err(ProtocolError::InvalidUtf8),
                Err(error) => self.checked += error.valid_up_to(),
            }
        }
        if self.bytes.len() > limit { Err(fault) } else { Ok(()) }
    }
}

fn opcode(bits: u8) -> Option<Opcode> {
    Some(match bits {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return None,
    })
}

/// What a Close's payload says.
///
/// # Errors
///
/// The fault that it is.
pub fn close(payload: &[u8]) -> Result<Option<(u16, String)>, ProtocolError> {
    let (code, reason) = match *payload {
        [] => return Ok(None),
        [_] => return Err(ProtocolError::CloseOfOneByte),
        [a, b, ref reason @ ..] => (u16::from(a) << 8 | u16::from(b), reason),
    };
    if !is_close_code(code) {
        return Err(ProtocolError::InvalidCloseCode { code });
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(Some((code, reason.into()))),
        Err(_) => Err(ProtocolError::InvalidUtf8),
    }
}

/// The code of the Close that answers a fault (RFC 6455 §7.4.1).
pub const fn close_code(fault: ProtocolError) -> u16 {
    match fault {
        ProtocolError::InvalidUtf8 | ProtocolError::InvalidDeflate => 1007,
        ProtocolError::MessageTooBig { .. }
        | ProtocolError::InflatedTooBig { .. }
        | ProtocolError::FrameTooBig { .. }
        | ProtocolError::RetainedTooMuch { .. } => 1009,
        ProtocolError::TooManyFinalBlocks | ProtocolError::TooManyPings { .. } | ProtocolError::Idle { .. } => 1008,
        ProtocolError::BudgetSpent { .. } => 1013,
        _ => 1002,
    }
}

/// How long the header at the front of `input` is, as far as its first two bytes say.
pub fn header_len(input: &[u8]) -> usize {
    let second = input.get(1).copied().unwrap_or(0);
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 == 0 { 0 } else { 4 }
}
