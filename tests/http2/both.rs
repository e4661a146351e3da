//! Our client and our server.

use ::http::Response;
use bytes::Bytes;
use h2::client;
use sockeye::{CloseCode, DeflateConfig, Error, Message, WebSocket, client::Http2, connect};
use tokio::io::duplex;

use crate::{
    io::{pattern, unhung},
    peers::{Raw, client_with, connect as request, echo, hyper, serve, serve_on},
};

const URL: &str = "wss://server.example.com/chat";

async fn echoes(ws: &mut WebSocket, message: Message) {
    let (sent, received) = (message.clone(), async {
        ws.send(message).await?;
        ws.recv().await
    });
    let received = unhung(received).await.unwrap();
    assert!(received == Some(sent), "another message came back");
}

#[tokio::test]
async fn large_messages_cross_windows_of_every_size_both_ways() {
    for (stream, connection) in [(1, 65_535), (100, 65_535), (65_535, 65_535), (1 << 20, 1 << 30)] {
        let (theirs, ours) = duplex(64 * 1024);
        let mut builder = hyper();
        builder.initial_stream_window_size(stream).initial_connection_window_size(connection);
        tokio::spawn(serve_on(builder, ours, |upgrade| upgrade.on_upgrade(echo)));
        let http2 = unhung(Http2::over(theirs)).await.unwrap();
        let mut ws = unhung(http2.open(connect(URL))).await.unwrap();
        let most = if stream < 1000 { 3000 } else { 1 << 20 };
        for len in [0, 1, 999, most] {
            echoes(&mut ws, pattern(len).into()).await;
        }
        unhung(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    }
}

#[tokio::test]
async fn message_of_64_mib_crosses_both_ways() {
    const LEN: usize = 64 << 20;
    let (theirs, ours) = duplex(64 * 1024);
    tokio::spawn(serve_on(hyper(), ours, |upgrade| upgrade.limits(sockeye::Limits::trusted()).on_upgrade(echo)));
    let http2 = unhung(Http2::over(theirs)).await.unwrap();
    let mut ws = unhung(http2.open(connect(URL))).await.unwrap();
    echoes(&mut ws, vec![7; LEN].into()).await;
}

#[tokio::test]
async fn compressed_messages_keep_rsv1() {
    let io = serve(|upgrade| upgrade.deflate(DeflateConfig::default()).on_upgrade(echo));
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let mut ws = unhung(http2.open(connect(URL).deflate(DeflateConfig::default()))).await.unwrap();
    assert!(ws.is_compressed());
    for text in ["a".repeat(100_000), "b".repeat(3000), "short".into(), "a".repeat(100_000)] {
        echoes(&mut ws, text.into()).await;
    }

    // On the wire: RSV1 is in the first byte that the server sends.
    let io = serve(|upgrade| {
        upgrade.deflate(DeflateConfig::default()).on_upgrade(|mut ws| async move { ws.send("a".repeat(3000)).await })
    });
    let requests = client_with(&client::Builder::new(), io).await;
    let mut request = request();
    request.headers_mut().insert("sec-websocket-extensions", "permessage-deflate".parse().unwrap());
    let (response, send) = requests.ready().await.unwrap().send_request(request, false).unwrap();
    let mut raw = Raw::new(sockeye::Role::Client, send, response.await.unwrap().into_body());
    assert_eq!(unhung(raw.bytes(1)).await, [0xc1]);
}

#[tokio::test]
async fn a_thousand_websockets_share_a_connection() {
    let (theirs, ours) = duplex(64 * 1024);
    let mut builder = hyper();
    builder.max_concurrent_streams(1000);
    tokio::spawn(serve_on(builder, ours, |upgrade| upgrade.on_upgrade(echo)));
    let http2 = unhung(Http2::over(theirs)).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..1000 {
        all.push(unhung(http2.open(connect(URL))).await.unwrap());
    }
    for (index, ws) in all.iter_mut().enumerate() {
        ws.send(format!("message {index}")).await.unwrap();
    }
    for (index, ws) in all.iter_mut().enumerate() {
        assert_eq!(unhung(ws.recv()).await.unwrap().unwrap().as_text(), Some(&format!("message {index}")[..]));
    }
    for ws in &mut all {
        unhung(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    }
}

#[tokio::test]
async fn unread_websocket_does_not_hold_up_the_others() {
    // Towards the server: a handler that does not read.
    let io = serve(|upgrade| {
        let is_read = upgrade.request().path() == "/read";
        upgrade.on_upgrade(move |ws| async move { if is_read { echo(ws).await } else { std::future::pending().await } })
    });
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let stuck = unhung(http2.open(connect("wss://a/unread"))).await.unwrap();
    let sending = tokio::spawn(async move {
        let mut stuck = stuck;
        stuck.send(vec![0; 4 << 20]).await
    });
    let mut ws = unhung(http2.open(connect("wss://a/read"))).await.unwrap();
    for _ in 0..20 {
        echoes(&mut ws, pattern(300_000).into()).await;
    }
    assert!(!sending.is_finished());
    sending.abort();

    // Towards the client: WebSockets that it does not read.
    let io = serve(|upgrade| {
        let floods = upgrade.request().path() == "/flood";
        upgrade.on_upgrade(move |mut ws| async move {
            if !floods {
                return echo(ws).await;
            }
            loop {
                ws.send(vec![0; 100_000]).await?;
            }
        })
    });
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let mut unread = Vec::new();
    for _ in 0..5 {
        unread.push(unhung(http2.open(connect("wss://a/flood"))).await.unwrap());
    }
    let mut ws = unhung(http2.open(connect("wss://a/read"))).await.unwrap();
    for _ in 0..20 {
        echoes(&mut ws, pattern(300_000).into()).await;
    }
}

#[tokio::test]
async fn both_ends_may_flood_each_other() {
    // A server that sends while it is sent to: neither waits for the other's window for ever.
    let io = serve(|upgrade| {
        upgrade.on_upgrade(|ws| async move {
            let (sender, mut receiver) = ws.split();
            let flood = async {
                for _ in 0..50 {
                    sender.send(vec![1; 100_000]).await?;
                }
                Ok::<_, Error>(())
            };
            let count = async {
                for _ in 0..50 {
                    assert!(receiver.recv().await?.is_some_and(|message| message.len() == 100_000));
                }
                Ok::<_, Error>(())
            };
            tokio::try_join!(flood, count).map(|_| ())
        })
    });
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let (sender, mut receiver) = unhung(http2.open(connect(URL))).await.unwrap().split();
    let flood = async {
        for _ in 0..50 {
            sender.send(vec![2; 100_000]).await.unwrap();
        }
    };
    let count = async {
        for _ in 0..50 {
            assert!(receiver.recv().await.unwrap().is_some_and(|message| message.len() == 100_000));
        }
    };
    unhung(async { tokio::join!(flood, count) }).await;
}

#[tokio::test]
async fn connection_outlives_its_handle_and_ends_with_its_last_websocket() {
    let (theirs, ours) = duplex(64 * 1024);
    let serving = tokio::spawn(serve_on(hyper(), ours, |upgrade| upgrade.on_upgrade(echo)));
    let http2 = unhung(Http2::over(theirs)).await.unwrap();
    let mut ws = unhung(http2.open(connect(URL))).await.unwrap();
    drop(http2);
    echoes(&mut ws, "still here".into()).await;
    unhung(ws.close(CloseCode::NORMAL, "")).await.unwrap();
    drop(ws);
    unhung(serving).await.unwrap();
}

#[tokio::test]
async fn refused_websocket_leaves_the_connection_to_the_others() {
    let io = serve(|upgrade| match upgrade.request().path() {
        "/chat" => upgrade.on_upgrade(echo),
        _ => Response::builder().status(404).body(Bytes::from("no such room").into()).unwrap(),
    });
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let mut ws = unhung(http2.open(connect(URL))).await.unwrap();
    assert!(matches!(unhung(http2.open(connect("wss://a/x"))).await, Err(Error::Handshake(_))));
    let options = connect(URL).header("Origin", "https://elsewhere.example");
    assert!(matches!(unhung(http2.open(options)).await, Err(Error::Handshake(_))));
    echoes(&mut ws, "still here".into()).await;
}

#[tokio::test]
async fn ten_thousand_small_messages_may_wait_for_their_handler() {
    // HTTP/2 libraries count small frames that nobody reads, and end the connection over a limit that goes by its window.
    let (read, may_read) = tokio::sync::watch::channel(false);
    let io = serve(move |upgrade| {
        let mut may_read = may_read.clone();
        upgrade.on_upgrade(move |ws| async move {
            may_read.wait_for(|may_read| *may_read).await.unwrap();
            echo(ws).await
        })
    });
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let mut ws = unhung(http2.open(connect(URL))).await.unwrap();
    for _ in 0..10_000 {
        unhung(ws.send("x")).await.unwrap();
        tokio::task::yield_now().await; // each in a frame of its own
    }
    unhung(http2.open(connect(URL))).await.unwrap();
    read.send(true).unwrap();
    for _ in 0..10_000 {
        assert_eq!(unhung(ws.recv()).await.unwrap().unwrap().as_text(), Some("x"));
    }
}
