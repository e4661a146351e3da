use bytes::Bytes;

use super::{Arguments, Body, MAIN, MAX_ATTACHMENTS, Packet, PacketError, is_reserved, json, placeholder};
use crate::{Message, Utf8Bytes};

/// Puts the messages of a session together to packets: a text, and behind it as many binary messages as it announces.
///
/// Nothing is allocated by an announced number.
///
/// ```
/// use sockeye::socketio::packet::{Body, Decoder};
/// let mut decoder = Decoder::new();
/// assert_eq!(decoder.decode(r#"51-["image",{"_placeholder":true,"num":0}]"#.into()), Ok(None));
/// let packet = decoder.decode((&[1, 2, 3]).into())?.expect("it is whole");
/// let Body::Event { name, arguments, .. } = packet.body else { panic!("an event") };
/// assert_eq!((&*name, &arguments.attachments()[0][..]), ("image", &[1, 2, 3][..]));
/// # Ok::<(), sockeye::socketio::packet::PacketError>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    max_attachments: usize,
    /// A packet that waits for attachments.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    packet: Packet,
    missing: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// Takes packets with up to 10 attachments, as node does.
    pub const fn new() -> Self {
        Self { max_attachments: MAX_ATTACHMENTS, open: None }
    }

    /// Sets how many attachments a packet may have.
    #[must_use]
    pub const fn max_attachments(mut self, limit: usize) -> Self {
        self.max_attachments = limit;
        self
    }

    /// Takes the next message; gives a packet when that is whole.
    ///
    /// # Errors
    ///
    /// [`PacketError`]: the peer's fault, behind which nothing more is to be decoded.
    pub fn decode(&mut self, message: Message) -> Result<Option<Packet>, PacketError> {
        match (message, &mut self.open) {
            (Message::Text(text), None) => {
                let (packet, missing) = self.decode_text(text)?;
                if missing == 0 {
                    return Ok(Some(packet));
                }
                self.open = Some(Open { packet, missing });
                Ok(None)
            }
            (Message::Binary(bytes), Some(open)) => {
                if let Body::Event { arguments, .. } | Body::Ack { arguments, .. } = &mut open.packet.body {
                    arguments.attachments.push(bytes);
                }
                open.missing -= 1;
                Ok(self.open.take_if(|open| open.missing == 0).map(|open| open.packet))
            }
            (Message::Text(_), Some(_)) => Err(PacketError::UnexpectedText),
            (Message::Binary(_), None) => Err(PacketError::UnexpectedBinary),
        }
    }

    /// A packet, and how many attachments belong to it.
    fn decode_text(&self, text: Utf8Bytes) -> Result<(Packet, usize), PacketError> {
        let mut rest = Rest { text: &text, at: 0 };
        let kind = rest.next().ok_or(PacketError::Empty)?;
        let attachments = match kind {
            b'5' | b'6' => self.attachments(&mut rest)?,
            b'0'..=b'4' => 0,
            _ => return Err(PacketError::UnknownType(text.chars().next().ok_or(PacketError::Empty)?)),
        };
        let namespace = rest.namespace();
        let id = rest.number()?;
        let at = rest.at;
        let payload = (at < text.len()).then(|| text.skip(at));
        let body = match kind {
            // It is kept for as long as the client stays, and is not to keep what came beside it.
            b'0' => Body::Connect(payload.map(|json| checked(json.as_str().into(), b"{")).transpose()?),
            b'1' if payload.is_none() => Body::Disconnect,
            b'2' | b'5' => {
                let payload = payload.ok_or(PacketError::InvalidPayload)?;
                let (name, arguments) = event(payload, |json| self.check_placeholders(json, attachments))?;
                Body::Event { id, name, arguments }
            }
            b'3' | b'6' => {
                let payload = payload.ok_or(PacketError::InvalidPayload)?;
                let arguments = acknowledged(payload, |json| self.check_placeholders(json, attachments))?;
                Body::Ack { id, arguments }
            }
            b'4' => Body::ConnectError(checked(payload.ok_or(PacketError::InvalidPayload)?, b"{\"")?),
            _ => return Err(PacketError::InvalidPayload),
        };
        Ok((Packet { namespace, body }, attachments))
    }

    /// The number in front of a hyphen.
    fn attachments(&self, rest: &mut Rest<'_>) -> Result<usize, PacketError> {
        let count = rest.number().map_err(|_| PacketError::IllegalAttachments)?;
        let count = count.filter(|&count| count > 0 && rest.next() == Some(b'-'));
        let count = count.ok_or(PacketError::IllegalAttachments)?;
        match usize::try_from(count) {
            Ok(few) if few <= self.max_attachments => Ok(few),
            _ => Err(PacketError::TooManyAttachments { count, limit: self.max_attachments }),
        }
    }

    /// Attachments may be shared, and each placeholder becomes a copy where it is decoded. So there may be no more of them
    /// than attachments, or a short text would stand for as much memory as it likes.
    fn check_placeholders(&self, json: &str, attachments: usize) -> Result<(), PacketError> {
        if attachments == 0 {
            return Ok(());
        }
        match placeholder::count(json, attachments) {
            Some(few) if few <= self.max_attachments => Ok(()),
            Some(count) => Err(PacketError::TooManyAttachments { count: count as u64, limit: self.max_attachments }),
            // What serde_json does not decode, such as half of a surrogate pair, is no fault of the client's; and each
            // placeholder is an object.
            None if json.bytes().filter(|&byte| byte == b'{').count() <= self.max_attachments
                && !is_decodable(json) =>
            {
                Ok(())
            }
            None => Err(PacketError::IllegalPlaceholder),
        }
    }
}

/// Whether JSON has nothing in it that serde_json does not decode.
fn is_decodable(json: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(json).is_ok()
}

/// What of a text is still to be read.
struct Rest<'a> {
    text: &'a Utf8Bytes,
    at: usize,
}

impl Rest<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// A namespace goes up to a comma, or to the end.
    fn namespace(&mut self) -> Utf8Bytes {
        if self.peek() != Some(b'/') {
            return Utf8Bytes::from_static(MAIN);
        }
        let rest = self.text.slice_from(self.at);
        let namespace = match rest.find(',') {
            Some(end) => {
                self.at += end + 1;
                rest.slice_to(end)
            }
            None => {
                self.at = self.text.len();
                rest
            }
        };
        // What is kept for long is not to keep the whole message.
        if namespace == MAIN { Utf8Bytes::from_static(MAIN) } else { namespace.as_str().into() }
    }

    /// Digits, if there are any.
    fn number(&mut self) -> Result<Option<u64>, PacketError> {
        let mut number = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            let digit = u64::from(digit - b'0');
            let next = number.unwrap_or(0_u64).checked_mul(10).and_then(|number| number.checked_add(digit));
            number = Some(next.ok_or(PacketError::IdTooLarge)?);
        }
        Ok(number)
    }
}

/// A payload that begins with one of these, and is JSON.
fn checked(json: Utf8Bytes, first: &[u8]) -> Result<Utf8Bytes, PacketError> {
    let is_kind = json.as_bytes().first().is_some_and(|byte| first.contains(byte));
    if is_kind && json::is_value(&json) { Ok(json) } else { Err(PacketError::InvalidPayload) }
}

/// The name and the arguments of an event.
fn event(
    json: Utf8Bytes,
    check: impl FnOnce(&str) -> Result<(), PacketError>,
) -> Result<(Utf8Bytes, Arguments), PacketError> {
    let array = json::array(&json).and_then(|array| array.first);
    let (begin, end) = array.ok_or(PacketError::InvalidPayload)?;
    check(&json)?;
    let name = name(&json, &json[begin..end], end)?;
    if is_reserved(&name) {
        return Err(PacketError::ReservedName);
    }
    Ok((name, Arguments { array: json, name_end: Some(end), attachments: Vec::new() }))
}

/// An event's name: a text, or a number as it is written.
fn name(json: &Utf8Bytes, raw: &str, end: usize) -> Result<Utf8Bytes, PacketError> {
    match raw.as_bytes() {
        [b'"', inside @ .., b'"'] if !inside.contains(&b'\\') => Ok(json.slice_to(end - 1).skip(end - raw.len() + 1)),
        [b'"', ..] => serde_json::from_str::<String>(raw).map(Into::into).map_err(|_| PacketError::InvalidPayload),
        [b'-' | b'0'..=b'9', ..] => Ok(raw.into()),
        _ => Err(PacketError::InvalidPayload),
    }
}

/// The arguments of an acknowledgement.
fn acknowledged(
    json: Utf8Bytes,
    check: impl FnOnce(&str) -> Result<(), PacketError>,
) -> Result<Arguments, PacketError> {
    let array = json::array(&json).ok_or(PacketError::InvalidPayload)?;
    check(&json)?;
    Ok(Arguments { array: json.skip(array.start), name_end: None, attachments: Vec::new() })
}

impl Arguments {
    /// Arguments that come from elsewhere than a client: a JSON array, and what its placeholders stand for.
    ///
    /// # Errors
    ///
    /// If it is no JSON array, or a placeholder stands for nothing.
    pub fn from_json(json: impl Into<Utf8Bytes>, attachments: Vec<Bytes>) -> Result<Self, PacketError> {
        let arguments = acknowledged(json.into(), |json| match attachments.len() {
            0 => Ok(()),
            count => placeholder::count(json, count).map(drop).ok_or(PacketError::IllegalPlaceholder),
        })?;
        Ok(Self { attachments, ..arguments })
    }
}
