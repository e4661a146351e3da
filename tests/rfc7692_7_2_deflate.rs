//! RFC 7692 §7.2.1: compressed messages that go, as plain zlib reads them; and 10⁵ of all kinds in both directions.
#![cfg(feature = "deflate")]
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use bytes::Bytes;
use common::{Frame, Numbers, Scenario, binary, hex, other, puff::Puffed, zlib};
use sockeye::{Compress, Kind, Message, Role, proto::frame::ProtocolError};

twins![
    sends_the_examples_of_section_7_2_3,
    sends_messages_of_every_length,
    sends_messages_in_parts,
    sends_empty_messages,
    keeps_to_the_window_that_was_agreed_to,
    compresses_from_the_threshold_on_or_as_it_is_told,
    compresses_nothing_that_was_not_agreed_to,
    sends_as_it_is_what_does_not_shrink_without_context_takeover,
    stays_in_step_over_what_does_not_shrink_with_context_takeover,
    stays_in_step_with_zlib_over_mixed_messages,
    stays_in_step_with_zlib_over_mixed_messages_without_context_takeover,
];

/// An endpoint and its peer, with context takeover and without.
fn each(role: Role) -> [(Scenario, zlib::Peer); 2] {
    [true, false].map(|context_takeover| with_peer(role, context_takeover))
}

fn with_peer(role: Role, context_takeover: bool) -> (Scenario, zlib::Peer) {
    let us = Scenario::deflate(role, &zlib::settings(15, context_takeover));
    (us, zlib::Peer::new(15, context_takeover))
}

fn send(us: &mut Scenario, message: &[u8], compress: Compress) -> Vec<Frame> {
    us.connection.send_with(&Message::from(message), compress).unwrap();
    us.sent()
}

fn part(us: &mut Scenario, payload: &[u8], fin: bool) {
    us.connection.part(&Bytes::copy_from_slice(payload), fin).unwrap();
}

fn sends_the_examples_of_section_7_2_3(role: Role) {
    let (mut us, _) = with_peer(role, true);
    us.connection.send_with(&"Hello".into(), Compress::Always).unwrap();
    us.connection.send_with(&"".into(), Compress::Always).unwrap();
    assert_eq!(us.sent(), [(0xc1, hex("f2 48 cd c9 c9 07 00")), (0xc1, hex("00"))]); // §7.2.3.1, §7.2.3.6
}

fn sends_messages_of_every_length(role: Role) {
    let mut numbers = Numbers(3);
    for (mut us, mut peer) in each(role) {
        for len in 0..1200 {
            // Half noise, so that its deflated length meets every length of the deflater's buffers.
            let mut message = numbers.bytes(len);
            message[..len / 2].fill(b'.');
            let frames = send(&mut us, &message, Compress::Always);
            assert_eq!(peer.inflate(&frames).1, message, "{len} bytes");
        }
    }
}

fn sends_messages_in_parts(role: Role) {
    let words = "parts of one message, parts of one message, parts of one message".as_bytes();
    for (mut us, mut peer) in each(role) {
        for (compress, compressed) in [(Compress::Auto, true), (Compress::Always, true), (Compress::Never, false)] {
            for cuts in [[0, 0], [0, 10], [30, 30], [30, 50], [10, words.len()], [words.len(), words.len()]] {
                us.connection.begin(Kind::Text, compress).unwrap();
                part(&mut us, &words[..cuts[0]], false);
                part(&mut us, &words[cuts[0]..cuts[1]], false);
                part(&mut us, &words[cuts[1]..], true);
                let frames = us.sent();
                assert_eq!(frames.iter().map(|frame| frame.0 & 0xbf).collect::<Vec<_>>(), [0x01, 0x00, 0x80]);
                assert_eq!(peer.inflate(&frames), (compressed, words.to_vec()), "cut at {cuts:?}");
            }
            let frames = send(&mut us, words, Compress::Always);
            assert_eq!(peer.inflate(&frames), (true, words.to_vec()), "the next message");
        }
    }
}

fn sends_empty_messages(role: Role) {
    for (mut us, mut peer) in each(role) {
        for compress in [Compress::Always, Compress::Always, Compress::Auto, Compress::Never] {
            assert_eq!(peer.inflate(&send(&mut us, b"", compress)).1, b"");
            us.connection.begin(Kind::Text, compress).unwrap();
            part(&mut us, b"", false);
            part(&mut us, b"", true);
            assert_eq!(peer.inflate(&us.sent()).1, b"");
            assert_eq!(
                peer.inflate(&send(&mut us, b"Hello, Hello, Hello", Compress::Always)).1,
                b"Hello, Hello, Hello"
            );
        }
    }
}

fn keeps_to_the_window_that_was_agreed_to(role: Role) {
    // Measured by an inflater of our own: that of zlib-rs has 15 bits, whatever it is asked for.
    for bits in 9..=15_u8 {
        for level in [1, 6, 9] {
            // Both ends' windows differ, so that the one cannot be taken for the other.
            let mut settings = zlib::settings(if bits == 15 { 9 } else { 15 }, true);
            settings.config.level = level;
            match role {
                Role::Client => settings.agreed.client_max_window_bits = bits,
                Role::Server => settings.agreed.server_max_window_bits = bits,
            }
            // Noise that comes again from just inside the window, then from just outside of it, in several messages.
            let window = 1 << bits;
            let near = Numbers(u64::from(bits)).bytes(window - 270);
            let far = Numbers(99).bytes(window + 20);
            let want = [&near[..], &near, &far, &far].concat();
            let mut us = Scenario::deflate(role, &settings);
            want.chunks(window / 2 + 13).for_each(|part| {
                us.connection.send_with(&Message::from(part), Compress::Always).unwrap();
            });
            let mut puffed = Puffed::default();
            for (first, payload) in us.sent() {
                assert_eq!(first, 0xc2);
                puffed.puff(&[&payload[..], &[0x00, 0x00, 0xff, 0xff]].concat());
            }
            assert!(puffed.bytes == want, "{bits} bits at level {level}");
            assert!(puffed.farthest <= window, "{} is beyond {bits} bits at level {level}", puffed.farthest);
            assert!(bits == 9 || puffed.farthest > window / 2, "{} could do with fewer bits", puffed.farthest);
        }
    }
}

fn compresses_from_the_threshold_on_or_as_it_is_told(role: Role) {
    let mut settings = zlib::settings(15, true);
    settings.config.threshold = 100;
    let mut us = Scenario::deflate(role, &settings);
    assert!(us.connection.is_compressed());
    for (len, compress, compressed) in [
        (0, Compress::Auto, false),
        (99, Compress::Auto, false),
        (100, Compress::Auto, true),
        (99, Compress::Always, true),
        (0, Compress::Always, true),
        (5000, Compress::Never, false),
        (100, Compress::Never, false),
    ] {
        let frames = send(&mut us, &vec![b'x'; len], compress);
        assert_eq!((frames.len(), frames[0].0 & 0x40 != 0), (1, compressed), "{len} {compress:?}");
    }
    us.connection.send(&Message::from(vec![b'x'; 99])).unwrap();
    us.connection.send(&Message::from(vec![b'x'; 100])).unwrap();
    assert_eq!(us.sent().iter().map(|frame| frame.0).collect::<Vec<_>>(), [0x82, 0xc2]);
}

fn compresses_nothing_that_was_not_agreed_to(role: Role) {
    let mut us = Scenario::open(role);
    assert!(!us.connection.is_compressed());
    let message = vec![b'x'; 5000];
    assert_eq!(send(&mut us, &message, Compress::Always), [(0x82, message.clone())]);
    us.connection.begin(Kind::Binary, Compress::Always).unwrap();
    part(&mut us, &message, true);
    assert_eq!(us.sent(), [(0x82, message)]);
}

fn sends_as_it_is_what_does_not_shrink_without_context_takeover(role: Role) {
    let (mut us, mut peer) = with_peer(role, false);
    let noise = Numbers(5).bytes(300);
    for _ in 0..3 {
        assert_eq!(send(&mut us, &noise, Compress::Auto), [(0x82, noise.clone())]);
        let frames = send(&mut us, &[b'x'; 300], Compress::Auto);
        assert_eq!(peer.inflate(&frames), (true, vec![b'x'; 300]));
    }
}

/// T36: the deflater that has seen a message refers back to it, so the peer has to see it too.
fn stays_in_step_over_what_does_not_shrink_with_context_takeover(role: Role) {
    let (mut us, mut peer) = with_peer(role, true);
    for seed in 1..=5 {
        let noise = Numbers(seed).bytes(300);
        for _ in 0..2 {
            assert_eq!(peer.inflate(&send(&mut us, &noise, Compress::Auto)).1, noise);
        }
    }
}

/// What peers say: empty, small, repetitive, incompressible, and sometimes large.
fn some_message(numbers: &mut Numbers) -> Vec<u8> {
    let len = match numbers.below(100) {
        0..=4 => 0,
        5 => numbers.below(3000),
        _ => numbers.below(60),
    };
    match numbers.below(3) {
        0 => numbers.bytes(len),
        1 => (0..len).map(|i| b"{\"id\":12, \"name\":\"salmon\"}"[i % 26]).collect(),
        _ => (0..len).map(|_| b"abcd"[numbers.below(4)]).collect(),
    }
}

fn mixed(role: Role, context_takeover: bool, count: usize) {
    let mut numbers = Numbers(36);
    let (mut us, mut peer) = with_peer(role, context_takeover);
    for i in 0..count {
        let message = some_message(&mut numbers);
        let split = numbers.below(message.len() + 1);
        let choice = [Compress::Auto, Compress::Always, Compress::Never][numbers.below(3)];
        match numbers.below(5) {
            0 | 1 => assert_eq!(peer.inflate(&send(&mut us, &message, choice)).1, message, "message {i}"),
            2 => {
                us.connection.begin(Kind::Binary, choice).unwrap();
                part(&mut us, &message[..split], false);
                part(&mut us, &message[split..], true);
                assert_eq!(peer.inflate(&us.sent()).1, message, "message {i}, in parts");
            }
            3 => assert_eq!(us.receive_frame(0x82, &message), [binary(&message)], "message {i}, raw"),
            _ => {
                let payload = peer.deflate(&message);
                let split = split.min(payload.len());
                let frames: [(u8, &[u8]); 2] = [(0x42, &payload[..split]), (0x80, &payload[split..])];
                assert_eq!(us.receive(&common::stream(other(role), &frames)), [binary(&message)], "message {i}");
            }
        }
    }
    assert_eq!(us.failure(), None::<ProtocolError>);
}

fn stays_in_step_with_zlib_over_mixed_messages(role: Role) {
    mixed(role, true, 50_000);
}

fn stays_in_step_with_zlib_over_mixed_messages_without_context_takeover(role: Role) {
    mixed(role, false, 1000);
}
