//! Events, both ways.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use sockeye::{
    engineio::TransportKind,
    socketio::{Ack, Arguments, Config, EmitError, Event, Reply, Server, Socket, Value},
};
use tokio::sync::{
    Notify,
    mpsc::{UnboundedReceiver, unbounded_channel},
};

use crate::{
    Peer, answer_sync, poll, serve, server,
    sio::{self, unhung, until},
};

/// Serves one client, with what is to be done when it connects.
async fn with(connected: impl Fn(&Socket) + Send + Sync + 'static) -> (Peer, Socket) {
    let (peer, socket, _io) = with_server(server(), connected).await;
    (peer, socket)
}

async fn with_server(io: Server, connected: impl Fn(&Socket) + Send + Sync + 'static) -> (Peer, Socket, Server) {
    let (tell, mut told) = unbounded_channel();
    io.on_connect(move |socket: Socket| {
        connected(&socket);
        let _ = tell.send(socket);
        async {}
    });
    let (peer, _) = Peer::connect(serve(&io).await).await;
    (peer, unhung(told.recv()).await.unwrap(), io)
}

/// A log that handlers write into.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[tokio::test]
async fn arguments_of_every_kind_go_both_ways() {
    let (mut peer, socket) = with(|socket| {
        socket.on("echo", |socket: Socket, arguments: Arguments| async move { socket.emit("echo", arguments) });
    })
    .await;
    for arguments in [r#"["echo"]"#, r#"["echo",1,-0.5,true,null,"ä\n",[],{"a":{"b":[1]}}]"#, r#"["echo",[1,2]]"#] {
        peer.send(&format!("2{arguments}")).await;
        peer.expect(&format!("2{arguments}")).await;
    }
    let nested = r#"["echo",{"a":{"_placeholder":true,"num":0},"b":[{"_placeholder":true,"num":1}]},"x"]"#;
    peer.send(&format!("52-{nested}")).await;
    peer.send_bytes(b"\x01\x02").await;
    peer.send_bytes(b"").await;
    peer.expect(&format!("52-{nested}")).await;
    peer.expect_bytes(b"\x01\x02").await;
    peer.expect_bytes(b"").await;
    socket.emit("two", (1, "b")).unwrap();
    socket.emit("one", [1, 2]).unwrap();
    socket.emit("none", ()).unwrap();
    peer.expect(r#"2["two",1,"b"]"#).await;
    peer.expect(r#"2["one",[1,2]]"#).await;
    peer.expect(r#"2["none"]"#).await;
}

#[tokio::test]
async fn event_that_nobody_listens_to_does_no_harm() {
    let (mut peer, _) = with(|_| {}).await;
    peer.send(r#"20["what"]"#).await;
    peer.send("2[7]").await;
    peer.expect_nothing().await;
}

#[tokio::test]
async fn events_of_a_socket_are_handled_in_order() {
    let log = Log::default();
    let (mut peer, _) = with({
        let log = log.clone();
        move |socket| {
            let log = log.clone();
            socket.on("n", move |_: Socket, n: u64| {
                let log = log.clone();
                async move {
                    log.note(format!("{n} begins"));
                    tokio::time::sleep(Duration::from_millis(5 - n)).await;
                    log.note(format!("{n} ends"));
                }
            });
        }
    })
    .await;
    for n in 0..5 {
        peer.send(&format!(r#"2["n",{n}]"#)).await;
    }
    peer.expect_nothing().await;
    let expected: Vec<_> = (0..5).flat_map(|n| [format!("{n} begins"), format!("{n} ends")]).collect();
    assert_eq!(log.take(), expected);
}

#[tokio::test]
async fn handler_that_waits_lets_acks_and_pings_through() {
    let config = Config::new().engine(|engine| engine.ping_interval(Duration::from_millis(20)));
    let (mut peer, _, _io) = with_server(Server::with_config(config), |socket| {
        socket.on("slow", |socket: Socket| async move {
            let answer: u32 = socket.emit_with_ack("question", "?").await.unwrap();
            Reply(answer)
        });
        socket.on("next", |_: Socket| async { Reply("next") });
    })
    .await;
    peer.send(r#"27["slow"]"#).await;
    let mut packets = Vec::new();
    while packets.len() < 5 {
        let packet = sio::text(&mut peer.ws).await;
        match &*packet {
            "2" => sio::send(&mut peer.ws, "3").await,
            r#"420["question","?"]"# => peer.send(r#"28["next"]"#).await,
            other => panic!("{other}"),
        }
        packets.push(packet);
    }
    assert!(packets.iter().filter(|packet| *packet == "2").count() >= 3, "{packets:?}");
    if !packets.contains(&r#"420["question","?"]"#.into()) {
        peer.expect(r#"20["question","?"]"#).await;
    }
    peer.send("30[42]").await;
    let mut answers = Vec::new();
    while answers.len() < 2 {
        let packet = sio::text(&mut peer.ws).await;
        if packet == "2" {
            sio::send(&mut peer.ws, "3").await;
        } else {
            answers.push(packet);
        }
    }
    assert_eq!(answers, ["437[42]", r#"438["next"]"#]);
}

#[tokio::test]
async fn concurrent_handlers_hold_nothing_up() {
    let go = Arc::new(Notify::new());
    let (mut peer, _) = with({
        let go = Arc::clone(&go);
        move |socket| {
            let go = Arc::clone(&go);
            socket.on_concurrent("slow", move |_: Socket, n: u32| {
                let go = Arc::clone(&go);
                async move {
                    go.notified().await;
                    Reply(n)
                }
            });
        }
    })
    .await;
    peer.send(r#"20["slow",1]"#).await;
    peer.send(r#"21["slow",2]"#).await;
    peer.expect_nothing().await;
    go.notify_one();
    let first = peer.recv().await;
    go.notify_one();
    let mut both = [first, peer.recv().await];
    both.sort();
    assert_eq!(both, ["30[1]", "31[2]"]);
}

#[tokio::test]
async fn several_handlers_hear_an_event_one_after_the_other() {
    let log = Log::default();
    let (mut peer, socket) = with({
        let log = log.clone();
        move |socket| {
            for name in ["first", "second"] {
                let log = log.clone();
                socket.on("a", move |_: Socket, n: u32| {
                    let log = log.clone();
                    async move {
                        tokio::task::yield_now().await;
                        log.note(format!("{name} {n}"));
                    }
                });
            }
        }
    })
    .await;
    peer.send(r#"2["a",1]"#).await;
    peer.send(r#"2["a",2]"#).await;
    peer.expect_nothing().await;
    assert_eq!(log.take(), ["first 1", "second 1", "first 2", "second 2"]);
    socket.off("a");
    peer.send(r#"2["a",3]"#).await;
    peer.expect_nothing().await;
    assert!(log.take().is_empty());
}

#[tokio::test]
async fn listener_of_any_is_told_in_front_and_does_not_acknowledge() {
    let log = Log::default();
    let (mut peer, _) = with({
        let log = log.clone();
        move |socket| {
            let (any, handler) = (log.clone(), log.clone());
            socket.on_any(move |event: Event| {
                any.note(format!("any {} {} {}", event.name, event.arguments, event.wants_ack()));
                async {}
            });
            socket.on("a", move |_: Socket, n: u32, ack: Ack| {
                handler.note(format!("a {n}"));
                async move { ack.send(n) }
            });
        }
    })
    .await;
    peer.send(r#"21["a",5]"#).await;
    peer.expect("31[5]").await;
    peer.send(r#"22["unheard","x"]"#).await;
    peer.expect_nothing().await;
    let expected = ["any a [5] false", "a 5", r#"any unheard ["x"] false"#, "any sync [] false"];
    assert_eq!(log.take(), expected);
}

#[tokio::test]
async fn listener_of_what_is_sent_hears_events_alone() {
    let log = Log::default();
    let (mut peer, socket, io) = with_server(server(), {
        let log = log.clone();
        move |socket| {
            let log = log.clone();
            socket.on_any_outgoing(move |name, arguments| log.note(format!("{name} {arguments}")));
        }
    })
    .await;
    socket.emit("one", 1).unwrap();
    io.emit("all", ()).unwrap();
    io.to(socket.id().as_str()).emit("room", "r").unwrap();
    socket.broadcast().emit("others", ()).unwrap();
    let answer = socket.emit_with_ack::<Value>("ask", ());
    for packet in [r#"2["one",1]"#, r#"2["all"]"#, r#"2["room","r"]"#, r#"20["ask"]"#] {
        peer.expect(packet).await;
    }
    peer.send("30[]").await;
    unhung(answer).await.unwrap();
    peer.expect_nothing().await;
    assert_eq!(log.take(), ["one [1]", "all []", r#"room ["r"]"#, "ask []"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listener_of_what_is_sent_may_do_what_it_likes() {
    for config in [Config::new(), Config::new().recovery(sockeye::socketio::Recovery::new())] {
        let (mut peer, socket, io) = with_server(Server::with_config(config), |socket| {
            let listening = socket.clone();
            socket.on_any_outgoing(move |name, _| {
                listening.join(format!("sent {name}"));
                if name == "first" {
                    listening.namespace().emit("second", ()).unwrap();
                }
            });
        })
        .await;
        let emitting = tokio::task::spawn_blocking(move || io.emit("first", ()).unwrap());
        unhung(emitting).await.unwrap();
        assert!(peer.recv().await.starts_with(r#"2["first""#));
        assert!(peer.recv().await.starts_with(r#"2["second""#));
        until(|| socket.rooms().len() == 3).await;
        socket.close_connection();
    }
}

#[tokio::test]
async fn middleware_stops_an_event() {
    let log = Log::default();
    let io = server();
    io.on_error({
        let log = log.clone();
        move |_, event, error| log.note(format!("{event}: {error}"))
    });
    let (mut peer, _, _io) = with_server(io, {
        let log = log.clone();
        move |socket| {
            for limit in [10_u32, 5] {
                let log = log.clone();
                socket.middleware(move |event: Event| {
                    log.note(format!("{limit}?"));
                    let number = event.arguments.json();
                    async move {
                        let number: Vec<u32> = serde_json::from_str(&number).unwrap();
                        if number.iter().any(|number| *number > limit) { Err("too much") } else { Ok(()) }
                    }
                });
            }
            let log = log.clone();
            socket.on("n", move |_: Socket, n: u32| {
                log.note(format!("n {n}"));
                async {}
            });
        }
    })
    .await;
    for (n, expected) in
        [(11, &["10?", "n: too much"][..]), (7, &["10?", "5?", "n: too much"]), (3, &["10?", "5?", "n 3"])]
    {
        peer.send(&format!(r#"2["n",{n}]"#)).await;
        peer.expect_nothing().await;
        assert_eq!(log.take()[..expected.len()], *expected);
    }
}

#[tokio::test]
async fn arguments_that_a_handler_does_not_take_are_reported() {
    let (tell, mut told): (_, UnboundedReceiver<(String, String)>) = unbounded_channel();
    let io = server();
    io.on_error(move |_, event, error| tell.send((event.into(), error.to_string())).unwrap());
    let (mut peer, _, _io) = with_server(io, |socket| {
        socket.on("number", |_: Socket, n: u32| async move { Reply(n) });
        socket.on("bytes", |_: Socket, bytes: Bytes| async move { Reply(bytes.len()) });
        socket.on("failing", |_: Socket| async { Err::<(), _>("out of fish") });
    })
    .await;
    for (packet, event, words) in [
        (r#"21["number","one"]"#, "number", "expected u32"),
        (r#"22["number"]"#, "number", "what was sent is not what the handler takes: argument 1"),
        (r#"23["bytes",7]"#, "bytes", "what was sent is not what the handler takes: argument 1"),
        (r#"24["failing"]"#, "failing", "out of fish"),
    ] {
        peer.send(packet).await;
        let (name, error) = unhung(told.recv()).await.unwrap();
        assert_eq!(name, event);
        assert!(error.contains(words), "{error}");
    }
    peer.send(r#"25["number",5,"more"]"#).await;
    peer.expect("35[5]").await;
    peer.expect_nothing().await;
}

#[tokio::test]
async fn events_that_cannot_be_sent_are_errors_of_the_caller() {
    let (mut peer, socket, io) = with_server(server(), |_| {}).await;
    for name in ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"] {
        assert!(matches!(socket.emit(name, ()), Err(EmitError::ReservedName(reserved)) if reserved == name));
        assert!(matches!(io.emit(name, ()), Err(EmitError::ReservedName(_))));
    }
    let bytes = |count: usize| vec![Bytes::from_static(b"a"); count];
    let too_many = socket.emit("bytes", bytes(11));
    assert!(matches!(too_many, Err(EmitError::TooManyAttachments { count: 11, limit: 10 })), "{too_many:?}");
    assert!(io.to("room").emit("bytes", bytes(11)).is_err());
    let map = std::collections::BTreeMap::from([(vec![1_u8], 1)]);
    assert!(matches!(socket.emit("map", map), Err(EmitError::Arguments(_))));
    peer.expect_nothing().await;
    socket.emit("bytes", bytes(10)).unwrap();
    assert!(peer.recv().await.starts_with("510-["));
    for _ in 0..10 {
        peer.expect_bytes(b"a").await;
    }
}

#[tokio::test]
async fn attachments_of_many_senders_stay_together() {
    let (mut peer, socket, io) = with_server(server(), |_| {}).await;
    let senders: Vec<_> = (0..8_u8)
        .map(|sender| {
            let (socket, io) = (socket.clone(), io.clone());
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let arguments = (Bytes::from(vec![sender]), Bytes::from(vec![sender, sender]));
                    if sender % 2 == 0 { socket.emit("b", arguments) } else { io.emit("b", arguments) }.unwrap();
                }
            })
        })
        .collect();
    for _ in 0..8 * 50 {
        assert!(peer.recv().await.starts_with("52-"));
        let [first, second] = [sio::message(&mut peer.ws).await, sio::message(&mut peer.ws).await];
        assert_eq!((first.len(), second.len()), (1, 2));
        assert_eq!(first.as_bytes()[0], second.as_bytes()[0]);
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
}

#[tokio::test]
async fn volatile_events_are_dropped_for_who_does_not_read() {
    let (io, (tell, mut told)) = (Server::new(), unbounded_channel());
    io.on_connect(move |socket: Socket| {
        answer_sync(&socket);
        let _ = tell.send(socket);
        async {}
    });
    let address = serve(&io).await;
    let client = poll(address).await;
    let polling = unhung(told.recv()).await.unwrap();
    let (mut peer, _) = Peer::connect(address).await;
    let socket = unhung(told.recv()).await.unwrap();
    assert_eq!((polling.transport(), socket.transport()), (TransportKind::Polling, TransportKind::WebSocket));
    polling.volatile().emit("lost", ()).unwrap();
    io.broadcast().volatile().emit("position", 1).unwrap();
    peer.expect(r#"2["position",1]"#).await;
    polling.emit("kept", ()).unwrap();
    assert_eq!(client.get().await.text(), r#"42["kept"]"#);
    let waiting = client.poll();
    // A poll that waits takes it.
    while !waiting.is_finished() {
        polling.volatile().emit("position", 2).unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(waiting.await.unwrap().text(), r#"42["position",2]"#);
    let dropped = unhung(polling.volatile().emit_with_ack::<()>("lost", ())).await;
    assert!(matches!(dropped, Err(sockeye::socketio::AckError::Dropped)), "{dropped:?}");
    polling.emit("kept", ()).unwrap();
    assert_eq!(client.get().await.text(), r#"42["kept"]"#);
    client.send("1").await;
    until(|| io.len() == 1).await;
    let gone = unhung(polling.volatile().emit_with_ack::<()>("lost", ())).await;
    assert!(matches!(gone, Err(sockeye::socketio::AckError::Disconnected)), "{gone:?}");
    // A WebSocket that is not read from holds no more than fits.
    let large = "a".repeat(100_000);
    for _ in 0..500 {
        socket.volatile().emit("large", &large).unwrap();
        assert!(socket.queued() < 300_000, "{}", socket.queued());
        tokio::task::yield_now().await;
    }
}
