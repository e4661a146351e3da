//! Packets (Engine.IO v4), and how each transport writes one.

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

use crate::{Message, Utf8Bytes};

/// Standard base64, which node pads; what other clients send without padding is read as well.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What one end tells the other: a digit and what follows it, or bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Packet {
    /// `0`: the server's handshake, as JSON.
    Open(Utf8Bytes),
    /// `1`: the session is to end.
    Close,
    /// `2`: the server asks whether the client is there; `2probe` from a client tries a transport.
    Ping(Utf8Bytes),
    /// `3`: the answer to a ping.
    Pong(Utf8Bytes),
    /// `4` and a text, or bytes.
    Message(Message),
    /// `5`: the client goes on with the transport that it tried.
    Upgrade,
    /// `6`: nothing; it ends a poll.
    Noop,
}

/// What is no packet.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PacketError {
    /// Nothing at all.
    #[error("a packet without a type")]
    Empty,
    /// A first character that is none of `0` to `6`, nor `b`.
    #[error("a packet of the unknown type {0:?}")]
    UnknownType(char),
    /// Behind a `b` stands base64.
    #[error("a binary packet that is not base64")]
    Base64,
}

impl Packet {
    /// Parses a packet that came as text: behind a digit, or binary as `b` and base64.
    ///
    /// ```
    /// use sockeye::engineio::Packet;
    /// assert_eq!(Packet::parse("4hello".into()), Ok(Packet::Message("hello".into())));
    /// assert_eq!(Packet::parse("bAQI=".into()), Ok(Packet::Message((&[1, 2]).into())));
    /// ```
    ///
    /// # Errors
    ///
    /// [`PacketError`]: the peer's fault. What follows the type of a packet that has no payload is ignored, as node does.
    pub fn parse(text: Utf8Bytes) -> Result<Self, PacketError> {
        let first = text.chars().next().ok_or(PacketError::Empty)?;
        Ok(match first {
            '0' => Self::Open(text.skip(1)),
            '1' => Self::Close,
            '2' => Self::Ping(text.skip(1)),
            '3' => Self::Pong(text.skip(1)),
            '4' => Self::Message(Message::Text(text.skip(1))),
            '5' => Self::Upgrade,
            '6' => Self::Noop,
            'b' => {
                let bytes = BASE64.decode(&text[1..]).map_err(|_| PacketError::Base64)?;
                Self::Message(Message::Binary(Bytes::from(bytes)))
            }
            other => return Err(PacketError::UnknownType(other)),
        })
    }

    /// Appends the packet as text; binary becomes `b` and base64.
    ///
    /// ```
    /// use sockeye::engineio::Packet;
    /// let mut text = String::new();
    /// Packet::Message((&[1, 2, 3, 4]).into()).encode(&mut text);
    /// assert_eq!(text, "bAQIDBA==");
    /// ```
    pub fn encode(&self, text: &mut String) {
        let (digit, rest) = match self {
            Self::Open(json) => ('0', json.as_str()),
            Self::Close => ('1', ""),
            Self::Ping(payload) => ('2', payload.as_str()),
            Self::Pong(payload) => ('3', payload.as_str()),
            Self::Message(Message::Text(payload)) => ('4', payload.as_str()),
            Self::Message(Message::Binary(bytes)) => {
                text.push('b');
                return BASE64.encode_string(bytes, text);
            }
            Self::Upgrade => ('5', ""),
            Self::Noop => ('6', ""),
        };
        text.push(digit);
        text.push_str(rest);
    }
}

impl Packet {
    /// The packet as text.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        self.encode(&mut text);
        text
    }
}

/// The bytes as a packet that is text.
pub(super) fn base64_packet(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(1 + bytes.len().div_ceil(3) * 4);
    text.push('b');
    BASE64.encode_string(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_is_written_as_it_is_read() {
        for written in ["0{}", "1", "2", "2probe", "3", "3probe", "4", "4hello", "5", "6", "b", "bAQIDBA==", "4€"] {
            let packet = Packet::parse(written.into()).expect("a packet");
            assert_eq!(packet.to_text(), written);
        }
    }

    #[test]
    fn what_is_no_packet_is_told() {
        assert_eq!(Packet::parse("".into()), Err(PacketError::Empty));
        assert_eq!(Packet::parse("7".into()), Err(PacketError::UnknownType('7')));
        assert_eq!(Packet::parse("€".into()), Err(PacketError::UnknownType('€')));
        assert_eq!(Packet::parse("b?".into()), Err(PacketError::Base64));
    }

    #[test]
    fn padding_may_be_missing() {
        assert_eq!(Packet::parse("bAQIDBA".into()), Ok(Packet::Message((&[1, 2, 3, 4]).into())));
    }

    #[test]
    fn what_follows_a_packet_without_payload_is_ignored() {
        assert_eq!(Packet::parse("1abc".into()), Ok(Packet::Close));
        assert_eq!(Packet::parse("6abc".into()), Ok(Packet::Noop));
    }
}
