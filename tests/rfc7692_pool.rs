//! RFC 7692 without context takeover: zlib's states go from message to message and from connection to connection on a
//! thread, and nothing of what they have seen goes with them.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use common::{Numbers, Scenario, binary, frame, hex, other, puff::Puffed, zlib};
use sockeye::{
    Message, PreparedMessage, Role,
    proto::{
        connection::{DeflateSettings, Delivery, Event},
        frame::ProtocolError,
    },
};

twins![
    refuses_a_reference_in_front_of_its_own_beginning,
    refuses_a_reference_in_front_of_its_own_beginning_behind_a_final_block,
    refuses_a_reference_to_a_message_that_failed_in_the_middle,
    refuses_a_reference_to_what_was_discarded_or_handed_over_in_chunks,
    refuses_a_reference_to_the_dictionary_behind_another_final_block,
    takes_a_reference_up_to_its_own_beginning,
    inflates_in_turns_with_connections_of_other_settings_that_fail,
    deflates_as_if_each_message_were_the_first,
];

/// What must not be seen by another.
fn secret() -> Vec<u8> {
    b"the password of another connection is: correct horse battery staple; ".repeat(600)
}

fn unshared(bits: u8) -> DeflateSettings {
    zlib::settings(bits, false)
}

/// Bits of a deflate stream, as RFC 1951 §3.1.1 packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    len: usize,
}

impl Bits {
    fn put(&mut self, value: usize, count: usize) -> &mut Self {
        for bit in 0..count {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> bit & 1) as u8) << (self.len % 8);
            self.len += 1;
        }
        self
    }

    /// A Huffman code, whose most significant bit goes first.
    fn code(&mut self, code: usize, count: usize) -> &mut Self {
        for bit in (0..count).rev() {
            self.put(code >> bit & 1, 1);
        }
        self
    }

    /// §3.2.6: a literal below 144 by the fixed code.
    fn literal(&mut self, byte: u8) -> &mut Self {
        self.code(0x30 + usize::from(byte), 8)
    }

    /// §3.2.5: three bytes from so far back, by the fixed code.
    fn back(&mut self, distance: usize) -> &mut Self {
        self.code(1, 7); // 257, a length of 3
        if distance <= 4 {
            return self.code(distance - 1, 5);
        }
        let extra = (distance - 1).ilog2() as usize - 1;
        let symbol = 2 * (extra + 1) + ((distance - 1) >> extra & 1);
        self.code(symbol, 5).put((distance - 1) & ((1 << extra) - 1), extra)
    }
}

/// A message with `own` bytes, and behind them three bytes from `distance` in front.
fn referring(own: &[u8], distance: usize) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.put(0, 1).put(1, 2); // not final, fixed codes
    for byte in own {
        bits.literal(*byte);
    }
    bits.back(distance).code(0, 7);
    // An empty stored block, of which the tail is not sent.
    bits.put(0, 3);
    bits.bytes
}

/// Distances in front of what has `own` bytes, within the window.
fn too_far(own: usize) -> impl Iterator<Item = usize> {
    [1, 2, 3, 4, 5, 8, 100, 257, 500, 1000, 4000, 16_000, 32_000, 32_768]
        .into_iter()
        .flat_map(move |more| [own + more, more])
        .filter(move |distance| *distance > own && *distance <= 32_768)
}

/// Fills the thread's pool with states that have seen secrets.
fn see_secrets(role: Role, bits: u8) {
    let mut others: Vec<_> = (0..6).map(|_| Scenario::deflate(role, &unshared(bits))).collect();
    let payload = zlib::deflate(&mut zlib::deflater(15), &secret());
    for (n, us) in others.iter_mut().enumerate() {
        // Half of them are inside a message while others are, so that there are several states at once.
        let cut = payload.len() / 2;
        us.receive_frame(0x42, &payload[..if n % 2 == 0 { cut } else { payload.len() }]);
    }
    for (n, us) in others.iter_mut().enumerate() {
        let cut = payload.len() / 2;
        let events = us.receive_frame(0x80, &payload[if n % 2 == 0 { cut } else { payload.len() }..]);
        assert!(events == [binary(&secret())]);
        us.connection.send(&Message::from(secret())).unwrap();
        us.sent();
    }
}

#[track_caller]
fn assert_refused(role: Role, bits: u8, payload: &[u8], what: &str) {
    for delivery in [Delivery::Whole, Delivery::Chunks, Delivery::Discard] {
        let mut us = Scenario::deflate(role, &unshared(bits));
        us.delivery = delivery;
        let events = us.receive_frame(0xc2, payload);
        // What came in front of it may be handed over in chunks, but nothing of another.
        let got: Vec<u8> = events
            .iter()
            .flat_map(|event| match event {
                Event::Chunk(chunk) => chunk.bytes.to_vec(),
                event => panic!("{what}: {event:?}"),
            })
            .collect();
        assert!(got.iter().all(|byte| *byte == b'_'), "{what} {delivery:?}: reveals {got:?}");
        us.assert_failed(ProtocolError::InvalidDeflate, 1007);
    }
}

fn refuses_a_reference_in_front_of_its_own_beginning(role: Role) {
    for bits in [9, 12, 15] {
        for own in [0, 1, 3, 10, 300, 5000] {
            for distance in too_far(own) {
                see_some_secret(role, bits);
                assert_refused(role, bits, &referring(&vec![b'_'; own], distance), &format!("{distance} behind {own}"));
            }
        }
    }
}

/// As [`see_secrets`], by one connection.
fn see_some_secret(role: Role, bits: u8) {
    let mut us = Scenario::deflate(role, &unshared(bits));
    let payload = zlib::deflate(&mut zlib::deflater(15), &secret()[..5000]);
    assert!(us.receive_frame(0xc2, &payload) == [binary(&secret()[..5000])]);
    assert!(us.receive_frame(0xc2, &payload) == [binary(&secret()[..5000])]);
}

/// What is refused above is refused for its distance, and not for how it is made.
fn takes_a_reference_up_to_its_own_beginning(role: Role) {
    see_secrets(role, 15);
    for own in [1, 2, 3, 4, 5, 100, 257, 5000, 32_768] {
        let mut us = Scenario::deflate(role, &unshared(15));
        let text: Vec<u8> = (0..own).map(|n| b'a' + (n % 23) as u8).collect();
        let mut want = text.clone();
        (0..3).for_each(|n| want.push(want[n]));
        for _ in 0..2 {
            assert!(us.receive_frame(0xc2, &referring(&text, own)) == [binary(&want)], "{own}");
        }
        // The message in front of it is out of reach, though the same connection sent it.
        us.receive_frame(0xc2, &referring(b"", 1));
        us.assert_failed(ProtocolError::InvalidDeflate, 1007);
    }
}

/// A final block has the stream go on with what the message has had so far, and with no more.
fn refuses_a_reference_in_front_of_its_own_beginning_behind_a_final_block(role: Role) {
    for own in [1, 10, 300] {
        let head = zlib::deflate_final(zlib::deflater(15), &vec![b'_'; own]);
        for distance in too_far(own) {
            see_secrets_with_final_blocks(role);
            let payload = [&head[..], &referring(b"", distance)].concat();
            assert_refused(role, 15, &payload, &format!("{distance} behind {own}, final"));
        }
    }
}

fn see_secrets_with_final_blocks(role: Role) {
    let mut us = Scenario::deflate(role, &unshared(15));
    let head = zlib::deflate_final(zlib::deflater(15), &secret()[..3000]);
    for _ in 0..3 {
        // The state that is given back has the first half as its dictionary.
        let payload = [&head[..], &head].concat();
        assert!(us.receive_frame(0xc2, &payload) == [binary(&secret()[..3000].repeat(2))]);
        assert!(us.receive_frame(0xc2, &head) == [binary(&secret()[..3000])]);
    }
}

fn refuses_a_reference_to_the_dictionary_behind_another_final_block(role: Role) {
    for distance in too_far(0) {
        see_secrets_with_final_blocks(role);
        assert_refused(role, 15, &referring(b"", distance), &format!("{distance}"));
        see_secrets_with_final_blocks(role);
        assert_refused(role, 15, &referring(b"____", distance + 4), &format!("{distance} behind 4"));
    }
}

fn refuses_a_reference_to_a_message_that_failed_in_the_middle(role: Role) {
    let payload = zlib::deflate(&mut zlib::deflater(15), &secret());
    for distance in too_far(0) {
        // Invalid behind a block; too large; a frame that is none; the end in the middle; text that is none.
        let mut us = Scenario::deflate(role, &unshared(15));
        us.receive_frame(0x42, &payload);
        us.receive_frame(0x80, b"\xff\xff\xff");
        assert!(us.failure().is_some());
        let mut us = Scenario::new(role, sockeye::Config::new(role).max_message(1000), Some(&unshared(15)));
        us.receive_frame(0xc2, &payload);
        assert!(us.failure().is_some());
        let mut us = Scenario::deflate(role, &unshared(15));
        us.receive_frame(0x42, &payload);
        us.receive_frame(0x83, b"");
        assert!(us.failure().is_some());
        let mut us = Scenario::deflate(role, &unshared(15));
        us.receive_frame(0x42, &payload);
        us.connection.receive_eof();
        let mut us = Scenario::deflate(role, &unshared(15));
        us.receive_frame(0xc1, &zlib::deflate(&mut zlib::deflater(15), &[&secret()[..], b"\xff"].concat()));
        assert!(us.failure().is_some());
        assert_refused(role, 15, &referring(b"", distance), &format!("{distance}"));
        // And a good connection is as good as ever.
        let mut us = Scenario::deflate(role, &unshared(15));
        assert!(us.receive_frame(0xc2, &payload) == [binary(&secret())]);
    }
}

fn refuses_a_reference_to_what_was_discarded_or_handed_over_in_chunks(role: Role) {
    let payload = zlib::deflate(&mut zlib::deflater(15), &secret().repeat(5));
    for delivery in [Delivery::Chunks, Delivery::Discard] {
        for distance in too_far(0) {
            let mut us = Scenario::deflate(role, &unshared(15));
            us.delivery = delivery;
            us.receive_frame(0xc2, &payload);
            assert_refused(role, 15, &referring(b"", distance), &format!("{distance}"));
        }
    }
}

/// Many connections with settings of their own on one thread, each in the middle of something; some fail.
fn inflates_in_turns_with_connections_of_other_settings_that_fail(role: Role) {
    let mut numbers = Numbers(12);
    let mut all: Vec<_> = (0..12).map(|n| new_connection(role, n)).collect();
    for round in 0..2000 {
        let at = numbers.below(all.len());
        let len = numbers.below(400);
        let message: Vec<u8> = if numbers.below(2) == 0 {
            numbers.bytes(len)
        } else {
            (0..len).map(|n| b"words of one connection "[(n + at) % 24]).collect()
        };
        if numbers.below(20) == 0 {
            let (us, peer) = &mut all[at];
            let payload = peer.deflate(&[&message[..], b"more"].concat());
            us.receive_frame(0x42, &payload[..payload.len() / 2]);
            // Invalid, unless a stored block takes it.
            us.receive_frame(0x80, &hex("ff ff ff ff"));
            all[at] = new_connection(role, at);
            continue;
        }
        let (us, peer) = &mut all[at];
        let payload = peer.deflate(&message);
        let bytes = frame(other(role), 0xc2, &payload);
        assert!(us.receive(&bytes) == [binary(&message)], "round {round}");
        us.connection.send(&Message::from(message.clone())).unwrap();
        assert!(peer.inflate(&us.sent()).1 == message, "round {round}");
        let prepared = PreparedMessage::new(message.clone());
        us.connection.send_prepared(&prepared).unwrap();
        assert!(peer.inflate(&us.sent()).1 == message, "round {round}, prepared");
    }
}

fn new_connection(role: Role, n: usize) -> (Scenario, zlib::Peer) {
    let (bits, takeover) = ([9, 10, 11, 12, 13, 15][n % 6], n % 4 == 3);
    let mut settings = zlib::settings(bits, takeover);
    settings.config.level = (n % 10) as u8;
    settings.config.mem_level = (n % 9) as u8 + 1;
    (Scenario::deflate(role, &settings), zlib::Peer::new(bits, takeover))
}

/// A state that was used is in no byte to be told from a new one, and never refers to what went before.
fn deflates_as_if_each_message_were_the_first(role: Role) {
    let messages = [secret(), secret()[..100].to_vec(), Numbers(3).bytes(70_000), secret()[..40_000].to_vec()];
    for level in 0..=9 {
        for (bits, mem_level) in [(15, 8), (9, 1), (12, 9)] {
            let mut settings = unshared(bits);
            (settings.config.level, settings.config.mem_level) = (level, mem_level);
            let forms: Vec<_> = (0..3)
                .flat_map(|_| &messages)
                .map(|message| {
                    let mut us = Scenario::deflate(role, &settings);
                    us.connection.send_with(&Message::from(message.clone()), sockeye::Compress::Always).unwrap();
                    us.sent()
                })
                .collect();
            for (n, form) in forms.iter().enumerate() {
                assert!(*form == forms[n % messages.len()], "level {level}, {bits} bits, message {n}");
                if form[0].0 & 0x40 != 0 {
                    let mut puffed = Puffed::default();
                    puffed.puff(&[&form[0].1[..], &[0x00, 0x00, 0xff, 0xff]].concat());
                    assert!(puffed.bytes == messages[n % messages.len()], "level {level}, {bits} bits, message {n}");
                }
            }
        }
    }
}

/// So that what is refused is refused for its distance.
#[test]
fn crafted_streams_are_well_formed() {
    let mut puffed = Puffed::default();
    puffed.puff(&[&referring(b"abcdefgh", 8)[..], &[0x00, 0x00, 0xff, 0xff]].concat());
    assert_eq!((&puffed.bytes[..], puffed.farthest), (&b"abcdefghabc"[..], 8));
}
