//! Namespaces, and those that come and go.

use sockeye::{
    engineio::Sid,
    socketio::{Config, ConnectError, Reply, Server, Socket},
};

use crate::{Peer, serve, server, sio::until};

#[tokio::test]
async fn namespaces_of_one_connection_are_strangers() {
    let io = server();
    let news = io.of("news");
    assert_eq!(news.name(), "/news");
    news.on_connect(|socket: Socket| async move {
        socket.on("where", |socket: Socket| async move { Reply(socket.namespace().name().to_owned()) });
    });
    let (mut peer, main) = Peer::connect(serve(&io).await).await;
    let other = peer.join("0/news,").await;
    assert_ne!(main, other);
    peer.send(r#"2/news,7["where"]"#).await;
    peer.expect(r#"3/news,7["/news"]"#).await;
    peer.send(r#"28["where"]"#).await;
    peer.expect_nothing().await;
    news.emit("a", 1).unwrap();
    peer.expect(r#"2/news,["a",1]"#).await;
    io.emit("b", 2).unwrap();
    peer.expect(r#"2["b",2]"#).await;
    peer.send("1/news").await;
    until(|| news.is_empty()).await;
    peer.expect_nothing().await;
    peer.join("0/news,").await;
    assert_eq!((io.len(), news.len()), (1, 1));
}

#[tokio::test]
async fn server_disconnects_one_namespace_alone() {
    let io = server();
    let news = io.of("/news");
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.join("0/news,").await;
    news.sockets()[0].disconnect();
    peer.expect("1/news,").await;
    peer.expect_nothing().await;
}

#[tokio::test]
async fn main_namespace_is_not_needed() {
    let io = Server::new();
    io.of("/only");
    let mut peer = Peer::open(serve(&io).await).await;
    let id = peer.join(r#"0/only,{"a":1}"#).await;
    let socket = io.of("/only").socket(Sid::parse(&id).unwrap()).unwrap();
    assert_eq!(socket.auth::<serde_json::Value>().unwrap(), serde_json::json!({ "a": 1 }));
}

#[tokio::test]
async fn dynamic_namespaces_come_and_go() {
    let io = server();
    let rooms = io.of_those(|name, auth| name.starts_with("/room-") && auth["key"] == "k");
    rooms.middleware(|socket: Socket| async move {
        match socket.namespace().name() {
            "/room-full" => Err(ConnectError::new("full")),
            _ => Ok(()),
        }
    });
    rooms.on_connect(|socket: Socket| async move { socket.emit("welcome", socket.namespace().name()) });
    let address = serve(&io).await;
    let (mut peer, _) = Peer::connect(address).await;
    for name in ["/room-1", "/other"] {
        peer.send(&format!("0{name}")).await;
        peer.expect(&format!(r#"4{name},{{"message":"Invalid namespace"}}"#)).await;
    }
    peer.send(r#"0/room-full,{"key":"k"}"#).await;
    peer.expect(r#"4/room-full,{"message":"full"}"#).await;
    until(|| rooms.all().is_empty()).await;
    for name in ["/room-1", "/room-2"] {
        peer.join(&format!(r#"0{name},{{"key":"k"}}"#)).await;
        peer.expect(&format!(r#"2{name},["welcome","{name}"]"#)).await;
    }
    let (mut second, _) = Peer::connect(address).await;
    second.join(r#"0/room-1,{"key":"k"}"#).await;
    second.expect(r#"2/room-1,["welcome","/room-1"]"#).await;
    assert_eq!(rooms.all().len(), 2);
    assert_eq!(io.of("/room-1").len(), 2);
    rooms.emit("all", 1).unwrap();
    let mut both = [peer.recv().await, peer.recv().await];
    both.sort();
    assert_eq!(both, [r#"2/room-1,["all",1]"#, r#"2/room-2,["all",1]"#]);
    second.expect(r#"2/room-1,["all",1]"#).await;
    peer.send("1/room-1").await;
    drop(second);
    until(|| rooms.all().len() == 1).await;
    peer.send("1/room-2").await;
    until(|| rooms.all().is_empty()).await;
    peer.join(r#"0/room-1,{"key":"k"}"#).await;
    assert_eq!(rooms.all().len(), 1);
}

#[tokio::test]
async fn limit_of_attachments_is_the_servers() {
    let io = Server::with_config(Config::new().max_attachments(2));
    io.on_connect(|socket: Socket| async move {
        socket.on("count", |_: Socket, all: Vec<bytes::Bytes>| async move { Reply(all.len()) });
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let place = |number| format!(r#"{{"_placeholder":true,"num":{number}}}"#);
    peer.send(&format!(r#"52-0["count",[{},{}]]"#, place(0), place(1))).await;
    peer.send_bytes(b"a").await;
    peer.send_bytes(b"b").await;
    peer.expect("30[2]").await;
    peer.send(&format!(r#"53-1["count",[{},{},{}]]"#, place(0), place(1), place(2))).await;
    assert_eq!(peer.closed().await, None);
}

#[tokio::test]
async fn namespace_that_the_server_asks_for_is_guarded_by_its_pattern() {
    let io = Server::new();
    let guarded = io.of_those(|name, _| name.starts_with("/guarded-"));
    guarded.middleware(|_: Socket| async { Err(ConnectError::new("no")) });
    let named = io.of("/guarded-1");
    named.emit("nobody hears it", ()).unwrap();
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.send("0/guarded-1").await;
    peer.expect(r#"4/guarded-1,{"message":"no"}"#).await;
    until(|| named.is_empty()).await;
    assert_eq!(guarded.all().len(), 1, "it is one of the pattern's");
}
