//! It never matters where the transport cuts the bytes: every split gives the same events, replies and faults.

mod common;

use common::{Scenario, binary, close_frame, joined, other, ping, pong, stream, text};
use sockeye::{
    Role,
    proto::{
        connection::{End, Event, Inbox},
        frame::ProtocolError,
    },
};

twins![
    gives_the_same_at_every_split,
    gives_the_same_at_every_pair_of_splits,
    gives_the_same_with_an_inbox_of_any_capacity,
    gives_the_same_chunks_joined_at_every_split,
    fails_the_same_at_every_split,
];

/// All that shows of a connection that was given `bytes` cut at `cuts`.
fn run(mut us: Scenario, bytes: &[u8], cuts: &[usize]) -> (Vec<Event>, Option<ProtocolError>, Option<End>, Vec<u8>) {
    let mut events = Vec::new();
    let mut from = 0;
    for &to in cuts.iter().chain([&bytes.len()]) {
        events.extend(us.receive(&bytes[from..to]));
        from = to;
    }
    (events, us.failure(), us.end().cloned(), us.connection.take_output())
}

/// Text, a fragmented binary message with a Ping and an empty fragment inside, a Pong, an empty message, a Close.
fn conversation(role: Role) -> Vec<u8> {
    let long = [3; 130];
    let frames: [(u8, &[u8]); 9] = [
        (0x81, "Hé€".as_bytes()),
        (0x02, b"\x01\x02\x03\x04\x05"),
        (0x89, b"ping"),
        (0x00, b""),
        (0x80, &long),
        (0x8a, b"pong"),
        (0x82, b""),
        (0x88, b"\x0f\xa0bye"),
        (0x81, b"too late"),
    ];
    stream(other(role), &frames)
}

fn gives_the_same_at_every_split(role: Role) {
    let bytes = conversation(role);
    let want = run(Scenario::open(role), &bytes, &[]);
    let message = [&[1, 2, 3, 4, 5][..], &[3; 130]].concat();
    let events = [text("Hé€"), ping(b"ping"), binary(&message), pong(b"pong"), binary(b""), Event::Close(Some(bye()))];
    assert_eq!(want.0, events);
    let sent = [(0x8a, b"ping".to_vec()), (0x88, b"\x0f\xa0bye".to_vec())];
    assert_eq!(common::frames(role, &want.3), sent);
    for at in 0..=bytes.len() {
        assert_eq!(run(Scenario::open(role), &bytes, &[at]), want, "cut at {at}");
    }
    let everywhere: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(run(Scenario::open(role), &bytes, &everywhere), want);
}

fn bye() -> sockeye::CloseFrame {
    close_frame(4000, "bye")
}

fn gives_the_same_at_every_pair_of_splits(role: Role) {
    let frames: [(u8, &[u8]); 5] =
        [(0x81, "é€".as_bytes()), (0x02, b"\x01\x02\x03"), (0x89, b"p"), (0x80, b"\x04"), (0x88, b"\x0f\xa0bye")];
    let bytes = stream(other(role), &frames);
    let want = run(Scenario::open(role), &bytes, &[]);
    assert_eq!(want.0, [text("é€"), ping(b"p"), binary(&[1, 2, 3, 4]), Event::Close(Some(bye()))]);
    for a in 0..=bytes.len() {
        for b in a..=bytes.len() {
            assert_eq!(run(Scenario::open(role), &bytes, &[a, b]), want, "cut at {a} and {b}");
        }
    }
}

fn gives_the_same_with_an_inbox_of_any_capacity(role: Role) {
    let bytes = conversation(role);
    let want = run(Scenario::open(role), &bytes, &[]);
    for capacity in [1, 2, 3, 7, 14, 64, 150] {
        let mut us = Scenario::open(role);
        us.inbox = Inbox::with_capacity(capacity);
        let (mut rest, mut events) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let spare = us.inbox.spare();
            assert_eq!(spare.len(), capacity);
            let read = capacity.min(rest.len());
            spare[..read].copy_from_slice(&rest[..read]);
            us.inbox.filled(read);
            rest = &rest[read..];
            events.extend(us.receive(b""));
        }
        assert_eq!((events, us.end().cloned()), (want.0.clone(), want.2.clone()), "capacity {capacity}");
    }
}

fn gives_the_same_chunks_joined_at_every_split(role: Role) {
    let bytes = stream(other(role), &[(0x01, "é€".as_bytes()), (0x00, b"abc"), (0x80, b"d"), (0x82, b"e")]);
    for a in 0..=bytes.len() {
        for b in a..=bytes.len() {
            let (events, ..) = run(Scenario::chunked(role), &bytes, &[a, b]);
            assert_eq!(joined(&events), ("é€abcde".into(), 2), "cut at {a} and {b}");
        }
    }
}

fn fails_the_same_at_every_split(role: Role) {
    let cases: [&[(u8, &[u8])]; 7] = [
        &[(0x82, b"ok"), (0x83, b"reserved")],
        &[(0x02, b"ok"), (0x82, b"inside")],
        &[(0x81, b"ok"), (0x80, b"of nothing")],
        &[(0x01, b"a\xe2\x82"), (0x80, b"b and more")],
        &[(0x81, b"a\xffb and more")],
        &[(0x89, b"ok"), (0x88, b"\x03")],
        &[(0x82, b"ok"), (0x02, &[1; 15]), (0x80, &[1; 6])],
    ];
    for frames in cases {
        let bytes = stream(other(role), frames);
        let want = run(Scenario::limited(role, 20), &bytes, &[]);
        assert!(want.1.is_some(), "{frames:?}");
        for at in 0..=bytes.len() {
            assert_eq!(run(Scenario::limited(role, 20), &bytes, &[at]), want, "{frames:?} cut at {at}");
        }
    }
}
