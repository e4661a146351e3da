//! RFC 6455 §5.1–§5.3, §5.5 and §5.7: frame headers, masking, and what is refused before a byte of payload is kept.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use bytes::Bytes;
use common::{KEY, Scenario, binary, frame, heap, hex, keys, other, ping, pong, text};
use sockeye::{
    Compress, Kind, Message, Role,
    proto::frame::{Header, MAX_HEADER_LEN, MaskingKey, Opcode, Parsed, ProtocolError},
};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

twins![
    refuses_a_reserved_opcode_at_its_first_byte,
    refuses_rsv2_and_rsv3_at_the_first_byte,
    refuses_rsv1_without_an_extension_before_the_payload,
    refuses_a_fragmented_control_frame_at_its_first_byte,
    refuses_a_control_frame_of_126_bytes_at_its_second_byte,
    takes_control_frames_of_125_bytes,
    refuses_a_length_that_is_not_in_its_shortest_form,
    refuses_a_length_with_its_top_bit_set,
    refuses_the_largest_length_as_a_message_too_big,
    refuses_an_unknown_opcode_with_a_huge_payload,
    refuses_a_fragment_whose_length_would_wrap_the_sum,
    refuses_the_wrong_masking,
    keeps_no_memory_for_what_a_header_announces,
    grows_with_what_has_arrived,
];

/// Lengths at the edges of the three forms, and their headers without masking: binary, FIN.
const LENGTHS: [(u64, &str); 10] = [
    (0, "82 00"),
    (1, "82 01"),
    (125, "82 7d"),
    (126, "82 7e 007e"),
    (127, "82 7e 007f"),
    (65_535, "82 7e ffff"),
    (65_536, "82 7f 0000000000010000"),
    (1 << 32, "82 7f 0000000100000000"),
    ((1 << 62) + 5, "82 7f 4000000000000005"),
    ((1 << 63) - 1, "82 7f 7fffffffffffffff"),
];

/// The headers above, unmasked and masked.
fn headers() -> impl Iterator<Item = (Header, Vec<u8>)> {
    LENGTHS.into_iter().flat_map(|(payload_len, digits)| {
        let unmasked = Header { fin: true, rsv1: false, opcode: Opcode::Binary, masking_key: None, payload_len };
        let mut bytes = hex(digits);
        let first = (unmasked, bytes.clone());
        bytes[1] |= 0x80;
        bytes.extend(KEY);
        [first, (Header { masking_key: Some(MaskingKey(KEY)), ..unmasked }, bytes)]
    })
}

/// The header bytes as a peer of `role` would mask them.
fn as_peer_of(role: Role, digits: &str) -> Vec<u8> {
    let mut bytes = hex(digits);
    if other(role) == Role::Client {
        bytes[1] |= 0x80;
        bytes.extend(KEY);
    }
    bytes
}

/// Gives `bytes` to an endpoint, at once and byte by byte, and checks that both fail it.
#[track_caller]
fn fails(role: Role, bytes: &[u8], fault: ProtocolError, code: u16) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive(bytes), []);
    us.assert_failed(fault, code);
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_bytewise(bytes), []);
    us.assert_failed(fault, code);
}

fn too_big(role: Role) -> ProtocolError {
    ProtocolError::MessageTooBig { limit: sockeye::Config::new(role).limits.max_message }
}

// ── headers as pure functions ──

#[test]
fn every_length_form_is_encoded_and_parsed() {
    for (header, bytes) in headers() {
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out, bytes);
        assert!(out.len() <= MAX_HEADER_LEN);
        assert_eq!(Header::parse(&bytes), Ok(Parsed::Complete { header, consumed: bytes.len() }));
        let behind = [&bytes[..], b"payload"].concat();
        assert_eq!(Header::parse(&behind), Ok(Parsed::Complete { header, consumed: bytes.len() }));
    }
}

#[test]
fn every_beginning_of_a_header_asks_for_no_more_than_the_rest() {
    for (_, bytes) in headers() {
        for have in 0..bytes.len() {
            let Ok(Parsed::Partial { needed }) = Header::parse(&bytes[..have]) else { panic!("{have} of {bytes:x?}") };
            // Whoever reads `needed` bytes must not read into the payload.
            assert!((1..=bytes.len() - have).contains(&needed), "{needed} behind {have} of {bytes:x?}");
            assert!(have < 2 || needed == bytes.len() - have, "the second byte says how long the header is");
        }
    }
}

#[test]
fn every_first_byte_is_judged_by_itself() {
    for first in 0..=0xff {
        let (rsv, bits) = (first >> 4 & 0b111, first & 0x0f);
        let control = bits >= 0x8;
        let fault = match Opcode::from_bits(bits) {
            None => Some(ProtocolError::ReservedOpcode { bits }),
            // RFC 7692 §6 gives RSV1 a meaning on the first frame of a data message.
            Some(Opcode::Text | Opcode::Binary) if rsv == 0b100 => None,
            Some(opcode) if rsv != 0 => Some(ProtocolError::ReservedBits { opcode, bits: rsv }),
            Some(opcode) if control && first & 0x80 == 0 => Some(ProtocolError::FragmentedControlFrame { opcode }),
            Some(_) => None,
        };
        assert_eq!(Header::parse(&[first]).err(), fault, "{first:#x}");
        let opcodes = [0x0, 0x1, 0x2, 0x8, 0x9, 0xa];
        assert_eq!(Opcode::from_bits(bits).is_some(), opcodes.contains(&bits), "{bits:#x}");
    }
}

#[test]
fn flags_and_opcodes_stand_where_section_5_2_has_them() {
    for (fin, rsv1, opcode, first) in [
        (false, false, Opcode::Continuation, 0x00),
        (true, false, Opcode::Continuation, 0x80),
        (false, false, Opcode::Text, 0x01),
        (true, true, Opcode::Text, 0xc1),
        (false, true, Opcode::Binary, 0x42),
        (true, false, Opcode::Close, 0x88),
        (true, false, Opcode::Ping, 0x89),
        (true, false, Opcode::Pong, 0x8a),
    ] {
        let header = Header { fin, rsv1, opcode, masking_key: None, payload_len: 5 };
        let mut out = Vec::new();
        header.encode(&mut out);
        assert_eq!(out, [first, 5]);
        assert_eq!(Header::parse(&out), Ok(Parsed::Complete { header, consumed: 2 }));
    }
}

// ── the examples of §5.7 ──

#[test]
fn server_speaks_and_client_hears_the_unmasked_examples() {
    let large: Vec<u8> = (0..65_536_u32).map(|i| i as u8).collect();
    let of_256 = [&[0x82, 0x7e, 0x01, 0x00][..], &large[..256]].concat();
    let of_64_k = [&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0][..], &large].concat();
    for (bytes, message) in [
        (hex("81 05 48 65 6c 6c 6f"), Message::from("Hello")),
        (of_256, Message::from(&large[..256])),
        (of_64_k, Message::from(&large[..])),
    ] {
        let mut server = Scenario::open(Role::Server);
        server.connection.send(&message).unwrap();
        assert_eq!(server.connection.take_output(), bytes);
        assert_eq!(Scenario::open(Role::Client).receive(&bytes), [sockeye::proto::connection::Event::Message(message)]);
    }
}

#[test]
fn client_speaks_and_server_hears_the_masked_example() {
    let bytes = hex("81 85 37 fa 21 3d 7f 9f 4d 51 58");
    let mut client = Scenario::open(Role::Client);
    client.connection.send(&"Hello".into()).unwrap();
    assert_eq!(client.connection.take_output(), bytes);
    assert_eq!(Scenario::open(Role::Server).receive(&bytes), [text("Hello")]);
}

#[test]
fn server_speaks_and_client_hears_the_fragmented_example() {
    let bytes = hex("01 03 48 65 6c  80 02 6c 6f");
    let mut server = Scenario::open(Role::Server);
    server.connection.begin(Kind::Text, Compress::Auto).unwrap();
    server.connection.part(&Bytes::from_static(b"Hel"), false).unwrap();
    server.connection.part(&Bytes::from_static(b"lo"), true).unwrap();
    assert_eq!(server.connection.take_output(), bytes);
    assert_eq!(Scenario::open(Role::Client).receive(&bytes), [text("Hello")]);
}

#[test]
fn client_answers_the_ping_example_with_the_pong_example() {
    let mut server = Scenario::open(Role::Server);
    server.connection.ping(&Bytes::from_static(b"Hello")).unwrap();
    let bytes = server.connection.take_output();
    assert_eq!(bytes, hex("89 05 48 65 6c 6c 6f"));
    let mut client = Scenario::open(Role::Client);
    assert_eq!(client.receive(&bytes), [ping(b"Hello")]);
    let answer = client.connection.take_output();
    assert_eq!(answer, hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"));
    assert_eq!(server.receive(&answer), [pong(b"Hello")]);
}

// ── masking, §5.3 ──

#[test]
fn client_takes_a_new_key_for_each_frame() {
    let mut client = Scenario::open(Role::Client);
    let mut keys = keys();
    client.connection.send(&"".into()).unwrap();
    client.connection.ping(&Bytes::new()).unwrap();
    client.connection.begin(Kind::Binary, Compress::Auto).unwrap();
    client.connection.part(&Bytes::new(), false).unwrap();
    client.connection.part(&Bytes::new(), true).unwrap();
    client.receive(b"\x89\x00"); // a Ping, which is answered
    client.connection.close(None, client.now);
    let want = [0x81, 0x89, 0x02, 0x80, 0x8a, 0x88].map(|first| [&[first, 0x80][..], &keys().0].concat());
    assert_eq!(client.connection.take_output(), want.concat());
}

fn refuses_the_wrong_masking(role: Role) {
    let fault = match role {
        Role::Client => ProtocolError::MaskedFrame,
        Role::Server => ProtocolError::UnmaskedFrame,
    };
    for (first, payload) in [(0x81, &b"Hello"[..]), (0x01, b""), (0x89, b"Hello"), (0x88, b"\x03\xe8")] {
        fails(role, &frame(role, first, payload), fault, 1002); // as our own role would send it
    }
}

// ── what is refused, §5.2 and §5.5 ──

fn refuses_a_reserved_opcode_at_its_first_byte(role: Role) {
    for bits in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        for fin in [0x00, 0x80] {
            fails(role, &[fin | bits], ProtocolError::ReservedOpcode { bits }, 1002);
        }
    }
}

fn refuses_rsv2_and_rsv3_at_the_first_byte(role: Role) {
    for rsv in [0b001, 0b010, 0b011, 0b101, 0b110, 0b111] {
        for opcode in [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong] {
            let fault = ProtocolError::ReservedBits { opcode, bits: rsv };
            fails(role, &[0x80 | rsv << 4 | opcode.bits()], fault, 1002);
        }
    }
}

fn refuses_rsv1_without_an_extension_before_the_payload(role: Role) {
    for (first, opcode) in [(0xc1, Opcode::Text), (0xc2, Opcode::Binary), (0x41, Opcode::Text)] {
        let fault = ProtocolError::ReservedBits { opcode, bits: 0b100 };
        fails(role, &common::header(other(role), first, 5), fault, 1002);
    }
}

fn refuses_a_fragmented_control_frame_at_its_first_byte(role: Role) {
    for (first, opcode) in [(0x08, Opcode::Close), (0x09, Opcode::Ping), (0x0a, Opcode::Pong)] {
        fails(role, &[first], ProtocolError::FragmentedControlFrame { opcode }, 1002);
    }
}

fn refuses_a_control_frame_of_126_bytes_at_its_second_byte(role: Role) {
    for (first, opcode) in [(0x88, Opcode::Close), (0x89, Opcode::Ping), (0x8a, Opcode::Pong)] {
        for second in [0x7e, 0xfe, 0x7f, 0xff] {
            fails(role, &[first, second], ProtocolError::ControlFrameTooLong { opcode }, 1002);
        }
    }
}

fn takes_control_frames_of_125_bytes(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_frame(0x89, &[7; 125]), [ping(&[7; 125])]);
    assert_eq!(us.receive_frame(0x8a, &[8; 125]), [pong(&[8; 125])]);
    assert_eq!(us.sent(), [(0x8a, vec![7; 125])]);
}

fn refuses_a_length_that_is_not_in_its_shortest_form(role: Role) {
    for (payload_len, digits) in [
        (0, "82 7e 0000"),
        (5, "82 7e 0005"),
        (125, "82 7e 007d"),
        (0, "82 7f 0000000000000000"),
        (125, "82 7f 000000000000007d"),
        (126, "82 7f 000000000000007e"),
        (65_535, "82 7f 000000000000ffff"),
    ] {
        let fault = ProtocolError::LengthNotMinimal { payload_len };
        assert_eq!(Header::parse(&hex(digits)), Err(fault));
        fails(role, &as_peer_of(role, digits), fault, 1002);
    }
}

fn refuses_a_length_with_its_top_bit_set(role: Role) {
    for len in ["ffffffffffffffff", "fffffffffffffffc", "8000000000000000", "8000000000000005"] {
        for digits in [format!("82 7f {len}"), format!("01 7f {len}")] {
            fails(role, &as_peer_of(role, &digits), ProtocolError::LengthTopBit, 1002);
            fails(role, &hex(&digits), ProtocolError::LengthTopBit, 1002); // the key is not waited for
        }
    }
}

fn refuses_the_largest_length_as_a_message_too_big(role: Role) {
    for len in ["7fffffffffffffff", "7ffffffffffffffc", "4000000000000000", "0000000100000000"] {
        fails(role, &as_peer_of(role, &format!("82 7f {len}")), too_big(role), 1009);
        fails(role, &as_peer_of(role, &format!("01 7f {len}")), too_big(role), 1009);
    }
}

fn refuses_an_unknown_opcode_with_a_huge_payload(role: Role) {
    let bytes = as_peer_of(role, "83 7f 7fffffffffffffff");
    let (us, peak) = heap::peak(|| {
        let mut us = Scenario::open(role);
        assert_eq!(us.receive(&bytes), []);
        us
    });
    assert_eq!(us.failure(), Some(ProtocolError::ReservedOpcode { bits: 3 }));
    assert!(peak < 2 * us.inbox.capacity(), "{peak} bytes");
}

fn refuses_a_fragment_whose_length_would_wrap_the_sum(role: Role) {
    for (limit, len) in [(100, "7ffffffffffffff7"), (usize::MAX >> 1, "7fffffffffffffff")] {
        let mut us = Scenario::limited(role, limit);
        assert_eq!(us.receive_frame(0x02, &[1; 10]), []);
        assert_eq!(us.receive(&as_peer_of(role, &format!("80 7f {len}"))), []);
        us.assert_failed(ProtocolError::MessageTooBig { limit }, 1009);
    }
}

// ── memory ──

fn keeps_no_memory_for_what_a_header_announces(role: Role) {
    for (digits, fin) in
        [("82 7f 7fffffffffffffff", true), ("82 7f 0000000100000000", true), ("02 7f 7fffffffffffffff", false)]
    {
        // Whole or a fragment, with a first fragment of ten bytes before it or none, and no limit at all.
        for first in [None, Some(frame(other(role), 0x02, &[1; 10]))] {
            let mut bytes = as_peer_of(role, digits);
            if let Some(first) = &first {
                bytes[0] = if fin { 0x80 } else { 0x00 };
                bytes.splice(..0, first.iter().copied());
            }
            bytes.extend([1; 1000]);
            let (us, peak) = heap::peak(|| {
                let mut us = Scenario::limited(role, usize::MAX);
                assert_eq!(us.receive(&bytes), []);
                us
            });
            // Where no memory could ever hold it, the header is enough.
            assert_eq!(us.failure().is_some(), usize::BITS < 64);
            assert!(peak < 2 * us.inbox.capacity(), "{peak} bytes for 1000 of {digits}");
        }
    }
}

fn grows_with_what_has_arrived(role: Role) {
    let payload = vec![1; 1 << 20];
    let bytes = frame(other(role), 0x82, &payload);
    let mut us = Scenario::limited(role, payload.len());
    let (events, peak) = heap::peak(|| {
        let mut arrived = bytes.chunks(us.inbox.capacity());
        let half: Vec<&[u8]> = arrived.by_ref().take(8).collect();
        let (_, peak) = heap::peak(|| half.into_iter().for_each(|read| assert_eq!(us.receive(read), [])));
        assert!(peak < (3 << 19) + us.inbox.capacity(), "{peak} bytes for half of the message");
        arrived.flat_map(|read| us.receive(read)).collect::<Vec<_>>()
    });
    assert_eq!(events, [binary(&payload)]);
    assert!(peak < payload.len() + 2 * us.inbox.capacity(), "{peak} bytes");
}
