//! RFC 6455 §5.4: messages in fragments, in both directions, whole or in chunks; and the limit on a message.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use bytes::Bytes;
use common::{Frame, Scenario, binary, close_frame, heap, joined, other, ping, pong, stream, text};
use sockeye::{
    Compress, Kind, Role,
    proto::{
        connection::{Chunk, Delivery, End, Event, SendError},
        frame::{Opcode, ProtocolError},
    },
};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

twins![
    joins_the_fragments_of_a_message,
    joins_a_message_with_empty_fragments,
    hears_control_frames_between_fragments_at_once,
    refuses_a_continuation_of_nothing,
    refuses_a_new_message_inside_another,
    hears_the_next_message_behind_a_fragmented_one,
    discards_an_open_message_at_a_close,
    sends_a_message_in_parts,
    sends_control_frames_between_parts,
    refuses_to_send_another_message_between_parts,
    refuses_to_send_parts_of_nothing,
    refuses_to_send_parts_of_invalid_text,
    closes_with_1011_if_a_begun_message_is_abandoned,
    hears_nothing_more_once_a_message_is_abandoned,
    forgets_a_message_that_is_abandoned_before_its_first_part,
    takes_messages_up_to_the_limit,
    refuses_a_byte_over_the_limit_at_the_header,
    refuses_a_byte_over_the_limit_in_many_fragments,
    takes_every_message_up_to_the_limit_anew,
    takes_empty_messages_and_control_frames_with_a_limit_of_0,
    hands_over_chunks_as_they_come,
    hands_over_chunks_of_a_message_over_the_limit,
    hands_over_chunks_of_at_most_64_kib,
    hands_over_an_empty_message_as_one_chunk,
    never_makes_a_message_of_what_remains_behind_chunks,
    keeps_a_fragment_of_one_byte_in_about_one_byte,
    keeps_nothing_of_empty_fragments,
];

// ── what the peer sends ──

fn joins_the_fragments_of_a_message(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_frame(0x01, b"Hel"), []);
    assert_eq!(us.receive_frame(0x00, b"l"), []);
    assert_eq!(us.receive_frame(0x80, b"o"), [text("Hello")]);
}

fn joins_a_message_with_empty_fragments(role: Role) {
    let peer = other(role);
    let mut us = Scenario::open(role);
    let empty = stream(peer, &[(0x02, b""), (0x00, b""), (0x80, b"")]);
    assert_eq!(us.receive(&empty), [binary(b"")]);
    let mixed = stream(peer, &[(0x02, b""), (0x00, b"a"), (0x00, b""), (0x00, b"b"), (0x80, b"")]);
    assert_eq!(us.receive(&mixed), [binary(b"ab")]);
}

fn hears_control_frames_between_fragments_at_once(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_frame(0x01, b"Hel"), []);
    assert_eq!(us.receive_frame(0x89, b"now"), [ping(b"now")]);
    assert_eq!(us.sent(), [(0x8a, b"now".to_vec())]);
    assert_eq!(us.receive_frame(0x00, b""), []);
    assert_eq!(us.receive_frame(0x8a, b"still"), [pong(b"still")]);
    assert_eq!(us.receive_frame(0x80, b"lo"), [text("Hello")]);
}

fn refuses_a_continuation_of_nothing(role: Role) {
    for first in [0x00, 0x80] {
        let mut us = Scenario::open(role);
        assert_eq!(us.receive_frame(0x82, b"whole"), [binary(b"whole")]);
        assert_eq!(us.receive_frame(first, b"more"), []);
        us.assert_failed(ProtocolError::UnexpectedContinuation, 1002);
    }
}

fn refuses_a_new_message_inside_another(role: Role) {
    for (first, opcode) in [(0x01, Opcode::Text), (0x81, Opcode::Text), (0x02, Opcode::Binary), (0x82, Opcode::Binary)]
    {
        let mut us = Scenario::open(role);
        assert_eq!(us.receive_frame(0x01, b"Hel"), []);
        assert_eq!(us.receive_frame(first, b"lo"), []);
        us.assert_failed(ProtocolError::ExpectedContinuation { opcode }, 1002);
    }
}

fn hears_the_next_message_behind_a_fragmented_one(role: Role) {
    let mut us = Scenario::open(role);
    let bytes = stream(other(role), &[(0x01, b"a"), (0x80, b"b"), (0x82, b"c"), (0x02, b"d"), (0x80, b"e")]);
    assert_eq!(us.receive(&bytes), [text("ab"), binary(b"c"), binary(b"de")]);
}

fn discards_an_open_message_at_a_close(role: Role) {
    let mut us = Scenario::open(role);
    let bytes = stream(other(role), &[(0x01, b"Hel"), (0x88, b"\x03\xe8"), (0x80, b"lo")]);
    assert_eq!(us.receive(&bytes), [Event::Close(Some(close_frame(1000, "")))]);
    assert!(us.end().is_some_and(End::is_clean));
}

// ── what we send ──

fn part(us: &mut Scenario, payload: &'static [u8], fin: bool) -> Result<(), SendError> {
    us.connection.part(&Bytes::from_static(payload), fin)
}

fn sends_a_message_in_parts(role: Role) {
    for (kind, opcode) in [(Kind::Text, 0x01), (Kind::Binary, 0x02)] {
        let mut us = Scenario::open(role);
        us.connection.begin(kind, Compress::Auto).unwrap();
        assert_eq!(us.connection.queued(), 0);
        part(&mut us, b"a", false).unwrap();
        assert_eq!(us.sent(), [(opcode, b"a".to_vec())]);
        part(&mut us, b"", false).unwrap();
        part(&mut us, b"bc", true).unwrap();
        assert_eq!(us.sent(), [(0x00, b"".to_vec()), (0x80, b"bc".to_vec())]);
        us.connection.begin(kind, Compress::Auto).unwrap();
        part(&mut us, b"one", true).unwrap();
        assert_eq!(us.sent(), [(0x80 | opcode, b"one".to_vec())]);
    }
}

fn sends_control_frames_between_parts(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.begin(Kind::Text, Compress::Auto).unwrap();
    part(&mut us, b"a", false).unwrap();
    us.connection.ping(&Bytes::from_static(b"p")).unwrap();
    us.receive_frame(0x89, b"q");
    part(&mut us, b"b", false).unwrap();
    us.connection.close(None, us.now);
    assert_eq!(part(&mut us, b"c", true), Err(SendError::Closed));
    let want = [(0x01, "a"), (0x89, "p"), (0x8a, "q"), (0x00, "b"), (0x88, "")];
    assert_eq!(us.sent(), want.map(|(first, payload)| -> Frame { (first, payload.into()) }));
}

fn refuses_to_send_another_message_between_parts(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.begin(Kind::Text, Compress::Auto).unwrap();
    assert_eq!(us.connection.send(&"x".into()), Err(SendError::MessageOpen));
    part(&mut us, b"a", false).unwrap();
    assert_eq!(us.connection.send_with(&"x".into(), Compress::Never), Err(SendError::MessageOpen));
    assert_eq!(us.connection.begin(Kind::Binary, Compress::Auto), Err(SendError::MessageOpen));
    part(&mut us, b"b", true).unwrap();
    us.connection.send(&"x".into()).unwrap();
    assert_eq!(us.sent(), [(0x01, b"a".to_vec()), (0x80, b"b".to_vec()), (0x81, b"x".to_vec())]);
}

fn refuses_to_send_parts_of_nothing(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(part(&mut us, b"a", false), Err(SendError::NoMessageOpen));
    assert_eq!(us.connection.queued(), 0);
}

fn refuses_to_send_parts_of_invalid_text(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.begin(Kind::Text, Compress::Auto).unwrap();
    part(&mut us, b"\xe2\x82", false).unwrap(); // the beginning of U+20AC
    assert_eq!(part(&mut us, b"x", false), Err(SendError::InvalidUtf8));
    assert_eq!(part(&mut us, b"", true), Err(SendError::InvalidUtf8)); // ends inside the character
    part(&mut us, b"\xac", true).unwrap(); // what was refused was not taken in
    assert_eq!(us.sent(), [(0x01, b"\xe2\x82".to_vec()), (0x80, b"\xac".to_vec())]);
}

fn closes_with_1011_if_a_begun_message_is_abandoned(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.begin(Kind::Text, Compress::Auto).unwrap();
    part(&mut us, b"a", false).unwrap();
    us.connection.abandon();
    assert_eq!(us.end(), Some(&End::Abandoned));
    let sent = us.sent();
    assert_eq!((sent.len(), sent[1].0, &sent[1].1[..2]), (2, 0x88, &b"\x03\xf3"[..]));
    assert_eq!(us.connection.send(&"x".into()), Err(SendError::Closed));
}

fn hears_nothing_more_once_a_message_is_abandoned(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.begin(Kind::Text, Compress::Auto).unwrap();
    part(&mut us, b"a", false).unwrap();
    us.connection.abandon();
    assert_eq!(us.receive_frame(0x81, b"x"), []);
}

fn forgets_a_message_that_is_abandoned_before_its_first_part(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.begin(Kind::Text, Compress::Auto).unwrap();
    us.connection.abandon();
    us.connection.abandon(); // of nothing
    us.connection.send(&"x".into()).unwrap();
    assert_eq!(us.sent(), [(0x81, b"x".to_vec())]);
}

// ── the limit ──

fn takes_messages_up_to_the_limit(role: Role) {
    let mut us = Scenario::limited(role, 10);
    assert_eq!(us.receive_frame(0x82, &[1; 10]), [binary(&[1; 10])]);
    let fragments = stream(other(role), &[(0x02, &[1; 4]), (0x00, &[1; 6]), (0x80, b"")]);
    assert_eq!(us.receive(&fragments), [binary(&[1; 10])]);
}

fn refuses_a_byte_over_the_limit_at_the_header(role: Role) {
    for before in [&[][..], &[(0x02, &[1; 4][..])], &[(0x02, b""), (0x00, &[1; 10])]] {
        let have: usize = before.iter().map(|(_, payload)| payload.len()).sum();
        let first = if before.is_empty() { 0x82 } else { 0x80 };
        let mut us = Scenario::limited(role, 10);
        assert_eq!(us.receive(&stream(other(role), before)), []);
        assert_eq!(us.receive(&common::header(other(role), first, 11 - have as u64)), []);
        us.assert_failed(ProtocolError::MessageTooBig { limit: 10 }, 1009);
    }
}

fn refuses_a_byte_over_the_limit_in_many_fragments(role: Role) {
    let mut us = Scenario::limited(role, 1000);
    us.receive_frame(0x01, b"");
    for _ in 0..1000 {
        assert_eq!(us.receive_frame(0x00, b"x"), []);
        assert_eq!(us.failure(), None);
    }
    us.receive_frame(0x00, b"");
    assert_eq!(us.failure(), None);
    us.receive_frame(0x00, b"x");
    us.assert_failed(ProtocolError::MessageTooBig { limit: 1000 }, 1009);
}

fn takes_every_message_up_to_the_limit_anew(role: Role) {
    let mut us = Scenario::limited(role, 10);
    for _ in 0..5 {
        let fragments = stream(other(role), &[(0x02, &[1; 9]), (0x89, &[2; 100]), (0x80, &[1; 1])]);
        assert_eq!(us.receive(&fragments), [ping(&[2; 100]), binary(&[1; 10])]);
    }
}

fn takes_empty_messages_and_control_frames_with_a_limit_of_0(role: Role) {
    let mut us = Scenario::limited(role, 0);
    assert_eq!(us.receive_frame(0x89, &[2; 125]), [ping(&[2; 125])]);
    assert_eq!(us.receive_frame(0x81, b""), [text("")]);
    us.receive_frame(0x81, b"x");
    us.assert_failed(ProtocolError::MessageTooBig { limit: 0 }, 1009);
}

// ── chunks ──

fn chunk(kind: Kind, bytes: &'static [u8], fin: bool) -> Event {
    Event::Chunk(Chunk { kind, bytes: Bytes::from_static(bytes), fin })
}

fn hands_over_chunks_as_they_come(role: Role) {
    let bytes = stream(other(role), &[(0x01, b"abc"), (0x89, b"p"), (0x00, b""), (0x80, b"de")]);
    let mut us = Scenario::chunked(role);
    let header = common::header(other(role), 0x01, 3).len();
    assert_eq!(us.receive(&bytes[..header]), []);
    assert_eq!(us.receive(&bytes[header..=header]), [chunk(Kind::Text, b"a", false)]);
    let want = [chunk(Kind::Text, b"bc", false), ping(b"p"), chunk(Kind::Text, b"de", true)];
    assert_eq!(us.receive(&bytes[header + 1..]), want);
    assert_eq!(us.receive_frame(0x82, b"x"), [chunk(Kind::Binary, b"x", true)]);
}

fn hands_over_chunks_of_a_message_over_the_limit(role: Role) {
    let mut us = Scenario::limited(role, 10);
    us.delivery = Delivery::Chunks;
    assert_eq!(us.receive_frame(0x02, &[1; 100]).len(), 1);
    assert_eq!(us.receive_frame(0x80, &[1; 100]).len(), 1);
    us.delivery = Delivery::Whole;
    us.receive_frame(0x82, &[1; 11]);
    us.assert_failed(ProtocolError::MessageTooBig { limit: 10 }, 1009);
}

fn hands_over_chunks_of_at_most_64_kib(role: Role) {
    let payload: Vec<u8> = (0..200_000_u32).map(|i| (i / 7) as u8).collect();
    let mut us = Scenario::chunked(role);
    let events = us.receive_frame(0x82, &payload); // more than one read would bring
    assert_eq!(joined(&events), (payload, 1));
    let longest = events.iter().map(|event| joined(std::slice::from_ref(event)).0.len()).max();
    assert!(longest <= Some(64 * 1024), "{longest:?}");
}

fn hands_over_an_empty_message_as_one_chunk(role: Role) {
    let mut us = Scenario::chunked(role);
    assert_eq!(us.receive_frame(0x81, b""), [chunk(Kind::Text, b"", true)]);
    assert_eq!(us.receive(&stream(other(role), &[(0x02, b""), (0x80, b"")])), [chunk(Kind::Binary, b"", true)]);
}

/// A caller may change its mind inside a message: what is handed over as a whole must be the whole, and text.
fn never_makes_a_message_of_what_remains_behind_chunks(role: Role) {
    let mut us = Scenario::chunked(role);
    assert_eq!(us.receive_frame(0x01, b"h\xc3"), [chunk(Kind::Text, b"h\xc3", false)]); // half of "é"
    us.delivery = Delivery::Whole;
    let events = us.receive_frame(0x80, b"\xa9!");
    assert_eq!(joined(&events), (b"\xa9!".to_vec(), 1));
    assert_eq!(us.receive_frame(0x81, b"next"), [text("next")]);
}

// ── memory ──

fn keeps_a_fragment_of_one_byte_in_about_one_byte(role: Role) {
    let count = 1 << 17;
    let fragment = common::frame(other(role), 0x00, b"x");
    let mut us = Scenario::open(role);
    us.receive_frame(0x02, b"x");
    let ((), peak) = heap::peak(|| (1..count).for_each(|_| assert_eq!(us.receive(&fragment), [])));
    assert!(peak <= 2 * count, "{peak} bytes for {count}");
    assert_eq!(us.receive_frame(0x80, b""), [binary(&vec![b'x'; count])]);
}

fn keeps_nothing_of_empty_fragments(role: Role) {
    let fragment = common::frame(other(role), 0x00, b"");
    let mut us = Scenario::open(role);
    us.receive_frame(0x02, b"x");
    let ((), peak) = heap::peak(|| (0..100_000).for_each(|_| assert_eq!(us.receive(&fragment), [])));
    assert!(peak < 1000, "{peak} bytes");
    assert_eq!(us.receive_frame(0x80, b""), [binary(b"x")]);
}
