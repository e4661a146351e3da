//! What a client costs that means harm: no more than it may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockeye::socketio::{Config, Server, Socket, Value};
use tokio::sync::Semaphore;

use crate::{
    Peer, poll, serve, server,
    sio::{RS, unhung, until},
};

/// A server with an event `wait`, behind which nothing of its client is handled.
fn waiting() -> Server {
    let io = Server::new();
    io.on_connect(|socket: Socket| async move {
        socket.on("wait", |socket: Socket| async move {
            let _ = socket.emit_with_ack::<Value>("never answered", ()).await;
        });
    });
    io
}

/// Sends a packet a hundred times; sees that the server takes a few, and then TCP holds the client up.
async fn is_held_up(peer: &mut Peer, packet: &str) {
    let sending = async {
        for _ in 0..100 {
            peer.send(packet).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(2), sending).await.is_err(),
        "{} bytes were taken",
        packet.len() * 100
    );
}

#[tokio::test]
async fn flood_whose_bytes_are_no_arguments_is_not_read_either() {
    let address = serve(&waiting()).await;
    let long = "a".repeat(900_000);
    let names = format!(r#"2["{long}"]"#);
    let escaped = format!(r#"2["\n{long}"]"#);
    let spaces = format!(r#"2["a",{}1]"#, " ".repeat(900_000));
    for flood in [names, escaped, spaces] {
        let (mut peer, _) = Peer::connect(address).await;
        peer.send(r#"2["wait"]"#).await;
        peer.recv().await;
        is_held_up(&mut peer, &flood).await;
    }
}

#[tokio::test]
async fn flood_of_events_that_are_handled_beside_others_is_not_read() {
    let (io, door) = (server(), Arc::new(Semaphore::new(0)));
    let (handled, inside) = (Arc::<AtomicUsize>::default(), Arc::clone(&door));
    let counted = Arc::clone(&handled);
    io.on_connect(move |socket: Socket| {
        let (door, handled) = (Arc::clone(&inside), Arc::clone(&counted));
        socket.on_concurrent("beside", move |_: Socket, _: String| {
            let (door, handled) = (Arc::clone(&door), Arc::clone(&handled));
            async move {
                let _opened = door.acquire().await;
                handled.fetch_add(1, Ordering::Relaxed);
            }
        });
        async {}
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let flood = format!(r#"2["beside","{}"]"#, "a".repeat(400_000));
    is_held_up(&mut peer, &flood).await;
    // When they are done, the client is read on.
    door.add_permits(1);
    until(|| handled.load(Ordering::Relaxed) > 3).await;
}

#[tokio::test]
async fn client_that_was_held_up_by_events_beside_others_goes_on() {
    let (io, door) = (server(), Arc::new(Semaphore::new(0)));
    let inside = Arc::clone(&door);
    io.on_connect(move |socket: Socket| {
        let door = Arc::clone(&inside);
        socket.on_concurrent("beside", move |_: Socket, _: String| {
            let door = Arc::clone(&door);
            async move { drop(door.acquire().await) }
        });
        async {}
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let large = format!(r#"2["beside","{}"]"#, "a".repeat(600_000));
    peer.send(&large).await;
    peer.send(&large).await;
    peer.send(r#"299["sync"]"#).await;
    let is_answered = tokio::time::timeout(Duration::from_millis(300), peer.recv()).await.is_ok();
    assert!(!is_answered, "what is behind them was read");
    door.add_permits(1);
    peer.expect("399[]").await;
}

#[tokio::test]
async fn namespaces_of_a_client_are_limited() {
    let io = Server::with_config(Config::new().max_namespaces(3));
    let rooms = io.of_those(|name, _| name.starts_with("/room-"));
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for number in 0..2 {
        peer.join(&format!("0/room-{number},")).await;
    }
    peer.send("0/room-2,").await;
    peer.expect(r#"4/room-2,{"message":"Too many namespaces"}"#).await;
    assert_eq!(rooms.all().len(), 2);
    // One that it leaves makes room.
    peer.send("1/room-0,").await;
    peer.join("0/room-2,").await;
    peer.send("0/room-0,").await;
    peer.expect(r#"4/room-0,{"message":"Too many namespaces"}"#).await;
}

#[tokio::test]
async fn client_that_comes_and_goes_has_no_more_sockets_than_it_may() {
    let (io, met) = (Server::with_config(Config::new().max_namespaces(5)), Arc::<AtomicUsize>::default());
    let meet = Arc::clone(&met);
    io.on_connect(move |_: Socket| {
        meet.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<()>()
    });
    let client = poll(serve(&io).await).await;
    // A handler that never ends holds each of them up on its way out.
    client.send(format!("41{RS}40{RS}").repeat(1000).trim_end_matches(RS)).await;
    let refused = unhung(async {
        let mut refused = 0;
        while refused < 996 {
            refused += client.get().await.text().matches("Too many namespaces").count();
        }
        refused
    });
    assert_eq!((refused.await, met.load(Ordering::Relaxed)), (996, 5));
}

#[tokio::test]
async fn namespace_of_a_pattern_goes_with_a_client_whose_task_has_panicked() {
    let io = Server::new();
    let rooms = io.of_those(|name, _| {
        assert_ne!(name, "/panic", "a test wants it");
        true
    });
    let mut peer = Peer::open(serve(&io).await).await;
    peer.join("0/room,").await;
    assert_eq!(rooms.all().len(), 1);
    peer.send("0/panic,").await;
    until(|| io.engine().is_empty() && rooms.all().is_empty()).await;
}

#[tokio::test]
async fn nested_json_overflows_no_stack() {
    let io = server();
    io.of_those(|_, auth| auth.is_object());
    io.on_connect(|socket: Socket| async move {
        socket.on("value", |socket: Socket, value: Value| async move { socket.emit("value", value) });
        socket.on("raw", |socket: Socket, raw: sockeye::socketio::packet::Arguments| async move {
            socket.emit("raw", raw.len())
        });
    });
    io.on_error(|_, _, _| {});
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let (open, close) = ("[".repeat(400_000), "]".repeat(400_000));
    peer.send(&format!(r#"2["value",{open}{close}]"#)).await;
    peer.expect_nothing().await;
    peer.send(&format!(r#"2["raw",{open}{close}]"#)).await;
    peer.expect(r#"2["raw",800001]"#).await;
    peer.send(&format!(r#"0/a,{{"a":{open}{close}}}"#)).await;
    peer.expect(r#"4/a,{"message":"Invalid namespace"}"#).await;
    peer.send(&format!(r#"51-["value",{open}{close}]"#)).await;
    assert_eq!(peer.closed().await, None);
}
