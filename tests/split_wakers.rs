//! The stream floor: whoever waits for a connection is woken when another half of it makes what it waits for happen.
#![cfg(feature = "stream")]

mod io;

use std::pin::pin;

use io::{
    BINARY, CLOSE, FIN, TEXT, Wire, close_payload, endpoint, frame, opposite, pair, parse, pattern, poll_now, unhung,
};
use sockeye::{
    CloseCode, Error, Kind, Role, WebSocket,
    proto::connection::{End, Timeout},
};
use tokio::{task::yield_now, time::Instant};

#[tokio::test]
async fn two_blocked_senders_and_a_waiting_receiver_all_go_on_when_the_peer_reads() {
    let (client, server) = pair(64);
    let (sender, mut receiver) = client.split();
    let other = sender.clone();
    let first = tokio::spawn(async move { sender.send(pattern(10_000)).await });
    let second = tokio::spawn(async move { other.send(pattern(20_000)).await });
    let received = tokio::spawn(async move { receiver.recv().await });
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!first.is_finished() && !second.is_finished() && !received.is_finished());
    unhung(async {
        let mut server = server;
        let mut lens = [0; 2];
        for len in &mut lens {
            *len = server.recv().await.unwrap().unwrap().len();
        }
        lens.sort_unstable();
        assert_eq!(lens, [10_000, 20_000]);
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        server.send("reply").await.unwrap();
        assert_eq!(received.await.unwrap().unwrap(), Some("reply".into()));
    })
    .await;
}

#[tokio::test]
async fn blocked_sender_goes_on_when_the_one_that_blocked_last_is_cancelled() {
    let wire = Wire::new();
    wire.set_room(0);
    let (sender, mut receiver) = endpoint(wire.clone(), Role::Server).split();
    let other = sender.clone();
    let first = tokio::spawn(async move { sender.send("first").await });
    yield_now().await;
    let received = tokio::spawn(async move { receiver.recv().await });
    let second = tokio::spawn(async move { other.send("second").await });
    yield_now().await;
    second.abort();
    received.abort();
    yield_now().await;
    wire.set_room(usize::MAX);
    unhung(first).await.unwrap().unwrap();
    let frames = parse(&wire.take_output());
    assert_eq!(frames, [(TEXT, b"first".to_vec()), (TEXT, b"second".to_vec())]);
}

#[tokio::test]
async fn blocked_sender_goes_on_when_another_one_writes_for_it() {
    let wire = Wire::new();
    wire.set_room(0);
    let (sender, _receiver) = endpoint(wire.clone(), Role::Server).split();
    let other = sender.clone();
    let first = tokio::spawn(async move { other.send("first").await });
    yield_now().await;
    // The second one's poll takes the first one's place, and a transport that is ready then owes no wake-up to anybody.
    wire.state().room = usize::MAX;
    sender.send("second").await.unwrap();
    unhung(first).await.unwrap().unwrap();
    assert_eq!(parse(&wire.take_output()), [(TEXT, b"first".to_vec()), (TEXT, b"second".to_vec())]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_between_busy_halves() {
    let (client, server) = pair(100);
    let echo = tokio::spawn(async move {
        let (sender, mut receiver) = server.split();
        while let Some(message) = receiver.recv().await? {
            sender.send(message).await?;
        }
        Ok::<_, Error>(())
    });
    let (sender, mut receiver) = client.split();
    let senders: Vec<_> = (0..4)
        .map(|_| {
            let sender = sender.clone();
            tokio::spawn(async move {
                for len in 0..300 {
                    sender.send(pattern(len)).await?;
                }
                Ok::<_, Error>(())
            })
        })
        .collect();
    unhung(async {
        let mut bytes = 0;
        for _ in 0..4 * 300 {
            bytes += receiver.recv().await.unwrap().unwrap().len();
        }
        assert_eq!(bytes, 4 * (0..300).sum::<usize>());
        for sender in senders {
            sender.await.unwrap().unwrap();
        }
        let (closed, end) = tokio::join!(sender.close(CloseCode::NORMAL, ""), receiver.recv());
        closed.unwrap();
        assert_eq!(end.unwrap(), None);
        echo.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn close_of_a_sender_gives_the_waiting_receiver_its_deadline() {
    let (sender, mut receiver) = endpoint(Wire::new(), Role::Server).split();
    let received = tokio::spawn(async move { receiver.recv().await });
    yield_now().await;
    let start = Instant::now();
    let closed = unhung(sender.close(CloseCode::NORMAL, "")).await;
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(matches!(closed, Err(Error::TimedOut(Timeout::Close))), "{closed:?}");
    assert!(matches!(received.await.unwrap(), Err(Error::TimedOut(Timeout::Close))));
}

#[tokio::test(start_paused = true)]
async fn close_keeps_its_deadline_when_another_close_is_cancelled() {
    let (sender, receiver) = endpoint(Wire::new(), Role::Server).split();
    drop(receiver);
    let other = sender.clone();
    let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
    yield_now().await;
    let cancelled = tokio::spawn(async move { other.close(CloseCode::NORMAL, "").await });
    yield_now().await;
    cancelled.abort();
    let start = Instant::now();
    let closed = unhung(closing).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert!(matches!(closed, Err(Error::TimedOut(Timeout::Close))), "{closed:?}");
}

#[tokio::test]
async fn waiting_receiver_sends_the_close_of_a_message_that_was_given_up() {
    let wire = Wire::new();
    let (sender, mut receiver) = endpoint(wire.clone(), Role::Server).split();
    let received = tokio::spawn(async move { receiver.recv().await });
    yield_now().await;
    let mut writer = sender.begin(Kind::Text).await.unwrap();
    writer.write("part").await.unwrap();
    drop(writer);
    for _ in 0..10 {
        yield_now().await;
    }
    let frames = parse(&wire.take_output());
    assert_eq!(frames.iter().map(|frame| frame.0).collect::<Vec<_>>(), [TEXT & !FIN, CLOSE]);
    assert_eq!(sender.end(), Some(End::Abandoned));
    wire.end();
    assert!(matches!(unhung(received).await.unwrap(), Err(Error::Closed)));
}

#[tokio::test]
async fn waiting_receiver_is_told_when_a_senders_write_fails() {
    let wire = Wire::new();
    let (sender, mut receiver) = endpoint(wire.clone(), Role::Server).split();
    let received = tokio::spawn(async move { receiver.recv().await });
    yield_now().await;
    wire.state().writes_fail = true;
    assert!(sender.send("message").await.is_err());
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(received.is_finished(), "the receiver waits for a connection that is over");
    assert!(matches!(received.await.unwrap(), Err(Error::Io(_))));
}

#[tokio::test]
async fn blocked_send_and_flush_fail_when_the_connection_is_lost_beneath_them() {
    // Before the transport has taken anything, and behind a part of it.
    for room in [0, 3] {
        let wire = Wire::new();
        wire.set_room(room);
        let (sender, mut receiver) = endpoint(wire.clone(), Role::Server).split();
        let mut send = pin!(sender.send(pattern(1000)));
        let mut flush = pin!(sender.flush());
        assert!(poll_now(send.as_mut()).is_pending());
        assert!(poll_now(flush.as_mut()).is_pending());
        wire.end();
        assert!(matches!(receiver.recv().await, Err(Error::Lost)));
        assert!(unhung(send).await.is_err(), "{room} of 1,004 bytes were taken");
        assert!(unhung(flush).await.is_err(), "{room} of 1,004 bytes were taken");
    }
}

#[tokio::test]
async fn blocked_sender_is_told_at_once_when_the_peer_closes() {
    let wire = Wire::new();
    let (sender, mut receiver) = endpoint(wire.clone(), Role::Client).split();
    let writer = sender.begin(Kind::Text).await.unwrap();
    let other = sender.clone();
    let waiting = tokio::spawn(async move { other.send("waits its turn").await });
    yield_now().await;
    wire.push(&frame(Role::Server, CLOSE, &close_payload(CloseCode::NORMAL, "")));
    let received = tokio::spawn(async move { receiver.recv().await });
    assert!(matches!(unhung(waiting).await.unwrap(), Err(Error::Closed)));
    drop(writer);
    wire.end();
    assert_eq!(unhung(received).await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn blocked_sender_whose_message_is_written_with_the_close_is_told_so() {
    for role in [Role::Client, Role::Server] {
        let wire = Wire::new();
        wire.set_room(0);
        let (sender, mut receiver) = endpoint(wire.clone(), role).split();
        let mut send = pin!(sender.send("sent"));
        assert!(poll_now(send.as_mut()).is_pending());
        wire.push(&frame(opposite(role), CLOSE, &close_payload(CloseCode::NORMAL, "")));
        wire.end();
        assert!(poll_now(pin!(receiver.recv())).is_pending(), "the answer is not written");
        // The sender itself sees to the end, as the transport passes on what it took only then.
        wire.state().slow_flushes = 2;
        wire.set_room(usize::MAX);
        unhung(send).await.unwrap();
        assert_eq!(unhung(receiver.recv()).await.unwrap(), None);
        let opcodes: Vec<u8> = parse(&wire.take_output()).into_iter().map(|(opcode, _)| opcode).collect();
        assert_eq!(opcodes, [TEXT, CLOSE]);
    }
}

#[tokio::test]
async fn ordinary_wake_ups_reach_a_websocket_that_is_not_split() {
    let wire = Wire::new();
    let mut ws: WebSocket<Wire> = endpoint(wire.clone(), Role::Server);
    let received = tokio::spawn(async move { ws.recv().await });
    yield_now().await;
    wire.push(&frame(Role::Client, BINARY, b"late"));
    assert_eq!(unhung(received).await.unwrap().unwrap(), Some((&b"late"[..]).into()));
}
