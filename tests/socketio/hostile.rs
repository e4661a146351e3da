//! What a client costs that means harm: no more than it may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sockeye::socketio::{Config, Reply, Server, Socket, Value};
use tokio::sync::{Semaphore, mpsc::unbounded_channel};

use crate::{
    Peer, answer_sync, poll, serve, server,
    sio::{self, RS, unhung, until},
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
async fn burst_of_questions_ends_no_client_that_fetches_its_answers() {
    let io = Server::new();
    io.on_connect(|socket: Socket| async move {
        socket.on("long", |_: Socket, len: usize| async move { Reply("x".repeat(len)) });
        // What comes meanwhile waits.
        socket.on("wait", |_: Socket| tokio::time::sleep(Duration::from_millis(200)));
    });
    let address = serve(&io).await;
    for (count, len) in [(20, 1_000_000), (5, 7_000_000)] {
        let questions = || (0..count).map(move |id| format!("42{id}[\"long\",{len}]"));
        for first in [None, Some(String::from(r#"42["wait"]"#))] {
            let (mut peer, _) = Peer::connect(address).await;
            // All in one piece, as they come from a client that was busy.
            peer.send_together(first.iter().cloned().chain(questions())).await;
            for id in 0..count {
                let answer = peer.recv().await;
                assert!(answer.starts_with(&format!("3{id}[\"xxx")) && answer.len() > len);
            }
            let client = sio::Client::open(address, "/socket.io/").await;
            client.send("40").await;
            client.get().await;
            client.send(&first.into_iter().chain(questions()).collect::<Vec<_>>().join(&RS.to_string())).await;
            let mut answers = 0;
            while answers < count {
                answers += client.get().await.text().split(RS).filter(|packet| packet.starts_with("43")).count();
            }
        }
    }
}

#[tokio::test]
async fn what_was_posted_is_handled_though_the_client_has_gone_and_fetched_nothing() {
    let io = Server::new();
    let (last, mut told) = unbounded_channel();
    io.on_connect(move |socket: Socket| {
        let last = last.clone();
        socket.on("long", |_: Socket, text: String| async move { Reply(text) });
        socket.on("last", move |_: Socket| {
            let _ = last.send(());
            async {}
        });
        async {}
    });
    let client = sio::Client::open(serve(&io).await, "/socket.io/").await;
    client.send("40").await;
    client.get().await;
    // 42 answers hold it up; what it posts then waits.
    let text = "x".repeat(200_000);
    for id in 0..45 {
        client.send(&format!(r#"42{id}["long","{text}"]"#)).await;
    }
    client.send(&format!("42[\"last\"]{RS}1")).await;
    assert_eq!(unhung(told.recv()).await, Some(()));
}

/// A server whose answers are long.
fn long_winded(config: Config) -> Server {
    let io = Server::with_config(config);
    io.on_connect(|socket: Socket| async move {
        socket.on("long", |_: Socket| async move { Reply("x".repeat(100_000)) });
    });
    io
}

#[tokio::test]
async fn client_that_polls_and_asks_and_never_fetches_is_given_up() {
    let hasty = |engine: sockeye::engineio::Config| {
        engine.ping_interval(Duration::from_millis(300)).ping_timeout(Duration::from_millis(200))
    };
    let io = long_winded(Config::new().engine(hasty));
    let client = sio::Client::open(serve(&io).await, "/socket.io/").await;
    client.send("40").await;
    client.get().await;
    while !io.is_empty() {
        // A POST waits while those before it do.
        let _ = tokio::time::timeout(Duration::from_millis(100), client.post(r#"420["long"]"#)).await;
        assert!(io.sockets().iter().all(|socket| socket.queued() < 10_000_000));
    }
}

#[tokio::test]
async fn client_that_asks_and_never_reads_is_read_no_more() {
    let io = long_winded(Config::new());
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    let sending = async {
        // As many bytes as no operating system holds.
        let more = "x".repeat(10_000);
        for id in 0..10_000 {
            peer.send(&format!("2{id}[\"long\",\"{more}\"]")).await;
            assert!(io.sockets().iter().all(|socket| socket.queued() < 10_000_000));
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(2), sending).await.is_err());
    assert_eq!(io.len(), 1);
}

#[tokio::test]
async fn acknowledgement_comes_through_to_a_handler_behind_which_much_waits() {
    let io = Server::new();
    io.on_connect(|socket: Socket| async move {
        socket.on("ask", |socket: Socket| async move {
            let answer: u32 = socket.emit_with_ack("question", ()).await?;
            socket.emit("answered", answer)?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        });
        socket.on("much", |_: Socket, _: String| async {});
    });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    peer.send(r#"2["ask"]"#).await;
    for _ in 0..10 {
        peer.send(&format!(r#"2["much","{}"]"#, "x".repeat(900_000))).await;
    }
    peer.expect(r#"20["question"]"#).await;
    peer.send("30[7]").await;
    peer.expect(r#"2["answered",7]"#).await;
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
    let io = Server::with_config(Config::new().max_waiting(1 << 20));
    let door = Arc::new(Semaphore::new(0));
    let inside = Arc::clone(&door);
    io.on_connect(move |socket: Socket| {
        let door = Arc::clone(&inside);
        answer_sync(&socket);
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
    peer.send_bytes(b"x").await;
    peer.expect_nothing().await;
}

#[tokio::test]
async fn all_the_events_that_a_body_may_hold_are_handled() {
    let (io, heard) = (server(), Arc::<AtomicUsize>::default());
    let hear = Arc::clone(&heard);
    io.on_connect(move |socket: Socket| {
        let hear = Arc::clone(&hear);
        socket.on("e", move |_: Socket| {
            hear.fetch_add(1, Ordering::Relaxed);
            async {}
        });
        async {}
    });
    let client = poll(serve(&io).await).await;
    let event = format!(r#"42["e"]{RS}"#);
    client.send(event.repeat(120_000).trim_end_matches(RS)).await;
    until(|| heard.load(Ordering::Relaxed) == 120_000).await;
    // Nothing that is so short is an event.
    assert_eq!(client.post(format!("43{RS}").repeat(130_000).trim_end_matches(RS)).await.status, 400);
}

#[tokio::test]
async fn namespace_that_is_asked_for_once_more_while_its_middlewares_think_begins_anew() {
    let (io, go) = (server(), Arc::new(Semaphore::new(0)));
    let (slow, gate) = (io.of("/slow"), Arc::clone(&go));
    slow.middleware(move |_| {
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            Ok(())
        }
    });
    slow.on_connect(|socket: Socket| async move { socket.emit("auth", socket.auth::<Value>().unwrap()).unwrap() });
    let (mut peer, _) = Peer::connect(serve(&io).await).await;
    for number in 0..1000 {
        peer.send(&format!(r#"0/slow,{{"number":{number}}}"#)).await;
    }
    peer.expect_nothing().await;
    go.add_permits(1);
    assert!(peer.recv().await.starts_with("0/slow,{"));
    peer.expect(r#"2/slow,["auth",{"number":999}]"#).await;
    peer.expect_nothing().await;
    assert_eq!(slow.len(), 1);
}
