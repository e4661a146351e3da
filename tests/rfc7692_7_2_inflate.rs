//! RFC 7692 §6 and §7.2.2: compressed messages that come, and what is refused of them.
#![cfg(feature = "deflate")]

mod common;

use common::{Numbers, Scenario, binary, frame, hex, joined, other, ping, stream, text, zlib};
use flate2::Compress;
use sockeye::{
    Role,
    proto::{
        connection::{DeflateSettings, Delivery, Event},
        frame::{Opcode, ProtocolError},
    },
};

twins![
    inflates_the_examples_of_section_7_2_3,
    inflates_the_examples_in_fragments,
    inflates_the_example_that_shares_the_window,
    inflates_the_next_message_behind_a_final_block,
    refuses_a_message_of_little_but_final_blocks,
    inflates_references_across_a_final_block,
    inflates_empty_messages,
    inflates_no_reference_to_an_older_message_without_context_takeover,
    inflates_what_was_deflated_with_a_window_of_8_bits,
    takes_messages_that_are_not_compressed,
    gives_the_same_at_every_split,
    hands_over_all_chunks_of_a_fragment_that_was_flushed,
    refuses_rsv1_where_it_means_nothing,
    refuses_what_does_not_inflate,
    refuses_invalid_text_that_was_compressed,
    refuses_invalid_text_in_front_of_what_does_not_inflate,
];

fn shared() -> DeflateSettings {
    zlib::settings(15, true)
}

fn unshared() -> DeflateSettings {
    zlib::settings(15, false)
}

/// Endpoints with context takeover and without.
fn each(role: Role) -> [Scenario; 2] {
    [shared(), unshared()].map(|settings| Scenario::deflate(role, &settings))
}

// ── what comes ──

const HELLO: &str = "f2 48 cd c9 c9 07 00"; // §7.2.3.1
const STORED: &str = "00 05 00 fa ff 48 65 6c 6c 6f 00"; // §7.2.3.3
const FINAL: &str = "f3 48 cd c9 c9 07 00 00"; // §7.2.3.4
const TWO_BLOCKS: &str = "f2 48 05 00 00 00 ff ff ca c9 c9 07 00"; // §7.2.3.5

fn inflates_the_examples_of_section_7_2_3(role: Role) {
    for mut us in each(role) {
        for example in [HELLO, STORED, FINAL, TWO_BLOCKS, FINAL, HELLO, FINAL, FINAL, STORED] {
            assert_eq!(us.receive_frame(0xc1, &hex(example)), [text("Hello")], "{example}");
            let bytes = frame(other(role), 0xc2, &hex(example));
            assert_eq!(us.receive_bytewise(&bytes), [binary(b"Hello")], "{example}");
        }
    }
}

fn inflates_the_examples_in_fragments(role: Role) {
    for mut us in each(role) {
        let fragments = [(0x41, hex("f2 48 cd")), (0x80, hex("c9 c9 07 00"))]; // §7.2.3.1
        let [first, last] = fragments.map(|(first, payload)| us.receive_frame(first, &payload));
        assert_eq!((first, last), (vec![], vec![text("Hello")]));
        for example in [HELLO, STORED, FINAL, TWO_BLOCKS] {
            let payload = hex(example);
            for at in 0..=payload.len() {
                // With an empty fragment and a Ping between; where `at` is the end, the last fragment is empty.
                let frames: [(u8, &[u8]); 4] =
                    [(0x41, &payload[..at]), (0x00, b""), (0x89, b"p"), (0x80, &payload[at..])];
                let events = us.receive(&stream(other(role), &frames));
                assert_eq!(events, [ping(b"p"), text("Hello")], "{example} cut at {at}");
            }
        }
    }
}

fn inflates_the_example_that_shares_the_window(role: Role) {
    let mut us = Scenario::deflate(role, &shared());
    for payload in ["f2 48 cd c9 c9 07 00", "f2 00 11 00 00", "f2 00 11 00 00"] {
        assert_eq!(us.receive_frame(0xc1, &hex(payload)), [text("Hello")]); // §7.2.3.2
        assert_eq!(us.receive_frame(0x81, b"raw, in no window"), [text("raw, in no window")]);
    }
}

fn inflates_the_next_message_behind_a_final_block(role: Role) {
    let message = b"a message that ends with a final block, and is the next one's window";
    for mut us in each(role) {
        for _ in 0..3 {
            // With the octet that §7.2.3.4 appends, and without: some peers leave it out.
            let payload = zlib::deflate_final(zlib::deflater(15), message);
            assert_eq!(us.receive_frame(0xc2, &[&payload[..], &[0x00]].concat()), [binary(message)]);
            assert_eq!(us.receive_frame(0xc2, &payload), [binary(message)]);
            assert_eq!(us.receive_frame(0xc1, &hex(HELLO)), [text("Hello")]);
        }
    }
}

fn refuses_a_message_of_little_but_final_blocks(role: Role) {
    for mut us in each(role) {
        // An empty block with fixed codes and BFINAL set, so often that beginning anew would cost most.
        let blocks = |count: usize| [&b"\x03\x00".repeat(count)[..], b"\x00"].concat();
        for _ in 0..3 {
            assert_eq!(us.receive_frame(0xc2, &blocks(64)), [binary(b"")]);
        }
        assert_eq!(us.receive_frame(0xc2, &blocks(10_000)), []);
        us.assert_failed(ProtocolError::TooManyFinalBlocks, 1008);
    }
}

const WINDOW: &[u8] = b"words that stand in the window for what comes after them";

/// A deflater that goes on behind what the peer has sent already.
fn deflater_behind(window: &[u8]) -> Compress {
    let mut stream = zlib::deflater(15);
    stream.set_dictionary(window).expect("valid");
    stream
}

/// The window as a block that is final, and as another that refers back to it.
fn across_a_final_block() -> (Vec<u8>, Vec<u8>) {
    let back = zlib::deflate(&mut deflater_behind(WINDOW), WINDOW);
    assert!(back.len() < 10, "refers back");
    (zlib::deflate_final(zlib::deflater(15), WINDOW), back)
}

fn inflates_references_across_a_final_block(role: Role) {
    let (window, back) = across_a_final_block();
    let whole = [&window[..], &back].concat();
    for at in 0..=whole.len() {
        for mut us in each(role) {
            let bytes = stream(other(role), &[(0x42, &whole[..at]), (0x80, &whole[at..])]);
            assert_eq!(us.receive(&bytes), [binary(&[WINDOW, WINDOW].concat())]);
        }
    }
    let mut us = Scenario::deflate(role, &shared());
    assert_eq!(us.receive_frame(0xc2, &window), [binary(WINDOW)]);
    assert_eq!(us.receive_frame(0xc2, &back), [binary(WINDOW)]);
}

fn inflates_empty_messages(role: Role) {
    for mut us in each(role) {
        for _ in 0..3 {
            let frames: [(u8, &[u8]); 8] = [
                (0xc1, b"\x00"), // §7.2.3.6
                (0xc2, b""),
                (0xc1, b""),
                (0x41, b""),
                (0x80, b""),
                (0x42, b""),
                (0x80, b"\x00"),
                (0xc2, b"\x02\x00"), // a fixed block without content
            ];
            let want = [text(""), binary(b""), text(""), text(""), binary(b""), binary(b"")];
            assert_eq!(us.receive(&stream(other(role), &frames)), want);
            assert_eq!(us.receive_frame(0xc1, &hex(HELLO)), [text("Hello")]);
            // A fragment with a whole sync flush, its tail included, and a last one with nothing but an empty block.
            let flushed = [hex(HELLO), hex("00 00 ff ff")].concat();
            assert_eq!(us.receive(&stream(other(role), &[(0x41, &flushed), (0x80, b"\x00")])), [text("Hello")]);
        }
    }
}

fn inflates_no_reference_to_an_older_message_without_context_takeover(role: Role) {
    let mut us = Scenario::deflate(role, &unshared());
    assert_eq!(us.receive_frame(0xc1, &hex(HELLO)), [text("Hello")]);
    assert_eq!(us.receive_frame(0xc1, &hex("f2 00 11 00 00")), []);
    us.assert_failed(ProtocolError::InvalidDeflate, 1007);
}

fn inflates_what_was_deflated_with_a_window_of_8_bits(role: Role) {
    let mut settings = shared();
    match role {
        Role::Client => settings.agreed.server_max_window_bits = 8,
        Role::Server => settings.agreed.client_max_window_bits = 8,
    }
    let mut us = Scenario::deflate(role, &settings);
    let noise = Numbers(8).bytes(256);
    let mut peer = zlib::deflater(9); // zlib's own deflater cannot do less, and finds nothing farther than 250 back
    for message in [&noise[..200], &noise[..200], &[noise.clone(), noise.clone()].concat()] {
        assert_eq!(us.receive_frame(0xc2, &zlib::deflate(&mut peer, message)), [binary(message)]);
    }
}

fn takes_messages_that_are_not_compressed(role: Role) {
    for mut us in each(role) {
        let frames: [(u8, &[u8]); 4] = [(0x81, b"raw"), (0x02, b"r"), (0x80, b"aw"), (0x81, b"")];
        assert_eq!(us.receive(&stream(other(role), &frames)), [text("raw"), binary(b"raw"), text("")]);
    }
}

fn gives_the_same_at_every_split(role: Role) {
    let payloads = [HELLO, "f2 00 11 00 00", STORED, FINAL, TWO_BLOCKS].map(hex);
    let [hello, back, stored, r#final, two_blocks] = payloads.each_ref().map(|payload| &payload[..]);
    let frames: [(u8, &[u8]); 9] = [
        (0xc1, hello),
        (0x42, &back[..2]),
        (0x89, b"p"),
        (0x80, &back[2..]),
        (0xc2, b"\x00"),
        (0xc1, stored),
        (0xc1, r#final),
        (0x81, b"raw"),
        (0xc1, two_blocks),
    ];
    let bytes = stream(other(role), &frames);
    let hello = || text("Hello");
    let want = [hello(), ping(b"p"), binary(b"Hello"), binary(b""), hello(), hello(), text("raw"), hello()];
    for a in 0..=bytes.len() {
        for b in [a, a + 1, a + 2, a + 7, bytes.len()].map(|b| b.min(bytes.len())) {
            let mut us = Scenario::deflate(role, &shared());
            let pieces = [&bytes[..a], &bytes[a..b], &bytes[b..]];
            let events: Vec<Event> = pieces.iter().flat_map(|piece| us.receive(piece)).collect();
            assert_eq!(events, want, "cut at {a} and {b}");
        }
    }
}

/// A peer may flush a fragment and then say nothing for long.
fn hands_over_all_chunks_of_a_fragment_that_was_flushed(role: Role) {
    let mut peer = zlib::deflater(15);
    let mut us = Scenario::deflate(role, &shared());
    us.delivery = Delivery::Chunks;
    us.receive_frame(0x42, b"");
    // Around the length of a chunk, and of a few.
    for len in (65_400..65_900).step_by(7).chain([131_072, 131_073, 200_000]) {
        let fragment = frame(other(role), 0x00, &zlib::flush(&mut peer, &vec![0; len]));
        assert_eq!(joined(&us.receive(&fragment)).0.len(), len);
    }
}

// ── what is refused ──

fn refuses_rsv1_where_it_means_nothing(role: Role) {
    for (first, opcode) in [
        (0xc0, Opcode::Continuation),
        (0x40, Opcode::Continuation),
        (0xc8, Opcode::Close),
        (0xc9, Opcode::Ping),
        (0xca, Opcode::Pong),
    ] {
        for compressed in [0x41, 0x01] {
            let mut us = Scenario::deflate(role, &shared());
            assert_eq!(us.receive_frame(compressed, b""), []);
            assert_eq!(us.receive(&[first]), []);
            us.assert_failed(ProtocolError::ReservedBits { opcode, bits: 0b100 }, 1002);
        }
    }
    for (first, bits) in [(0xa1, 0b010), (0x91, 0b001), (0xe1, 0b110), (0xf1, 0b111)] {
        let mut us = Scenario::deflate(role, &shared());
        us.receive(&[first]);
        us.assert_failed(ProtocolError::ReservedBits { opcode: Opcode::Text, bits }, 1002);
    }
}

fn refuses_what_does_not_inflate(role: Role) {
    for payload in [
        "07 00",             // block type 3
        "00 00 00 00 00",    // a stored block whose lengths do not match
        "00 05 00 fa fe 48", // nor do these
        "f2 00 11 00 00",    // refers to what is not there
        "ff ff ff ff",
        "f2 48 cd c9 c9 07 00 00 00 ff ff 07", // good, then bad
    ] {
        for mut us in each(role) {
            assert_eq!(us.receive_frame(0xc1, &hex(payload)), [], "{payload}");
            us.assert_failed(ProtocolError::InvalidDeflate, 1007);
        }
    }
}

fn refuses_invalid_text_that_was_compressed(role: Role) {
    let flushed = zlib::flush(&mut zlib::deflater(15), b"abc\xff");
    for mut us in each(role) {
        assert_eq!(us.receive_frame(0x41, &flushed), []); // not its last fragment
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    }
}

/// Found by fuzzing: the verdict depended on where the transport cut the bytes.
fn refuses_invalid_text_in_front_of_what_does_not_inflate(role: Role) {
    // A stored block with one byte that begins no character, then a block of a type that does not exist.
    let bytes = frame(other(role), 0xc1, &hex("00 01 00 fe ff ff 07"));
    for at in 0..=bytes.len() {
        let mut us = Scenario::deflate(role, &shared());
        us.receive(&bytes[..at]);
        us.receive(&bytes[at..]);
        us.assert_failed(ProtocolError::InvalidUtf8, 1007);
    }
}
