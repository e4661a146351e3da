//! What becomes of messages for a peer that does not read, by each [`SlowReader`] policy, on the sans-IO core.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use std::time::Duration;

use common::{Frame, Scenario, close_payload, frame, frames, pong};
use sockeye::{
    CloseCode, Compress, Config, Kind, Limits, PreparedMessage, Role, SlowReader,
    proto::connection::{End, Initiator, SendError, Timeout},
};

const SECOND: Duration = Duration::from_secs(1);
/// As much as is encoded ahead of the transport.
const WINDOW: usize = 64 * 1024;

twins![
    queues_everything_where_senders_wait,
    drops_what_comes_and_sends_what_waits,
    drops_what_has_waited_longest_and_sends_what_came_last,
    closes_a_peer_that_lets_too_much_wait,
    lets_go_of_a_peer_that_does_not_read_the_close_either,
    drops_what_is_too_old,
    drops_what_comes_while_something_is_too_old,
    closes_a_peer_that_lets_something_wait_too_long,
    ends_a_connection_whose_transport_takes_nothing,
    waits_on_for_a_transport_that_takes_a_byte_in_time,
    sends_control_frames_in_front_of_what_waits,
    sends_all_that_waits_in_front_of_its_close,
    sends_all_that_waits_in_front_of_a_message_in_parts,
    sends_all_that_waits_to_a_peer_that_has_ended_its_side,
    counts_what_empty_messages_cost,
    sends_a_large_message_if_nothing_waits,
    drops_prepared_messages_like_others,
];

/// An endpoint with a policy, and room for so many bytes in front of the transport.
fn slow(role: Role, policy: SlowReader, max_queued: usize) -> Scenario {
    let limits = Limits::trusted().max_queued(max_queued).max_queued_age(Some(60 * SECOND));
    Scenario::new(role, Config::new(role).limits(limits).keepalive(None).slow_reader(policy), None)
}

/// A message of 1 KiB with its number in front.
fn numbered(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[0; 1020]].concat()
}

fn send(us: &mut Scenario, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        us.connection.send(&numbered(number).into()).unwrap();
    }
}

/// The numbers of the messages that went out, in their order.
fn numbers(frames: &[Frame]) -> Vec<u32> {
    let messages = frames.iter().filter(|(first, _)| *first == 0x82);
    messages.map(|(_, payload)| u32::from_be_bytes(payload[..4].try_into().unwrap())).collect()
}

/// How many messages of 1 KiB the window takes.
fn window(role: Role) -> u32 {
    WINDOW.div_ceil(frame(role, 0x82, &numbered(0)).len()) as u32
}

fn queues_everything_where_senders_wait(role: Role) {
    let mut us = slow(role, SlowReader::Wait, 1000);
    send(&mut us, 0..1000);
    assert!(us.connection.queued() > 1000 * 1024);
    assert_eq!(numbers(&us.sent()), (0..1000).collect::<Vec<_>>());
    assert_eq!(us.connection.dropped(), 0);
}

fn drops_what_comes_and_sends_what_waits(role: Role) {
    let mut us = slow(role, SlowReader::DropNewest, 256 * 1024);
    send(&mut us, 0..1000);
    assert!((250 * 1024..258 * 1024).contains(&us.connection.queued()), "{}", us.connection.queued());
    let sent = numbers(&us.sent());
    assert_eq!(sent, (0..sent.len() as u32).collect::<Vec<_>>());
    assert_eq!(us.connection.dropped(), 1000 - sent.len() as u64);
    assert_eq!(us.connection.queued(), 0);
    send(&mut us, [1000]);
    assert_eq!(numbers(&us.sent()), [1000]);
}

fn drops_what_has_waited_longest_and_sends_what_came_last(role: Role) {
    let mut us = slow(role, SlowReader::DropOldest, 256 * 1024);
    send(&mut us, 0..1000);
    assert!((250 * 1024..258 * 1024).contains(&us.connection.queued()), "{}", us.connection.queued());
    let sent = numbers(&us.sent());
    let encoded = window(role);
    assert_eq!(us.connection.dropped(), 1000 - sent.len() as u64);
    // What was with the transport already, and then the newest.
    let newest = 1000 - (sent.len() as u32 - encoded);
    assert_eq!(sent, (0..encoded).chain(newest..1000).collect::<Vec<_>>());
}

fn closes_a_peer_that_lets_too_much_wait(role: Role) {
    let code = CloseCode::new(4008).unwrap();
    let mut us = slow(role, SlowReader::Close(code), 128 * 1024);
    let error = (0..1000).find_map(|number| us.connection.send(&numbered(number).into()).err());
    assert_eq!(error, Some(SendError::Closed));
    assert!(us.connection.queued() < WINDOW + 2048, "what waited unencoded is dropped");
    let sent = us.sent();
    assert_eq!(numbers(&sent), (0..window(role)).collect::<Vec<_>>());
    let close = close_payload(4008, "more than 131072 bytes wait to be read");
    assert_eq!(sent.last(), Some(&(0x88, close)));
    us.receive_frame(0x88, &close_payload(4008, ""));
    assert!(matches!(us.end(), Some(End::Closed { by: Initiator::Us, ours: Some(ours), .. }) if ours.code == code));
}

fn lets_go_of_a_peer_that_does_not_read_the_close_either(role: Role) {
    let mut us = slow(role, SlowReader::Close(CloseCode::TRY_AGAIN_LATER), 128 * 1024);
    while us.connection.send(&numbered(0).into()).is_ok() {}
    us.wait(10 * SECOND);
    assert_eq!(us.end(), Some(&End::TimedOut(Timeout::Close)));
    assert_eq!(us.connection.queued(), 0);
}

fn drops_what_is_too_old(role: Role) {
    let mut us = slow(role, SlowReader::DropOldest, 1 << 20);
    let encoded = window(role);
    send(&mut us, 0..100);
    us.wait(30 * SECOND);
    us.connection.handle_timeout(us.now); // tells the time
    send(&mut us, 100..110);
    assert_eq!(us.connection.dropped(), 0);
    us.wait(30 * SECOND);
    assert_eq!(us.connection.dropped(), u64::from(100 - encoded));
    assert_eq!(numbers(&us.sent()), (0..encoded).chain(100..110).collect::<Vec<_>>());
    assert_eq!(us.connection.next_deadline(), None);
}

fn drops_what_comes_while_something_is_too_old(role: Role) {
    let mut us = slow(role, SlowReader::DropNewest, 1 << 20);
    send(&mut us, 0..100);
    assert_eq!(us.connection.next_deadline(), None, "age is looked at when a message comes");
    us.wait(60 * SECOND);
    us.connection.handle_timeout(us.now);
    send(&mut us, 100..110);
    assert_eq!(us.connection.dropped(), 10);
    assert_eq!(numbers(&us.sent()), (0..100).collect::<Vec<_>>());
    send(&mut us, 110..120);
    assert_eq!(us.connection.dropped(), 10);
}

fn closes_a_peer_that_lets_something_wait_too_long(role: Role) {
    let mut us = slow(role, SlowReader::Close(CloseCode::POLICY_VIOLATION), 1 << 20);
    send(&mut us, 0..100);
    us.wait(60 * SECOND - Duration::from_nanos(1));
    assert!(us.connection.is_open());
    us.wait(Duration::from_nanos(1));
    assert!(!us.connection.is_open());
    let sent = us.sent();
    assert_eq!(sent.last(), Some(&(0x88, close_payload(1008, "what was sent has not been read for 60s"))));
    assert_eq!(numbers(&sent).len() as u32, window(role));
}

fn ends_a_connection_whose_transport_takes_nothing(role: Role) {
    let mut us = slow(role, SlowReader::Wait, 1000);
    send(&mut us, [0]);
    us.receive(b""); // tells the time
    assert_eq!(us.connection.next_deadline(), Some(us.now + 60 * SECOND));
    us.wait(60 * SECOND);
    assert_eq!(us.end(), Some(&End::TimedOut(Timeout::Write)));
    assert_eq!((us.connection.queued(), us.connection.next_deadline()), (0, None));
}

fn waits_on_for_a_transport_that_takes_a_byte_in_time(role: Role) {
    let mut us = slow(role, SlowReader::Wait, 1000);
    send(&mut us, [0]);
    for _ in 0..20 {
        us.receive(b"");
        us.wait(59 * SECOND);
        us.connection.transmitted(1);
    }
    assert_eq!(us.end(), None);
    us.connection.transmitted(us.connection.queued());
    us.receive(b"");
    assert_eq!(us.connection.next_deadline(), None);
}

fn sends_control_frames_in_front_of_what_waits(role: Role) {
    for policy in [SlowReader::DropNewest, SlowReader::DropOldest] {
        let mut us = slow(role, policy, 128 * 1024);
        send(&mut us, 0..1000);
        us.receive_frame(0x89, b"answered");
        us.connection.ping(&"asked".into()).unwrap();
        let sent = us.sent();
        let at = |frame: Frame| sent.iter().position(|sent| *sent == frame).unwrap() as u32;
        assert_eq!(at((0x8a, b"answered".to_vec())), window(role), "{policy:?}");
        assert_eq!(at((0x89, b"asked".to_vec())), window(role) + 1, "{policy:?}");
        assert_eq!(us.receive_frame(0x8a, b"asked"), [pong(b"asked")]);
    }
}

fn sends_all_that_waits_in_front_of_its_close(role: Role) {
    for policy in [SlowReader::DropNewest, SlowReader::DropOldest, SlowReader::Close(CloseCode::NORMAL)] {
        let mut us = slow(role, policy, 1 << 20);
        send(&mut us, 0..200);
        us.connection.close(None, us.now);
        let sent = us.sent();
        assert_eq!(numbers(&sent), (0..200).collect::<Vec<_>>());
        assert_eq!(sent.last(), Some(&(0x88, vec![])));

        let mut us = slow(role, policy, 1 << 20);
        send(&mut us, 0..200);
        us.receive_frame(0x88, b"");
        assert_eq!(numbers(&us.sent()), (0..200).collect::<Vec<_>>());
    }
}

fn sends_all_that_waits_in_front_of_a_message_in_parts(role: Role) {
    let mut us = slow(role, SlowReader::DropOldest, 1 << 20);
    send(&mut us, 0..200);
    us.connection.begin(Kind::Text, Compress::Auto).unwrap();
    us.connection.part(&"par".into(), false).unwrap();
    assert_eq!(us.connection.send(&"between".into()), Err(SendError::MessageOpen));
    us.connection.part(&"ts".into(), true).unwrap();
    send(&mut us, 200..210);
    let sent = us.sent();
    assert_eq!(numbers(&sent), (0..210).collect::<Vec<_>>());
    assert_eq!(sent[200..202], [(0x01, b"par".to_vec()), (0x80, b"ts".to_vec())]);
}

fn sends_all_that_waits_to_a_peer_that_has_ended_its_side(role: Role) {
    for policy in [SlowReader::DropNewest, SlowReader::DropOldest, SlowReader::Close(CloseCode::NORMAL)] {
        let mut us = slow(role, policy, 256 * 1024);
        send(&mut us, 0..100);
        us.connection.receive_eof();
        assert_eq!(us.end(), Some(&End::Lost));
        assert_eq!(numbers(&us.sent()), (0..100).collect::<Vec<_>>());
        assert_eq!((us.connection.queued(), us.connection.dropped()), (0, 0));
    }
}

fn counts_what_empty_messages_cost(role: Role) {
    let mut us = slow(role, SlowReader::DropNewest, 128 * 1024);
    for _ in 0..100_000 {
        us.connection.send(&"".into()).unwrap();
    }
    assert!(us.connection.queued() < 128 * 1024 + 64);
    let empty = frame(role, 0x81, b"").len();
    let encoded = WINDOW.div_ceil(empty);
    assert_eq!(us.sent().len(), encoded + (128 * 1024 - encoded * empty).div_ceil(64));
}

fn sends_a_large_message_if_nothing_waits(role: Role) {
    let mut us = slow(role, SlowReader::DropOldest, 1000);
    us.connection.send(&vec![1; 100_000].into()).unwrap();
    assert_eq!(us.connection.dropped(), 0);
    // The newest is kept, whatever is in front of it.
    us.connection.send(&vec![2; 10].into()).unwrap();
    assert_eq!(us.connection.dropped(), 0);
    us.connection.send(&vec![3; 50_000].into()).unwrap();
    assert_eq!(us.connection.dropped(), 1);
    assert_eq!(us.sent(), [(0x82, vec![1; 100_000]), (0x82, vec![3; 50_000])]);
}

fn drops_prepared_messages_like_others(role: Role) {
    let mut us = slow(role, SlowReader::DropOldest, 128 * 1024);
    for number in 0..1000 {
        us.connection.send_prepared(&PreparedMessage::new(numbered(number))).unwrap();
    }
    let sent = numbers(&us.sent());
    assert_eq!(sent.last(), Some(&999));
    assert_eq!(us.connection.dropped(), 1000 - sent.len() as u64);
}

/// Every way a transport can take bytes in pieces leaves whole frames in their order.
#[test]
fn partial_writes_never_cut_or_reorder_what_waits() {
    for (role, step) in [(Role::Server, 1), (Role::Client, 1000), (Role::Server, 70_000)] {
        let mut us = slow(role, SlowReader::DropOldest, 256 * 1024);
        let (mut wire, mut number) = (Vec::new(), 0);
        while number < 600 || us.connection.queued() > 0 {
            if number < 600 {
                send(&mut us, number..number + 3);
                number += 3;
            }
            let mut slices = [std::io::IoSlice::new(&[]); 4];
            let filled = us.connection.poll_transmit(&mut slices);
            let taken: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).take(step).collect();
            us.connection.transmitted(taken.len());
            wire.extend(taken);
        }
        let sent = numbers(&frames(role, &wire));
        assert!(sent.windows(2).all(|pair| pair[0] < pair[1]), "{sent:?}");
        assert_eq!(sent.len() as u64 + us.connection.dropped(), 600);
        assert_eq!(sent.last(), Some(&599));
    }
}

#[cfg(feature = "deflate")]
#[test]
fn dropped_messages_are_not_in_the_window_of_the_deflater() {
    use common::{Numbers, zlib};
    for role in [Role::Client, Role::Server] {
        let limits = Limits::trusted().max_queued(100_000);
        let config = Config::new(role).limits(limits).slow_reader(SlowReader::DropOldest);
        let mut us = Scenario::new(role, config, Some(&zlib::settings(15, true)));
        let mut peer = zlib::Peer::new(15, true);
        let mut random = Numbers(7);
        let messages: Vec<Vec<u8>> = (0..600).map(|_| random.bytes(600)).collect();
        let mut received = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            us.connection.send(&message.clone().into()).unwrap();
            if index % 300 == 299 {
                received.extend(us.sent().iter().map(|frame| peer.inflate(std::slice::from_ref(frame)).1));
            }
        }
        assert!(us.connection.dropped() > 0);
        assert_eq!(received.len() as u64 + us.connection.dropped(), 600);
        let mut all = messages.iter();
        assert!(received.iter().all(|got| all.any(|sent| sent == got)), "in their order, and each at most once");
    }
}
