//! The sockets of other servers, and events for servers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use sockeye::socketio::{
    AckError, ClusterError, Config, EmitError, RemoteSocket, Reply, Server, Socket,
    adapter::{ClusterMessage, ServerId, Targets},
};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    Peer, ack_id,
    hub::{Hub, Node, nodes},
    serve, server,
    sio::{unhung, until},
};

fn ids(sockets: &[RemoteSocket]) -> Vec<String> {
    let mut ids: Vec<_> = sockets.iter().map(|socket| socket.id().to_owned()).collect();
    ids.sort();
    ids
}

fn sorted(sockets: &[&Socket]) -> Vec<String> {
    let mut ids: Vec<_> = sockets.iter().map(|socket| socket.id().to_string()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_server_that_is_alone_fetches_its_own_sockets() {
    let io = server();
    let (_peer, id) = Peer::connect(serve(&io).await).await;
    let sockets = tokio::spawn({
        let io = io.clone();
        async move { io.fetch_sockets().await }
    });
    assert_eq!(ids(&unhung(sockets).await.unwrap().unwrap()), [id]);
    assert!(io.to("nowhere").fetch_sockets().await.unwrap().is_empty());
}

#[tokio::test]
async fn sockets_of_all_servers_are_fetched() {
    for hub in [Hub::default(), Hub::anonymous()] {
        let [mut zero, mut one, mut two] = nodes(&hub).await;
        let (_a, a) = zero.connect(r#"["room"]"#).await;
        let (_b, b) = one.connect(r#"["room"]"#).await;
        let (_c, c) = two.connect("[]").await;
        b.set("name", "fish").unwrap();
        assert_eq!(ids(&unhung(zero.io.fetch_sockets()).await.unwrap()), sorted(&[&a, &b, &c]));
        assert_eq!(ids(&unhung(two.io.in_("room").fetch_sockets()).await.unwrap()), sorted(&[&a, &b]));
        assert_eq!(ids(&unhung(a.to("room").fetch_sockets()).await.unwrap()), sorted(&[&b]));
        assert_eq!(ids(&unhung(one.io.broadcast().local().fetch_sockets()).await.unwrap()), sorted(&[&b]));
        assert_eq!(zero.io.sockets().len(), 1, "which asks nobody");

        let remote = unhung(zero.io.to(b.id().as_str()).fetch_sockets()).await.unwrap().remove(0);
        assert_eq!(remote.get::<String>("name").unwrap(), "fish");
        assert_eq!(remote.get::<u32>("name"), None);
        assert_eq!(remote.rooms(), [b.id().as_str(), "room"]);
        let handshake = remote.handshake();
        assert_eq!(handshake.address, "127.0.0.1");
        assert_eq!(handshake.headers["host"], one.address.to_string());
        assert_eq!(handshake.query["EIO"], "4");
        assert_eq!(handshake.auth, serde_json::json!({ "rooms": ["room"] }));
        assert!(handshake.url.starts_with("/socket.io/?EIO=4&transport=websocket"), "{}", handshake.url);
        assert!(handshake.issued > 1_700_000_000_000 && handshake.time.ends_with("(Coordinated Universal Time)"));
        assert!(!handshake.secure && !handshake.xdomain);
    }
}

#[tokio::test]
async fn what_a_remote_socket_is_told_comes_to_it() {
    let [mut zero, mut one] = nodes(&Hub::default()).await;
    for (mut peer, socket) in [zero.connect("[]").await, one.connect("[]").await] {
        let remote = unhung(zero.io.to(socket.id().as_str()).fetch_sockets()).await.unwrap().remove(0);
        remote.emit("e", 1).unwrap();
        peer.expect(r#"2["e",1]"#).await;
        remote.join("room");
        until(|| socket.rooms().len() == 2).await;
        remote.leave("room");
        until(|| socket.rooms().len() == 1).await;
        let asking = tokio::spawn({
            let remote = remote.clone();
            async move { remote.emit_with_ack::<u32>("ask", ()).await }
        });
        let asked = peer.recv().await;
        peer.send(&format!("3{}[7]", ack_id(&asked))).await;
        assert_eq!(unhung(asking).await.unwrap().unwrap(), 7);
        remote.disconnect();
        peer.expect("1").await;
        until(|| !socket.is_connected()).await;
        assert!(matches!(remote.emit_with_ack::<u32>("ask", ()).await, Err(AckError::Disconnected)));
        assert!(matches!(remote.emit("connect", ()), Err(EmitError::ReservedName(_))));
    }
}

#[tokio::test]
async fn servers_that_do_not_answer_are_counted() {
    let hub = Hub::anonymous();
    let mut zero = Node::new(&hub, Config::new().cluster_timeout(Duration::from_millis(100))).await;
    let [mut one, two] = nodes(&hub).await;
    let (_a, a) = zero.connect("[]").await;
    let (_b, b) = one.connect("[]").await;
    hub.cut(two.io.id());
    match unhung(zero.io.fetch_sockets()).await {
        Err(ClusterError::Missing { responses, missing: 1, fault: None }) => {
            assert_eq!(ids(&responses), sorted(&[&a, &b]));
        }
        other => panic!("{other:?}"),
    }
    one.io.on_server_side("who", |()| async { Reply("one") });
    match unhung(zero.io.server_side_emit_with_ack::<String>("who", ())).await {
        Err(ClusterError::Missing { responses, missing: 1, fault: None }) => assert_eq!(responses, ["one"]),
        other => panic!("{other:?}"),
    }
    hub.fail();
    assert!(matches!(zero.io.fetch_sockets().await, Err(ClusterError::Adapter(_))));
}

#[tokio::test]
async fn nobody_waits_for_a_server_that_has_left() {
    let hub = Hub::default();
    let zero = Node::new(&hub, Config::new().cluster_timeout(Duration::from_secs(3600))).await;
    let [mut one, two] = nodes(&hub).await;
    let (_b, b) = one.connect("[]").await;
    hub.cut(two.io.id());
    let fetching = tokio::spawn({
        let io = zero.io.clone();
        async move { io.fetch_sockets().await }
    });
    until(|| hub.log().last().is_some_and(|last| last == "publish /")).await;
    hub.tell_left(two.io.id());
    match unhung(fetching).await.unwrap() {
        Err(ClusterError::Missing { responses, missing: 1, .. }) => assert_eq!(ids(&responses), sorted(&[&b])),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn servers_hear_what_others_send_in_order_and_clients_do_not() {
    let [zero, mut one, two] = nodes(&Hub::default()).await;
    let (tell, mut told) = unbounded_channel();
    for (number, io) in [(0, &zero.io), (1, &one.io), (2, &two.io)] {
        let tell = tell.clone();
        io.on_server_side("e", move |(count, text): (u32, Option<String>)| {
            let tell = tell.clone();
            async move {
                // One that waits is overtaken by none.
                tokio::task::yield_now().await;
                tell.send((number, count, text)).unwrap();
            }
        });
    }
    let (mut peer, _socket) = one.connect("[]").await;
    for count in 0..100 {
        zero.io.server_side_emit("e", (count, "text")).unwrap();
    }
    let mut counts = [0, 0, 0];
    for _ in 0..200 {
        let (number, count, text) = unhung(told.recv()).await.unwrap();
        assert_eq!((count, text.as_deref()), (counts[number], Some("text")));
        counts[number] += 1;
    }
    assert_eq!(counts, [0, 100, 100]);
    peer.expect_nothing().await;
    one.io.off_server_side("e");
    zero.io.server_side_emit("e", 100).unwrap();
    assert_eq!(unhung(told.recv()).await.unwrap(), (2, 100, None));
    for name in ["connect", "connection", "new_namespace"] {
        assert!(matches!(zero.io.server_side_emit(name, ()), Err(EmitError::ReservedName(_))));
    }
}

#[tokio::test]
async fn servers_answer_what_others_ask() {
    let hub = Hub::default();
    let [zero, one, two] = nodes(&hub).await;
    for (io, number) in [(&zero.io, 0), (&one.io, 1), (&two.io, 2)] {
        io.on_server_side("add", move |(a, b): (u32, u32)| async move { Reply(a + b + number) });
        io.on_server_side("fail", |()| async { Err::<Reply<u32>, _>("failed") });
    }
    let mut answers = unhung(zero.io.server_side_emit_with_ack::<u32>("add", (10, 20))).await.unwrap();
    answers.sort_unstable();
    assert_eq!(answers, [31, 32]);
    match unhung(zero.io.server_side_emit_with_ack::<String>("add", (10, 20))).await {
        Err(ClusterError::Missing { responses, missing: 0, fault: Some(_) }) => assert!(responses.is_empty()),
        other => panic!("{other:?}"),
    }
    let alone = Server::new();
    alone.server_side_emit("add", (1, 2)).unwrap();
    assert!(alone.server_side_emit_with_ack::<u32>("add", (1, 2)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_listener_that_fails_or_panics_keeps_nobody_from_hearing() {
    let hub = Hub::default();
    let zero = Node::new(&hub, Config::new().cluster_timeout(Duration::from_millis(100))).await;
    let [one] = nodes(&hub).await;
    let heard = Arc::new(Mutex::new(Vec::new()));
    one.io.on_server_side("e", |what: String| {
        assert_ne!(what, "panic at once");
        async move {
            assert_ne!(what, "panic");
            if what == "fail" { Err("failed") } else { Ok(()) }
        }
    });
    one.io.on_server_side("e", {
        let heard = Arc::clone(&heard);
        move |what: String| {
            heard.lock().unwrap().push(what.clone());
            async move { Reply(what) }
        }
    });
    for what in ["panic at once", "panic", "fail", "fine"] {
        assert_eq!(unhung(zero.io.server_side_emit_with_ack::<String>("e", what)).await.unwrap(), [what]);
    }
    assert_eq!(*heard.lock().unwrap(), ["panic at once", "panic", "fail", "fine"]);
    match unhung(zero.io.server_side_emit_with_ack::<String>("e", 7)).await {
        Err(ClusterError::Missing { missing: 1, .. }) => {}
        other => panic!("nobody takes it: {other:?}"),
    }
}

#[tokio::test]
async fn namespaces_of_a_pattern_hear_what_others_of_their_name_send() {
    let [zero, one] = nodes(&Hub::default()).await;
    let (tell, mut told) = unbounded_channel();
    let rooms = one.io.of_those(|name, _| name.starts_with("/room-"));
    rooms.on_server_side("e", move |text: String| drop_ready(tell.send(text)));
    let mut peer = Peer::open(one.address).await;
    peer.join("0/room-1,").await;
    zero.io.of("/room-2").server_side_emit("e", "another's").unwrap();
    zero.io.of("/room-1").server_side_emit("e", "its own").unwrap();
    assert_eq!(unhung(told.recv()).await.unwrap(), "its own");
}

fn drop_ready<T: Send + 'static>(value: T) -> std::future::Ready<()> {
    drop(value);
    std::future::ready(())
}

#[test]
fn outside_of_a_runtime_what_takes_time_is_not_done() {
    let hub = Hub::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let io = runtime.block_on(async { Server::with_config(Config::new().adapter(hub.clone())) });
    let local = hub.local(&io, "/");
    let event = sockeye::socketio::adapter::ClusterEvent { name: "e".into(), arguments: Default::default() };
    let message = ClusterMessage::ServerSideEmit { event, request: None };
    let received = catch_unwind(AssertUnwindSafe(|| local.receive(&ServerId::new("x"), message)));
    assert!(received.is_ok());
    local.receive(&ServerId::new("x"), ClusterMessage::DisconnectSockets { targets: Targets::default(), close: true });
}
