//! Messages in fragments without end: of one byte, of none, and in segments of one byte.

use std::pin::pin;

use sockeye::{Config, Role, proto::frame::ProtocolError};

use crate::{
    common::{Scenario, binary, close_payload, frame, heap, other, text},
    io::{Wire, open, poll_now},
    network::{assert_fails, attack},
    twins,
};

twins![
    holds_what_fragments_of_one_byte_carry_and_no_more,
    holds_what_fragments_of_one_byte_carry_in_segments_of_one_byte,
    holds_nothing_for_empty_fragments_however_many,
    is_told_over_tcp_what_its_fragments_come_to,
    joins_fragments_in_linear_time,
];

/// T19: 2^18 fragments to the very limit, then one byte more. What they come to is held in a buffer that doubles.
fn holds_what_fragments_of_one_byte_carry_and_no_more(role: Role) {
    const LIMIT: usize = 1 << 18;
    for first in [0x01, 0x02] {
        let begin = frame(other(role), first, b"x");
        let fragment = frame(other(role), 0x00, b"x");
        let mut us = Scenario::limited(role, LIMIT);
        us.receive(b"");
        let ((), peak) = heap::peak(|| {
            us.receive(&begin);
            (1..LIMIT).for_each(|_| assert_eq!(us.receive(&fragment), []));
        });
        assert_eq!(us.failure(), None);
        assert!(peak <= 2 * LIMIT + us.inbox.capacity() + 1024, "{peak} bytes for {LIMIT}");
        // The limit is on the message and not on the number of its fragments.
        assert_eq!(us.receive_frame(0x00, b""), []);
        assert_eq!(us.receive(&fragment), []);
        us.assert_failed(ProtocolError::MessageTooBig { limit: LIMIT }, 1009);
    }
}

/// T19: the same by the streams, which are given one byte at a time.
fn holds_what_fragments_of_one_byte_carry_in_segments_of_one_byte(role: Role) {
    const COUNT: usize = 20_000;
    let wire = Wire::new();
    wire.state().step = 1;
    wire.push(&frame(other(role), 0x02, b"x"));
    wire.push(&frame(other(role), 0x00, b"x").repeat(COUNT - 1));
    let mut ws = open(wire.clone(), role, Config::new(role), None);
    let (polled, peak) = heap::peak(|| poll_now(pin!(ws.recv())));
    assert!(polled.is_pending(), "{polled:?}");
    let inbox = sockeye::proto::connection::Inbox::DEFAULT_CAPACITY;
    assert!(peak <= 2 * COUNT + inbox + 4096, "{peak} bytes for {COUNT}");
    let waiting = wire.state().reads;
    assert_eq!(waiting, if other(role) == Role::Client { 7 } else { 3 } * COUNT, "all was read, a byte at a time");
    wire.push(&frame(other(role), 0x80, b"x"));
    wire.end();
    let message = crate::network::run(async { ws.recv().await.unwrap().unwrap() });
    assert_eq!(message.as_bytes(), vec![b'x'; COUNT + 1]);
}

/// T19: they count for nothing, so nothing is held for them, and no limit is broken.
fn holds_nothing_for_empty_fragments_however_many(role: Role) {
    let fragment = frame(other(role), 0x00, b"").repeat(1000);
    for first in [0x01, 0x02] {
        let mut us = Scenario::limited(role, 4);
        us.receive_frame(first, b"");
        us.receive(&fragment);
        let ((), work) = heap::work(|| (0..100).for_each(|_| assert_eq!(us.receive(&fragment), [])));
        assert_eq!(work.bytes, 0, "{work:?} for 100,000 fragments");
        assert_eq!(us.receive_frame(0x80, b"done"), [if first == 0x01 { text("done") } else { binary(b"done") }]);
    }
}

/// T19: as a peer gets it that sends them for ever.
fn is_told_over_tcp_what_its_fragments_come_to(role: Role) {
    let limited = Config::new(role).max_message(10_000);
    let bytes = [frame(other(role), 0x02, b""), frame(other(role), 0x00, b"x").repeat(30_000)].concat();
    assert_fails(role, limited, false, &bytes, ProtocolError::MessageTooBig { limit: 10_000 });
    // Empty ones are no fault, and a Close between them is heard.
    let mut bytes = [frame(other(role), 0x02, b""), frame(other(role), 0x00, b"").repeat(30_000)].concat();
    bytes.extend(frame(other(role), 0x83, b""));
    let seen = attack(role, limited, false, &bytes);
    let fault = ProtocolError::ReservedOpcode { bits: 3 };
    assert_eq!(seen.frames, [(0x88, close_payload(1002, &fault.to_string()))]);
    assert_eq!(seen.messages, []);
}

/// T20: twice the fragments are twice the work, in allocations and in bytes that they may have moved. Text is judged as it
/// comes: judged anew with each of 2^19 fragments, it would be 10^11 bytes, in minutes.
fn joins_fragments_in_linear_time(role: Role) {
    for (first, payload) in [(0x01, "ü"), (0x02, "ü")] {
        let fragment = frame(other(role), 0x00, payload.as_bytes());
        let work = |count: usize| {
            let mut us = Scenario::open(role);
            us.receive_frame(first, payload.as_bytes());
            let ((), work) = heap::work(|| (1..count).for_each(|_| assert_eq!(us.receive(&fragment), [])));
            assert_eq!(us.receive_frame(0x80, b"").len(), 1);
            work
        };
        let (n, twice) = (work(1 << 18), work(1 << 19));
        assert!(n.allocations < 30, "{n:?}");
        assert!(twice.allocations <= n.allocations + 2, "{n:?} for n fragments, {twice:?} for 2n");
        assert!(twice.bytes <= 2 * n.bytes + 4096, "{n:?} for n fragments, {twice:?} for 2n");
        assert!(twice.bytes <= 4 * 2 * (1 << 19), "{twice:?} for a message of {} bytes", 2 * (1 << 19));
    }
}
