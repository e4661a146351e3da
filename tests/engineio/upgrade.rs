//! From polling to a WebSocket.

use std::time::Duration;

use sockeye::engineio::{CloseReason, Config, TransportKind};

use crate::{
    error, serve,
    sio::{closed, message, send, text, until},
};

#[tokio::test]
async fn messages_stay_in_order_over_the_switch() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    assert_eq!(sender.transport(), TransportKind::Polling);
    client.send("4first").await;
    assert_eq!(client.get().await.text(), "4first");
    let mut ws = client.websocket().await;
    send(&mut ws, "2probe").await;
    assert_eq!(text(&mut ws).await, "3probe");
    // What it posts and is sent while it tries.
    client.send("4posted").await;
    assert_eq!(server.heard().await, "first".into());
    assert_eq!(server.heard().await, "posted".into());
    sender.send("sent");
    sender.send(&[1, 2]);
    assert_eq!(sender.transport(), TransportKind::Polling);
    send(&mut ws, "5").await;
    send(&mut ws, "4last").await;
    for expected in ["4posted".into(), "4sent".into(), (&[1, 2]).into(), "4last".into()] {
        assert_eq!(message(&mut ws).await, expected);
    }
    assert_eq!(sender.transport(), TransportKind::WebSocket);
}

#[tokio::test]
async fn poll_that_waits_is_released_while_the_websocket_is_tried() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let poll = client.poll();
    until(|| sender.is_writable()).await;
    let mut ws = client.websocket().await;
    send(&mut ws, "2probe").await;
    assert_eq!(text(&mut ws).await, "3probe");
    assert_eq!(poll.await.unwrap().told(), (200, "6"));
    // And every other one that comes, as often as the client likes.
    for _ in 0..2 {
        assert_eq!(client.get().await.told(), (200, "6"));
    }
    // What there is to tell is told by polling.
    sender.send("hello");
    assert_eq!(client.get().await.told(), (200, "4hello"));
    send(&mut ws, "5").await;
    send(&mut ws, "4over").await;
    assert_eq!(text(&mut ws).await, "4over");
}

#[tokio::test]
async fn poll_that_waits_when_the_client_goes_over_is_released() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let mut ws = client.websocket().await;
    send(&mut ws, "2probe").await;
    assert_eq!(text(&mut ws).await, "3probe");
    let poll = client.poll();
    until(|| sender.is_writable()).await;
    send(&mut ws, "5").await;
    assert_eq!(poll.await.unwrap().told(), (200, "6"));
    send(&mut ws, "4over").await;
    assert_eq!(text(&mut ws).await, "4over");
}

#[tokio::test]
async fn session_that_has_gone_over_does_not_poll() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let mut ws = client.upgrade().await;
    until(|| sender.transport() == TransportKind::WebSocket).await;
    assert_eq!(client.get().await.told(), (400, &*error(3, "Bad request")));
    assert_eq!(client.post("4hello").await.told(), (400, &*error(3, "Bad request")));
    send(&mut ws, "4still here").await;
    assert_eq!(text(&mut ws).await, "4still here");
}

#[tokio::test]
async fn wrong_packets_close_the_websocket_alone() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    for packet in ["4hello", "2", "2prob", "5", "1", "z", ""] {
        let mut ws = client.websocket().await;
        send(&mut ws, packet).await;
        assert_eq!(closed(&mut ws).await, None, "{packet}");
    }
    for packet in ["4hello", "2probe", "3", "z"] {
        let mut ws = client.websocket().await;
        send(&mut ws, "2probe").await;
        assert_eq!(text(&mut ws).await, "3probe");
        send(&mut ws, packet).await;
        assert_eq!(closed(&mut ws).await, None, "2probe and {packet}");
    }
    let mut ws = client.websocket().await;
    send(&mut ws, &[1]).await;
    assert_eq!(closed(&mut ws).await, None, "bytes");
    client.send("4hello").await;
    assert_eq!(client.get().await.text(), "4hello");
    // The next one is as good as the first.
    let mut ws = client.upgrade().await;
    send(&mut ws, "4over").await;
    assert_eq!(text(&mut ws).await, "4over");
}

#[tokio::test]
async fn second_websocket_is_closed_and_hurts_nobody() {
    let mut server = serve(Config::new()).await;
    let (client, sender) = server.open().await;
    let mut first = client.websocket().await;
    send(&mut first, "2probe").await;
    assert_eq!(text(&mut first).await, "3probe");
    let mut second = client.websocket().await;
    assert_eq!(closed(&mut second).await, None);
    send(&mut first, "5").await;
    until(|| sender.transport() == TransportKind::WebSocket).await;
    let mut third = client.websocket().await;
    assert_eq!(closed(&mut third).await, None);
    send(&mut first, "4hello").await;
    assert_eq!(text(&mut first).await, "4hello");
}

#[tokio::test]
async fn websocket_that_is_not_gone_over_to_in_time_is_closed_alone() {
    let mut server = serve(Config::new().upgrade_timeout(Duration::from_millis(50))).await;
    let (client, _sender) = server.open().await;
    let mut silent = client.websocket().await;
    assert_eq!(closed(&mut silent).await, None);
    let mut probing = client.websocket().await;
    send(&mut probing, "2probe").await;
    if let Ok(Some(answer)) = crate::sio::unhung(probing.recv()).await {
        assert_eq!(answer, "3probe".into());
        assert_eq!(closed(&mut probing).await, None);
    }
    client.send("4hello").await;
    assert_eq!(client.get().await.text(), "4hello");
}

#[tokio::test]
async fn websocket_is_closed_where_no_upgrade_is_wanted() {
    let mut server = serve(Config::new().without_upgrades()).await;
    let (client, _sender) = server.open().await;
    let mut ws = client.websocket().await;
    assert_eq!(closed(&mut ws).await, None);
    client.send("4hello").await;
    assert_eq!(client.get().await.text(), "4hello");
}

#[tokio::test]
async fn websocket_that_is_tried_ends_with_its_session() {
    for probe in [false, true] {
        let mut server = serve(Config::new().upgrade_timeout(Duration::from_secs(3600))).await;
        let (client, _sender) = server.open().await;
        let mut ws = client.websocket().await;
        if probe {
            send(&mut ws, "2probe").await;
            assert_eq!(text(&mut ws).await, "3probe");
        }
        client.send("1").await;
        assert_eq!(closed(&mut ws).await, None);
        assert_eq!(server.ended().await, CloseReason::TransportClose);
    }
}

#[tokio::test]
async fn client_that_tries_and_goes_leaves_its_session_alone() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    drop(client.websocket().await);
    let mut ws = client.websocket().await;
    send(&mut ws, "2probe").await;
    drop(ws);
    client.send("4hello").await;
    // It may have been released by the one that was tried.
    let mut got = client.get().await.text().to_owned();
    if got == "6" {
        got = client.get().await.text().to_owned();
    }
    assert_eq!(got, "4hello");
}

#[tokio::test]
async fn upgraded_session_that_cannot_take_binary_gets_base64() {
    let mut server = serve(Config::new()).await;
    let (mut client, sender) = server.open().await;
    client.sid.push_str("&b64=1");
    let mut ws = client.upgrade().await;
    sender.send(&[1, 2, 3]);
    assert_eq!(text(&mut ws).await, "bAQID");
}
