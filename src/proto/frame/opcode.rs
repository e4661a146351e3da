use std::fmt;

/// What a frame is (RFC 6455 §5.2).
///
/// The reserved values have no variant: a frame with one of them is refused while its header is parsed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of the message that is open (`0x0`).
    Continuation = 0x0,
    /// A text message, or its first fragment (`0x1`).
    Text = 0x1,
    /// A binary message, or its first fragment (`0x2`).
    Binary = 0x2,
    /// The closing handshake (`0x8`).
    Close = 0x8,
    /// "Are you there?" (`0x9`).
    Ping = 0x9,
    /// The answer to a Ping, or an unasked heartbeat (`0xA`).
    Pong = 0xA,
}

impl Opcode {
    /// Takes the low four bits of a frame's first byte; `None` for the reserved values.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// The four bits that stand in the frame's first byte.
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// Whether this is a control frame (RFC 6455 §5.5): never fragmented, at most 125 bytes.
    pub const fn is_control(self) -> bool {
        self.bits() & 0x8 != 0
    }

    /// Whether this is a data frame (RFC 6455 §5.6).
    pub const fn is_data(self) -> bool {
        !self.is_control()
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Continuation => "continuation",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        })
    }
}
