//! How sessions end, and that nothing is left of them.

use sockeye::engineio::{CloseReason, Config, Engine};

use crate::{
    PATH, POLLING, serve,
    sio::{Client, RS, closed, listener, open_websocket, request, send, text, unhung, until},
    unknown_sid,
};

#[tokio::test]
async fn close_by_post_releases_the_poll_with_a_noop() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let poll = client.poll();
    until(|| sender.is_writable()).await;
    client.send(&format!("4hello{RS}1{RS}4ignored")).await;
    let told = poll.await.unwrap();
    assert!(told.status == 200 && ["6", "4hello"].contains(&told.text()), "{told:?}");
    assert_eq!(server.heard().await, "hello".into());
    assert_eq!(server.ended().await, CloseReason::TransportClose);
    assert!(server.heard.try_recv().is_err());
}

#[tokio::test]
async fn poll_that_the_close_has_overtaken_gets_a_noop() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    client.send("1").await;
    assert_eq!(client.get().await.told(), (200, "6"));
    let gone = client.get().await;
    assert_eq!((gone.status, gone.text().to_owned()), unknown_sid());
    assert_eq!(server.ended().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn closed_session_that_is_not_polled_is_forgotten() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    client.send("1").await;
    assert_eq!(server.ended().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn server_that_closes_tells_the_poll_that_waits() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let poll = client.poll();
    until(|| sender.is_writable()).await;
    sender.close();
    assert_eq!(poll.await.unwrap().told(), (200, "1"));
    assert_eq!(server.ended().await, CloseReason::ForcedClose);
    assert_eq!(sender.reason(), Some(CloseReason::ForcedClose));
}

#[tokio::test]
async fn server_that_closes_tells_the_next_poll_behind_what_was_sent() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    sender.send("one");
    sender.send("two");
    sender.close();
    sender.send("too late");
    // Its poll is to say that it has to go; an error would have node's client connect again.
    client.send("4lost").await;
    assert_eq!(client.get().await.told(), (200, &*format!("4one{RS}4two")));
    // By itself: node's client would not hear what stands in front of it.
    assert_eq!(client.get().await.told(), (200, "1"));
    assert_eq!(server.ended().await, CloseReason::ForcedClose);
    let gone = client.get().await;
    assert_eq!((gone.status, gone.text().to_owned()), unknown_sid());
}

#[tokio::test]
async fn session_ends_when_its_handler_returns() {
    let engine = Engine::new(Config::new(), |mut session| async move {
        let first = session.recv().await.expect("a message");
        session.sender().send(first);
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.clone().serve(listener));
    let client = Client::open(address, PATH).await;
    client.send("4bye").await;
    assert_eq!(client.get().await.told(), (200, "4bye"));
    assert_eq!(client.get().await.told(), (200, "1"));
    until(|| engine.is_empty()).await;
    let (mut ws, _) = open_websocket(address, PATH, "").await;
    send(&mut ws, "4bye").await;
    assert_eq!(text(&mut ws).await, "4bye");
    assert_eq!(closed(&mut ws).await, None);
    until(|| engine.is_empty()).await;
}

#[tokio::test]
async fn session_ends_when_its_handler_panics() {
    let engine = Engine::new(Config::new(), |mut session| async move {
        session.recv().await;
        panic!("a test wants it");
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.clone().serve(listener));
    let client = Client::open(address, PATH).await;
    client.send("4hello").await;
    assert_eq!(client.get().await.told(), (200, "1"));
    until(|| engine.is_empty()).await;
    let (mut ws, _) = open_websocket(address, PATH, "").await;
    send(&mut ws, "4hello").await;
    assert!(unhung(ws.recv()).await.is_err());
    until(|| engine.is_empty()).await;
}

#[tokio::test]
async fn engine_that_closes_ends_all_sessions_and_begins_no_more() {
    let mut server = serve(Config::new()).await;
    let (polling, sender) = server.open().await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    let _websocket = server.begun().await;
    let (upgraded, _sender) = server.open().await;
    let mut over = upgraded.upgrade().await;
    send(&mut over, "4hello").await;
    assert_eq!(text(&mut over).await, "4hello");
    let poll = polling.poll();
    until(|| sender.is_writable()).await;
    assert_eq!(server.engine.len(), 3);
    server.engine.close();
    assert_eq!(poll.await.unwrap().told(), (200, "1"));
    assert_eq!(closed(&mut ws).await, None);
    assert_eq!(closed(&mut over).await, None);
    for _ in 0..3 {
        assert_eq!(server.ended().await, CloseReason::ForcedClose);
    }
    let response = request(server.address, "GET", POLLING, &[], b"").await;
    assert_eq!(response.told(), (503, ""));
}

#[tokio::test]
async fn session_that_fetches_too_little_is_ended() {
    let mut server = serve(Config::new().max_queued(10_000)).await;
    let (client, sender) = server.open().await;
    let message = "a".repeat(999);
    let mut sent = 0;
    while sender.reason().is_none() {
        sender.send(message.clone());
        sent += 1;
        assert!(sender.queued() <= 11_064);
        assert!(sent <= 10);
    }
    assert!(sent > 5);
    assert_eq!(server.ended().await, CloseReason::TransportError);
    let gone = client.get().await;
    assert_eq!((gone.status, gone.text().to_owned()), unknown_sid());
}

#[tokio::test]
async fn websocket_that_reads_too_little_is_ended() {
    let mut server = serve(Config::new().max_queued(1 << 20)).await;
    let (ws, _) = open_websocket(server.address, PATH, "").await;
    let sender = server.begun().await;
    let message = "a".repeat(100_000);
    for _ in 0..1000 {
        sender.send(message.clone());
        assert!(sender.queued() < 2 << 20);
        tokio::task::yield_now().await;
    }
    assert_eq!(server.ended().await, CloseReason::TransportError);
    drop(ws);
}

#[tokio::test]
async fn post_waits_for_room_and_not_for_ever() {
    // The handler takes nothing, so that the second megabyte has to wait.
    let engine = Engine::new(Config::new(), |session| async move {
        let _session = session;
        std::future::pending::<()>().await;
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.clone().serve(listener));
    let client = Client::open(address, PATH).await;
    let body = format!("4{}", "a".repeat(900_000));
    client.send(&body).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.post(&body).await }
    });
    // Whoever posts at the same time breaks the rule, which ends the session, and with it the wait.
    while !waiting.is_finished() {
        if client.post("6").await.status == 400 {
            break;
        }
    }
    let _told = waiting.await.unwrap();
    until(|| engine.is_empty()).await;
}

#[tokio::test]
async fn there_are_no_more_sessions_than_may_be() {
    let mut server = serve(Config::new().max_sessions(2)).await;
    let (polling, _sender) = server.open().await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    let _websocket = server.begun().await;
    for (path, more) in [(POLLING, &[][..]), ("/engine.io/?EIO=4&transport=websocket", WEBSOCKET)] {
        let response = request(server.address, "GET", path, more, b"").await;
        assert_eq!(response.told(), (503, ""));
    }
    // A session goes on, also to a WebSocket; one that ends makes room, and what never began takes none.
    let mut over = polling.upgrade().await;
    send(&mut ws, "1").await;
    assert_eq!(closed(&mut ws).await, None);
    until(|| server.engine.len() == 1).await;
    for _ in 0..3 {
        let refused = request(server.address, "GET", "/engine.io/?EIO=3&transport=polling", &[], b"").await;
        assert_eq!(refused.status, 400);
    }
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    send(&mut ws, "4hello").await;
    assert_eq!(text(&mut ws).await, "4hello");
    send(&mut over, "4hello").await;
    assert_eq!(text(&mut over).await, "4hello");
}

/// What asks for a WebSocket.
const WEBSOCKET: &[(&str, &str)] = &[
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];
