//! `Connection::receive_as`: messages that are discarded, in chunks or whole, and from one to the other inside of one.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use common::{Scenario, binary, close_payload, frame, joined, other, ping, pong, stream, text};
use sockeye::{
    Config, Role,
    proto::{
        connection::{Delivery, Event},
        frame::{Opcode, ProtocolError},
    },
};

twins![
    discards_messages_and_shows_control_frames,
    discards_messages_of_any_length,
    discards_the_rest_of_a_message_and_delivers_the_next,
    discards_what_was_gathered_of_a_message,
    judges_what_it_discards,
    takes_as_whole_what_came_to_nobody_before_its_first_byte,
    holds_nothing_of_what_it_discards,
];

#[global_allocator]
static HEAP: common::heap::Counting = common::heap::Counting;

fn discarding(role: Role) -> Scenario {
    delivering(Scenario::open(role), Delivery::Discard)
}

fn delivering(mut us: Scenario, delivery: Delivery) -> Scenario {
    us.delivery = delivery;
    us
}

fn discards_messages_and_shows_control_frames(role: Role) {
    let frames: [(u8, &[u8]); 9] = [
        (0x81, b"Hello"),
        (0x89, b"one"),
        (0x02, &[1; 300]),
        (0x8a, b"two"),
        (0x00, b""),
        (0x89, b"three"),
        (0x80, &[2; 70_000]),
        (0x81, b""),
        (0x88, &close_payload(1000, "bye")),
    ];
    let bytes = stream(other(role), &frames);
    let want = [ping(b"one"), pong(b"two"), ping(b"three")];
    for read in [1, 7, 4096, usize::MAX] {
        let mut us = discarding(role);
        let events: Vec<_> = bytes.chunks(read.min(bytes.len())).flat_map(|read| us.receive(read)).collect();
        assert_eq!(events[..3], want, "in reads of {read}");
        assert!(matches!(events[3..], [Event::Close(Some(_))]));
        let sent: Vec<_> = us.sent().into_iter().map(|frame| frame.0).collect();
        assert_eq!(sent, [0x8a, 0x8a, 0x88]);
    }
}

fn discards_messages_of_any_length(role: Role) {
    let mut us = Scenario::new(role, Config::new(role).max_message(100), None);
    us.delivery = Delivery::Discard;
    assert_eq!(us.receive_frame(0x82, &[0; 100_000]), []);
    for _ in 0..20 {
        us.receive_frame(0x02, &[0; 101]);
        us.receive_frame(0x80, &[0; 101]);
    }
    assert_eq!(us.failure(), None);
    us.delivery = Delivery::Whole;
    assert_eq!(us.receive_frame(0x82, &[1; 100]), [binary(&[1; 100])]);
    us.receive_frame(0x82, &[1; 101]);
    us.assert_failed(ProtocolError::MessageTooBig { limit: 100 }, 1009);
}

/// Whatever is asked for behind the first byte that was discarded.
fn discards_the_rest_of_a_message_and_delivers_the_next(role: Role) {
    let bytes = frame(other(role), 0x82, &[7; 1000]);
    for cut in [bytes.len() - 999, bytes.len() - 500, bytes.len() - 1] {
        for then in [Delivery::Whole, Delivery::Chunks] {
            let mut us = discarding(role);
            assert_eq!(us.receive(&bytes[..cut]), []);
            us.delivery = then;
            assert_eq!(us.receive(&bytes[cut..]), []);
            us.delivery = Delivery::Whole;
            assert_eq!(us.receive_frame(0x81, b"next"), [text("next")]);
            // An empty fragment is nothing to discard but the message's beginning.
            us.delivery = Delivery::Discard;
            assert_eq!(us.receive_frame(0x01, b"a"), []);
            us.delivery = then;
            assert_eq!(us.receive_frame(0x00, b"b"), []);
            assert_eq!(us.receive_frame(0x80, b"c"), []);
            us.delivery = Delivery::Whole;
            assert_eq!(us.receive_frame(0x81, b"next"), [text("next")]);
        }
    }
}

fn discards_what_was_gathered_of_a_message(role: Role) {
    for first in [Delivery::Whole, Delivery::Chunks] {
        let mut us = delivering(Scenario::open(role), first);
        let events = us.receive_frame(0x02, &[1; 5000]);
        assert_eq!(events.len(), usize::from(first == Delivery::Chunks));
        us.delivery = Delivery::Discard;
        assert_eq!(us.receive_frame(0x00, &[2; 5000]), []);
        us.delivery = first;
        assert_eq!(us.receive_frame(0x80, &[3; 5000]), [], "it is discarded to its end");
        let (next, ends) = match &us.receive_frame(0x82, b"next")[..] {
            [Event::Message(message)] => (message.as_bytes().to_vec(), 1),
            events => joined(events),
        };
        assert_eq!((&next[..], ends), (&b"next"[..], 1));
    }
}

fn judges_what_it_discards(role: Role) {
    let mut us = discarding(role);
    us.receive_frame(0x01, b"text \xc3");
    assert_eq!(us.failure(), None);
    us.receive_frame(0x00, b"\xc3");
    us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    let mut us = discarding(role);
    us.receive_frame(0x81, b"text \xc3");
    us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    let mut us = discarding(role);
    us.receive_frame(0x01, b"");
    us.receive_frame(0x81, b"");
    us.assert_failed(ProtocolError::ExpectedContinuation { opcode: Opcode::Text }, 1002);
    let mut us = discarding(role);
    us.receive_frame(0x80, b"");
    us.assert_failed(ProtocolError::UnexpectedContinuation, 1002);
}

fn takes_as_whole_what_came_to_nobody_before_its_first_byte(role: Role) {
    let bytes = frame(other(role), 0x82, &[7; 1000]);
    let header = bytes.len() - 1000;
    for cut in 1..=header {
        let mut us = discarding(role);
        assert_eq!(us.receive(&bytes[..cut]), []);
        us.delivery = Delivery::Whole;
        assert_eq!(us.receive(&bytes[cut..]), [binary(&[7; 1000])], "cut at {cut}");
    }
}

/// The header was not held against the limit, as chunks may come from a message of any length.
#[test]
fn refuses_as_too_large_what_was_begun_otherwise_and_is_asked_for_whole() {
    for (role, first) in [
        (Role::Client, Delivery::Chunks),
        (Role::Server, Delivery::Chunks),
        (Role::Client, Delivery::Discard),
        (Role::Server, Delivery::Discard),
    ] {
        let bytes = frame(other(role), 0x82, &[7; 1000]);
        let header = bytes.len() - 1000;
        let mut us = delivering(Scenario::new(role, Config::new(role).max_message(100), None), first);
        assert_eq!(us.receive(&bytes[..header]), []);
        us.delivery = Delivery::Whole;
        us.receive(&bytes[header..]);
        us.assert_failed(ProtocolError::MessageTooBig { limit: 100 }, 1009);
    }
}

fn holds_nothing_of_what_it_discards(role: Role) {
    let mut us = discarding(role);
    us.receive_frame(0x82, &[0; 100]);
    let (header, piece) = (common::header(other(role), 0x02, 1 << 30), vec![0; 32 * 1024]);
    us.receive(&header);
    let ((), peak) = common::heap::peak(|| (0..100).for_each(|_| drop(us.receive(&piece))));
    assert!(peak < 256 * 1024, "{peak} bytes");
}

#[cfg(feature = "deflate")]
mod deflate {
    use common::{Numbers, zlib};

    use super::*;

    twins![
        discards_what_is_compressed_and_keeps_the_window,
        discards_the_rest_of_what_is_compressed_and_keeps_the_window,
        judges_what_is_compressed_and_discarded,
    ];

    fn messages() -> [Vec<u8>; 6] {
        let words = b"words that come again and again ".repeat(50);
        [words.clone(), vec![0; 500_000], words.clone(), vec![], Numbers(3).bytes(70_000), words]
    }

    fn discards_what_is_compressed_and_keeps_the_window(role: Role) {
        for takeover in [true, false] {
            let mut us = Scenario::deflate(role, &zlib::settings(15, takeover));
            let mut peer = zlib::Peer::new(15, takeover);
            let mut numbers = Numbers(8);
            for message in messages().iter().cycle().take(60) {
                us.delivery = [Delivery::Discard, Delivery::Whole][numbers.below(2)];
                let events = us.receive_frame(0xc2, &peer.deflate(message));
                match us.delivery {
                    Delivery::Discard => assert!(events.is_empty()),
                    _ => assert!(events == [binary(message)]),
                }
            }
        }
    }

    /// The message turns from whole or chunks to nothing at every place.
    fn discards_the_rest_of_what_is_compressed_and_keeps_the_window(role: Role) {
        for (takeover, first) in [(true, Delivery::Whole), (false, Delivery::Whole), (true, Delivery::Chunks)] {
            let mut us = Scenario::deflate(role, &zlib::settings(15, takeover));
            let mut peer = zlib::Peer::new(15, takeover);
            for message in messages().iter().filter(|message| !message.is_empty()) {
                for eighth in 1..8 {
                    let payload = peer.deflate(message);
                    let bytes = frame(other(role), 0xc2, &payload);
                    let cut = bytes.len() - payload.len() + (payload.len() - 1) * eighth / 8;
                    us.delivery = first;
                    us.receive(&bytes[..cut]);
                    us.delivery = Delivery::Discard;
                    assert_eq!(us.receive(&bytes[cut..bytes.len() - 1]), []);
                    us.delivery = Delivery::Discard;
                    assert_eq!(us.receive(&bytes[bytes.len() - 1..]), []);
                    us.delivery = Delivery::Whole;
                    assert!(us.receive_frame(0xc2, &peer.deflate(message)) == [binary(message)], "the next one");
                }
            }
        }
    }

    fn judges_what_is_compressed_and_discarded(role: Role) {
        let mut us = delivering(Scenario::deflate(role, &zlib::settings(15, true)), Delivery::Discard);
        let mut peer = zlib::Peer::new(15, true);
        us.receive_frame(0xc1, &peer.deflate("fine".as_bytes()));
        assert_eq!(us.failure(), None);
        us.receive_frame(0xc1, &peer.deflate(&[&[b'a'; 200_000][..], b"\xff"].concat()));
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
        let mut us = delivering(Scenario::deflate(role, &zlib::settings(15, true)), Delivery::Discard);
        us.receive_frame(0xc2, b"\xff\xff\xff");
        us.assert_failed(ProtocolError::InvalidDeflate, 1007);
    }
}
