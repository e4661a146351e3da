//! Messages that inflate to far more than they are: the limit holds to the byte, and so does the memory.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use common::{Numbers, Scenario, binary, frame, heap, other, stream, zlib};
use sockeye::{
    Config, Role,
    proto::{
        connection::{Delivery, Event},
        frame::ProtocolError,
    },
};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

twins![
    takes_a_message_that_inflates_to_the_limit_and_no_byte_more,
    takes_a_message_that_inflates_to_the_limit_in_fragments_and_no_byte_more,
    takes_a_compressed_message_longer_than_the_limit_that_inflates_to_less,
    refuses_a_bomb_in_one_frame,
    refuses_a_bomb_in_fragments,
    refuses_a_bomb_before_its_last_byte_is_here,
    refuses_a_bomb_made_of_what_the_window_holds,
    hands_over_a_bomb_in_chunks_of_at_most_64_kib,
    keeps_nothing_of_blocks_without_content,
    refuses_a_byte_over_the_limit_in_front_of_what_does_not_inflate,
];

const LIMIT: usize = 1 << 20;
/// Beside the message: the inbox, zlib's stream, and small things.
const BESIDE: usize = 256 * 1024;

fn limited(role: Role, limit: usize) -> Scenario {
    Scenario::new(role, Config::new(role).max_message(limit), Some(&zlib::settings(15, true)))
}

/// Feeds a bomb in reads of the inbox's size, and checks that it costs no more than the limit.
#[track_caller]
fn refuses(role: Role, us: &mut Scenario, bytes: &[u8]) {
    let read = us.inbox.capacity();
    let ((), peak) = heap::peak(|| bytes.chunks(read).for_each(|read| assert_eq!(us.receive(read), [], "{role:?}")));
    assert!(peak < LIMIT + BESIDE, "{peak} bytes for a limit of {LIMIT}");
    us.assert_failed(ProtocolError::MessageTooBig { limit: LIMIT }, 1009);
}

fn takes_a_message_that_inflates_to_the_limit_and_no_byte_more(role: Role) {
    for limit in [0, 1, 2, 1023, 1024, 1025, 2048, 4095, 4096, 4097, 65_535, 65_536, 65_537, 100_000] {
        let noise = Numbers(1).bytes(limit + 1);
        for message in [vec![0; limit + 1], noise] {
            let mut us = limited(role, limit);
            let mut peer = zlib::Peer::new(15, true);
            for _ in 0..2 {
                let payload = peer.deflate(&message[..limit]);
                assert!(us.receive_frame(0xc2, &payload) == [binary(&message[..limit])], "{limit}");
                if limit < 5000 {
                    let bytes = frame(other(role), 0xc2, &peer.deflate(&message[..limit]));
                    assert!(us.receive_bytewise(&bytes) == [binary(&message[..limit])], "{limit} bytewise");
                }
            }
            us.receive_frame(0xc2, &peer.deflate(&message));
            us.assert_failed(ProtocolError::MessageTooBig { limit }, 1009);
        }
    }
}

fn takes_a_message_that_inflates_to_the_limit_in_fragments_and_no_byte_more(role: Role) {
    for over in [0, 1] {
        let mut us = limited(role, 1000);
        let mut peer = zlib::deflater(15);
        let parts = [zlib::flush(&mut peer, &[1; 600]), zlib::flush(&mut peer, &[2; 400])];
        us.receive_frame(0x42, &parts[0]);
        assert_eq!(us.receive_frame(0x00, &parts[1]), []);
        assert_eq!(us.failure(), None);
        let last = if over == 0 { vec![0x00] } else { zlib::deflate(&mut peer, &[3]) };
        let events = us.receive_frame(0x80, &last);
        match over {
            0 => assert_eq!(events, [binary(&[vec![1; 600], vec![2; 400]].concat())]),
            _ => us.assert_failed(ProtocolError::MessageTooBig { limit: 1000 }, 1009),
        }
    }
}

fn takes_a_compressed_message_longer_than_the_limit_that_inflates_to_less(role: Role) {
    let mut us = limited(role, 5);
    let payload = [&b"\x00\x00\x00\xff\xff".repeat(100)[..], &common::hex("f2 48 cd c9 c9 07 00")].concat();
    assert_eq!(us.receive_frame(0xc2, &payload), [binary(b"Hello")]);
}

fn refuses_a_bomb_in_one_frame(role: Role) {
    let payload = zlib::deflate(&mut zlib::deflater(15), &vec![0; 8 * LIMIT]);
    assert!(payload.len() < LIMIT / 20);
    refuses(role, &mut limited(role, LIMIT), &frame(other(role), 0xc2, &payload));
}

fn refuses_a_bomb_in_fragments(role: Role) {
    let mut peer = zlib::deflater(15);
    let mut bytes = frame(other(role), 0x42, &zlib::flush(&mut peer, &[0]));
    for _ in 0..40 {
        bytes.extend(frame(other(role), 0x00, &zlib::flush(&mut peer, &vec![0; LIMIT / 10])));
    }
    refuses(role, &mut limited(role, LIMIT), &bytes);
}

fn refuses_a_bomb_before_its_last_byte_is_here(role: Role) {
    let payload = zlib::deflate(&mut zlib::deflater(15), &vec![0; 3 * LIMIT]);
    let bytes = frame(other(role), 0xc2, &payload);
    refuses(role, &mut limited(role, LIMIT), &bytes[..bytes.len() / 2]);
}

fn refuses_a_bomb_made_of_what_the_window_holds(role: Role) {
    let noise = Numbers(2).bytes(30_000);
    let mut peer = zlib::Peer::new(15, true);
    let mut us = limited(role, LIMIT);
    assert!(us.receive_frame(0xc2, &peer.deflate(&noise)) == [binary(&noise)]);
    let payload = peer.deflate(&noise.repeat(100));
    assert!(payload.len() < LIMIT / 20);
    refuses(role, &mut us, &frame(other(role), 0xc2, &payload));
}

fn hands_over_a_bomb_in_chunks_of_at_most_64_kib(role: Role) {
    let len = 8 * LIMIT + 17;
    let mut peer = zlib::Peer::new(15, true);
    let payload = peer.deflate(&vec![7; len]);
    let half = payload.len() / 2;
    for frames in [&[(0xc2, &payload[..])][..], &[(0x42, &payload[..half]), (0x00, b""), (0x80, &payload[half..])]] {
        let bytes = stream(other(role), frames);
        let mut us = limited(role, LIMIT);
        let (mut total, mut ends) = (0, 0);
        let ((), peak) = heap::peak(|| {
            for read in bytes.chunks(us.inbox.capacity()) {
                us.inbox.extend(read);
                while let Some(event) = us.connection.receive_as(&mut us.inbox, Delivery::Chunks, us.now).unwrap() {
                    let Event::Chunk(chunk) = event else { panic!("{event:?}") };
                    assert!(chunk.bytes.len() <= 64 * 1024 && (chunk.fin || !chunk.bytes.is_empty()));
                    assert!(chunk.bytes.iter().all(|byte| *byte == 7));
                    total += chunk.bytes.len();
                    ends += usize::from(chunk.fin);
                }
            }
        });
        assert_eq!((total, ends), (len, 1));
        assert!(peak < BESIDE, "{peak} bytes");
    }
}

/// A stored block of no bytes costs five on the wire, and nothing here.
fn keeps_nothing_of_blocks_without_content(role: Role) {
    let empty_blocks = b"\x00\x00\x00\xff\xff".repeat(10_000);
    let mut us = limited(role, 10);
    let ((), peak) = heap::peak(|| {
        us.receive_frame(0x42, &empty_blocks);
        (0..20).for_each(|_| drop(us.receive_frame(0x00, &empty_blocks)));
    });
    assert_eq!(us.failure(), None);
    assert!(peak < BESIDE + 50_000, "{peak} bytes");
    assert_eq!(us.receive_frame(0x80, b"\x00"), [binary(b"")]);
}

fn refuses_a_byte_over_the_limit_in_front_of_what_does_not_inflate(role: Role) {
    // In fixed codes: a literal, and symbol 286, which does not exist.
    let bytes = frame(other(role), 0xc2, b"\x4a\x1c\x03");
    for (limit, fault, code) in
        [(0, ProtocolError::MessageTooBig { limit: 0 }, 1009), (1, ProtocolError::InvalidDeflate, 1007)]
    {
        let mut us = limited(role, limit);
        assert_eq!(us.receive(&bytes), []);
        us.assert_failed(fault, code);
        let mut us = limited(role, limit);
        assert_eq!(us.receive_bytewise(&bytes), []);
        us.assert_failed(fault, code);
    }
}
