//! Payloads: the packets of one body of long-polling, joined by U+001E.

use super::{Packet, PacketError};
use crate::Utf8Bytes;

/// What stands between two packets. JSON escapes it, so that no packet of Socket.IO holds one.
pub const SEPARATOR: char = '\u{1e}';

/// The packets of a body, one after the other; ends behind the first that is none.
///
/// ```
/// use sockeye::engineio::{Packet, Payload};
/// let packets = Payload::parse("4hello\u{1e}bAQI=".into()).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(packets, [Packet::Message("hello".into()), Packet::Message((&[1, 2]).into())]);
/// # Ok::<(), sockeye::engineio::PacketError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Payload {
    rest: Option<Utf8Bytes>,
}

impl Payload {
    /// Takes a body. An empty one is one packet without a type, which is none.
    pub const fn parse(body: Utf8Bytes) -> Self {
        Self { rest: Some(body) }
    }
}

impl Iterator for Payload {
    type Item = Result<Packet, PacketError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let packet = match rest.find(SEPARATOR) {
            Some(end) => {
                self.rest = Some(rest.slice_from(end + SEPARATOR.len_utf8()));
                rest.slice_to(end)
            }
            None => rest,
        };
        let parsed = Packet::parse(packet);
        if parsed.is_err() {
            self.rest = None;
        }
        Some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Vec<Result<Packet, PacketError>> {
        Payload::parse(body.into()).collect()
    }

    #[test]
    fn packets_in_front_of_one_that_is_none_are_read() {
        let parsed = parse("4hello\u{1e}z\u{1e}4lost");
        assert_eq!(parsed, [Ok(Packet::Message("hello".into())), Err(PacketError::UnknownType('z'))]);
    }

    #[test]
    fn an_empty_body_is_a_packet_without_a_type() {
        assert_eq!(parse(""), [Err(PacketError::Empty)]);
        assert_eq!(parse("6\u{1e}"), [Ok(Packet::Noop), Err(PacketError::Empty)]);
    }

    #[test]
    fn characters_of_several_bytes_stay_whole() {
        assert_eq!(parse("4€\u{1e}4é"), [Ok(Packet::Message("€".into())), Ok(Packet::Message("é".into()))]);
    }
}
