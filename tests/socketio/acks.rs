//! Acknowledgements, both ways.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use sockeye::socketio::{Ack, AckError, BroadcastAckError, EmitError, Reply, Server, Socket, Value};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    Peer, answer_sync, serve,
    sio::{member, unhung, until},
};

/// A server with so many clients.
async fn with(clients: usize) -> (Server, Vec<(Peer, Socket)>) {
    let (io, (tell, mut told)) = (Server::new(), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        answer_sync(&socket);
        socket.on("none", |_: Socket| async {});
        socket.on("one", |_: Socket, value: Value| async { Reply(value) });
        socket.on("two", |_: Socket, (a, b): (i32, i32)| async move { Reply((a + b, a * b)) });
        socket.on("bytes", |_: Socket| async { Reply(Bytes::from_static(b"\x01\x02")) });
        socket.on("result", |_: Socket, ok: bool| async move { if ok { Ok(Reply("ok")) } else { Err("failed") } });
        socket.on("later", |_: Socket, text: String, ack: Ack| async move {
            tokio::spawn(async move {
                tokio::task::yield_now().await;
                ack.send(text)
            });
        });
        socket.on("dropped", |_: Socket, _: Value, ack: Ack| async move { drop(ack) });
        let _ = tell.send(socket);
        async {}
    });
    let address = serve(&io).await;
    let mut peers = Vec::new();
    for _ in 0..clients {
        let (peer, _) = Peer::connect(address).await;
        peers.push((peer, unhung(told.recv()).await.unwrap()));
    }
    (io, peers)
}

async fn with_one() -> (Server, Peer, Socket) {
    let (io, mut peers) = with(1).await;
    let (peer, socket) = peers.remove(0);
    (io, peer, socket)
}

#[tokio::test]
async fn clients_get_what_handlers_reply() {
    let (_io, mut peer, _) = with_one().await;
    for (event, answer) in [
        (r#"20["one","a"]"#, r#"30["a"]"#),
        (r#"21["one"]"#, "31[null]"),
        (r#"22["two",2,3]"#, "32[5,6]"),
        (r#"23["result",true]"#, r#"33["ok"]"#),
        (r#"24["later","x"]"#, r#"34["x"]"#),
        (r#"218446744073709551615["one",1]"#, "318446744073709551615[1]"),
    ] {
        peer.send(event).await;
        peer.expect(answer).await;
    }
    peer.send(r#"25["bytes"]"#).await;
    peer.expect(r#"61-5[{"_placeholder":true,"num":0}]"#).await;
    peer.expect_bytes(b"\x01\x02").await;
    for event in [r#"26["none"]"#, r#"27["result",false]"#, r#"28["dropped"]"#, r#"2["one","nobody asks"]"#] {
        peer.send(event).await;
        peer.expect_nothing().await;
    }
}

#[tokio::test]
async fn servers_get_what_clients_answer() {
    let (_io, mut peer, socket) = with_one().await;
    let (two, bytes) = (socket.emit_with_ack::<(u32, String)>("a", 1), socket.emit_with_ack::<Bytes>("b", ()));
    peer.expect(r#"20["a",1]"#).await;
    peer.expect(r#"21["b"]"#).await;
    peer.send(r#"61-1[{"_placeholder":true,"num":0}]"#).await;
    peer.send_bytes(b"\x07").await;
    peer.send(r#"30[5,"six"]"#).await;
    assert_eq!(unhung(two).await.unwrap(), (5, "six".into()));
    assert_eq!(unhung(bytes).await.unwrap(), Bytes::from_static(b"\x07"));
    // Once more, and of what nobody has asked.
    peer.send(r#"30[6,"seven"]"#).await;
    peer.send("399[]").await;
    peer.send("3[]").await;
    peer.expect_nothing().await;
}

#[tokio::test]
async fn acknowledgement_that_clients_do_not_take_is_an_error_and_not_sent() {
    let io = Server::new();
    let (errors, mut told) = unbounded_channel();
    io.on_error(move |_, event, error| drop(errors.send(format!("{event}: {error}"))));
    io.on_connect(|socket: Socket| async move {
        answer_sync(&socket);
        socket.on("reply", |_: Socket, count: usize| async move { Reply(vec![Bytes::from_static(b"x"); count]) });
        socket.on("ack", |_: Socket, count: usize, ack: Ack| async move { ack.send(vec![Bytes::new(); count]) });
        socket.on("keys", |_: Socket| async { Reply(BTreeMap::from([((1, 2), 3)])) });
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for event in ["reply", "ack"] {
        peer.send(&format!(r#"21["{event}",11]"#)).await;
        peer.expect_nothing().await;
        let error = unhung(told.recv()).await.unwrap();
        assert!(error.starts_with(event) && error.contains("11 attachments, at most 10"), "{error}");
    }
    peer.send(r#"21["keys"]"#).await;
    let error = unhung(told.recv()).await.unwrap();
    assert!(error.starts_with("keys: an acknowledgement that cannot be sent: "), "{error}");
    peer.send(r#"22["reply",10]"#).await;
    assert!(peer.recv().await.starts_with("610-2["));
}

#[tokio::test]
async fn only_the_first_of_several_acknowledgements_is_sent() {
    let io = Server::new();
    io.on_connect(|socket: Socket| async move {
        answer_sync(&socket);
        socket.on("both", |_: Socket| async { Reply(1) });
        socket.on("both", |_: Socket, (): (), ack: Ack| async move { ack.send(2) });
        socket.on("second", |_: Socket| async {});
        socket.on("second", |_: Socket| async { Reply(2) });
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for (event, answer) in [("21[\"both\"]", "31[1]"), ("22[\"second\"]", "32[2]")] {
        peer.send(event).await;
        peer.expect(answer).await;
        peer.expect_nothing().await;
    }
}

#[tokio::test]
async fn answers_that_do_not_come_are_errors() {
    let (io, mut peer, socket) = with_one().await;
    let late = socket.timeout(Duration::from_millis(1)).emit_with_ack::<Value>("a", ());
    assert!(matches!(unhung(late).await, Err(AckError::TimedOut)));
    peer.expect(r#"20["a"]"#).await;
    peer.send("30[]").await;
    let wrong = socket.emit_with_ack::<u32>("b", ());
    peer.expect(r#"21["b"]"#).await;
    peer.send(r#"31["text"]"#).await;
    assert!(matches!(unhung(wrong).await, Err(AckError::Arguments(_))));
    let reserved = socket.emit_with_ack::<Value>("disconnect", ());
    assert!(matches!(unhung(reserved).await, Err(AckError::Emit(EmitError::ReservedName(_)))));
    let lost = socket.emit_with_ack::<Value>("c", ());
    drop(peer);
    assert!(matches!(unhung(lost).await, Err(AckError::Disconnected)));
    until(|| io.is_empty()).await;
    let gone = socket.timeout(Duration::from_secs(3600)).emit_with_ack::<Value>("d", ());
    assert!(matches!(unhung(gone).await, Err(AckError::Disconnected)));
}

#[tokio::test]
async fn answer_that_is_waited_for_fails_when_the_server_disconnects() {
    let (_io, mut peer, socket) = with_one().await;
    let lost = socket.emit_with_ack::<Value>("a", ());
    peer.expect(r#"20["a"]"#).await;
    socket.disconnect();
    peer.expect("1").await;
    assert!(matches!(unhung(lost).await, Err(AckError::Disconnected)));
}

#[tokio::test]
async fn broadcast_waits_for_all_answers() {
    let (io, mut peers) = with(3).await;
    let asking = tokio::spawn({
        let io = io.clone();
        async move { io.emit_with_ack::<u32>("ask", "?").await }
    });
    for (number, (peer, _)) in peers.iter_mut().enumerate() {
        peer.expect(r#"20["ask","?"]"#).await;
        peer.send(&format!("30[{number}]")).await;
    }
    let mut answers = unhung(asking).await.unwrap().unwrap();
    answers.sort_unstable();
    assert_eq!(answers, [0, 1, 2]);
    let nobody = io.to("nowhere").emit_with_ack::<u32>("ask", ()).await.unwrap();
    assert!(nobody.is_empty());
}

#[tokio::test]
async fn broadcast_says_how_many_answers_are_missing() {
    let (io, mut peers) = with(4).await;
    let asking = tokio::spawn({
        let io = io.clone();
        async move { io.broadcast().timeout(Duration::from_secs(2)).emit_with_ack::<u32>("ask", ()).await }
    });
    for (peer, _) in &mut peers {
        peer.expect(r#"20["ask"]"#).await;
    }
    // One answers, one says something else, one goes, and one says nothing.
    peers[0].0.send("30[7]").await;
    peers[1].0.send(r#"30["seven"]"#).await;
    peers[2].0.send("1").await;
    match unhung(asking).await.unwrap() {
        Err(BroadcastAckError::Missing { responses, missing: 3, servers: 0, fault: Some(_) }) => {
            assert_eq!(responses, [7])
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn broadcast_does_not_wait_for_who_has_gone() {
    let (io, mut peers) = with(2).await;
    let asking = tokio::spawn({
        let io = io.clone();
        async move { io.broadcast().timeout(Duration::from_secs(3600)).emit_with_ack::<u32>("ask", ()).await }
    });
    for (peer, _) in &mut peers {
        peer.expect(r#"20["ask"]"#).await;
    }
    peers.remove(0);
    peers[0].0.send("30[7]").await;
    match unhung(asking).await.unwrap() {
        Err(BroadcastAckError::Missing { responses, missing: 1, servers: 0, fault: None }) => {
            assert_eq!(responses, [7])
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn ids_of_answers_are_shared_by_a_namespace_and_not_by_others() {
    let (io, mut peers) = with(2).await;
    io.of("/other");
    let (first, second) = (&peers[0].1.clone(), &peers[1].1.clone());
    let _a = first.emit_with_ack::<Value>("a", ());
    let _b = second.emit_with_ack::<Value>("b", ());
    peers[0].0.expect(r#"20["a"]"#).await;
    peers[1].0.expect(r#"21["b"]"#).await;
    let peer = &mut peers[0].0;
    peer.send("0/other,").await;
    let id = member(&peer.recv().await, "sid").unwrap();
    let other = io.of("/other").sockets().into_iter().find(|socket| socket.id().as_str() == id).unwrap();
    let _c = other.emit_with_ack::<Value>("c", ());
    peer.expect(r#"2/other,0["c"]"#).await;
}
