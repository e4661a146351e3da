//! Sessions that begin with a WebSocket.

use sockeye::{
    CloseCode, DeflateConfig, Message, connect,
    engineio::{CloseReason, Config},
    proto::connection::End,
};

use crate::{
    PATH, WEBSOCKET, serve,
    sio::{closed, message, open_websocket, send, text, unhung},
};

#[tokio::test]
async fn messages_go_both_ways_in_order() {
    let server = serve(Config::new()).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    let messages: [Message; 4] = ["4hello".into(), (&[1, 2, 3]).into(), "4€".into(), (&[]).into()];
    for message in &messages {
        send(&mut ws, message.clone()).await;
    }
    for expected in messages {
        assert_eq!(message(&mut ws).await, expected);
    }
}

#[tokio::test]
async fn binary_may_come_as_base64() {
    let mut server = serve(Config::new()).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    send(&mut ws, "bAQI=").await;
    assert_eq!(server.heard().await, (&[1, 2]).into());
    assert_eq!(message(&mut ws).await, (&[1, 2]).into());
}

#[tokio::test]
async fn client_that_cannot_take_binary_gets_base64() {
    let server = serve(Config::new()).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "&b64=1").await;
    send(&mut ws, "bAQI=").await;
    assert_eq!(text(&mut ws).await, "bAQI=");
    send(&mut ws, "4text").await;
    assert_eq!(text(&mut ws).await, "4text");
}

#[tokio::test]
async fn close_packet_ends_the_session_at_once() {
    let mut server = serve(Config::new()).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    send(&mut ws, "1").await;
    assert_eq!(closed(&mut ws).await, None, "an empty Close");
    assert_eq!(server.ended().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn what_is_no_packet_ends_the_session() {
    for packet in ["", "7", "hello", "b?"] {
        let mut server = serve(Config::new()).await;
        let (mut ws, _) = open_websocket(server.address, PATH, "").await;
        send(&mut ws, packet).await;
        assert_eq!(closed(&mut ws).await, None, "an empty Close for {packet:?}");
        assert_eq!(server.ended().await, CloseReason::ParseError);
    }
}

#[tokio::test]
async fn message_over_the_limit_is_closed_with_1009() {
    let mut server = serve(Config::new().max_payload(1000)).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    let longest = format!("4{}", "a".repeat(999));
    send(&mut ws, longest.clone()).await;
    assert_eq!(text(&mut ws).await, longest);
    send(&mut ws, format!("{longest}a")).await;
    assert_eq!(closed(&mut ws).await.unwrap().code, CloseCode::MESSAGE_TOO_BIG);
    assert_eq!(server.ended().await, CloseReason::TransportError);
}

#[tokio::test]
async fn clients_that_go_end_their_sessions() {
    let mut server = serve(Config::new()).await;
    let (mut ws, _) = open_websocket(server.address, PATH, "").await;
    unhung(ws.close(CloseCode::NORMAL, "bye")).await.unwrap();
    assert!(matches!(ws.end(), Some(End::Closed { .. })));
    assert_eq!(server.ended().await, CloseReason::TransportClose);
    let (ws, _) = open_websocket(server.address, PATH, "").await;
    drop(ws);
    assert_eq!(server.ended().await, CloseReason::TransportClose);
}

#[tokio::test]
async fn deflate_is_agreed_on_where_it_is_configured() {
    for (config, is_compressed) in [(Config::new(), false), (Config::new().deflate(DeflateConfig::default()), true)] {
        let server = serve(config).await;
        let url = format!("ws://{}{WEBSOCKET}", server.address);
        let mut ws = unhung(connect(url).deflate(DeflateConfig::default()).into_future()).await.unwrap();
        assert_eq!(ws.is_compressed(), is_compressed);
        assert!(text(&mut ws).await.starts_with("0{"));
        let long = format!("4{}", "sockeye ".repeat(1000));
        send(&mut ws, long.clone()).await;
        assert_eq!(text(&mut ws).await, long);
    }
}
