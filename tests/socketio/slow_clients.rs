//! Clients that do not fetch what they are sent: dropping, and waiting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use sockeye::{
    engineio::{CloseReason, SlowClient},
    socketio::{AckError, Config, EmitAsyncError, EmitError, Recovery, Server, Socket, Value},
};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    Peer, answer_sync, poll, serve,
    sio::{Client, RS, unhung, until},
};

const LIMIT: usize = 100_000;

fn config(policy: SlowClient) -> Config {
    // No ping comes between the events, however slow the test is.
    let hour = Duration::from_secs(3600);
    Config::new().engine(|engine| engine.max_queued(LIMIT).slow_client(policy).ping_interval(hour))
}

/// A server, a client of its that polls and has no poll waiting, and its socket.
async fn polling(config: Config) -> (Server, Client, Socket) {
    let io = Server::with_config(config);
    let (tell, mut told) = unbounded_channel();
    io.on_connect(move |socket: Socket| {
        answer_sync(&socket);
        let _ = tell.send(socket);
        async {}
    });
    let client = poll(serve(&io).await).await;
    (io, client, unhung(told.recv()).await.unwrap())
}

/// The numbers of the events `e` in a payload.
fn numbers(payload: &str) -> Vec<usize> {
    let event = |packet: &str| packet.strip_prefix(r#"42["e","#)?.split(',').next()?.parse().ok();
    payload.split(RS).filter_map(event).collect()
}

#[tokio::test]
async fn what_is_new_is_dropped_and_counted() {
    let (io, client, socket) = polling(config(SlowClient::Drop)).await;
    let text = "x".repeat(1000);
    for number in 0..150 {
        socket.emit("e", (number, &text)).unwrap();
        io.emit("e", (1000 + number, &text)).unwrap();
        assert!(socket.queued() <= LIMIT);
    }
    let payload = client.get().await;
    let kept = numbers(payload.text());
    assert_eq!(kept.len() as u64 + socket.dropped(), 300);
    // The oldest ones are kept, in order.
    let expected: Vec<_> = (0..150).flat_map(|number| [number, 1000 + number]).take(kept.len()).collect();
    assert_eq!(kept, expected);
    assert!(kept.len() > 80, "{}", kept.len());
    assert!(socket.is_connected());
    let dropped = socket.dropped();
    socket.emit("e", 7).unwrap();
    assert_eq!(client.get().await.text(), r#"42["e",7]"#);
    assert_eq!(socket.dropped(), dropped);
}

#[tokio::test]
async fn attachments_are_dropped_with_their_event() {
    let (_io, client, socket) = polling(config(SlowClient::Drop)).await;
    socket.emit("e", (0, Bytes::from(vec![0; LIMIT - 2000]))).unwrap();
    // Its text would have room, and its bytes have not.
    socket.emit("e", (1, Bytes::from(vec![0; 10_000]))).unwrap();
    socket.emit("e", 2).unwrap();
    assert_eq!(socket.dropped(), 1);
    let payload = client.get().await;
    let packets: Vec<_> = payload.text().split(RS).map(|packet| &packet[..packet.len().min(12)]).collect();
    assert_eq!(packets, [r#"451-["e",0,{"#, "bAAAAAAAAAAA", r#"42["e",2]"#]);
}

#[tokio::test]
async fn an_event_that_is_longer_than_the_limit_has_room_when_nothing_waits() {
    let (_io, client, socket) = polling(config(SlowClient::Drop)).await;
    let text = "x".repeat(LIMIT + 1);
    socket.emit("e", (0, &text)).unwrap();
    socket.emit("e", (1, &text)).unwrap();
    assert_eq!(numbers(client.get().await.text()), [0]);
    unhung(socket.emit_async("e", (2, &text))).await.unwrap();
    assert_eq!(numbers(client.get().await.text()), [2]);
    assert_eq!(socket.dropped(), 1);
}

#[tokio::test]
async fn acknowledgements_are_not_dropped_but_bounded() {
    let (io, client, socket) = polling(config(SlowClient::Drop)).await;
    socket.emit("e", "x".repeat(LIMIT - 1000)).unwrap();
    let hour = Duration::from_secs(3600);
    let large = "x".repeat(1000);
    let asked = socket.timeout(hour).emit_with_ack::<Value>("ask", &*large);
    assert!(matches!(unhung(asked).await, Err(AckError::Dropped)));
    let nobody = io.broadcast().timeout(hour).emit_with_ack::<Value>("ask", &*large).await.unwrap();
    assert!(nobody.is_empty(), "it was not sent, and nobody waits for it");
    client.send(r#"420["sync"]"#).await;
    client.send(r#"421["sync"]"#).await;
    until(|| socket.queued() > 0).await;
    client.send(r#"422["sync"]"#).await;
    let mut payload = client.get().await.text().to_owned();
    while !payload.contains("432[]") {
        payload = format!("{payload}{RS}{}", client.get().await.text());
    }
    assert!(payload.ends_with(&format!("430[]{RS}431[]{RS}432[]")), "{}", &payload[LIMIT - 1000..]);
    // A client that asks for answers and never fetches them is not asked for more.
    socket.on("large", |_: Socket| async { sockeye::socketio::Reply("x".repeat(LIMIT / 4)) });
    for id in 0..30 {
        client.send(&format!(r#"42{id}["large"]"#)).await;
        assert!(socket.queued() < 3 * LIMIT);
    }
    assert_eq!(io.len(), 1);
}

#[tokio::test]
async fn a_websocket_that_is_not_read_loses_events_and_stays() {
    let io = Server::with_config(config(SlowClient::Drop));
    let (tell, mut told) = unbounded_channel();
    io.on_connect(move |socket: Socket| {
        answer_sync(&socket);
        let _ = tell.send(socket);
        async {}
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let socket = unhung(told.recv()).await.unwrap();
    let text = "x".repeat(10_000);
    let mut sent = 0;
    while socket.dropped() == 0 {
        socket.emit("e", (sent, &text)).unwrap();
        sent += 1;
        assert!(socket.queued() <= LIMIT);
        // The operating system takes some.
        tokio::task::yield_now().await;
    }
    for number in 0..sent - 1 {
        assert!(peer.recv().await.starts_with(&format!(r#"2["e",{number},"#)));
    }
    peer.expect_nothing().await;
    assert_eq!(socket.dropped(), 1);
}

#[tokio::test]
async fn who_waits_sends_everything_and_never_more_than_the_limit() {
    for policy in [SlowClient::End, SlowClient::Drop] {
        let (io, client, socket) = polling(config(policy)).await;
        let sent = Arc::new(AtomicUsize::new(0));
        let producing = tokio::spawn({
            let (socket, sent) = (socket.clone(), Arc::clone(&sent));
            async move {
                let text = "x".repeat(1000);
                for number in 0..1000 {
                    socket.emit_async("e", (number, &text)).await.unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                    assert!(socket.queued() <= LIMIT);
                }
            }
        });
        // It goes on only as far as there is room.
        until(|| socket.queued() > LIMIT - 3000).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let before = sent.load(Ordering::Relaxed);
        assert!(before < 100, "{before}");
        let mut got = Vec::new();
        while got.len() < 1000 {
            got.extend(numbers(client.get().await.text()));
        }
        assert_eq!(got, (0..1000).collect::<Vec<_>>());
        unhung(producing).await.unwrap();
        assert_eq!((socket.dropped(), io.len()), (0, 1));
    }
}

#[tokio::test]
async fn many_who_wait_have_their_turn_in_order() {
    let (io, client, socket) = polling(config(SlowClient::End)).await;
    let text = "x".repeat(LIMIT / 2);
    let producing: Vec<_> = (0..20)
        .map(|number| {
            let (socket, text) = (socket.clone(), text.clone());
            tokio::spawn(async move { socket.emit_async("e", (number, text)).await })
        })
        .collect();
    let mut got = Vec::new();
    while got.len() < 20 {
        got.extend(numbers(client.get().await.text()));
    }
    assert_eq!(got, (0..20).collect::<Vec<_>>());
    for one in producing {
        unhung(one).await.unwrap().unwrap();
    }
    assert_eq!(io.len(), 1, "all at once would have been too much");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_wait_on_several_threads_never_send_more_than_the_limit() {
    let (io, client, socket) = polling(config(SlowClient::End)).await;
    let text = "x".repeat(LIMIT / 2);
    let producing: Vec<_> = (0..40)
        .map(|number| {
            let (socket, text) = (socket.clone(), text.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    socket.emit_async("e", (number, &text)).await.unwrap();
                    assert!(socket.queued() <= LIMIT);
                }
            })
        })
        .collect();
    let mut got = Vec::new();
    while got.len() < 200 {
        let answer = client.get().await;
        assert_eq!(answer.status, 200, "its session has ended");
        got.extend(numbers(answer.text()));
    }
    for one in producing {
        unhung(one).await.unwrap();
    }
    assert!((0..40).all(|number| got.iter().filter(|other| **other == number).count() == 5));
    assert_eq!((io.len(), socket.dropped()), (1, 0));
}

#[tokio::test]
async fn who_gives_up_waiting_has_sent_nothing_and_holds_nobody_up() {
    let (_io, client, socket) = polling(config(SlowClient::End)).await;
    let text = "x".repeat(LIMIT - 1000);
    socket.emit_async("e", (0, &text)).await.unwrap();
    // The first one has the turn, the second one waits for it.
    let waiting: Vec<_> = [1, 2]
        .map(|number| {
            let (socket, text) = (socket.clone(), text.clone());
            tokio::spawn(async move { socket.emit_async("e", (number, text)).await })
        })
        .into();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    for one in waiting {
        one.abort();
        assert!(unhung(one).await.unwrap_err().is_cancelled());
    }
    let last = tokio::spawn(async move { socket.emit_async("e", 3).await });
    unhung(last).await.unwrap().unwrap();
    let mut got = numbers(client.get().await.text());
    if got == [0] {
        got.push(3);
    }
    assert_eq!(got, [0, 3]);
}

#[tokio::test]
async fn who_waits_for_a_client_that_goes_is_told() {
    let (_io, client, socket) = polling(config(SlowClient::End)).await;
    let text = "x".repeat(LIMIT - 1000);
    socket.emit("e", (0, &text)).unwrap();
    let waiting = tokio::spawn({
        let (socket, text) = (socket.clone(), text.clone());
        async move { socket.emit_async("e", (1, text)).await }
    });
    let draining = tokio::spawn({
        let socket = socket.clone();
        async move { socket.drained(10).await }
    });
    tokio::task::yield_now().await;
    client.send("1").await;
    assert!(matches!(unhung(waiting).await.unwrap(), Err(EmitAsyncError::Disconnected)));
    assert_eq!(unhung(draining).await.unwrap(), Err(CloseReason::TransportClose));
    assert!(matches!(socket.emit_async("e", 1).await, Err(EmitAsyncError::Disconnected)));
    let reserved = socket.emit_async("disconnect", ()).await;
    assert!(matches!(reserved, Err(EmitAsyncError::Emit(EmitError::ReservedName(_)))));
}

#[tokio::test]
async fn who_waits_while_the_client_goes_over_to_a_websocket_goes_on() {
    let (_io, client, socket) = polling(config(SlowClient::End)).await;
    let text = "x".repeat(LIMIT - 1000);
    socket.emit("e", (0, &text)).unwrap();
    let waiting = tokio::spawn({
        let (socket, text) = (socket.clone(), text.clone());
        async move {
            socket.emit_async("e", (1, text)).await.unwrap();
            socket.drained(0).await.unwrap();
        }
    });
    tokio::task::yield_now().await;
    let mut peer = Peer { ws: client.upgrade().await };
    for number in 0..2 {
        assert!(peer.recv().await.starts_with(&format!(r#"2["e",{number},"#)));
    }
    unhung(waiting).await.unwrap();
    peer.expect_nothing().await;
}

#[tokio::test]
async fn who_waits_for_a_websocket_that_is_not_read_goes_on_when_it_is() {
    let io = Server::with_config(config(SlowClient::End));
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    io.on_connect(move |socket: Socket| {
        let sent = Arc::clone(&counted);
        let produce = |socket: Socket, numbers: std::ops::Range<usize>| async move {
            for number in numbers {
                socket.emit_async("e", (number, "x".repeat(10_000))).await.unwrap();
                assert!(socket.queued() <= LIMIT);
                sent.fetch_add(1, Ordering::Relaxed);
            }
        };
        async move {
            // In the handler itself, and in a task.
            produce.clone()(socket.clone(), 0..500).await;
            tokio::spawn(produce(socket, 500..1000));
        }
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for number in 0..1000 {
        assert!(peer.recv().await.starts_with(&format!(r#"2["e",{number},"#)));
    }
    until(|| sent.load(Ordering::Relaxed) == 1000).await;
}

#[tokio::test]
async fn volatile_events_do_not_wait_and_recovered_ones_do() {
    let (_io, client, socket) = polling(config(SlowClient::End).recovery(Recovery::new())).await;
    let text = "x".repeat(LIMIT - 1000);
    unhung(socket.emit_async("e", (0, &text))).await.unwrap();
    unhung(socket.volatile().emit_async("e", (1, &text))).await.unwrap();
    let waiting = tokio::spawn(async move { socket.emit_async("e", (2, text)).await });
    assert_eq!(numbers(client.get().await.text()), [0]);
    assert_eq!(numbers(client.get().await.text()), [2]);
    unhung(waiting).await.unwrap().unwrap();
}
