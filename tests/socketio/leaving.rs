//! How sockets go, and what is said of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sockeye::{
    CloseCode,
    socketio::{Config, DisconnectReason, Reply, Server, Socket},
};
use tokio::sync::{
    Notify,
    mpsc::{UnboundedReceiver, unbounded_channel},
};

use crate::{
    Peer, poll, serve,
    sio::{RS, send, text, unhung, until},
};

/// A server that says why its sockets go, and in which rooms they are before and behind that.
struct Running {
    io: Server,
    peer: Peer,
    socket: Socket,
    gone: UnboundedReceiver<(DisconnectReason, usize, usize)>,
}

async fn with(config: Config) -> Running {
    let io = Server::with_config(config);
    let (tell, mut told) = unbounded_channel();
    let (go, gone) = unbounded_channel();
    io.on_connect(move |socket: Socket| {
        socket.join("a room");
        let before = Arc::new(Mutex::new((0, None)));
        let (noting, go) = (Arc::clone(&before), go.clone());
        socket.on_disconnecting(move |socket, reason| {
            *noting.lock().unwrap() = (socket.rooms().len(), Some(reason));
            async {}
        });
        socket.on_disconnect(move |socket, reason| {
            let (rooms, earlier) = *before.lock().unwrap();
            assert_eq!(earlier, Some(reason));
            assert!(!socket.is_connected());
            let _ = go.send((reason, rooms, socket.rooms().len()));
            async {}
        });
        let _ = tell.send(socket);
        async {}
    });
    let (peer, _) = Peer::connect(serve(&io).await).await;
    let socket = unhung(told.recv()).await.unwrap();
    Running { io, peer, socket, gone }
}

impl Running {
    /// Why it has gone; it was in its rooms until it was told so, and is in none then.
    async fn reason(&mut self) -> DisconnectReason {
        let (reason, before, behind) = unhung(self.gone.recv()).await.unwrap();
        assert_eq!((before, behind), (2, 0));
        assert!(self.io.is_empty());
        reason
    }
}

#[tokio::test]
async fn client_leaves_the_namespace_and_the_connection_stays() {
    let mut running = with(Config::new()).await;
    running.peer.send("1").await;
    assert_eq!(running.reason().await, DisconnectReason::ClientNamespaceDisconnect);
    running.peer.join("0").await;
}

#[tokio::test]
async fn server_sends_a_socket_away() {
    let mut running = with(Config::new()).await;
    running.socket.emit("last", ()).unwrap();
    running.socket.disconnect();
    running.socket.emit("too late", ()).unwrap();
    running.socket.disconnect();
    running.peer.expect(r#"2["last"]"#).await;
    running.peer.expect("1").await;
    assert_eq!(running.reason().await, DisconnectReason::ServerNamespaceDisconnect);
    running.peer.join("0").await;
}

#[tokio::test]
async fn server_closes_a_connection() {
    let mut running = with(Config::new()).await;
    running.socket.close_connection();
    running.peer.expect("1").await;
    assert_eq!(running.peer.closed().await, None);
    assert_eq!(running.reason().await, DisconnectReason::ServerNamespaceDisconnect);
}

#[tokio::test]
async fn client_whose_connection_is_closed_leaves_its_other_namespaces_as_well() {
    let io = Server::new();
    let (left, mut told) = unbounded_channel();
    for name in ["/", "/other"] {
        let left = left.clone();
        io.of(name).on_connect(move |socket: Socket| {
            let left = left.clone();
            async move {
                socket.on("kick", |socket: Socket| async move { socket.close_connection() });
                socket.on_disconnect(move |_: Socket, reason| {
                    let _ = left.send(reason);
                    async {}
                });
            }
        });
    }
    let address = serve(&io).await;
    for kick in [r#"2["kick"]"#, r#"2/other,["kick"]"#] {
        let (mut peer, _) = Peer::connect(address).await;
        peer.join("0/other").await;
        peer.send(kick).await;
        let mut farewells = [peer.recv().await, peer.recv().await];
        farewells.sort();
        assert_eq!(farewells, ["1", "1/other,"]);
        assert_eq!(peer.closed().await, None);
        for _ in 0..2 {
            assert_eq!(unhung(told.recv()).await, Some(DisconnectReason::ServerNamespaceDisconnect));
        }
    }
}

#[tokio::test]
async fn client_that_polls_and_whose_handler_closes_it_is_told_at_once() {
    // No heartbeat is to bring it to light.
    let io = Server::with_config(Config::new().engine(|engine| engine.ping_interval(Duration::from_secs(3600))));
    for name in ["/", "/other"] {
        io.of(name).on_connect(|socket: Socket| async move {
            socket.on("leave", |socket: Socket| async move { socket.disconnect() });
            socket.on("kick", |socket: Socket| async move { socket.close_connection() });
        });
    }
    let address = serve(&io).await;
    let client = crate::sio::Client::open(address, "/socket.io/").await;
    client.send(&format!("40{RS}40/other,")).await;
    client.get().await;
    client.send(r#"42/other,["leave"]"#).await;
    assert_eq!(client.get().await.text(), "41/other,");
    until(|| io.of("/other").is_empty()).await;
    client.send("40/other,").await;
    assert!(client.get().await.text().starts_with("40/other,{"));
    client.send(r#"42["kick"]"#).await;
    let mut told = String::new();
    while !told.ends_with("1") || !told.contains("41/other,") {
        told = format!("{told}{RS}{}", client.get().await.text());
    }
    assert!(told.contains(&format!("{RS}41{RS}")), "{told}");
    until(|| io.engine().is_empty()).await;
}

#[tokio::test]
async fn sessions_that_are_closed_below_are_closed_by_force() {
    let mut running = with(Config::new()).await;
    running.io.engine().close();
    assert_eq!(running.peer.closed().await, None);
    assert_eq!(running.reason().await, DisconnectReason::ForcedClose);
}

#[tokio::test]
async fn server_that_shuts_down_does_not_tell_clients_to_stay_away() {
    let mut running = with(Config::new()).await;
    running.socket.emit("last", ()).unwrap();
    running.io.close();
    running.peer.expect(r#"2["last"]"#).await;
    assert_eq!(running.peer.closed().await, None, "and no 41");
    assert_eq!(running.reason().await, DisconnectReason::ServerShuttingDown);
    until(|| running.io.engine().is_empty()).await;
}

#[tokio::test]
async fn server_that_shuts_down_ends_polls() {
    let io = Server::new();
    let client = poll(serve(&io).await).await;
    let waiting = client.poll();
    io.emit("a", ()).unwrap();
    assert_eq!(waiting.await.unwrap().text(), r#"42["a"]"#);
    io.close();
    assert_eq!(client.get().await.text(), "1");
    until(|| io.engine().is_empty() && io.is_empty()).await;
}

#[tokio::test]
async fn ends_of_the_connection_are_what_node_calls_them() {
    let mut closing = with(Config::new()).await;
    unhung(closing.peer.ws.close(CloseCode::GOING_AWAY, "")).await.unwrap();
    assert_eq!(closing.reason().await, DisconnectReason::TransportClose);

    let Running { io, peer, socket, gone } = with(Config::new()).await;
    drop(peer);
    let mut lost = Running { io, peer: closing.peer, socket, gone };
    assert_eq!(lost.reason().await, DisconnectReason::TransportClose);

    let mut garbage = with(Config::new()).await;
    send(&mut garbage.peer.ws, "garbage").await;
    assert_eq!(garbage.reason().await, DisconnectReason::ParseError);

    let mut garbage = with(Config::new()).await;
    garbage.peer.send("garbage").await;
    assert_eq!(garbage.reason().await, DisconnectReason::ForcedClose);

    let mut large = with(Config::new().engine(|engine| engine.max_payload(1000))).await;
    large.peer.send(&"a".repeat(1000)).await;
    assert_eq!(large.reason().await, DisconnectReason::TransportError);

    let soon = Duration::from_millis(20);
    let mut silent = with(Config::new().engine(|engine| engine.ping_interval(soon).ping_timeout(soon))).await;
    assert_eq!(text(&mut silent.peer.ws).await, "2");
    assert_eq!(silent.reason().await, DisconnectReason::PingTimeout);

    for (reason, words) in [
        (DisconnectReason::TransportClose, "transport close"),
        (DisconnectReason::TransportError, "transport error"),
        (DisconnectReason::PingTimeout, "ping timeout"),
        (DisconnectReason::ParseError, "parse error"),
        (DisconnectReason::ForcedClose, "forced close"),
        (DisconnectReason::ClientNamespaceDisconnect, "client namespace disconnect"),
        (DisconnectReason::ServerNamespaceDisconnect, "server namespace disconnect"),
        (DisconnectReason::ServerShuttingDown, "server shutting down"),
    ] {
        assert_eq!(reason.to_string(), words);
    }
}

#[tokio::test]
async fn client_that_polls_and_closes_has_gone() {
    let (io, (go, mut gone)) = (Server::new(), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        let go = go.clone();
        socket.on_disconnect(move |_, reason| {
            let _ = go.send(reason);
            async {}
        });
        async {}
    });
    let client = poll(serve(&io).await).await;
    client.send("41\u{1e}1").await;
    assert_eq!(unhung(gone.recv()).await, Some(DisconnectReason::ClientNamespaceDisconnect));
    until(|| io.engine().is_empty()).await;
}

#[tokio::test]
async fn all_namespaces_of_a_connection_end_with_it() {
    let io = Server::new();
    let (go, mut gone) = unbounded_channel();
    for name in ["/", "/a", "/b"] {
        let go = go.clone();
        io.of(name).on_connect(move |socket: Socket| {
            let go = go.clone();
            socket.on_disconnect(move |socket, reason| {
                let _ = go.send((socket.namespace().name().to_owned(), reason));
                async {}
            });
            async {}
        });
    }
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.join("0/a").await;
    peer.join("0/b").await;
    drop(peer);
    let mut names = Vec::new();
    for _ in 0..3 {
        let (name, reason) = unhung(gone.recv()).await.unwrap();
        assert_eq!(reason, DisconnectReason::TransportClose);
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["/", "/a", "/b"]);
}

#[tokio::test]
async fn events_that_have_come_are_handled_before_the_end_is_told() {
    let (io, go) = (Server::new(), Arc::new(Notify::new()));
    let (tell, mut told) = unbounded_channel();
    let waits = Arc::clone(&go);
    io.on_connect(move |socket: Socket| {
        let (go, tell) = (Arc::clone(&waits), tell.clone());
        let leaving = tell.clone();
        socket.on("n", move |_: Socket, n: u32| {
            let (go, tell) = (Arc::clone(&go), tell.clone());
            async move {
                go.notified().await;
                let _ = tell.send(n.to_string());
                Reply(n)
            }
        });
        socket.on_disconnect(move |_, reason| {
            let _ = leaving.send(reason.to_string());
            async {}
        });
        async {}
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for n in 0..3 {
        peer.send(&format!(r#"2{n}["n",{n}]"#)).await;
    }
    drop(peer);
    until(|| io.is_empty()).await;
    let mut heard = Vec::new();
    for _ in 0..4 {
        go.notify_one();
        heard.push(unhung(told.recv()).await.unwrap());
    }
    assert_eq!(heard, ["0", "1", "2", "transport close"]);
    until(|| io.engine().is_empty()).await;
}

#[tokio::test]
async fn what_a_client_sends_before_it_hears_that_it_was_sent_away_is_ignored() {
    let io = Server::new();
    io.of("/other").on_connect(|socket: Socket| async move { socket.disconnect() });
    io.on_connect(|socket: Socket| async move { crate::answer_sync(&socket) });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for _ in 0..2 {
        peer.join("0/other,").await;
        peer.expect("1/other,").await;
        for packet in [r#"2/other,["late"]"#, "3/other,1[]", "1/other,"] {
            peer.send(packet).await;
            peer.expect_nothing().await;
        }
    }
    peer.send(r#"2/never,["a"]"#).await;
    assert_eq!(peer.closed().await, None);
}
