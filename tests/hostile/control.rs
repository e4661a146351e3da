//! Floods of Pings and Pongs, peers that answer none, and what control frames carry.

use std::{pin::pin, time::Duration};

use bytes::Bytes;
use sockeye::{
    CloseCode, Config, Error, Keepalive, Role,
    proto::{
        connection::{End, Initiator},
        frame::ProtocolError,
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    common::{Frame, Scenario, close_frame, close_payload, frame, frames, heap, other, stream},
    io::{CLOSE, PING, PONG, Wire, endpoint, poll_now},
    network::{assert_fails, open, read_all, run},
    twins,
};

twins![
    holds_nothing_of_a_pong_flood,
    stops_reading_a_peer_that_floods_with_pings_and_takes_no_pong,
    answers_the_newest_of_a_ping_flood_over_tcp,
    holds_one_ping_of_a_peer_that_answers_none,
    sends_no_byte_that_it_was_not_given,
    surfaces_every_code_of_a_close,
    refuses_every_other_code_of_a_close,
];

/// How many bytes of Pongs may wait to be written, by ARCHITECTURE.md, and one Pong that goes over it.
const PONGS: usize = 4096 + 131;

fn numbered(n: u32) -> Vec<u8> {
    [&n.to_be_bytes()[..], &[b'.'; 121]].concat()
}

/// T21: they are shown to whoever wants them, and leave nothing.
fn holds_nothing_of_a_pong_flood(role: Role) {
    let flood = frame(other(role), PONG, &[7; 125]).repeat(1000);
    let wire = Wire::with_capacity(flood.len());
    let mut ws = endpoint(wire.clone(), role);
    let mut round = || {
        wire.push(&flood);
        assert!(poll_now(pin!(ws.recv())).is_pending());
    };
    round();
    let before = heap::live();
    let ((), peak) = heap::peak(|| (0..100).for_each(|_| round()));
    assert_eq!(heap::live(), before, "behind 100,000 Pongs");
    assert!(peak < 16 * 1024, "{peak} bytes");
    assert_eq!(wire.take_output(), b"");
}

/// T22: 10 MB of Pings on a wire that takes nothing. One read's worth is taken in and what waits is bounded; then the
/// peer is not read until it takes its Pongs, of which the newest is the answer to the newest Ping.
fn stops_reading_a_peer_that_floods_with_pings_and_takes_no_pong(role: Role) {
    const COUNT: u32 = 80_000;
    let flood: Vec<u8> = (0..COUNT).flat_map(|n| frame(other(role), PING, &numbered(n))).collect();
    let wire = Wire::with_capacity(flood.len());
    wire.set_room(0);
    wire.push(&flood);
    let mut ws = endpoint(wire.clone(), role);
    let (_, peak) = heap::peak(|| (0..1000).for_each(|_| assert!(poll_now(pin!(ws.recv())).is_pending())));
    assert_eq!(wire.state().reads, 1, "a peer that takes no Pong is not read");
    assert!(ws.queued() <= PONGS, "{} bytes wait", ws.queued());
    let inbox = sockeye::proto::connection::Inbox::DEFAULT_CAPACITY;
    // The thread's inbox; the queue, which doubles; and the chunk of 4 KiB that the newest Ping was cut from.
    assert!(peak <= inbox + 32 * 1024, "{peak} bytes");
    // It takes a Pong and a half, and then again nothing: little more is read.
    wire.set_room(200);
    assert!(poll_now(pin!(ws.recv())).is_pending());
    let reads = wire.state().reads;
    assert!(reads <= 2 && ws.queued() <= PONGS, "{reads} reads, {} bytes wait", ws.queued());
    wire.set_room(usize::MAX);
    wire.end();
    let (recv, peak) = heap::peak(|| run(ws.recv()));
    assert!(matches!(recv, Err(Error::Lost)), "{recv:?}");
    // Beside what the wire itself gathers.
    assert!(peak <= 2 * flood.len() + inbox, "{peak} bytes");
    let pongs = pongs(&frames(role, &wire.take_output()));
    assert!(pongs.is_sorted(), "in their order");
    assert_eq!(pongs.last(), Some(&(COUNT - 1)), "the newest Ping is answered");
    let (read, at_once) = (inbox / flood.len().div_ceil(COUNT as usize), PONGS / 127 + 2);
    assert!(pongs.len() <= COUNT as usize / read * at_once + 2 * at_once, "{} Pongs", pongs.len());
}

/// The numbers of the Pings that these frames answer.
fn pongs(frames: &[Frame]) -> Vec<u32> {
    let number = |(first, payload): &Frame| {
        assert_eq!((*first, payload.len()), (PONG, 125));
        u32::from_be_bytes(payload[..4].try_into().unwrap())
    };
    frames.iter().map(number).collect()
}

/// T22: over TCP, by a peer that reads nothing until it can send no more.
fn answers_the_newest_of_a_ping_flood_over_tcp(role: Role) {
    const COUNT: u32 = 50_000;
    let answers = run(async {
        let (mut ws, mut peer) = open(role, Config::new(role), false).await;
        let reading = tokio::spawn(async move { read_all(&mut ws).await });
        let flood: Vec<u8> = (0..COUNT).flat_map(|n| frame(other(role), PING, &numbered(n))).collect();
        let mut rest = &flood[..];
        while !rest.is_empty()
            && let Ok(written) = peer.io.try_write(rest)
        {
            rest = &rest[written..];
            tokio::task::yield_now().await;
        }
        let (mut read, mut write) = peer.io.split();
        let answered = async {
            // Whole frames of one length.
            let (mut bytes, len) = (Vec::new(), frame(role, PONG, &numbered(0)).len());
            while bytes.is_empty()
                || bytes.len() % len != 0
                || pongs(&frames(role, &bytes[bytes.len() - len..])) != [COUNT - 1]
            {
                assert!(read.read_buf(&mut bytes).await.expect("it answers") > 0, "it ends without an answer");
            }
            bytes
        };
        let (sent, answers) = tokio::join!(write.write_all(rest), answered);
        sent.expect("it is read as soon as its answers are");
        peer.send(CLOSE, b"").await;
        drop(peer);
        reading.await.expect("no panic");
        answers
    });
    let pongs = pongs(&frames(role, &answers));
    assert!(pongs.is_sorted() && pongs.len() <= COUNT as usize);
    assert_eq!(pongs.last(), Some(&(COUNT - 1)), "the newest Ping is answered");
}

/// T23: by the streams and their timers. The first Ping that is not answered is forgotten with the second.
fn holds_one_ping_of_a_peer_that_answers_none(role: Role) {
    let (interval, timeout) = (Duration::from_secs(30), Duration::from_secs(20));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let wire = Wire::with_capacity(1 << 16);
        let config = Config::new(role).keepalive(Some(Keepalive { interval, timeout }));
        let mut ws = crate::io::open(wire.clone(), role, config, None);
        let sign_of_life = frame(other(role), PONG, b"not the answer");
        let mut before = 0;
        for round in 0..2000 {
            // It asks once, and has not given the peer up before it hears of it again.
            assert!(tokio::time::timeout(Duration::from_secs(45), ws.recv()).await.is_err());
            wire.push(&sign_of_life);
            if round == 10 {
                before = heap::live();
            }
            let mut state = wire.state();
            assert_eq!(state.output.len(), if role == Role::Client { 10 } else { 6 }, "one Ping a round");
            state.output.clear();
        }
        assert!(heap::live() <= before + 1024, "{} bytes for 2000 Pings", heap::live() - before);
        assert_eq!(ws.rtt(), None);
    });
}

/// T24: payloads of every length, Pings, their answers, Closes and what is cut off. The allocator fills what it hands out
/// with a canary, so memory that was not written to would show, and each byte is compared.
fn sends_no_byte_that_it_was_not_given(role: Role) {
    // Memory that is used again, too.
    drop(vec![heap::CANARY; 1 << 20]);
    let mut us = Scenario::open(role);
    for len in 0..=125 {
        let payload: Vec<u8> = (0..len).map(|n| n as u8 & 0x7f).collect();
        us.connection.ping(&Bytes::from(payload.clone())).unwrap();
        us.connection.pong(&Bytes::from(payload.clone())).unwrap();
        us.receive_bytewise(&frame(other(role), PING, &payload));
        us.receive_frame(PING, &payload);
        us.connection.send(&payload.clone().into()).unwrap();
        let want = [(PING, &payload), (PONG, &payload), (PONG, &payload), (PONG, &payload), (0x82, &payload)];
        assert_eq!(us.sent(), want.map(|(first, payload)| (first, payload.clone())));
        // A Ping that never comes to its end is not answered with what came of it.
        let mut cut = Scenario::open(role);
        let bytes = frame(other(role), PING, &[payload, vec![1]].concat()[..(len as usize + 1).min(125)]);
        cut.receive(&bytes[..bytes.len() - 1]);
        cut.connection.receive_eof();
        assert_eq!((cut.sent(), cut.end()), (vec![], Some(&End::Lost)));
    }
    for len in (0..=130).chain([1000, 100_000]) {
        let reason = "r".repeat(len);
        let mut us = Scenario::open(role);
        us.connection.close(Some(close_frame(1000, &reason)), us.now);
        assert_eq!(us.sent(), [(CLOSE, close_payload(1000, &reason[..len.min(123)]))]);
        let mut us = Scenario::open(role);
        let echoed = close_payload(4000, &reason[..len.min(123)]);
        us.receive_frame(CLOSE, &echoed);
        assert_eq!(us.sent(), [(CLOSE, echoed)]);
    }
}

/// What an endpoint and its peer make of a Close over TCP.
fn closed_by_peer(role: Role, payload: &[u8]) -> (Option<Error>, Option<End>, Vec<Frame>) {
    run(async {
        let (mut ws, mut peer) = open(role, Config::new(role), false).await;
        let said = async {
            peer.send(CLOSE, payload).await;
            let mut frames = vec![peer.recv().await.expect("a Close is answered")];
            // The server ends the transport first (RFC 6455 §7.1.1).
            if role == Role::Client {
                peer.io.shutdown().await.expect("the client waits for it");
            }
            while let Some(frame) = peer.recv().await {
                frames.push(frame);
            }
            frames
        };
        let ((_, error, end), frames) = tokio::join!(read_all(&mut ws), said);
        (error, end, frames)
    })
}

/// T44: over TCP, with its reason, and echoed.
fn surfaces_every_code_of_a_close(role: Role) {
    let codes = (1000..=1003).chain(1007..=1014).chain([3000, 3001, 3999, 4000, 4001, 4500, 4999]);
    for code in codes {
        let (error, end, frames) = closed_by_peer(role, &close_payload(code, "because"));
        assert!(error.is_none(), "{code}: {error:?}");
        let theirs = Some(close_frame(code, "because"));
        assert_eq!(end, Some(End::Closed { by: Initiator::Peer, ours: theirs.clone(), theirs }));
        assert_eq!(frames, [(CLOSE, close_payload(code, "because"))]);
    }
    let (error, end, frames) = closed_by_peer(role, b"");
    assert!(error.is_none());
    assert_eq!(end, Some(End::Closed { by: Initiator::Peer, ours: None, theirs: None }));
    assert_eq!(frames, [(CLOSE, vec![])]);
}

/// T44: all others, and a payload of one byte; every number once in the core, those at the edges over TCP.
fn refuses_every_other_code_of_a_close(role: Role) {
    for code in 0..=u16::MAX {
        let mut us = Scenario::open(role);
        us.inbox = sockeye::proto::connection::Inbox::with_capacity(16);
        us.receive_frame(CLOSE, &code.to_be_bytes());
        let is_good = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        assert_eq!(CloseCode::new(code).is_some(), is_good);
        assert_eq!(us.failure(), (!is_good).then_some(ProtocolError::InvalidCloseCode { code }));
        assert_eq!(us.sent()[0].1[..2], if is_good { code.to_be_bytes() } else { 1002_u16.to_be_bytes() });
    }
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        let bytes = stream(other(role), &[(CLOSE, &close_payload(code, "because")), (0x82, b"more")]);
        assert_fails(role, Config::new(role), false, &bytes, ProtocolError::InvalidCloseCode { code });
    }
    assert_fails(role, Config::new(role), false, &frame(other(role), CLOSE, b"\x03"), ProtocolError::CloseOfOneByte);
}
