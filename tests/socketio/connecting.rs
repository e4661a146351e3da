//! How clients come into namespaces.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use sockeye::socketio::{Config, ConnectError, DisconnectReason, Reply, Server, Socket};
use tokio::sync::{Notify, mpsc::unbounded_channel};

use crate::{
    Peer, answer_sync, serve, server,
    sio::{member, unhung, until},
};

#[tokio::test]
async fn connect_comes_before_the_events_of_its_handler() {
    let io = server();
    io.on_connect(|socket: Socket| async move { socket.emit("hi", socket.id().to_string()) });
    let address = serve(&io).await;
    for _ in 0..20 {
        let (mut peer, id) = Peer::connect(address).await;
        assert_eq!(id.len(), 20);
        peer.expect(&format!(r#"2["hi","{id}"]"#)).await;
        peer.expect_nothing().await;
    }
}

#[tokio::test]
async fn connect_says_its_id_and_nothing_else() {
    let address = serve(&server()).await;
    let mut peer = Peer::open(address).await;
    peer.send("0").await;
    let answer = peer.recv().await;
    let id = member(&answer, "sid").unwrap();
    assert_eq!(answer, format!(r#"0{{"sid":"{id}"}}"#));
}

#[tokio::test]
async fn events_wait_for_the_connect_handler() {
    let (io, go) = (Server::new(), Arc::new(Notify::new()));
    let waits = Arc::clone(&go);
    io.on_connect(move |socket: Socket| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            socket.on("early", |_: Socket, n: u32| async move { Reply(n + 1) });
        }
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.send(r#"20["early",1]"#).await;
    peer.send(r#"21["early",2]"#).await;
    go.notify_one();
    peer.expect("30[2]").await;
    peer.expect("31[3]").await;
}

#[tokio::test]
async fn events_wait_for_the_middlewares() {
    let (io, go) = (server(), Arc::new(Notify::new()));
    let waits = Arc::clone(&go);
    io.middleware(move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Ok(())
        }
    });
    let mut peer = Peer::open(serve(&io).await).await;
    peer.send("0").await;
    peer.send(r#"20["sync"]"#).await;
    go.notify_one();
    assert!(peer.recv().await.starts_with("0{"));
    peer.expect("30[]").await;
}

#[tokio::test]
async fn middleware_refuses_with_data_and_the_connection_goes_on() {
    let io = server();
    io.middleware(|socket: Socket| async move {
        match socket.auth::<serde_json::Value>().unwrap()["token"].as_str() {
            Some("good") => socket.set("user", "fish").map_err(|_| ConnectError::new("never")),
            Some(_) => Err(ConnectError::new("not authorized").data(json!({ "code": 401 }))),
            None => Err(ConnectError::new("who?")),
        }
    });
    io.on_connect(|socket: Socket| async move { socket.emit("user", socket.get::<String>("user")) });
    let mut peer = Peer::open(serve(&io).await).await;
    peer.send("0").await;
    peer.expect(r#"4{"message":"who?"}"#).await;
    peer.send(r#"0{"token":"bad"}"#).await;
    peer.expect(r#"4{"message":"not authorized","data":{"code":401}}"#).await;
    assert!(io.is_empty());
    peer.join(r#"0{"token":"good"}"#).await;
    peer.expect(r#"2["user","fish"]"#).await;
    assert_eq!(io.len(), 1);
}

#[tokio::test]
async fn middlewares_are_asked_in_order_up_to_the_first_refusal() {
    let (io, asked) = (Server::new(), Arc::new(Mutex::new(Vec::new())));
    for number in 0..3 {
        let asked = Arc::clone(&asked);
        io.middleware(move |_| {
            asked.lock().unwrap().push(number);
            async move { if number == 1 { Err(ConnectError::new("no")) } else { Ok(()) } }
        });
    }
    let mut peer = Peer::open(serve(&io).await).await;
    peer.send("0").await;
    peer.expect(r#"4{"message":"no"}"#).await;
    assert_eq!(*asked.lock().unwrap(), [0, 1]);
}

#[tokio::test]
async fn unknown_namespace_is_refused_and_the_connection_goes_on() {
    let address = serve(&server()).await;
    let (mut peer, _) = Peer::connect(address).await;
    for name in ["/random", "/admin?x=1", "/foo/bar"] {
        peer.send(&format!(r#"0{name},{{"token":1}}"#)).await;
        peer.expect(&format!(r#"4{name},{{"message":"Invalid namespace"}}"#)).await;
    }
    peer.expect_nothing().await;
}

#[tokio::test]
async fn violations_end_the_connection() {
    let io = server();
    io.of("/other");
    let address = serve(&io).await;
    for packets in [
        // Of one who is in no namespace.
        &[r#"2["a"]"#][..],
        &["3[]"],
        &["31[]"],
        &["1"],
        &[r#"4{"message":"x"}"#],
        // Of one who is in the main one.
        &["0", "0"],
        &["0", r#"2/other,["a"]"#],
        &["0", "1/other"],
        &["0", r#"4{"message":"x"}"#],
        &["0", ""],
        &["0", "7"],
        &["0", "garbage"],
        &["0", r#"2["connect"]"#],
        &["0", r#"2["disconnecting"]"#],
        &["0", r#"2{"a":1}"#],
        &["0", r#"2["a""#],
        &["0", "51-[\"a\",{\"_placeholder\":true,\"num\":0}]", r#"2["b"]"#],
        &["0", "51-[\"a\",{\"_placeholder\":true,\"num\":1}]", "bytes"],
        &["0", "511-[\"a\"]"],
        &["0", "bytes"],
        // What is behind it is not looked at.
        &["0", "garbage", r#"20["sync"]"#, "0/other"],
    ] {
        let mut peer = Peer::open(address).await;
        for packet in packets {
            match *packet {
                "bytes" => peer.send_bytes(b"\x01").await,
                packet => peer.send(packet).await,
            }
        }
        if packets[0] == "0" {
            assert!(peer.recv().await.starts_with("0{"), "{packets:?}");
        }
        assert_eq!(peer.closed().await, None, "{packets:?}");
    }
    until(|| io.engine().is_empty()).await;
    assert!(io.is_empty());
}

#[tokio::test]
async fn violation_is_a_forced_close() {
    let (io, (tell, mut told)) = (Server::new(), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        let tell = tell.clone();
        async move {
            socket.on_disconnect(move |_, reason| {
                let _ = tell.send(reason);
                async {}
            });
        }
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.send("garbage").await;
    assert_eq!(unhung(told.recv()).await, Some(DisconnectReason::ForcedClose));
}

#[tokio::test]
async fn client_that_joins_nothing_in_time_has_to_go() {
    let io = Server::with_config(Config::new().connect_timeout(Duration::from_millis(50)));
    io.on_connect(|socket: Socket| async move { answer_sync(&socket) });
    io.of("/closed").middleware(|_| async { Err(ConnectError::new("no")) });
    let address = serve(&io).await;
    let mut idle = Peer::open(address).await;
    assert_eq!(idle.closed().await, None);
    let mut refused = Peer::open(address).await;
    refused.send("0/closed").await;
    if let Ok(Some(answer)) = unhung(refused.ws.recv()).await {
        assert_eq!(answer, r#"44/closed,{"message":"no"}"#.into());
        assert_eq!(refused.closed().await, None);
    }
    until(|| io.engine().is_empty()).await;
}

#[tokio::test]
async fn client_that_has_joined_may_stay() {
    // Long enough for a client that joins as soon as it can, on a busy machine.
    let timeout = Duration::from_secs(2);
    let io = Server::with_config(Config::new().connect_timeout(timeout));
    io.on_connect(|socket: Socket| async move { answer_sync(&socket) });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    tokio::time::sleep(timeout * 3 / 2).await;
    peer.expect_nothing().await;
}

#[tokio::test]
async fn client_comes_back_to_a_namespace_that_it_has_left() {
    let address = serve(&server()).await;
    let (mut peer, first) = Peer::connect(address).await;
    peer.send("1").await;
    let second = peer.join("0").await;
    assert_ne!(first, second);
    peer.expect_nothing().await;
}

#[tokio::test]
async fn one_that_comes_back_at_once_is_not_taken_for_the_one_that_leaves() {
    let (io, go) = (server(), Arc::new(Notify::new()));
    let waits = Arc::clone(&go);
    io.on_connect(move |socket: Socket| {
        let go = Arc::clone(&waits);
        async move {
            socket.on_disconnect(move |_, _| {
                let go = Arc::clone(&go);
                async move { go.notified().await }
            });
        }
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.send("1").await;
    peer.send("0").await;
    peer.send(r#"20["sync"]"#).await;
    assert!(peer.recv().await.starts_with("0{"));
    peer.expect("30[]").await;
    go.notify_one();
    peer.expect_nothing().await;
    assert_eq!(io.len(), 1);
}

#[tokio::test]
async fn refusal_and_what_comes_behind_it_leave_room_for_others() {
    let (io, go) = (server(), Arc::new(Notify::new()));
    let waits = Arc::clone(&go);
    io.of("/closed").middleware(move |_| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            Err(ConnectError::new("no"))
        }
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let event = format!(r#"2/closed,["a","{}"]"#, "a".repeat(500_000));
    for _ in 0..3 {
        peer.send("0/closed").await;
        peer.send(&event).await;
        peer.expect_nothing().await;
        go.notify_one();
        peer.expect(r#"4/closed,{"message":"no"}"#).await;
    }
    peer.expect_nothing().await;
}
