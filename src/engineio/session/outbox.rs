use std::collections::VecDeque;

use crate::{
    Compress, Message, PreparedMessage,
    engineio::{Packet, SEPARATOR, packet::base64_packet},
};

/// A message as it goes out, to one client or to many. A text begins with the digit of its packet.
#[derive(Clone, Debug)]
pub(crate) enum Outgoing {
    /// For one.
    Single(Message, Compress),
    /// For many: a WebSocket compresses it once for all.
    Shared(PreparedMessage),
}

impl Outgoing {
    /// A packet that is text.
    pub(super) fn packet(packet: &Packet) -> Self {
        Self::Single(Message::Text(packet.to_text().into()), Compress::Never)
    }

    /// How many bytes it is.
    pub(crate) fn len(&self) -> usize {
        self.message().len()
    }

    #[cfg(test)]
    pub(crate) fn as_text(&self) -> Option<&str> {
        self.message().as_text()
    }

    pub(super) fn message(&self) -> &Message {
        match self {
            Self::Single(message, _) => message,
            Self::Shared(prepared) => prepared.message(),
        }
    }
}

/// What waits for a poll.
#[derive(Default)]
pub(super) struct Outbox {
    packets: VecDeque<Outgoing>,
    bytes: usize,
}

/// What a packet takes beside its bytes.
const OVERHEAD: usize = 64;

impl Outbox {
    pub(super) fn push(&mut self, packet: Outgoing) {
        self.bytes += packet.message().len() + OVERHEAD;
        self.packets.push_back(packet);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes all of it.
    pub(super) fn take(&mut self) -> VecDeque<Outgoing> {
        self.bytes = 0;
        std::mem::take(&mut self.packets)
    }

    /// Takes all of it as the body of a poll.
    pub(super) fn take_payload(&mut self) -> String {
        let mut payload = String::with_capacity(self.bytes);
        for packet in self.take() {
            if !payload.is_empty() {
                payload.push(SEPARATOR);
            }
            match packet.message() {
                Message::Text(text) => payload.push_str(text),
                Message::Binary(bytes) => payload.push_str(&base64_packet(bytes)),
            }
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_all_packets_in_order_and_binary_as_base64() {
        let mut outbox = Outbox::default();
        outbox.push(Outgoing::Single("4hello".into(), Compress::Auto));
        outbox.push(Outgoing::Shared(PreparedMessage::new(Message::from(&[1, 2, 3, 4]))));
        outbox.push(Outgoing::packet(&Packet::Close));
        assert_eq!(outbox.take_payload(), "4hello\u{1e}bAQIDBA==\u{1e}1");
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
    }
}
