//! The stream floor: a connection whose halves are in different tasks.
#![cfg(feature = "stream")]

mod io;

use std::pin::pin;

use io::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Wire, close_payload, endpoint, endpoint_and_peer, frame, pair,
    parse, pattern, poll_now, unhung,
};
use sockeye::{
    CloseCode, Config, Error, Kind, Role, WebSocket,
    proto::connection::{DeflateSettings, Event, Timeout},
    stream::{Sender, serve_connection},
};
use tokio::{sync::Notify, time::Instant};

/// A server split in halves, and the wire that it is on.
fn split_server() -> (Sender<Wire>, sockeye::stream::Receiver<Wire>, Wire) {
    let wire = Wire::new();
    let (sender, receiver) = endpoint(wire.clone(), Role::Server).split();
    (sender, receiver, wire)
}

/// Four tasks send a hundred messages each, of lengths that differ; all come whole, and each task's in its order.
async fn senders_share(deflate: Option<DeflateSettings>) {
    let (ours, theirs) = tokio::io::duplex(300);
    let (sender, receiver) = io::open(ours, Role::Client, Config::new(Role::Client), deflate.as_ref()).split();
    let mut server = io::open(theirs, Role::Server, Config::new(Role::Server), deflate.as_ref());
    for task in 0..4_u8 {
        let sender = sender.clone();
        tokio::spawn(async move {
            for n in 0..100_u8 {
                let body = pattern(usize::from(n) * 29);
                sender.send([&[task, n], &body[..]].concat()).await.expect("the connection is open");
            }
        });
    }
    drop((sender, receiver));
    let mut next = [0; 4];
    for _ in 0..400 {
        let message = server.recv().await.expect("the connection is open").expect("a message comes").into_bytes();
        let (task, n) = (usize::from(message[0]), message[1]);
        assert_eq!(n, next[task], "out of order");
        assert!(message[2..] == pattern(usize::from(n) * 29), "message {n} of task {task} is not what was sent");
        next[task] += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn senders_in_many_tasks_keep_order_and_messages_whole() {
    unhung(senders_share(None)).await;
}

#[cfg(feature = "deflate")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn senders_in_many_tasks_share_one_deflater() {
    use sockeye::{DeflateConfig, proto::extension::deflate::DeflateAgreed};
    let agreed = DeflateAgreed {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: 15,
        client_max_window_bits: 15,
    };
    unhung(senders_share(Some(DeflateSettings { config: DeflateConfig::default(), agreed }))).await;
}

#[tokio::test]
async fn other_senders_wait_until_a_message_in_parts_is_finished() {
    let (sender, _receiver, wire) = split_server();
    let other = sender.clone();
    let mut writer = sender.begin(Kind::Text).await.unwrap();
    let waiting = tokio::spawn(async move { other.send("whole").await });
    assert!(poll_now(pin!(sender.feed("fed"))).is_pending());
    assert!(poll_now(pin!(sender.begin(Kind::Text))).is_pending());
    writer.write("in ").await.unwrap();
    tokio::task::yield_now().await;
    sender.ping("between").await.unwrap();
    sender.pong("unasked").await.unwrap();
    writer.write("parts").await.unwrap();
    writer.finish().await.unwrap();
    unhung(waiting).await.unwrap().unwrap();
    let frames = [
        (TEXT & !FIN, &b"in "[..]),
        (PING, b"between"), // §5.4: control frames may go between
        (PONG, b"unasked"),
        (CONTINUATION & !FIN, b"parts"),
        (CONTINUATION, b""),
        (TEXT, b"whole"),
    ];
    assert_eq!(parse(&wire.take_output()), frames.map(|(first, payload)| (first, payload.to_vec())));
}

#[tokio::test]
async fn senders_that_wait_for_a_message_in_parts_go_on_when_it_is_given_up() {
    let (sender, _receiver, wire) = split_server();
    let other = sender.clone();
    let writer = sender.begin(Kind::Text).await.unwrap();
    let waiting = tokio::spawn(async move { other.send("whole").await });
    tokio::task::yield_now().await;
    drop(writer);
    unhung(waiting).await.unwrap().unwrap();
    assert_eq!(parse(&wire.take_output()), [(TEXT, b"whole".to_vec())]);
}

#[tokio::test]
async fn senders_that_wait_for_a_message_in_parts_are_told_that_it_ended_the_connection() {
    let (sender, _receiver, _wire) = split_server();
    let other = sender.clone();
    let mut writer = sender.begin(Kind::Text).await.unwrap();
    writer.write("part").await.unwrap();
    let waiting = tokio::spawn(async move { other.send("whole").await });
    tokio::task::yield_now().await;
    drop(writer);
    assert!(matches!(unhung(waiting).await.unwrap(), Err(Error::Closed)));
}

#[tokio::test]
async fn pong_leaves_by_whichever_half_is_polled() {
    for by_sender in [true, false] {
        let (sender, mut receiver, wire) = split_server();
        wire.push(&frame(Role::Client, PING, b"ping"));
        assert_eq!(receiver.recv_event().await.unwrap(), Some(Event::Ping("ping".into())));
        assert_eq!(wire.take_output(), b"", "the event comes before the write");
        if by_sender {
            sender.flush().await.unwrap();
        } else {
            assert!(poll_now(pin!(receiver.recv())).is_pending());
        }
        assert_eq!(parse(&wire.take_output()), [(PONG, b"ping".to_vec())]);
    }
}

#[tokio::test]
async fn receiver_that_waits_writes_what_a_sender_could_not() {
    let (sender, mut receiver, wire) = split_server();
    wire.set_room(0);
    // Cancelled while the transport is slow: it is queued whole.
    assert!(poll_now(pin!(sender.send("message"))).is_pending());
    let receiving = tokio::spawn(async move { receiver.recv().await });
    tokio::task::yield_now().await;
    wire.set_room(usize::MAX);
    wire.push(&frame(Role::Client, TEXT, b"reply"));
    assert_eq!(unhung(receiving).await.unwrap().unwrap(), Some("reply".into()));
    assert_eq!(parse(&wire.take_output()), [(TEXT, b"message".to_vec())]);
}

#[tokio::test]
async fn sender_goes_on_answers_pings_and_closes_behind_a_dropped_receiver() {
    let (sender, receiver, wire) = split_server();
    drop(receiver);
    wire.push(&frame(Role::Client, TEXT, b"nobody reads this"));
    wire.push(&frame(Role::Client, PING, b"ping"));
    sender.send("one").await.unwrap();
    sender.send("two").await.unwrap();
    let mut closing = tokio::spawn(async move { (sender.close(CloseCode::NORMAL, "").await, sender.end()) });
    tokio::task::yield_now().await;
    assert!(poll_now(pin!(&mut closing)).is_pending(), "the peer has not answered");
    wire.push(&frame(Role::Client, BINARY, &pattern(100_000)));
    wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
    wire.end();
    let (closed, end) = unhung(closing).await.unwrap();
    closed.unwrap();
    assert!(end.is_some_and(|end| end.is_clean()));
    let mut frames = parse(&wire.take_output());
    assert_eq!(frames.pop(), Some((CLOSE, close_payload(CloseCode::NORMAL, ""))));
    frames.sort();
    let sent = [(TEXT, &b"one"[..]), (TEXT, b"two"), (PONG, b"ping")];
    assert_eq!(frames, sent.map(|(first, payload)| (first, payload.to_vec())));
}

#[tokio::test]
async fn sender_answers_the_peers_close_behind_a_dropped_receiver() {
    let (sender, receiver, wire) = split_server();
    drop(receiver);
    wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::GOING_AWAY, "")));
    wire.end();
    sender.send("one").await.unwrap();
    assert!(matches!(sender.send("two").await, Err(Error::Closed)));
    sender.close(CloseCode::NORMAL, "").await.unwrap();
    let frames = [(TEXT, b"one".to_vec()), (CLOSE, close_payload(CloseCode::GOING_AWAY, ""))];
    assert_eq!(parse(&wire.take_output()), frames);
}

#[tokio::test(start_paused = true)]
async fn close_behind_a_dropped_receiver_keeps_its_deadline() {
    let (sender, receiver, _wire) = split_server();
    drop(receiver);
    let start = Instant::now();
    let closed = sender.close(CloseCode::NORMAL, "").await;
    assert!(matches!(closed, Err(Error::TimedOut(Timeout::Close))), "{closed:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn served_sender_answers_pings_behind_a_dropped_receiver() {
    let wire = Wire::new();
    let tick = Notify::new();
    let handler = |ws: WebSocket<Wire>| async {
        let (sender, receiver) = ws.split();
        drop(receiver);
        loop {
            tick.notified().await;
            sender.send("tick").await?;
        }
        #[expect(unreachable_code, reason = "it says what the handler returns")]
        Ok::<(), Error>(())
    };
    let mut served = pin!(serve_connection(endpoint(wire.clone(), Role::Server), handler));
    assert!(poll_now(served.as_mut()).is_pending());
    wire.push(&frame(Role::Client, PING, b"ping"));
    for _ in 0..2 {
        tick.notify_one();
        assert!(poll_now(served.as_mut()).is_pending());
    }
    assert!(parse(&wire.take_output()).contains(&(PONG, b"ping".to_vec())));
}

#[tokio::test]
async fn fed_messages_do_not_block_the_peer_that_a_dropped_receiver_no_longer_reads() {
    // Both ends send more than the transport holds before they read; `send` gets along, so `feed` should.
    let (client, server) = pair(1024);
    let (sender, receiver) = server.split();
    drop(receiver);
    let feeding = async {
        for _ in 0..10 {
            sender.feed(pattern(50_000)).await.unwrap();
        }
        sender.flush().await.unwrap();
    };
    let talking = async {
        let mut client = client;
        client.send(pattern(100_000)).await.unwrap();
        for _ in 0..10 {
            client.recv().await.unwrap().unwrap();
        }
    };
    unhung(async { tokio::join!(feeding, talking) }).await;
}

#[tokio::test]
async fn receiver_goes_on_behind_dropped_senders() {
    let (sender, mut receiver, wire) = split_server();
    sender.feed("last words").await.unwrap();
    drop(sender);
    wire.push(&frame(Role::Client, PING, b"ping"));
    wire.push(&frame(Role::Client, TEXT, b"message"));
    assert_eq!(receiver.recv().await.unwrap(), Some("message".into()));
    wire.push(&frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")));
    wire.end();
    assert_eq!(unhung(receiver.recv()).await.unwrap(), None);
    let first: Vec<u8> = parse(&wire.take_output()).iter().map(|frame| frame.0).collect();
    assert_eq!(first, [TEXT, PONG, CLOSE]);
    assert!(receiver.end().unwrap().is_clean());
}

#[tokio::test]
async fn transport_ends_when_all_halves_are_dropped() {
    let (server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    let (sender, receiver) = server.split();
    let clone = sender.clone();
    drop((receiver, sender));
    assert!(poll_now(pin!(peer.recv())).is_pending());
    drop(clone);
    assert_eq!(peer.recv().await, None);
}
