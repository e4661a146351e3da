//! Pings and pongs. Nothing here depends on how long something takes, but on what comes and how often.

use std::time::Duration;

use sockeye::engineio::{CloseReason, Config};

use crate::{
    PATH, serve,
    sio::{closed, open_websocket, send, text},
};

const SOON: Duration = Duration::from_millis(20);
const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn first_ping_comes_an_interval_behind_the_handshake() {
    let mut server = serve(Config::new().ping_interval(NEVER)).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    let (client, _sender) = {
        let _websocket = server.begun().await;
        server.open().await
    };
    send(&mut ws, "4hello").await;
    assert_eq!(text(&mut ws).await, "4hello", "no ping is in front of it");
    client.send("4hello").await;
    assert_eq!(client.get().await.text(), "4hello", "no ping is in front of it");
}

#[tokio::test]
async fn clients_that_answer_are_asked_again_and_again() {
    let mut server = serve(Config::new().ping_interval(SOON).ping_timeout(NEVER)).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    let _websocket = server.begun().await;
    let (client, _sender) = server.open().await;
    for _ in 0..5 {
        assert_eq!(text(&mut ws).await, "2");
        send(&mut ws, "3").await;
        assert_eq!(client.get().await.told(), (200, "2"));
        client.send("3").await;
    }
}

#[tokio::test]
async fn client_that_is_asked_is_not_asked_again_before_it_has_answered() {
    let mut server = serve(Config::new().ping_interval(SOON).ping_timeout(NEVER)).await;
    let (client, sender) = server.open().await;
    assert_eq!(client.get().await.told(), (200, "2"));
    tokio::time::sleep(5 * SOON).await;
    assert_eq!(sender.queued(), 0, "no other ping waits");
    client.send("3").await;
    assert_eq!(client.get().await.told(), (200, "2"));
}

#[tokio::test]
async fn clients_that_do_not_answer_are_given_up() {
    let mut server = serve(Config::new().ping_interval(SOON).ping_timeout(SOON)).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    assert_eq!(text(&mut ws).await, "2");
    assert_eq!(closed(&mut ws).await, None);
    assert_eq!(server.ended().await, CloseReason::PingTimeout);

    let _client = crate::sio::Client::open(server.address, PATH).await;
    assert_eq!(server.ended().await, CloseReason::PingTimeout, "though it never polls");
}

#[tokio::test]
async fn ping_of_a_client_is_an_error() {
    for ping in ["2", "2probe"] {
        let mut server = serve(Config::new()).await;
        let (mut ws, _) = open_websocket(server.address, PATH, "").await;
        send(&mut ws, ping).await;
        assert_eq!(closed(&mut ws).await, None);
        assert_eq!(server.ended().await, CloseReason::TransportError);
    }
}

#[tokio::test]
async fn pong_that_nobody_asked_for_is_harmless() {
    let server = serve(Config::new()).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    for packet in ["3", "3late", "5", "6", "4hello"] {
        send(&mut ws, packet).await;
    }
    assert_eq!(text(&mut ws).await, "4hello");
}

#[tokio::test]
async fn ping_that_waits_for_a_poll_goes_over_to_the_websocket() {
    let mut server = serve(Config::new().ping_interval(SOON).ping_timeout(NEVER)).await;
    let (client, sender) = server.open().await;
    crate::sio::until(|| sender.queued() > 0).await;
    let mut ws = client.upgrade().await;
    for _ in 0..3 {
        assert_eq!(text(&mut ws).await, "2");
        send(&mut ws, "3").await;
    }
}
