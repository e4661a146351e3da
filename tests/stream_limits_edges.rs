//! Limits and policies at their edges: what a review once found wrong, each thing by itself.
#![cfg(all(feature = "client", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;
mod io;

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use common::Scenario;
use io::{BINARY, CLOSE, FIN, PING, Wire, close_payload, frame, open, opposite, parse, poll_now, unhung};
use sockeye::{
    CloseCode, Config, Keepalive, Kind, Limits, Message, Role, SlowReader, WebSocket,
    proto::{
        connection::{Connection, End},
        frame::ProtocolError,
        handshake::ServerHandshake,
    },
    stream::{MemoryBudget, serve_connection},
};
use tokio::{task::yield_now, time::sleep};

const ROLES: [Role; 2] = [Role::Client, Role::Server];
const SECOND: Duration = Duration::from_secs(1);

fn core(role: Role, policy: SlowReader, limits: Limits) -> Scenario {
    Scenario::new(role, Config::new(role).limits(limits).keepalive(None).slow_reader(policy), None)
}

fn slow(wire: &Wire, role: Role, policy: SlowReader) -> WebSocket<Wire> {
    let limits = Limits::trusted().max_queued(64 * 1024).max_queued_age(Some(60 * SECOND));
    open(wire.clone(), role, Config::new(role).limits(limits).keepalive(None).slow_reader(policy), None)
}

// ── 1 ──
#[test]
fn no_message_follows_the_close_that_tells_a_fault() {
    for role in ROLES {
        let mut us = core(role, SlowReader::DropOldest, Limits::trusted().max_queued(256 * 1024));
        for _ in 0..150 {
            us.connection.send(&vec![0; 1024].into()).unwrap();
        }
        us.receive_frame(0x83, b"reserved opcode");
        assert!(matches!(us.end(), Some(End::Failed(_))));
        let sent = us.sent();
        let close = sent.iter().position(|(first, _)| *first == 0x88).unwrap();
        assert_eq!(sent.len() - close - 1, 0, "frames behind the Close");
    }
}

// ── 2 ──
#[tokio::test(start_paused = true)]
async fn handler_that_works_before_its_first_recv_does_not_make_its_peer_idle() {
    let wire = Wire::new();
    let mut ws = open(wire.clone(), Role::Server, Config::new(Role::Server), None);
    sleep(120 * SECOND).await; // a handler that loads something first
    assert!(poll_now(pin!(ws.recv())).is_pending());
    assert_eq!(ws.end(), None, "nobody has asked the peer yet");
}

#[tokio::test(start_paused = true)]
async fn handler_that_pushes_for_two_minutes_between_two_recvs() {
    let wire = Wire::new();
    let ws = open(wire.clone(), Role::Server, Config::new(Role::Server), None);
    let served = tokio::spawn(serve_connection(ws, |mut ws| async move {
        // select!: the job came first
        assert!(tokio::time::timeout(80 * SECOND, ws.recv()).await.is_err());
        for _ in 0..24 {
            sleep(5 * SECOND).await;
            ws.send("tick").await.unwrap();
        }
        let received = tokio::time::timeout(10 * SECOND, ws.recv()).await;
        (received.map(|r| r.map_err(|e| e.to_string())).is_err(), ws.end())
    }));
    // A living peer: it answers each Ping at once.
    let peer = {
        let wire = wire.clone();
        tokio::spawn(async move {
            loop {
                sleep(SECOND / 10).await;
                for (first, payload) in parse(&wire.take_output()) {
                    if first == PING {
                        wire.push(&frame(Role::Client, io::PONG, &payload));
                    }
                }
            }
        })
    };
    let (_, end) = unhung_long(served).await.unwrap();
    peer.abort();
    assert_eq!(end, None);
}

async fn unhung_long<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(24 * 3600), test).await.expect("the test hangs")
}

// ── 3 ──
#[tokio::test(start_paused = true)]
async fn silent_peer_that_does_not_read_is_idle_too() {
    let mut alive = Vec::new();
    for (role, policy) in [
        (Role::Client, SlowReader::Wait),
        (Role::Server, SlowReader::DropNewest),
        (Role::Server, SlowReader::DropOldest),
    ] {
        let wire = Wire::new();
        wire.set_room(0);
        let limits = Limits::trusted().idle_timeout(Some(90 * SECOND));
        let limits = if policy == SlowReader::Wait { limits } else { limits.max_queued_age(Some(60 * SECOND)) };
        let config = Config::new(role).limits(limits).keepalive(None).slow_reader(policy);
        let mut ws = open(wire.clone(), role, config, None);
        ws.feed("x").await.unwrap();
        let received = tokio::time::timeout(3600 * SECOND, ws.recv()).await;
        if received.is_err() {
            alive.push((role, policy));
        }
    }
    assert!(alive.is_empty(), "{alive:?}: an hour of silence, and idle_timeout is 90 s");
}

// ── 4 ──
#[tokio::test(start_paused = true)]
async fn message_in_parts_is_bounded_by_the_queue_too() {
    for policy in [
        SlowReader::Wait,
        SlowReader::DropNewest,
        SlowReader::DropOldest,
        SlowReader::Close(CloseCode::TRY_AGAIN_LATER),
    ] {
        let wire = Wire::new();
        wire.set_room(0);
        let mut ws = slow(&wire, Role::Server, policy);
        let mut writer = ws.begin(Kind::Binary).await.unwrap();
        let mut queued = 0;
        for _ in 0..200 {
            let write = writer.write(vec![0; 1 << 20]);
            match poll_now(pin!(write)) {
                Poll::Ready(Ok(())) => queued += 1 << 20,
                _ => break,
            }
        }
        assert!(queued <= 2 << 20, "{policy:?}: {queued} bytes queued for a peer that reads nothing");
        std::mem::forget(writer);
    }
}

// ── 5 ──
#[tokio::test(start_paused = true)]
async fn parts_and_pings_leave_when_the_transport_takes_them() {
    let mut left = Vec::new();
    for what in ["message", "ping", "part"] {
        let wire = Wire::new();
        wire.set_room(0);
        let (sender, mut receiver) = slow(&wire, Role::Server, SlowReader::DropOldest).split();
        let receiving = tokio::spawn(async move { receiver.recv().await });
        yield_now().await;
        let sending = tokio::spawn(async move {
            match what {
                "message" => {
                    sender.send("x").await.unwrap();
                    sleep(3600 * SECOND).await;
                }
                "ping" => {
                    sender.ping("x").await.unwrap();
                    sleep(3600 * SECOND).await;
                }
                _ => {
                    let mut writer = sender.begin(Kind::Text).await.unwrap();
                    writer.write("x").await.unwrap();
                    sleep(3600 * SECOND).await;
                    writer.finish().await.unwrap();
                }
            }
        });
        yield_now().await;
        wire.set_room(usize::MAX);
        for _ in 0..20 {
            yield_now().await;
        }
        sleep(30 * SECOND).await;
        let output = wire.take_output();
        receiving.abort();
        sending.abort();
        if output.is_empty() {
            left.push(what);
        }
    }
    assert!(left.is_empty(), "{left:?}: the transport has been writable for half a minute, and a receiver waits");
}

// ── 6 ──
#[tokio::test(start_paused = true)]
async fn close_keeps_its_deadline_when_another_sender_is_polled_meanwhile() {
    for steal in [false, true] {
        let wire = Wire::new();
        let (sender, receiver) = open(wire.clone(), Role::Server, Config::new(Role::Server), None).split();
        drop(receiver);
        let other = sender.clone();
        let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
        yield_now().await;
        if steal {
            let flushed = tokio::spawn(async move { other.flush().await });
            let _ = flushed.await;
        }
        let closed = tokio::time::timeout(3600 * SECOND, closing).await;
        assert!(closed.is_ok(), "stolen: {steal}; close_timeout is 10 s, and an hour has passed");
    }
}

// ── 7 ──
#[tokio::test(start_paused = true)]
async fn blocked_sender_keeps_the_keepalive_deadline_when_another_one_was_polled() {
    for steal in [false, true] {
        let wire = Wire::new();
        wire.set_room(0);
        let config = Config::new(Role::Client).keepalive(Some(Keepalive::default()));
        let (sender, receiver) = open(wire.clone(), Role::Client, config, None).split();
        drop(receiver);
        let other = sender.clone();
        let sending = tokio::spawn(async move { sender.send("x").await });
        yield_now().await;
        if steal {
            let flushing = tokio::spawn(async move { other.flush().await });
            yield_now().await;
            flushing.abort();
        }
        let sent = tokio::time::timeout(3600 * SECOND, sending).await;
        assert!(sent.is_ok(), "stolen: {steal}; 25 + 20 s of keepalive, and an hour has passed");
    }
}

// ── 8 ──
#[tokio::test(start_paused = true)]
async fn budget_gets_back_what_a_sender_had_queued() {
    let budget = MemoryBudget::new(10 << 20);
    let wire = Wire::new();
    let config = Config::new(Role::Server);
    let (sender, mut receiver) = open(wire.clone(), Role::Server, config, None).with_budget(&budget).split();
    let receiving = tokio::spawn(async move { receiver.recv().await });
    yield_now().await;
    wire.set_room(0);
    let sending = tokio::spawn(async move {
        let sent = sender.send(vec![0; 1 << 20]).await;
        (sent, sender)
    });
    yield_now().await;
    assert!(budget.held() > 1 << 20);
    wire.set_room(usize::MAX);
    let (sent, sender) = sending.await.unwrap();
    sent.unwrap();
    assert_eq!(sender.queued(), 0);
    sleep(20 * SECOND).await;
    let held = budget.held();
    receiving.abort();
    assert!(held < 1000, "nothing is queued, and {held} bytes are held");
}

#[tokio::test(start_paused = true)]
async fn budget_of_a_handler_that_only_sends() {
    let budget = MemoryBudget::new(10 << 20);
    let wire = Wire::new();
    let mut ws = slow(&wire, Role::Server, SlowReader::Wait).with_budget(&budget);
    for _ in 0..100 {
        wire.set_room(0);
        let sending = async {
            ws.send(vec![0; 1 << 20]).await.unwrap();
        };
        let mut sending = pin!(sending);
        assert!(poll_now(sending.as_mut()).is_pending());
        wire.set_room(usize::MAX);
        sending.await;
    }
    assert_eq!(ws.queued(), 0);
    assert!(budget.held() < 1000, "nothing is queued, and {} bytes are held", budget.held());
}

// ── 9 ──
#[tokio::test(start_paused = true)]
async fn no_more_is_retained_on_a_stream_than_may_be() {
    let limits = Limits::internet().max_message(64 << 20).max_retained(128 * 1024);
    let config = Config::new(Role::Server).limits(limits);
    let wire = Wire::new();
    wire.state().step = 64 * 1024;
    let mut ws = open(wire.clone(), Role::Server, config, None);
    let bytes = frame(Role::Client, BINARY, &vec![7; 32 << 20]);
    let mut most = 0;
    for piece in bytes[..bytes.len() - 1].chunks(1 << 20) {
        wire.push(piece);
        if poll_now(pin!(ws.recv())).is_ready() || ws.end().is_some() {
            break;
        }
        most = most.max(ws.retained());
    }
    assert!(most <= 128 * 1024 + 64 * 1024, "{most} bytes are retained of an unfinished message");
}

#[test]
fn the_core_by_itself_does_keep_to_it() {
    let limits = Limits::internet().max_message(64 << 20).max_retained(128 * 1024);
    let mut us = core(Role::Server, SlowReader::Wait, limits);
    let bytes = frame(Role::Client, BINARY, &vec![7; 32 << 20]);
    for piece in bytes[..1 << 20].chunks(64 * 1024) {
        us.receive(piece);
    }
    assert_eq!(us.failure(), Some(ProtocolError::RetainedTooMuch { limit: 128 * 1024 }));
}

// ── 10 ──
#[test]
fn drop_oldest_keeps_what_came_last() {
    let mut us = core(Role::Server, SlowReader::DropOldest, Limits::internet());
    for number in 0..5_u8 {
        us.connection.send(&vec![number; 40 * 1024].into()).unwrap();
    }
    let sent: Vec<u8> = us.sent().iter().map(|(_, payload)| payload[0]).collect();
    assert_eq!(sent.last(), Some(&4), "sent {sent:?}: the newest is worth more");
}

// ── 11 ──
#[test]
fn what_a_single_message_brings_over_the_queue_is_not_counted() {
    let mut us = core(Role::Server, SlowReader::Close(CloseCode::TRY_AGAIN_LATER), Limits::internet());
    us.connection.send(&vec![0; 33 * 1024].into()).unwrap();
    assert!(us.connection.queued() < 64 * 1024);
    assert_eq!(us.connection.send(&vec![0; 33 * 1024].into()), Ok(()), "33 KiB of 64 were queued");
}

// ── 12 ──
#[tokio::test(start_paused = true)]
async fn slow_reader_that_reads_the_close_at_last_may_answer_it() {
    for role in ROLES {
        let wire = Wire::new();
        wire.set_room(10);
        let mut ws = slow(&wire, role, SlowReader::Close(CloseCode::TRY_AGAIN_LATER));
        while ws.send(vec![0; 1024]).await.is_ok() {}
        wire.set_room(usize::MAX);
        let answer = async {
            sleep(SECOND).await;
            wire.push(&frame(opposite(role), CLOSE, &close_payload(CloseCode::TRY_AGAIN_LATER, "")));
            wire.end();
        };
        let (received, ()) = tokio::join!(ws.recv(), answer);
        assert!(matches!(received, Ok(None)), "{role:?}: {received:?}, end {:?}", ws.end());
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_with_a_receiver_of_its_own() {
    let wire = Wire::new();
    wire.set_room(10);
    let (sender, mut receiver) = slow(&wire, Role::Server, SlowReader::Close(CloseCode::TRY_AGAIN_LATER)).split();
    let receiving = tokio::spawn(async move { (receiver.recv().await, receiver.end()) });
    yield_now().await;
    while sender.send(vec![0; 1024]).await.is_ok() {}
    yield_now().await;
    wire.set_room(usize::MAX);
    sleep(SECOND).await;
    wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::TRY_AGAIN_LATER, "")));
    wire.end();
    let (received, end) = unhung(receiving).await.unwrap();
    assert!(matches!(received, Ok(None)), "{received:?}, end {end:?}");
}

// ── 13 ──
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn other_senders_wait_for_the_end_of_a_message_in_parts() {
    let limits = Limits::trusted().max_queued(0);
    let config = Config::new(Role::Server).limits(limits).keepalive(None);
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let drain = tokio::spawn(async move { tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await });
    let (sender, _receiver) = open(ours, Role::Server, config, None).split();
    let tasks: Vec<_> = (0..4)
        .map(|number| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for _ in 0..20_000 {
                    if number % 2 == 0 {
                        let mut writer = sender.begin(Kind::Text).await.map_err(|e| format!("begin: {e:?}"))?;
                        writer.write("part").await.map_err(|e| format!("write: {e:?}"))?;
                        writer.finish().await.map_err(|e| format!("finish: {e:?}"))?;
                    } else {
                        sender.send("whole").await.map_err(|e| format!("send: {e:?}"))?;
                    }
                }
                Ok::<_, String>(())
            })
        })
        .collect();
    let mut errors = Vec::new();
    for task in tasks {
        errors.extend(task.await.unwrap().err());
    }
    drain.abort();
    assert!(errors.is_empty(), "{errors:?}");
}

// ── 15 ──
#[test]
fn name_of_a_cookie_is_what_the_browser_checked() {
    let of = |cookies: &str| {
        let bytes = format!("{}Cookie: {cookies}\r\n\r\n", io::tcp::REQUEST);
        ServerHandshake::new(Limits::internet()).receive(bytes.as_bytes()).unwrap().1.unwrap()
    };
    for space in ['\u{a0}', '\u{2000}', '\u{3000}', '\u{85}'] {
        let request = of(&format!("{space}__Host-session=evil; __Host-session=good"));
        assert_eq!(request.cookie("__Host-session"), Some("good"), "{space:?}");
    }
}

// ── 20 ──
#[tokio::test]
async fn body_of_a_408_names_the_limit() {
    let limits = Limits::internet().handshake_timeout(Duration::from_millis(50));
    let server = io::tcp::serve(io::tcp::bind().await.limits(limits), io::tcp::echo);
    let mut tcp = server.tcp().await;
    let mut all = String::new();
    let mut buf = Vec::new();
    while tokio::io::AsyncReadExt::read_buf(&mut tcp.io, &mut buf).await.unwrap() > 0 {}
    all.push_str(&String::from_utf8(buf).unwrap());
    assert!(all.starts_with("HTTP/1.1 408 "));
    assert!(!all.ends_with("\r\n\r\n"), "no body: {all:?}");
}

// ── 21, 22: 32 bits ──
#[tokio::test]
async fn any_number_of_connections_may_be_allowed() {
    let server = io::tcp::serve(io::tcp::bind().await.max_connections(u32::MAX), io::tcp::echo);
    sleep(Duration::from_millis(200)).await;
    let mut ws = sockeye::connect(server.url()).await.unwrap();
    ws.send("x").await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some("x".into()));
}

#[test]
fn shares_of_one_large_message_do_not_overflow() {
    let limits = Limits::trusted().max_queued(usize::MAX);
    let mut us = core(Role::Server, SlowReader::Wait, limits);
    let large = Message::from(Bytes::from(vec![0; 64 << 20]));
    for _ in 0..70 {
        us.connection.send(&large).unwrap();
    }
    let queued = us.connection.queued() as u64;
    assert!(queued > 64 << 20 && us.connection.retained() as u64 >= queued);
}

#[test]
fn backlog_of_shares_does_not_overflow() {
    let limits = Limits::trusted().max_queued(usize::MAX);
    let mut us = core(Role::Server, SlowReader::DropOldest, limits);
    let large = Message::from(Bytes::from(vec![0; 64 << 20]));
    for _ in 0..70 {
        us.connection.send(&large).unwrap();
    }
    let queued = us.connection.queued() as u64;
    assert!(queued > 64 << 20, "{queued}");
}

#[tokio::test(start_paused = true)]
async fn broadcast_of_one_large_message_on_a_budget() {
    let budget = MemoryBudget::new(usize::MAX);
    let large = Bytes::from(vec![0; 64 << 20]);
    let mut all = Vec::new();
    for _ in 0..70 {
        let wire = Wire::new();
        wire.set_room(0);
        let ws = open(VecWire(wire), Role::Server, Config::new(Role::Server), None).with_budget(&budget);
        let (sender, receiver) = ws.split();
        let message = large.clone();
        assert!(poll_now(pin!(sender.send(message))).is_pending());
        all.push((sender, receiver));
    }
    drop(all);
    assert_eq!(budget.held(), 0);
}

struct VecWire(Wire);
impl tokio::io::AsyncRead for VecWire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
impl tokio::io::AsyncWrite for VecWire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
    fn is_write_vectored(&self) -> bool {
        true
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, &bufs[0])
    }
}

// ── 23 ──
#[tokio::test(start_paused = true)]
async fn what_was_sent_leaves_where_the_receiver_was_dropped() {
    for policy in [SlowReader::Wait, SlowReader::DropOldest] {
        let wire = Wire::new();
        wire.set_room(0);
        let (sender, receiver) = slow(&wire, Role::Server, policy).split();
        drop(receiver);
        let sending = tokio::spawn(async move {
            sender.send("x").await.unwrap();
            sleep(600 * SECOND).await;
            drop(sender);
        });
        yield_now().await;
        wire.set_room(usize::MAX);
        sleep(300 * SECOND).await;
        sending.abort();
        assert!(!wire.take_output().is_empty(), "{policy:?}: send has returned, and it was not sent in 5 minutes");
    }
}

// ── 25 ──
#[cfg(feature = "deflate")]
#[test]
fn no_value_of_a_caller_panics() {
    use sockeye::proto::{
        connection::DeflateSettings,
        extension::deflate::{DeflateAgreed, DeflateConfig},
    };
    let agreed = DeflateAgreed {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    let settings = DeflateSettings { config: DeflateConfig { mem_level: 250, ..DeflateConfig::default() }, agreed };
    let connection = Connection::server(Config::new(Role::Server), Some(&settings), std::time::Instant::now());
    let _ = connection.retained();
}

// ── 28 ──
#[tokio::test(start_paused = true)]
async fn discarding_needs_no_memory() {
    let limits = Limits::internet().max_message(1 << 20).max_retained(10_000);
    let config = Config::new(Role::Server).limits(limits);
    let wire = Wire::new();
    let mut ws = open(wire.clone(), Role::Server, config, None);
    let answer = async {
        sleep(SECOND).await;
        wire.push(&frame(Role::Client, BINARY - FIN, &[0; 30_000]));
        sleep(SECOND).await;
        wire.push(&frame(Role::Client, FIN, &[0; 30_000]));
        wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
        wire.end();
    };
    let (closed, ()) = tokio::join!(ws.close(CloseCode::NORMAL, ""), answer);
    assert!(closed.is_ok(), "{closed:?}");
}

// ── 29 ──
#[tokio::test(start_paused = true)]
async fn drained_ends_with_the_messages_that_are_dropped() {
    let wire = Wire::new();
    wire.set_room(0);
    let limits = Limits::trusted().max_queued(256 * 1024).max_queued_age(Some(60 * SECOND));
    let config = Config::new(Role::Server).limits(limits).keepalive(None).slow_reader(SlowReader::DropOldest);
    let (sender, mut receiver) = open(wire.clone(), Role::Server, config, None).split();
    for _ in 0..200 {
        sender.send(vec![0; 1024]).await.unwrap();
    }
    let receiving = tokio::spawn(async move { receiver.recv().await });
    let drained = tokio::time::timeout(120 * SECOND, sender.drained(70 * 1024)).await;
    receiving.abort();
    assert!(drained.is_ok(), "{}", sender.queued());
}

// ── 30 ──
#[tokio::test(start_paused = true)]
async fn flush_of_a_policy_that_dropped() {
    // WebSocket closes itself: what a sender of other halves is told
    let wire = Wire::new();
    wire.set_room(10);
    let (sender, receiver) = slow(&wire, Role::Server, SlowReader::Close(CloseCode::TRY_AGAIN_LATER)).split();
    while sender.send(vec![0; 1024]).await.is_ok() {}
    drop(receiver);
    wire.set_room(usize::MAX);
    let peer = async {
        sleep(SECOND).await;
        wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::TRY_AGAIN_LATER, "")));
        wire.end();
    };
    let (closed, ()) = tokio::join!(tokio::time::timeout(3600 * SECOND, sender.close(CloseCode::NORMAL, "")), peer);
    assert!(matches!(closed, Ok(Ok(()))), "{closed:?} {:?}", sender.end());
}

// ── 31 ──
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_that_a_handler_leaves_is_closed_whoever_is_polled_meanwhile() {
    for round in 0..300 {
        let (ours, _theirs) = tokio::io::duplex(1 << 16);
        let config = Config::new(Role::Server).limits(Limits::internet().close_timeout(Duration::from_millis(1)));
        let ws = open(ours, Role::Server, config, None);
        let (give, take) = tokio::sync::oneshot::channel();
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let flag = stop.clone();
        serve_connection(ws, |ws| async move {
            let (sender, receiver) = ws.split();
            let mine = sender.clone();
            let (ready, go) = tokio::sync::oneshot::channel();
            let task = tokio::spawn(async move {
                let _ = ready.send(());
                while !flag.load(std::sync::atomic::Ordering::Relaxed) {
                    if sender.flush().await.is_err() {
                        break;
                    }
                }
            });
            let _ = go.await;
            let _ = give.send((mine, task));
            drop(receiver);
        })
        .await;
        let (sender, task) = take.await.unwrap();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        task.await.unwrap();
        assert!(sender.end().is_some(), "round {round}: the handler has returned, and its connection is open");
    }
}
