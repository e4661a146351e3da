//! Broadcasts, rooms and acknowledgements across servers.

use std::time::Duration;

use bytes::Bytes;
use sockeye::{
    Compress,
    socketio::{
        Arguments, BroadcastAckError, Config, Recovery, Server, Socket,
        adapter::{ClusterEvent, ClusterMessage, ClusterResponse, Flags, RequestId, ServerId, Targets},
    },
};

use crate::{
    Peer, ack_id,
    hub::{Hub, Node, nodes},
    poll,
    sio::{member, unhung, until},
};

/// Clients a in `left`, b in `left` and `right`, c in `right` and d in none, on three servers.
async fn four(nodes: &mut [Node; 3]) -> (Vec<Peer>, Vec<Socket>) {
    let (mut peers, mut sockets) = (Vec::new(), Vec::new());
    for (node, rooms) in [(0, r#"["left"]"#), (1, r#"["left","right"]"#), (1, r#"["right"]"#), (2, "[]")] {
        let (peer, socket) = nodes[node].connect(rooms).await;
        peers.push(peer);
        sockets.push(socket);
    }
    (peers, sockets)
}

/// Who of them has got the event `e` that this server has sent, by their letters; twice if it has come twice.
async fn who_got(io: &Server, peers: &mut [Peer]) -> String {
    io.emit("end", ()).unwrap();
    let mut who = String::new();
    for (peer, letter) in peers.iter_mut().zip("abcd".chars()) {
        loop {
            match &*peer.recv().await {
                r#"2["end"]"# => break,
                r#"2["e"]"# => who.push(letter),
                other => panic!("{other}"),
            }
        }
    }
    who
}

#[tokio::test]
async fn broadcasts_reach_the_sockets_of_all_servers_and_each_once() {
    let mut nodes = nodes(&Hub::default()).await;
    let (mut peers, sockets) = four(&mut nodes).await;
    let own = |socket: &Socket| socket.id().to_string();
    let [a, b, c, d] = &sockets[..] else { panic!("four") };
    let [zero, one, two] = nodes.each_ref().map(|node| &node.io);
    let cases = [
        (0, zero.broadcast(), "abcd"),
        (0, zero.to("left"), "ab"),
        (1, one.to("left"), "ab"),
        (2, two.in_("left").to("right"), "abc"),
        (0, zero.to("left").except("right"), "a"),
        (2, two.except("left"), "cd"),
        (2, two.except(own(a)), "bcd"),
        (0, zero.except(own(b)).except(own(d)), "ac"),
        (0, zero.to(own(d)), "d"),
        (1, one.to(own(a)).to("right"), "abc"),
        (0, zero.to("nowhere"), ""),
        (0, zero.to("left").local(), "a"),
        (1, one.broadcast().local(), "bc"),
        (2, two.to("left").local(), ""),
        (0, a.broadcast(), "bcd"),
        (1, b.to("left"), "a"),
        (1, c.in_("left").in_("right"), "ab"),
        (2, d.to(own(d)), ""),
        (2, d.except("right"), "a"),
        (1, b.broadcast().local(), "c"),
    ];
    for (number, (node, broadcast, expected)) in cases.into_iter().enumerate() {
        broadcast.emit("e", ()).unwrap();
        assert_eq!(who_got(&nodes[node].io, &mut peers).await, expected, "case {number}: {broadcast:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_alone_publishes_nothing_for_itself() {
    let hub = Hub::default();
    let [mut node] = nodes(&hub).await;
    let (mut peer, socket) = node.connect("[]").await;
    socket.emit("one", ()).unwrap();
    socket.broadcast().local().emit("none", ()).unwrap();
    node.io.broadcast().local().sockets_join("room");
    node.io.to("room").local().emit("two", ()).unwrap();
    peer.expect(r#"2["one"]"#).await;
    peer.expect(r#"2["two"]"#).await;
    assert_eq!(hub.log(), ["open /", "subscribe room"]);
    socket.leave("room");
    assert_eq!(hub.log(), ["open /", "subscribe room", "unsubscribe room"]);
    node.io.to(socket.id().as_str()).emit("three", ()).unwrap();
    peer.expect(r#"2["three"]"#).await;
    assert_eq!(hub.log()[3..], ["publish /"]);
}

#[tokio::test]
async fn other_servers_are_told_whom_a_broadcast_is_for_and_how_it_is_sent() {
    let hub = Hub::default();
    let [mut node] = nodes(&hub).await;
    let (_peer, socket) = node.connect("[]").await;
    let own = socket.id().to_string();
    let broadcast = socket.to("a").to("b").except("c").volatile().compress(Compress::Never);
    broadcast.emit("e", 1).unwrap();
    let message = ClusterMessage::Broadcast {
        event: ClusterEvent { name: "e".into(), arguments: Arguments::from_json("[1]", Vec::new()).unwrap() },
        targets: Targets { rooms: vec!["a".into(), "b".into()], except: vec!["c".into(), own.into()] },
        flags: Flags { volatile: true, compress: Compress::Never, timeout: None },
        request: None,
    };
    assert_eq!(hub.published(), message);
    let limit = Duration::from_secs(7);
    node.io.to("nowhere").timeout(limit).emit_with_ack::<u32>("e", ()).await.unwrap();
    let ClusterMessage::Broadcast { flags, request: Some(_), .. } = hub.published() else { panic!("a request") };
    assert_eq!(flags, Flags { timeout: Some(limit), ..Flags::default() });
    node.io.to("a").close_connections();
    let targets = Targets { rooms: vec!["a".into()], except: Vec::new() };
    assert_eq!(hub.published(), ClusterMessage::DisconnectSockets { targets, close: true });
}

#[tokio::test]
async fn arguments_and_bytes_travel_as_they_are() {
    let [zero, mut one] = nodes(&Hub::default()).await;
    let (mut peer, socket) = one.connect("[]").await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    socket.on_any_outgoing(move |event, arguments| drop(tell.send(format!("{event}{}", arguments.json()))));
    zero.io.broadcast().compress(Compress::Never).emit("e", ("a", Bytes::from_static(b"\x07"), 1.5)).unwrap();
    peer.expect(r#"51-["e","a",{"_placeholder":true,"num":0},1.5]"#).await;
    peer.expect_bytes(b"\x07").await;
    assert_eq!(told.recv().await.unwrap(), r#"e["a",{"_placeholder":true,"num":0},1.5]"#);
}

#[tokio::test]
async fn volatile_events_of_other_servers_are_dropped_as_well() {
    let [zero, one] = nodes(&Hub::default()).await;
    // Its client polls, and no poll waits.
    let client = poll(one.address).await;
    zero.io.broadcast().volatile().emit("dropped", ()).unwrap();
    zero.io.emit("kept", ()).unwrap();
    assert_eq!(client.get().await.text(), r#"42["kept"]"#);
}

#[tokio::test]
async fn namespaces_of_one_name_are_joined_and_others_are_not() {
    let [zero, one] = nodes(&Hub::default()).await;
    one.io.of("/news");
    one.io.of("/other");
    let mut peer = Peer::open(one.address).await;
    peer.join("0/news,").await;
    peer.join("0/other,").await;
    zero.io.of("/news").emit("n", ()).unwrap();
    peer.expect(r#"2/news,["n"]"#).await;
    zero.io.of("/other").emit("o", ()).unwrap();
    peer.expect(r#"2/other,["o"]"#).await;
}

#[tokio::test]
async fn sockets_of_all_servers_join_leave_and_are_sent_away() {
    let mut nodes = nodes(&Hub::default()).await;
    let (mut peers, sockets) = four(&mut nodes).await;
    nodes[2].io.to("left").sockets_join("new");
    nodes[2].io.to("new").emit("e", ()).unwrap();
    assert_eq!(who_got(&nodes[2].io, &mut peers).await, "ab");
    nodes[2].io.to("new").except(sockets[0].id().as_str()).sockets_leave("new");
    nodes[2].io.to("new").emit("e", ()).unwrap();
    assert_eq!(who_got(&nodes[2].io, &mut peers).await, "a");
    sockets[0].broadcast().sockets_join("others");
    nodes[0].io.to("others").emit("e", ()).unwrap();
    assert_eq!(who_got(&nodes[0].io, &mut peers).await, "bcd");
    nodes[0].io.broadcast().local().sockets_leave("left");
    nodes[0].io.to("left").emit("e", ()).unwrap();
    assert_eq!(who_got(&nodes[0].io, &mut peers).await, "b");

    nodes[0].io.to("right").except(sockets[1].id().as_str()).disconnect_sockets();
    peers[2].expect("1").await;
    nodes[0].io.to("right").close_connections();
    peers[1].expect("1").await;
    assert_eq!(peers[1].closed().await, None);
    until(|| nodes[1].io.is_empty()).await;
    assert_eq!((nodes[0].io.len(), nodes[2].io.len()), (1, 1));
}

#[tokio::test]
async fn acknowledgements_come_from_the_clients_of_all_servers() {
    for hub in [Hub::default(), Hub::anonymous()] {
        let mut nodes = nodes(&hub).await;
        let (mut peers, _sockets) = four(&mut nodes).await;
        let io = nodes[0].io.clone();
        let asking = tokio::spawn(async move { io.to("left").to("right").emit_with_ack::<u32>("ask", "?").await });
        for (number, peer) in peers[..3].iter_mut().enumerate() {
            let asked = peer.recv().await;
            let id = ack_id(&asked);
            assert_eq!(asked, format!(r#"2{id}["ask","?"]"#));
            peer.send(&format!("3{id}[{number}]")).await;
        }
        let mut answers = unhung(asking).await.unwrap().unwrap();
        answers.sort_unstable();
        assert_eq!(answers, [0, 1, 2]);
        let only_local = nodes[2].io.to("left").local().emit_with_ack::<u32>("ask", ()).await.unwrap();
        assert!(only_local.is_empty());
        peers[3].expect_nothing().await;
    }
}

#[tokio::test]
async fn acknowledgements_that_do_not_come_in_time_are_counted() {
    let mut nodes = nodes(&Hub::default()).await;
    let (mut peers, _sockets) = four(&mut nodes).await;
    let io = nodes[0].io.clone();
    let limit = Duration::from_millis(500);
    let asking = tokio::spawn(async move { io.broadcast().timeout(limit).emit_with_ack::<u32>("ask", ()).await });
    // One of another server answers, one says something else, and two say nothing.
    peers[1].expect(r#"20["ask"]"#).await;
    peers[1].send("30[7]").await;
    peers[2].expect(r#"20["ask"]"#).await;
    peers[2].send(r#"30["seven"]"#).await;
    match unhung(asking).await.unwrap() {
        Err(BroadcastAckError::Missing { responses, missing: 3, servers: 0, fault: Some(_) }) => {
            assert_eq!(responses, [7]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nobody_waits_for_the_clients_of_a_server_that_has_left() {
    let hub = Hub::default();
    let mut nodes = nodes(&hub).await;
    let (mut peers, _sockets) = four(&mut nodes).await;
    // One server never hears of it, and one goes before its clients have answered.
    hub.cut(nodes[2].io.id());
    let io = nodes[0].io.clone();
    let hour = Duration::from_secs(3600);
    let asking = tokio::spawn(async move { io.broadcast().timeout(hour).emit_with_ack::<u32>("ask", ()).await });
    for peer in &mut peers[..2] {
        peer.expect(r#"20["ask"]"#).await;
        peer.send("30[7]").await;
    }
    peers[2].expect(r#"20["ask"]"#).await;
    // The answers of the others have come when the end of the server does: it goes the same way, behind them.
    peers[1].expect_nothing().await;
    hub.tell_left(nodes[2].io.id());
    hub.tell_left(nodes[1].io.id());
    match unhung(asking).await.unwrap() {
        Err(BroadcastAckError::Missing { mut responses, missing, servers: 1, fault: None }) => {
            responses.sort_unstable();
            assert_eq!((responses.len() + missing, missing >= 1), (3, true), "{responses:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_that_vanishes_is_waited_for_until_the_time_is_up() {
    let hub = Hub::anonymous();
    let mut nodes = nodes(&hub).await;
    let (mut peers, _sockets) = four(&mut nodes).await;
    hub.cut(nodes[1].io.id());
    let io = nodes[0].io.clone();
    let limit = Duration::from_millis(500);
    let asking = tokio::spawn(async move { io.broadcast().timeout(limit).emit_with_ack::<u32>("ask", ()).await });
    for index in [0, 3] {
        peers[index].expect(r#"20["ask"]"#).await;
        peers[index].send("30[7]").await;
    }
    match unhung(asking).await.unwrap() {
        Err(BroadcastAckError::Missing { responses, missing: 0, servers: 1, fault: None }) => {
            assert_eq!(responses, [7, 7]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_an_adapter_cannot_send_is_still_sent_here_unless_somebody_waits_for_it() {
    let hub = Hub::default();
    let [mut node] = nodes(&hub).await;
    let (mut peer, _socket) = node.connect("[]").await;
    hub.fail();
    node.io.emit("still", ()).unwrap();
    peer.expect(r#"2["still"]"#).await;
    match node.io.emit_with_ack::<u32>("ask", ()).await {
        Err(BroadcastAckError::Adapter(error)) => assert_eq!(error.to_string(), "the adapter failed: the wire is cut"),
        other => panic!("{other:?}"),
    }
    peer.expect_nothing().await;
}

#[tokio::test]
async fn what_another_server_has_sent_is_recovered() {
    let hub = Hub::default();
    let mut one = Node::new(&hub, Config::new().recovery(Recovery::new())).await;
    // One that remembers nothing.
    let zero = Node::new(&hub, Config::new()).await;
    let mut peer = Peer::open(one.address).await;
    peer.send(r#"0{"rooms":["room"]}"#).await;
    let answer = peer.recv().await;
    let (sid, pid) = (member(&answer, "sid").unwrap(), member(&answer, "pid").unwrap());
    zero.io.to("room").emit("known", 1).unwrap();
    let known = peer.recv().await;
    let known: Vec<serde_json::Value> = serde_json::from_str(&known[1..]).unwrap();
    let [_, _, offset] = &known[..] else { panic!("an offset behind the arguments: {known:?}") };
    drop(peer);
    until(|| one.io.engine().is_empty()).await;
    zero.io.except("room").emit("not for it", ()).unwrap();
    zero.io.to("room").emit("missed", 2).unwrap();
    // What came over the same wire has come when this has.
    let (mut other, _socket) = one.connect("[]").await;
    zero.io.to("mark").sockets_join("mark");
    zero.io.emit("mark", ()).unwrap();
    assert!(other.recv().await.starts_with(r#"2["mark""#));
    let mut peer = Peer::open(one.address).await;
    peer.send(&format!(r#"0{{"pid":"{pid}","offset":{offset}}}"#)).await;
    assert!(peer.recv().await.starts_with(r#"2["missed",2,""#));
    assert!(peer.recv().await.starts_with(r#"2["mark","#));
    peer.expect(&format!(r#"0{{"sid":"{sid}","pid":"{pid}"}}"#)).await;
}

#[tokio::test]
async fn what_is_said_at_a_farewell_reaches_the_other_servers() {
    let hub = Hub::default();
    let [mut zero, mut one] = nodes(&hub).await;
    let (_gone, socket) = zero.connect("[]").await;
    socket.on_disconnect(|socket, reason| async move {
        tokio::task::yield_now().await;
        socket.broadcast().emit("left", reason.as_str()).unwrap();
    });
    let rooms = zero.io.of_those(|name, _| name.starts_with("/room-"));
    rooms.on_connect(|socket: Socket| async move {
        socket.on_disconnect(|socket, _| async move { socket.broadcast().emit("left", ()).unwrap() });
    });
    one.io.of("/room-1");
    let (mut peer, _socket) = one.connect("[]").await;
    peer.join("0/room-1,").await;
    // The last one of a namespace that goes with it.
    let mut last = Peer::open(zero.address).await;
    last.join("0/room-1,").await;
    last.send("1/room-1,").await;
    peer.expect(r#"2/room-1,["left"]"#).await;
    until(|| hub.log().iter().any(|line| line == "close /room-1")).await;
    zero.io.close();
    peer.expect(r#"2["left","server shutting down"]"#).await;
    until(|| hub.log().iter().any(|line| line == "close /")).await;
}

#[tokio::test]
async fn a_listener_that_panics_does_not_end_the_delivery() {
    let [zero, mut one] = nodes(&Hub::default()).await;
    let (mut peer, socket) = one.connect("[]").await;
    socket.on_any_outgoing(|event, _| assert_ne!(event, "panic"));
    zero.io.emit("panic", ()).unwrap();
    zero.io.emit("fine", ()).unwrap();
    peer.expect(r#"2["panic"]"#).await;
    peer.expect(r#"2["fine"]"#).await;
}

#[tokio::test]
async fn links_are_opened_and_closed_with_their_namespaces() {
    let hub = Hub::default();
    let [node] = nodes(&hub).await;
    node.io.of("/news");
    node.io.of("/news");
    let rooms = node.io.of_those(|name, _| name.starts_with("/room-"));
    assert_eq!(hub.log(), ["open /", "open /news"]);
    let mut peer = Peer::open(node.address).await;
    peer.join("0/room-1,").await;
    assert_eq!(hub.log()[2..], ["open /room-1"]);
    let kept = rooms.all().remove(0);
    peer.send("1/room-1").await;
    until(|| hub.log().len() == 4).await;
    assert_eq!(hub.log()[3], "close /room-1");
    kept.emit("nowhere", ()).unwrap();
    assert_eq!(hub.log().len(), 4, "it is joined to nobody any more");
    node.io.close();
    node.io.close();
    let mut closed = hub.log()[4..].to_vec();
    closed.sort();
    assert_eq!(closed, ["close /", "close /news"]);
}

#[tokio::test]
async fn links_are_closed_when_their_server_is_dropped() {
    let hub = Hub::default();
    let io = Server::with_config(Config::new().adapter(hub.clone()));
    let local = hub.local(&io, "/");
    drop(io);
    assert_eq!(hub.log(), ["open /", "close /"]);
    // What comes late goes nowhere.
    local.receive(&ServerId::new("x"), ClusterMessage::SocketsJoin { targets: Targets::default(), rooms: Vec::new() });
    local.server_left(&ServerId::new("x"));
    assert!(local.rooms().is_empty() && local.sockets().is_empty() && !local.has_room("a"));
}

#[tokio::test]
async fn a_local_tells_of_its_rooms() {
    let hub = Hub::default();
    let [mut node, _other] = nodes(&hub).await;
    let local = hub.local(&node.io, "/");
    let (_peer, socket) = node.connect(r#"["a"]"#).await;
    assert!(local.has_room("a") && local.has_room(socket.id().as_str()) && !local.has_room("b"));
    assert_eq!((local.rooms(), local.sockets()), (vec!["a".into()], vec![socket.id()]));
    socket.leave("a");
    assert!(!local.has_room("a"));
}

#[tokio::test]
async fn nonsense_of_another_server_does_no_harm() {
    let hub = Hub::default();
    let [mut node] = nodes(&hub).await;
    let (mut peer, socket) = node.connect("[]").await;
    let local = hub.local(&node.io, "/");
    let stranger = ServerId::new("stranger");
    let broadcast = |name: &'static str, arguments| ClusterMessage::Broadcast {
        event: ClusterEvent { name: name.into(), arguments },
        targets: Targets::default(),
        flags: Flags::default(),
        request: None,
    };
    local.receive(&stranger, broadcast("disconnect", Arguments::default()));
    let many = Arguments::from_json("[]", vec![Bytes::new(); 11]).unwrap();
    local.receive(&stranger, broadcast("attachments", many));
    local.receive(node.io.id(), broadcast("its own", Arguments::default()));
    local.receive_response(None, &RequestId::new("nobody's"), ClusterResponse::ClientCount(usize::MAX));
    local.server_left(&stranger);
    peer.expect_nothing().await;
    // More requests than are served at a time, of a server that is not there, for clients that do not answer.
    for number in 0..1100 {
        let ClusterMessage::Broadcast { event, targets, flags, .. } = broadcast("ask", Arguments::default()) else {
            unreachable!()
        };
        let request = Some(RequestId::new(number.to_string()));
        local.receive(&stranger, ClusterMessage::Broadcast { event, targets, flags, request });
    }
    for _ in 0..1024 {
        assert!(peer.recv().await.ends_with(r#"["ask"]"#));
    }
    peer.expect_nothing().await;
    assert!(socket.is_connected());
}
