//! Payload lengths that are announced and never come, that would wrap, and frames that are refused before their payload.

use std::pin::pin;

use sockeye::{
    Config, Error, Role,
    proto::{
        connection::{Delivery, Event},
        frame::{Opcode, ProtocolError},
    },
};

use crate::{
    common::{KEY, Scenario, binary, close_payload, frame, header, heap, hex, other, stream},
    io::{Wire, endpoint, poll_now},
    network::{assert_fails, attack, run},
    twins,
};

twins![
    refuses_lengths_around_every_power_of_two_whole_and_byte_by_byte,
    is_told_over_tcp_what_its_length_is,
    adds_no_lengths_up_that_could_wrap,
    hands_over_in_chunks_what_has_any_length,
    ends_its_read_loop_at_every_refused_frame,
    is_told_over_tcp_of_every_refused_frame,
    judges_an_unknown_opcode_before_its_payload,
    holds_little_for_a_thousand_peers_that_announce_4_gib,
    is_told_1009_over_tcp_before_a_byte_of_4_gib_has_come,
    reads_two_frames_cut_at_every_byte,
];

/// A header as hostile as it comes: any length in eight bytes, masked or not.
fn announcing(first: u8, len: u64, masked: bool) -> Vec<u8> {
    let mut bytes = vec![first, if masked { 0xff } else { 0x7f }];
    bytes.extend(len.to_be_bytes());
    if masked {
        bytes.extend(KEY);
    }
    bytes
}

fn as_peer_of(role: Role, first: u8, len: u64) -> Vec<u8> {
    announcing(first, len, other(role) == Role::Client)
}

fn too_big(role: Role) -> ProtocolError {
    ProtocolError::MessageTooBig { limit: Config::new(role).limits.max_message }
}

/// What an endpoint has to say of a length in eight bytes, by RFC 6455 §5.2 alone.
fn verdict(role: Role, first: u8, len: u64, masked: bool) -> ProtocolError {
    match first & 0x0f {
        8.. => ProtocolError::ControlFrameTooLong { opcode: Opcode::Ping },
        _ if len >> 63 != 0 => ProtocolError::LengthTopBit,
        _ if len <= 0xffff => ProtocolError::LengthNotMinimal { payload_len: len },
        _ if masked == (role == Role::Client) => wrong_masking(role),
        0 => ProtocolError::UnexpectedContinuation,
        _ => too_big(role),
    }
}

const fn wrong_masking(role: Role) -> ProtocolError {
    match role {
        Role::Client => ProtocolError::MaskedFrame,
        Role::Server => ProtocolError::UnmaskedFrame,
    }
}

/// T7, T8: the lengths of the advisories, and those around the limits of 16, 31, 32, 63 and 64 bits.
fn refuses_lengths_around_every_power_of_two_whole_and_byte_by_byte(role: Role) {
    let powers = [0, 16, 31, 32, 40, 62, 63].map(|bits| 1_u64 << bits);
    let around = powers.into_iter().flat_map(|power| [power - 1, power + 1, power + (64 << 20)]);
    let tops = [u64::MAX, u64::MAX - 1, u64::MAX - 3, u64::MAX - 13, u64::MAX - 14, u64::MAX >> 1, 1 << 63, 1 << 62];
    for len in around.chain(tops) {
        for (first, masked) in
            [0x82, 0x81, 0x01, 0x80, 0x00, 0x89].into_iter().flat_map(|first| [(first, true), (first, false)])
        {
            let fault = verdict(role, first, len, masked);
            if fault == too_big(role) && len <= Config::new(role).limits.max_message as u64 {
                continue;
            }
            // What is behind the header is what a wrapped length would make a frame of.
            let bytes = [&announcing(first, len, masked)[..], &[1; 40], &frame(other(role), 0x82, b"next")].concat();
            for step in [1, 2, bytes.len()] {
                let mut us = Scenario::open(role);
                let (events, peak) =
                    heap::peak(|| bytes.chunks(step).flat_map(|read| us.receive(read)).collect::<Vec<_>>());
                assert_eq!(events, [], "{first:#x} of {len:#x}");
                assert!(peak <= us.inbox.capacity() + 8192, "{peak} bytes for {first:#x} of {len:#x}");
                us.assert_failed(fault, fault.close_code().get());
            }
        }
    }
}

/// T7, T8: the same as a peer really gets it.
fn is_told_over_tcp_what_its_length_is(role: Role) {
    for len in [u64::MAX, u64::MAX - 3, 1 << 63, u64::MAX >> 1, 1 << 32] {
        for masked in [true, false] {
            let fault = verdict(role, 0x82, len, masked);
            let bytes = [&announcing(0x82, len, masked)[..], &[0; 1000]].concat();
            assert_fails(role, Config::new(role), false, &bytes, fault);
        }
    }
}

/// T7: what was gathered of a message and what the next fragment announces.
fn adds_no_lengths_up_that_could_wrap(role: Role) {
    for limit in [15, 1000, usize::MAX >> 1, usize::MAX - 14, usize::MAX - 1] {
        for len in [u64::MAX >> 1, (u64::MAX >> 1) - 9] {
            let mut us = Scenario::limited(role, limit);
            assert_eq!(us.receive_frame(0x02, &[1; 10]), []);
            assert_eq!(us.receive(&as_peer_of(role, 0x00, len)), []);
            if len > (limit - 10) as u64 {
                us.assert_failed(ProtocolError::MessageTooBig { limit }, 1009);
            } else {
                assert_eq!((us.receive(&[0; 100]), us.failure()), (vec![], None));
            }
        }
    }
}

/// T7: a message in chunks has no limit, and so no sum that could wrap either.
fn hands_over_in_chunks_what_has_any_length(role: Role) {
    for delivery in [Delivery::Chunks, Delivery::Discard] {
        let mut us = Scenario::open(role);
        us.delivery = delivery;
        us.receive_frame(0x02, &[1; 10]);
        us.receive(&as_peer_of(role, 0x80, u64::MAX >> 1));
        let read = [7; 60_000];
        let (taken, peak) = heap::peak(|| {
            let events = (0..1000).flat_map(|_| us.receive(&read));
            events.map(|event| if let Event::Chunk(chunk) = event { chunk.bytes.len() } else { 0 }).sum::<usize>()
        });
        assert_eq!(taken, if delivery == Delivery::Chunks { 60_000_000 } else { 0 });
        assert!(peak < 300_000, "{peak} bytes, {delivery:?}");
        assert_eq!(us.failure(), None);
    }
}

/// Streams that fail an endpoint, one for each thing that can be wrong, and what.
pub(crate) fn refused_streams(role: Role) -> Vec<(Vec<u8>, ProtocolError)> {
    use ProtocolError as Fault;
    let peer = other(role);
    let frame = |first, payload: &[u8]| frame(peer, first, payload);
    let text = Opcode::Text;
    vec![
        (frame(0x83, b"reserved"), Fault::ReservedOpcode { bits: 3 }),
        (frame(0x0f, b"reserved"), Fault::ReservedOpcode { bits: 15 }),
        (frame(0xc1, b"rsv1"), Fault::ReservedBits { opcode: text, bits: 0b100 }), // T16
        (frame(0xa1, b"rsv2"), Fault::ReservedBits { opcode: text, bits: 0b010 }),
        (frame(0x91, b"rsv3"), Fault::ReservedBits { opcode: text, bits: 0b001 }),
        (frame(0xc9, b"rsv1"), Fault::ReservedBits { opcode: Opcode::Ping, bits: 0b100 }),
        (frame(0x09, b"fragment"), Fault::FragmentedControlFrame { opcode: Opcode::Ping }),
        (frame(0x89, &[0; 126]), Fault::ControlFrameTooLong { opcode: Opcode::Ping }),
        (frame(0x88, &[0; 70_000]), Fault::ControlFrameTooLong { opcode: Opcode::Close }),
        (announcing(0x82, 5, peer == Role::Client), Fault::LengthNotMinimal { payload_len: 5 }),
        (announcing(0x82, 1 << 63, peer == Role::Client), Fault::LengthTopBit),
        (crate::common::frame(role, 0x81, b"masking"), wrong_masking(role)), // T28
        (crate::common::frame(role, 0x81, b""), wrong_masking(role)),
        (crate::common::frame(role, 0x89, b"masking"), wrong_masking(role)),
        (crate::common::frame(role, 0x88, b"\x03\xe8"), wrong_masking(role)),
        (frame(0x80, b"of nothing"), Fault::UnexpectedContinuation),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), Fault::ExpectedContinuation { opcode: text }),
        (frame(0x81, b"\xc0\x80"), Fault::InvalidUtf8),
        (frame(0x01, b"\xff"), Fault::InvalidUtf8),
        (frame(0x88, b"\x03"), Fault::CloseOfOneByte),
        (frame(0x88, b"\x03\xed"), Fault::InvalidCloseCode { code: 1005 }),
        (frame(0x88, b"\x03\xe8\xff"), Fault::InvalidUtf8),
        (header(peer, 0x82, Config::new(role).limits.max_message as u64 + 1), too_big(role)),
    ]
}

/// T10: behind a frame that is refused nothing is parsed, and nobody waits for its payload. Polls are counted: each call is
/// ready at once.
fn ends_its_read_loop_at_every_refused_frame(role: Role) {
    let behind = stream(other(role), &[(0x82, b"next"), (0x89, b"ping"), (0x88, b"\x03\xe8")]).repeat(2000);
    for (bytes, fault) in refused_streams(role) {
        let wire = Wire::new();
        wire.push(&bytes);
        wire.push(&behind);
        wire.end();
        let mut ws = endpoint(wire.clone(), role);
        let told = poll_now(pin!(ws.recv()));
        assert!(matches!(&told, std::task::Poll::Ready(Err(Error::Protocol(why))) if *why == fault), "{told:?}");
        for _ in 0..10 {
            let again = poll_now(pin!(ws.recv()));
            assert!(matches!(again, std::task::Poll::Ready(Err(Error::Closed))), "{again:?}");
        }
        let reads = wire.state().reads;
        assert!(reads <= 2 + (bytes.len() + behind.len()) / 4096 + 1, "{reads} reads");
        let sent = crate::common::frames(role, &wire.take_output());
        assert_eq!(sent, [(0x88, close_payload(fault.close_code().get(), &fault.to_string()))]);
        assert!(wire.state().is_shut_down);
    }
}

/// T10, T16, T28: the same as a peer really gets it, while it is still sending.
fn is_told_over_tcp_of_every_refused_frame(role: Role) {
    // More than two reads take, so that much of it is still to come when the Close has gone out.
    let behind = stream(other(role), &[(0x82, &[1; 1000]), (0x89, b"ping")]).repeat(500);
    for (bytes, fault) in refused_streams(role) {
        assert_fails(role, Config::new(role), false, &[bytes, behind.clone()].concat(), fault);
    }
}

/// T11: at its first byte, without and with permessage-deflate; nothing of a huge payload is kept.
fn judges_an_unknown_opcode_before_its_payload(role: Role) {
    for bits in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        let fault = ProtocolError::ReservedOpcode { bits };
        for len in [0, 5, 1 << 20, u64::MAX >> 1] {
            let mut bytes = as_peer_of(role, 0x80 | bits, len);
            bytes.extend([b'x'; 50_000]);
            for step in [1, bytes.len()] {
                let mut us = Scenario::open(role);
                us.inbox.extend(b""); // its memory is not the frame's
                us.receive(b"");
                let (events, peak) =
                    heap::peak(|| bytes.chunks(step).flat_map(|read| us.receive(read)).collect::<Vec<_>>());
                assert_eq!(events, []);
                assert!(peak < us.inbox.capacity() + 2048, "{peak} bytes");
                us.assert_failed(fault, 1002);
            }
        }
    }
    // Nothing but the first byte, so nothing that could be waited for.
    for deflate in [false, cfg!(feature = "deflate")] {
        assert_fails(role, Config::new(role), deflate, &[0x83], ProtocolError::ReservedOpcode { bits: 3 });
    }
}

/// T12: what is announced costs nothing, and what has come costs itself.
fn holds_little_for_a_thousand_peers_that_announce_4_gib(role: Role) {
    // Less two bytes, which is no more than a message of 32 bits may have.
    let mut bytes = as_peer_of(role, 0x82, (1 << 32) - 2);
    bytes.extend([1; 1000]);
    let mut inbox = sockeye::proto::connection::Inbox::new();
    inbox.spare();
    let mut peers = Vec::with_capacity(1000);
    let before = heap::live();
    for _ in 0..1000 {
        // The inbox is the thread's, and not the connection's.
        let mut us = Scenario::limited(role, usize::MAX);
        inbox.extend(&bytes);
        assert_eq!(us.connection.receive(&mut inbox, us.now), Ok(None));
        peers.push(us);
    }
    let each = (heap::live() - before) / 1000;
    assert!((1000..3000).contains(&each), "{each} bytes for 1000 of 4 GiB");
}

/// T12: at the header, with the payload still to be sent.
fn is_told_1009_over_tcp_before_a_byte_of_4_gib_has_come(role: Role) {
    assert_fails(role, Config::new(role), false, &as_peer_of(role, 0x82, 1 << 32), too_big(role));
    assert_fails(role, Config::new(role), false, &as_peer_of(role, 0x01, 1 << 32), too_big(role));
    // A limit that is kept to the byte, in the last of three fragments.
    let limited = Config::new(role).max_message(10);
    let over = stream(other(role), &[(0x02, b"1234"), (0x00, b"5678"), (0x80, b"901")]);
    assert_fails(role, limited, false, &over, ProtocolError::MessageTooBig { limit: 10 });
    let within = stream(other(role), &[(0x02, b"1234"), (0x00, b"5678"), (0x80, b"90"), (0x83, b"")]);
    let seen = attack(role, limited, false, &within);
    assert_eq!(seen.messages, [b"1234567890".into()]);
}

/// T43: every pair of frames, good ones and bad ones, cut at every byte.
fn reads_two_frames_cut_at_every_byte(role: Role) {
    let peer = other(role);
    let mut frames: Vec<Vec<u8>> = [
        (0x81, "€".as_bytes()),
        (0x82, b""),
        (0x82, &[1; 5]),
        (0x82, &[2; 126]),
        (0x01, b"frag"),
        (0x80, b"ment"),
        (0x89, b"ping"),
        (0x8a, b""),
        (0x88, b"\x03\xe8bye"),
    ]
    .map(|(first, payload)| frame(peer, first, payload))
    .into();
    frames.push(hex("83 80 00 00 00 00"));
    frames.push(as_peer_of(role, 0x82, 1 << 63));
    frames.push(as_peer_of(role, 0x82, 1 << 40));
    let run = |bytes: &[u8], cut: usize| {
        let mut us = Scenario::open(role);
        us.inbox = sockeye::proto::connection::Inbox::with_capacity(200);
        let mut events = us.receive(&bytes[..cut]);
        events.extend(us.receive(&bytes[cut..]));
        (events, us.failure(), us.end().cloned(), us.connection.take_output())
    };
    for (one, two) in frames.iter().flat_map(|one| frames.iter().map(move |two| (one, two))) {
        let bytes = [&one[..], two].concat();
        let want = run(&bytes, bytes.len());
        for cut in 0..bytes.len() {
            assert_eq!(run(&bytes, cut), want, "{bytes:x?} cut at {cut}");
        }
    }
    let mut us = Scenario::open(role);
    assert_eq!(us.receive(&[&frames[2][..], &frames[3]].concat()), [binary(&[1; 5]), binary(&[2; 126])]);
}

/// T43: the same over the streams, which read large frames straight into their messages.
#[test]
fn two_large_frames_are_read_in_steps_of_every_kind() {
    for role in [Role::Client, Role::Server] {
        let payloads = [crate::io::pattern(100_000), crate::io::pattern(70_001)];
        let bytes = stream(other(role), &[(0x82, &payloads[0]), (0x82, &payloads[1])]);
        for step in [999, 4096, 65_536, 100_000, 100_008, 100_009, 100_013, 100_014, 100_015, 100_020, bytes.len()] {
            let wire = Wire::stuttering(step);
            wire.push(&bytes);
            wire.end();
            let mut ws = endpoint(wire, role);
            run(async {
                for payload in &payloads {
                    let message = ws.recv().await.unwrap().unwrap();
                    assert!(message.as_bytes() == payload, "in steps of {step}");
                }
            });
        }
    }
}
