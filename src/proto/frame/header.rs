use bytes::BufMut;

use super::{MAX_CONTROL_PAYLOAD, MaskingKey, Opcode, ProtocolError};

/// The longest header: two bytes, a 64-bit length, a masking key (RFC 6455 §5.2).
pub const MAX_HEADER_LEN: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV: u8 = 0x70;
const MASK: u8 = 0x80;

/// The header of a frame (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Whether this is the message's last fragment.
    pub fin: bool,
    /// Whether the message is compressed (RFC 7692 §6); stands on its first frame.
    pub rsv1: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// How the payload is masked; `Some` exactly on what a client sends.
    pub masking_key: Option<MaskingKey>,
    /// The payload's length in bytes.
    pub payload_len: u64,
}

/// What [`Header::parse`] found at the front of its input.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// A whole header, and its length.
    Complete {
        /// The header.
        header: Header,
        /// How many bytes it took.
        consumed: usize,
    },
    /// The beginning of a header.
    Partial {
        /// How many more bytes are needed at least.
        needed: usize,
    },
}

impl Header {
    /// Parses one frame header from the front of `input`.
    ///
    /// Incomplete input is not an error: [`Parsed::Partial`] says how many more bytes are needed at least.
    /// `input` is not consumed; the caller advances by `consumed`.
    ///
    /// RSV1 is taken as it comes, as only the connection knows whether an extension gave it a meaning.
    ///
    /// # Errors
    ///
    /// Any [`ProtocolError`] that the header alone can show, as soon as the byte is there that shows it: a reserved
    /// opcode, RSV2 or RSV3, RSV1 on a control or continuation frame, a fragmented or oversized control frame, a
    /// length that is not in its shortest form or has its top bit set.
    #[inline]
    pub fn parse(input: &[u8]) -> Result<Parsed, ProtocolError> {
        let &[first, ref rest @ ..] = input else { return Ok(Parsed::Partial { needed: 2 }) };
        let opcode = first_byte(first)?;
        let &[second, ref rest @ ..] = rest else { return Ok(Parsed::Partial { needed: 1 }) };
        let short = second & !MASK;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_PAYLOAD {
            return Err(ProtocolError::ControlFrameTooLong { opcode });
        }
        let length_len = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let masked = second & MASK != 0;
        let consumed = 2 + length_len + if masked { 4 } else { 0 };
        let payload_len = match short {
            126 => match rest.first_chunk() {
                Some(bytes) => u64::from(u16::from_be_bytes(*bytes)),
                None => return Ok(Parsed::Partial { needed: consumed - input.len() }),
            },
            127 => match rest.first_chunk() {
                Some(bytes) => u64::from_be_bytes(*bytes),
                None => return Ok(Parsed::Partial { needed: consumed - input.len() }),
            },
            len => u64::from(len),
        };
        check_length(short, payload_len)?;
        let masking_key = match (masked, rest.get(length_len..).and_then(|rest| rest.first_chunk())) {
            (false, _) => None,
            (true, Some(key)) => Some(MaskingKey(*key)),
            (true, None) => return Ok(Parsed::Partial { needed: consumed - input.len() }),
        };
        let header = Header { fin: first & FIN != 0, rsv1: first & RSV1 != 0, opcode, masking_key, payload_len };
        Ok(Parsed::Complete { header, consumed })
    }

    /// The header of a message in one frame, without masking and compression.
    #[cfg(feature = "stream")]
    #[inline]
    pub(crate) const fn of_message(opcode: Opcode, payload_len: usize) -> Self {
        Self { fin: true, rsv1: false, opcode, masking_key: None, payload_len: payload_len as u64 }
    }

    /// Appends the header to `out`, its length in the shortest form.
    #[inline]
    pub fn encode(&self, out: &mut impl BufMut) {
        let first = self.opcode.bits() | if self.fin { FIN } else { 0 } | if self.rsv1 { RSV1 } else { 0 };
        let mask = if self.masking_key.is_some() { MASK } else { 0 };
        match self.payload_len {
            len @ 0..=125 => out.put_slice(&[first, mask | len as u8]),
            len @ 126..=0xffff => {
                let [a, b] = (len as u16).to_be_bytes();
                out.put_slice(&[first, mask | 126, a, b]);
            }
            len => {
                out.put_slice(&[first, mask | 127]);
                out.put_u64(len);
            }
        }
        if let Some(MaskingKey(key)) = self.masking_key {
            out.put_slice(&key);
        }
    }
}

/// A whole data message as it almost always comes: one frame, uncompressed, shorter than 64 KiB, all of it here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct WholeMessage {
    pub(crate) is_text: bool,
    pub(crate) masking_key: Option<MaskingKey>,
    pub(crate) header_len: usize,
    pub(crate) payload_len: usize,
}

impl WholeMessage {
    /// Looks for one at the front of `input`. `None` says nothing about what else is there: [`Header::parse`] does.
    #[inline]
    pub(crate) fn find(input: &[u8], masked: bool) -> Option<Self> {
        let &[first, second, ref rest @ ..] = input else { return None };
        let is_text = match first {
            0x81 => true,
            0x82 => false,
            _ => return None,
        };
        // With the expected mask bit taken off, what remains is the length; any other has its top bit set.
        let short = if masked { second ^ MASK } else { second };
        let (payload_len, header_len) = match short {
            0..=125 => (usize::from(short), 2),
            126 => match usize::from(u16::from_be_bytes(*rest.first_chunk()?)) {
                0..=125 => return None,
                len => (len, 4),
            },
            _ => return None,
        };
        let (masking_key, header_len) = match masked {
            true => (Some(MaskingKey(*input.get(header_len..)?.first_chunk()?)), header_len + 4),
            false => (None, header_len),
        };
        let whole = input.len() - header_len >= payload_len;
        whole.then_some(Self { is_text, masking_key, header_len, payload_len })
    }
}

/// Judges everything that the first byte says.
#[inline]
fn first_byte(first: u8) -> Result<Opcode, ProtocolError> {
    let bits = first & 0x0f;
    let opcode = Opcode::from_bits(bits).ok_or(ProtocolError::ReservedOpcode { bits })?;
    let rsv = first & RSV;
    if rsv != 0 {
        // RFC 7692 §6: RSV1 stands on the first frame of a data message and nowhere else.
        let meaningful = rsv == RSV1 && matches!(opcode, Opcode::Text | Opcode::Binary);
        if !meaningful {
            return Err(ProtocolError::ReservedBits { opcode, bits: rsv >> 4 });
        }
    }
    if opcode.is_control() && first & FIN == 0 {
        return Err(ProtocolError::FragmentedControlFrame { opcode });
    }
    Ok(opcode)
}

#[inline]
const fn check_length(short: u8, payload_len: u64) -> Result<(), ProtocolError> {
    match (short, payload_len) {
        (126, 0..=125) | (127, 0..=0xffff) => Err(ProtocolError::LengthNotMinimal { payload_len }),
        (127, len) if len >> 63 != 0 => Err(ProtocolError::LengthTopBit),
        _ => Ok(()),
    }
}
