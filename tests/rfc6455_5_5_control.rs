//! RFC 6455 §5.5.2 and §5.5.3: Pings and Pongs, what a flood of them costs, and keepalive by the test's own clock.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Frame, KEY, Scenario, binary, heap, other, ping, pong, stream, text};
use sockeye::{
    Config, Keepalive, Limits, Message, Role,
    proto::connection::{End, SendError, Timeout},
};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

twins![
    answers_each_ping_with_its_payload,
    answers_pings_around_messages_in_the_order_they_came,
    answers_no_ping_behind_a_close,
    bounds_the_pongs_of_a_ping_flood_and_answers_the_newest,
    answers_again_once_the_output_is_taken,
    answers_pings_even_if_the_output_is_never_taken_to_its_end,
    keeps_nothing_of_a_pong_flood,
    hears_a_pong_that_it_did_not_ask_for_and_sends_nothing,
    sends_pings_and_unsolicited_pongs,
    refuses_to_send_a_control_frame_of_126_bytes,
    has_no_deadline_without_keepalive,
    pings_a_silent_peer_after_the_interval,
    sends_no_ping_while_the_peer_talks,
    measures_the_round_trip_of_its_ping,
    measures_no_round_trip_of_a_pong_that_answers_something_else,
    goes_on_if_anything_comes_before_the_timeout,
    goes_on_if_something_comes_in_the_instant_of_its_ping,
    loses_a_peer_that_stays_silent,
    excuses_a_peer_that_is_busy_reading,
    asks_a_peer_that_has_read_everything,
    keeps_one_ping_of_a_peer_that_answers_none,
    takes_part_of_a_frame_for_a_sign_of_life,
    sends_no_keepalive_ping_behind_its_close,
];

const SECOND: Duration = Duration::from_secs(1);

/// An endpoint that pings after 30 s of silence and waits 20 s for an answer.
fn keepalive(role: Role) -> Scenario {
    let keepalive = Keepalive { interval: 30 * SECOND, timeout: 20 * SECOND };
    Scenario::new(role, Config::new(role).limits(Limits::trusted()).keepalive(Some(keepalive)), None)
}

/// Waits for the keepalive Ping; gives its payload.
#[track_caller]
fn asked(us: &mut Scenario) -> Vec<u8> {
    us.wait(30 * SECOND);
    let mut sent = us.sent();
    assert_eq!((sent.len(), sent[0].0), (1, 0x89));
    sent.remove(0).1
}

/// How long until the next deadline.
fn due(us: &Scenario) -> Option<Duration> {
    us.connection.next_deadline().map(|deadline| deadline.duration_since(us.now))
}

fn frames_of(frames: &[(u8, &[u8])]) -> Vec<Frame> {
    frames.iter().map(|(first, payload)| (*first, payload.to_vec())).collect()
}

// ── pongs ──

fn answers_each_ping_with_its_payload(role: Role) {
    let mut us = Scenario::open(role);
    for payload in [&b""[..], b"Hello", b"\x00\xff\xfe", &[9; 125]] {
        assert_eq!(us.receive_frame(0x89, payload), [ping(payload)]);
        assert_eq!(us.sent(), frames_of(&[(0x8a, payload)]));
    }
    let bytes = stream(other(role), &[(0x89, b"bytewise")]);
    assert_eq!(us.receive_bytewise(&bytes), [ping(b"bytewise")]);
    assert_eq!(us.sent(), frames_of(&[(0x8a, b"bytewise")]));
}

fn answers_pings_around_messages_in_the_order_they_came(role: Role) {
    let mut us = Scenario::open(role);
    let bytes = stream(other(role), &[(0x89, b"1"), (0x81, b"x"), (0x89, b"2"), (0x89, b""), (0x89, b"3")]);
    assert_eq!(us.receive(&bytes), [ping(b"1"), text("x"), ping(b"2"), ping(b""), ping(b"3")]);
    assert_eq!(us.sent(), frames_of(&[(0x8a, b"1"), (0x8a, b"2"), (0x8a, b""), (0x8a, b"3")]));
}

fn answers_no_ping_behind_a_close(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.close(None, us.now); // §5.5.1: no frame follows our Close
    assert_eq!(us.receive_frame(0x89, b"x"), [ping(b"x")]);
    assert_eq!(us.sent(), frames_of(&[(0x88, b"")]));
    let mut us = Scenario::open(role);
    us.receive(&stream(other(role), &[(0x88, b""), (0x89, b"x")]));
    assert_eq!(us.sent(), frames_of(&[(0x88, b"")]));
}

fn bounds_the_pongs_of_a_ping_flood_and_answers_the_newest(role: Role) {
    let mut us = Scenario::open(role);
    let ((), peak) = heap::peak(|| {
        for i in 0..100_000_u32 {
            us.receive_frame(0x89, &[&i.to_be_bytes()[..], &[0; 121]].concat());
        }
    });
    assert!(us.connection.queued() < 4096 + 131, "{} bytes wait", us.connection.queued());
    assert!(peak < 32 * 1024 + us.inbox.capacity(), "{peak} bytes");
    let numbers: Vec<u32> =
        us.sent().iter().map(|(_, payload)| u32::from_be_bytes(payload[..4].try_into().unwrap())).collect();
    assert!(numbers.is_sorted());
    assert_eq!(numbers.first(), Some(&0));
    assert_eq!(numbers.last(), Some(&99_999)); // §5.5.3: the most recent may stand for all before it
    assert!(numbers.len() < 4096 / 125 + 3);
    assert_eq!(us.connection.queued(), 0);
}

fn answers_again_once_the_output_is_taken(role: Role) {
    let mut us = Scenario::open(role);
    for _ in 0..3 {
        (0..1000).for_each(|_| drop(us.receive_frame(0x89, &[1; 125])));
        us.sent();
        assert_eq!(us.receive_frame(0x89, b"after"), [ping(b"after")]);
        assert_eq!(us.sent(), frames_of(&[(0x8a, b"after")]));
    }
}

/// A sender that always has more to write owes its Pongs all the same (§5.5.2: "as soon as is practical").
fn answers_pings_even_if_the_output_is_never_taken_to_its_end(role: Role) {
    let mut us = Scenario::open(role);
    let message = Message::from(vec![0; 20_000]);
    let mut out = Vec::new();
    us.connection.send(&message).unwrap();
    for i in 0..200_u8 {
        us.receive_frame(0x89, &[i; 100]);
        us.connection.send(&message).unwrap();
        let len = us.connection.queued() - 10_000; // the transport takes all but the end of the last message
        let mut slices = [std::io::IoSlice::new(&[]); 64];
        let filled = us.connection.poll_transmit(&mut slices);
        let waiting: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).collect();
        out.extend_from_slice(&waiting[..len]);
        us.connection.transmitted(len);
    }
    out.extend(us.connection.take_output());
    let pongs = common::frames(role, &out).into_iter().filter(|(first, _)| *first == 0x8a).count();
    assert!(pongs > 100, "only {pongs} of 200 Pings were answered");
}

fn keeps_nothing_of_a_pong_flood(role: Role) {
    let mut us = Scenario::open(role);
    us.receive_frame(0x8a, &[1; 125]);
    let ((), peak) = heap::peak(|| (0..10_000).for_each(|_| drop(us.receive_frame(0x8a, &[1; 125]))));
    assert!(peak < 10_000, "{peak} bytes");
    assert_eq!(us.connection.queued(), 0);
}

fn hears_a_pong_that_it_did_not_ask_for_and_sends_nothing(role: Role) {
    let mut us = Scenario::open(role);
    assert_eq!(us.receive_frame(0x8a, b"heartbeat"), [pong(b"heartbeat")]);
    assert_eq!(us.sent(), []);
    assert_eq!(us.connection.rtt(), None);
}

// ── what the caller sends ──

fn sends_pings_and_unsolicited_pongs(role: Role) {
    let mut us = Scenario::open(role);
    us.connection.ping(&Bytes::from_static(b"p")).unwrap();
    us.connection.pong(&Bytes::from_static(&[7; 125])).unwrap();
    assert_eq!(us.sent(), frames_of(&[(0x89, b"p"), (0x8a, &[7; 125])]));
    assert_eq!(us.receive_frame(0x8a, b"p"), [pong(b"p")]);
}

fn refuses_to_send_a_control_frame_of_126_bytes(role: Role) {
    let mut us = Scenario::open(role);
    let long = Bytes::from_static(&[7; 126]);
    assert_eq!(us.connection.ping(&long), Err(SendError::ControlTooLong { len: 126 }));
    assert_eq!(us.connection.pong(&long), Err(SendError::ControlTooLong { len: 126 }));
    assert_eq!(us.connection.queued(), 0);
    us.connection.close(None, us.now);
    assert_eq!(us.connection.ping(&Bytes::new()), Err(SendError::Closed));
    assert_eq!(us.connection.pong(&Bytes::new()), Err(SendError::Closed));
}

// ── keepalive ──

fn has_no_deadline_without_keepalive(role: Role) {
    let mut us = Scenario::new(role, Config::new(role).limits(Limits::trusted()).keepalive(None), None);
    assert_eq!(us.connection.next_deadline(), None);
    us.now += 1_000_000 * SECOND;
    us.connection.handle_timeout(us.now);
    assert_eq!((us.connection.queued(), us.end()), (0, None));
}

fn pings_a_silent_peer_after_the_interval(role: Role) {
    let mut us = keepalive(role);
    assert_eq!(due(&us), Some(30 * SECOND));
    us.wait(30 * SECOND - Duration::from_nanos(1));
    us.connection.handle_timeout(us.now); // too early is nothing
    assert_eq!(us.connection.queued(), 0);
    us.wait(Duration::from_nanos(1));
    assert!(matches!(&us.sent()[..], [(0x89, _)]));
    assert_eq!(due(&us), Some(20 * SECOND));
    us.connection.handle_timeout(us.now); // asked once
    assert_eq!(us.connection.queued(), 0);
}

fn sends_no_ping_while_the_peer_talks(role: Role) {
    let mut us = keepalive(role);
    for first in [0x82, 0x8a, 0x02, 0x00, 0x80, 0x82] {
        us.wait(29 * SECOND);
        us.receive_frame(first, b"x");
        assert_eq!(due(&us), Some(30 * SECOND));
    }
    assert_eq!(us.connection.queued(), 0);
}

fn measures_the_round_trip_of_its_ping(role: Role) {
    let mut us = keepalive(role);
    for trip in [Duration::from_millis(120), Duration::ZERO, 19 * SECOND] {
        let payload = asked(&mut us);
        us.wait(trip);
        assert_eq!(us.receive_frame(0x8a, &payload), [pong(&payload)]);
        assert_eq!(us.connection.rtt(), Some(trip));
        assert_eq!(due(&us), Some(30 * SECOND));
        us.wait(SECOND);
        us.receive_frame(0x8a, &payload); // once more: answers nothing
        assert_eq!(us.connection.rtt(), Some(trip));
    }
}

fn measures_no_round_trip_of_a_pong_that_answers_something_else(role: Role) {
    let mut us = keepalive(role);
    let first = asked(&mut us);
    us.wait(SECOND);
    us.receive_frame(0x8a, b"something else");
    assert_eq!(us.connection.rtt(), None);
    let second = asked(&mut us);
    assert_ne!(first, second);
    us.wait(SECOND);
    us.receive_frame(0x8a, &first); // late: the round trip of `second` is not known yet
    assert_eq!(us.connection.rtt(), None);
    us.wait(SECOND);
    us.receive_frame(0x8a, &second);
    assert_eq!(us.connection.rtt(), Some(2 * SECOND));
}

fn goes_on_if_anything_comes_before_the_timeout(role: Role) {
    let mut us = keepalive(role);
    asked(&mut us);
    us.wait(20 * SECOND - Duration::from_nanos(1));
    assert_eq!(us.receive_frame(0x82, b"x"), [binary(b"x")]); // no Pong, but a sign of life
    assert_eq!(due(&us), Some(30 * SECOND));
    us.wait(SECOND);
    assert_eq!(us.end(), None);
}

fn goes_on_if_something_comes_in_the_instant_of_its_ping(role: Role) {
    let mut us = keepalive(role);
    asked(&mut us);
    assert_eq!(us.receive_frame(0x82, b"x"), [binary(b"x")]); // a clock may be coarse
    us.wait(20 * SECOND);
    assert_eq!(us.end(), None);
}

fn loses_a_peer_that_stays_silent(role: Role) {
    let mut us = keepalive(role);
    asked(&mut us);
    us.wait(20 * SECOND - Duration::from_nanos(1));
    assert_eq!(us.end(), None);
    us.wait(Duration::from_nanos(1));
    assert_eq!(us.end(), Some(&End::TimedOut(Timeout::Keepalive)));
    assert!(us.connection.wants_shutdown());
    assert!(matches!(&us.sent()[..], [(0x88, reason)] if reason.starts_with(&1008_u16.to_be_bytes())));
    assert_eq!(due(&us), None);
    assert_eq!(us.receive_frame(0x82, b"x"), []);
    assert_eq!(us.connection.send(&"x".into()), Err(SendError::Closed));
}

fn excuses_a_peer_that_is_busy_reading(role: Role) {
    let mut us = keepalive(role);
    us.connection.send(&vec![1; 1000].into()).unwrap();
    for _ in 0..20 {
        us.wait(30 * SECOND);
        us.connection.transmitted(10);
        assert_eq!((us.end(), due(&us)), (None, Some(30 * SECOND)), "not asked, and not lost");
    }
    // It reads nothing any more.
    us.wait(30 * SECOND);
    us.wait(30 * SECOND);
    assert_eq!(us.end(), None);
    us.wait(30 * SECOND);
    assert_eq!(us.end(), Some(&End::TimedOut(Timeout::Keepalive)));
    assert_eq!(us.connection.queued(), 0);
}

fn asks_a_peer_that_has_read_everything(role: Role) {
    let mut us = keepalive(role);
    us.connection.send(&"x".into()).unwrap();
    us.wait(30 * SECOND);
    us.sent();
    us.wait(30 * SECOND);
    assert!(matches!(&us.sent()[..], [(0x89, _)]));
}

fn keeps_one_ping_of_a_peer_that_answers_none(role: Role) {
    let mut us = keepalive(role);
    let mut payloads = Vec::new();
    let ((), peak) = heap::peak(|| {
        for _ in 0..1000 {
            payloads.push(asked(&mut us));
            us.wait(SECOND);
            us.receive_frame(0x82, b"x");
        }
    });
    assert!(peak < 130_000 + us.inbox.capacity(), "{peak} bytes");
    payloads.sort();
    payloads.dedup();
    assert_eq!(payloads.len(), 1000);
    us.receive_frame(0x8a, &payloads[0]);
    assert_eq!(us.connection.rtt(), None);
}

fn takes_part_of_a_frame_for_a_sign_of_life(role: Role) {
    let mut us = keepalive(role);
    asked(&mut us);
    us.wait(SECOND);
    us.receive(&[0x82]);
    us.wait(25 * SECOND);
    assert_eq!((us.end(), us.connection.queued()), (None, 0));
    assert_eq!(due(&us), Some(5 * SECOND));
}

fn sends_no_keepalive_ping_behind_its_close(role: Role) {
    let mut us = keepalive(role);
    us.connection.close(None, us.now);
    us.sent();
    assert_eq!(due(&us), Some(10 * SECOND)); // the closing handshake's
    us.connection.handle_timeout(us.now + 9 * SECOND);
    assert_eq!(us.connection.queued(), 0);
}

#[test]
fn client_masks_its_answers() {
    let mut client = Scenario::open(Role::Client);
    client.receive(b"\x89\x00\x89\x01x");
    let sent = client.connection.take_output();
    assert_eq!(&sent[..6], [&[0x8a, 0x80][..], &KEY].concat());
    assert_eq!((sent.len(), sent[6], sent[7]), (13, 0x8a, 0x81));
    assert_ne!(sent[8..12], KEY);
}
