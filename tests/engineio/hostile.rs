//! What a client costs that means harm: no more than it may.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use sockeye::{
    Message,
    engineio::{Config, Engine, TransportKind},
};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    sync::{Notify, mpsc::unbounded_channel},
};

use crate::{
    PATH, POLLING,
    sio::{Client, RS, listener, request, unhung, until},
};

#[tokio::test]
async fn message_of_a_body_does_not_keep_its_neighbours() {
    let (hear, mut heard) = unbounded_channel();
    let engine = Engine::new(Config::new(), move |mut session| {
        let hear = hear.clone();
        async move {
            while let Some(message) = session.recv().await {
                let _ = hear.send(message);
            }
        }
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.serve(listener));
    let client = Client::open(address, PATH).await;
    client.send(&format!("4one{RS}4two")).await;
    let mut texts = Vec::new();
    for _ in 0..2 {
        let Message::Text(text) = unhung(heard.recv()).await.unwrap() else { panic!("a text") };
        texts.push(text.into_bytes());
    }
    assert!(texts.iter().all(Bytes::is_unique));
}

#[tokio::test]
async fn others_have_their_turn_between_the_packets_of_a_body() {
    const PACKETS: usize = 10_000;
    let (turns, done) = (Arc::<AtomicUsize>::default(), Arc::<Notify>::default());
    let (seen, told) = (Arc::clone(&turns), Arc::clone(&done));
    let engine = Engine::new(Config::new(), move |mut session| {
        let (seen, told) = (Arc::clone(&seen), Arc::clone(&told));
        async move {
            let mut different = std::collections::BTreeSet::new();
            for _ in 0..PACKETS {
                session.recv().await;
                different.insert(seen.load(Ordering::Relaxed));
            }
            assert!(different.len() > 20, "others had {} turns", different.len());
            told.notify_one();
            session.recv().await;
        }
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.serve(listener));
    let client = Client::open(address, PATH).await;
    let other = tokio::spawn(async move {
        loop {
            turns.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    client.send(&vec!["4x"; PACKETS].join(&RS.to_string())).await;
    unhung(done.notified()).await;
    other.abort();
}

#[tokio::test]
async fn websocket_that_nobody_has_received_from_is_seen_to_its_end() {
    let engine = Engine::new(Config::new(), |session| async move {
        // It is gone over to a WebSocket, and the session has not looked.
        let sender = session.sender();
        until(|| sender.transport() == TransportKind::WebSocket).await;
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.serve(listener));
    let client = Client::open(address, PATH).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let target = client.target("websocket");
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let masked = |first: u8, text: &[u8]| [&[first, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat();
    let all = [head.into_bytes(), masked(0x81, b"2probe"), masked(0x81, b"5"), masked(0x88, b"")].concat();
    tokio::io::AsyncWriteExt::write_all(&mut tcp, &all).await.unwrap();
    // Both ends have closed, so that the server ends the connection.
    let mut read = Vec::new();
    tokio::time::timeout(Duration::from_secs(30), tcp.read_to_end(&mut read)).await.expect("no end").unwrap();
    assert_eq!(read[read.len() - 2..], [0x88, 0]);
}

#[tokio::test]
async fn head_that_is_too_large_is_refused() {
    let engine = Engine::new(Config::new(), |mut session| async move { while session.recv().await.is_some() {} });
    let (listener, address) = listener().await;
    tokio::spawn(engine.clone().serve(listener));
    let large = "x".repeat(30_000);
    let names: Vec<_> = (0..7).map(|number| format!("X-{number}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (&**name, &*large)).collect();
    assert_eq!(request(address, "GET", POLLING, &headers[..1], b"").await.status, 200);
    assert_eq!(request(address, "GET", POLLING, &headers, b"").await.status, 431);
    assert_eq!(engine.len(), 1);
}

#[tokio::test]
async fn response_that_is_not_read_is_given_up() {
    const LEN: usize = 15 << 20;
    let soon = Duration::from_millis(200);
    let config = Config::new().ping_interval(soon).ping_timeout(soon).http_compression(None);
    let engine = Engine::new(config, |mut session| async move {
        session.sender().send("x".repeat(LEN));
        while session.recv().await.is_some() {}
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.clone().serve(listener));
    let client = Client::open(address, PATH).await;
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let head = format!("GET {} HTTP/1.1\r\nHost: {address}\r\n\r\n", client.target("polling"));
    tokio::io::AsyncWriteExt::write_all(&mut tcp, head.as_bytes()).await.unwrap();
    until(|| engine.is_empty()).await;
    // As long again as the server waits, and some more: it has the earlier timer.
    tokio::time::sleep(soon * 6).await;
    let mut read = Vec::new();
    // What the system still has comes, and then the end.
    let end = unhung(tcp.read_to_end(&mut read)).await;
    assert!(end.is_err() || read.len() < LEN, "{} bytes were held", read.len());
    assert!(read.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn session_that_was_ended_is_known_for_no_longer_than_a_silent_one() {
    let second = Duration::from_secs(1);
    for (config, seconds) in [(Config::new(), 30), (Config::new().ping_interval(second).ping_timeout(second), 2)] {
        let engine = Engine::new(config, |_ended| async {});
        let handshake = http::Request::get(POLLING).header("Host", "a").body(Full::<Bytes>::default()).unwrap();
        let response: http::Response<Full<Bytes>> = engine.respond(handshake).await;
        assert_eq!(response.status(), 200);
        tokio::time::sleep(seconds * second - second / 10).await;
        assert_eq!(engine.len(), 1);
        tokio::time::sleep(second / 5).await;
        assert!(engine.is_empty());
    }
}
