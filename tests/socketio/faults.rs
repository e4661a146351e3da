//! Panics and floods: whose they are, and whom they do not hurt.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use sockeye::socketio::{Config, EventError, Reply, Server, Socket, Value};
use tokio::sync::mpsc::unbounded_channel;

use crate::{
    Peer, answer_sync, serve,
    sio::{unhung, until},
};

/// What was reported: events, and whether each was a panic.
type Reported = Arc<Mutex<Vec<(String, bool)>>>;

fn reporting(config: Config) -> (Server, Reported) {
    let (io, reported) = (Server::with_config(config), Reported::default());
    let report = Arc::clone(&reported);
    io.on_error(move |_, event, error| {
        report.lock().unwrap().push((event.into(), matches!(error, EventError::Panicked)));
    });
    (io, reported)
}

fn panic_of_a_test() {
    panic!("a test wants it");
}

#[tokio::test]
async fn panic_of_a_handler_is_reported_and_hurts_nobody() {
    let (io, reported) = reporting(Config::new());
    io.on_connect(|socket: Socket| async move {
        answer_sync(&socket);
        socket.on("at once", |_: Socket| {
            panic_of_a_test();
            async {}
        });
        socket.on("later", |_: Socket| async {
            tokio::task::yield_now().await;
            panic_of_a_test();
        });
        socket.on_concurrent("beside", |_: Socket| async {
            tokio::task::yield_now().await;
            panic_of_a_test();
        });
        if socket.auth::<Value>().unwrap()["panic"] == Value::Bool(true) {
            panic_of_a_test();
        }
    });
    let address = serve(&io).await;
    let (mut peer, _) = Peer::connect(address).await;
    let (mut other, _) = Peer::connect(address).await;
    for event in ["at once", "later", "beside"] {
        peer.send(&format!(r#"2["{event}"]"#)).await;
        until(|| reported.lock().unwrap().pop() == Some((event.into(), true))).await;
        peer.expect_nothing().await;
    }
    let mut third = Peer::open(address).await;
    third.join(r#"0{"panic":true}"#).await;
    until(|| reported.lock().unwrap().pop() == Some(("connection".into(), true))).await;
    third.expect_nothing().await;
    other.expect_nothing().await;
}

#[tokio::test]
async fn panic_of_a_listener_of_errors_or_of_a_pattern_ends_no_session() {
    let io = Server::new();
    let (left, mut has_left) = unbounded_channel();
    io.on_error(|_, _, _| panic_of_a_test());
    io.on_connect(move |socket: Socket| {
        let left = left.clone();
        async move {
            answer_sync(&socket);
            socket.on("wrong", |_: Socket, _: u32| async {});
            socket.on_disconnect(move |_: Socket, _| {
                let _ = left.send(());
                async {}
            });
        }
    });
    io.of_those(|name, _| {
        if name == "/panic" {
            panic_of_a_test();
        }
        name == "/next"
    });
    io.of_those(|name, _| name == "/panic too");
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.send(r#"2["wrong","text"]"#).await;
    peer.expect_nothing().await;
    peer.send("0/panic").await;
    peer.expect(r#"4/panic,{"message":"Invalid namespace"}"#).await;
    peer.join("0/next").await;
    peer.join("0/panic too").await;
    peer.expect_nothing().await;
    drop(peer);
    assert_eq!(unhung(has_left.recv()).await, Some(()));
}

#[tokio::test]
async fn panic_of_a_middleware_refuses_and_is_reported() {
    let (io, reported) = reporting(Config::new());
    io.middleware(|socket: Socket| async move {
        if socket.auth::<Value>().unwrap()["panic"] == Value::Bool(true) {
            panic_of_a_test();
        }
        Ok(())
    });
    io.on_connect(|socket: Socket| async move { answer_sync(&socket) });
    let mut peer = Peer::open(serve(&io).await).await;
    peer.send(r#"0{"panic":true}"#).await;
    peer.expect(r#"4{"message":"Internal server error"}"#).await;
    assert_eq!(reported.lock().unwrap().pop(), Some(("connection".into(), true)));
    peer.join("0").await;
    peer.expect_nothing().await;
}

#[tokio::test]
async fn panic_at_the_end_of_a_socket_leaves_nothing_of_it() {
    let (io, reported) = reporting(Config::new());
    let (tell, mut told) = unbounded_channel();
    io.on_connect(move |socket: Socket| {
        socket.join("room");
        socket.on_disconnecting(|_, _| {
            panic_of_a_test();
            async {}
        });
        socket.on_disconnecting(|_, _| async { panic_of_a_test() });
        let tell = tell.clone();
        socket.on_disconnect(move |socket, _| {
            let _ = tell.send(socket);
            async {}
        });
        async {}
    });
    let (peer, _) = Peer::connect(serve(&io).await).await;
    drop(peer);
    let socket = unhung(told.recv()).await.unwrap();
    assert!(socket.rooms().is_empty());
    assert_eq!(*reported.lock().unwrap(), [("disconnecting".into(), true), ("disconnecting".into(), true)]);
    until(|| io.engine().is_empty()).await;
}

#[tokio::test]
async fn what_listeners_hold_is_let_go_of() {
    let (io, held) = (Server::new(), Arc::new(()));
    let holding = Arc::clone(&held);
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeping = Arc::clone(&kept);
    io.on_connect(move |socket: Socket| {
        let (a, b, c) = (Arc::clone(&holding), Arc::clone(&holding), Arc::clone(&holding));
        let itself = socket.clone();
        socket.on("a", move |_: Socket| {
            let (_a, _itself) = (Arc::clone(&a), itself.clone());
            async {}
        });
        socket.on_any(move |_| {
            let _b = Arc::clone(&b);
            async {}
        });
        socket.on_disconnect(move |_, _| {
            let _c = Arc::clone(&c);
            async {}
        });
        keeping.lock().unwrap().push(socket);
        async {}
    });
    let (peer, _) = Peer::connect(serve(&io).await).await;
    until(|| Arc::strong_count(&held) == 5).await;
    drop(peer);
    // One is the test's and one the server's.
    until(|| Arc::strong_count(&held) == 2).await;
    assert_eq!(kept.lock().unwrap().len(), 1, "though somebody keeps the socket");
}

#[tokio::test]
async fn flood_behind_a_handler_that_waits_is_not_read() {
    let (tell, mut told) = unbounded_channel();
    let io = Server::new();
    io.on_connect(move |socket: Socket| {
        let tell = tell.clone();
        socket.on("wait", |socket: Socket| async move {
            let _ = socket.emit_with_ack::<Value>("never answered", ()).await;
        });
        socket.on("flood", |_: Socket, text: String| async move { Reply(text.len()) });
        let _ = tell.send(socket);
        async {}
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let _socket = unhung(told.recv()).await.unwrap();
    peer.send(r#"2["wait"]"#).await;
    peer.expect(r#"20["never answered"]"#).await;
    let flood = format!(r#"2["flood","{}"]"#, "a".repeat(900_000));
    let sending = async {
        for _ in 0..100 {
            peer.send(&flood).await;
        }
    };
    // The server takes a few, and then TCP holds the client up.
    assert!(tokio::time::timeout(Duration::from_secs(2), sending).await.is_err(), "90 MB were taken");
}

#[tokio::test]
async fn client_that_is_not_read_is_told_what_others_send() {
    let (tell, mut told) = unbounded_channel();
    let io = Server::new();
    io.on_connect(move |socket: Socket| {
        let tell = tell.clone();
        socket.on("wait", |socket: Socket| async move {
            let _ = socket.emit_with_ack::<Value>("never answered", ()).await;
        });
        let _ = tell.send(socket);
        async {}
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let socket = unhung(told.recv()).await.unwrap();
    peer.send(r#"2["wait"]"#).await;
    peer.expect(r#"20["never answered"]"#).await;
    let flood = format!(r#"2["flood","{}"]"#, "a".repeat(600_000));
    for _ in 0..2 {
        peer.send(&flood).await;
    }
    for number in 0..5 {
        io.emit("news", number).unwrap();
        peer.expect(&format!(r#"2["news",{number}]"#)).await;
    }
    socket.disconnect();
    peer.expect("1").await;
    io.close();
    until(|| io.engine().is_empty()).await;
}

#[tokio::test]
async fn client_that_floods_and_goes_is_forgotten() {
    let soon = Duration::from_millis(100);
    let io = Server::with_config(Config::new().engine(|engine| engine.ping_interval(soon).ping_timeout(soon)));
    io.on_connect(|socket: Socket| async move {
        socket.on("wait", |socket: Socket| async move {
            let _ = socket.emit_with_ack::<Value>("never answered", ()).await;
        });
    });
    let address = serve(&io).await;
    for _ in 0..2 {
        let (mut peer, _) = Peer::connect(address).await;
        peer.send(r#"2["wait"]"#).await;
        let flood = format!(r#"2["flood","{}"]"#, "a".repeat(600_000));
        for _ in 0..3 {
            peer.send(&flood).await;
        }
        drop(peer);
    }
    until(|| io.is_empty() && io.engine().is_empty()).await;
}
