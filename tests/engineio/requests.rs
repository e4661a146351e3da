//! Handshakes, and requests that are refused.

use axum::{Router, routing::get};
use sockeye::engineio::Config;

use crate::{
    PATH, POLLING, WEBSOCKET, error, serve,
    sio::{Client, listener, open_websocket, request, sid},
};

/// What asks for a WebSocket, beside the target.
const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn open_packet(sid: &str, upgrades: &str) -> String {
    format!(
        r#"0{{"sid":"{sid}","upgrades":[{upgrades}],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}}"#
    )
}

#[tokio::test]
async fn handshake_by_polling_has_exactly_these_keys_and_headers() {
    let server = serve(Config::new()).await;
    let response = request(server.address, "GET", POLLING, &[], b"").await;
    assert_eq!(response.status, 200);
    let sid = sid(response.text());
    assert_eq!(sid.len(), 20);
    assert!(sid.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sid}");
    assert_eq!(response.text(), open_packet(&sid, r#""websocket""#));
    assert_eq!(response.header("content-type").unwrap(), "text/plain; charset=UTF-8");
    assert_eq!(response.header("cache-control").unwrap(), "no-store");
    assert_eq!(response.header("content-length").unwrap(), response.body.len().to_string());
    for absent in ["set-cookie", "access-control-allow-origin", "vary", "content-encoding"] {
        assert_eq!(response.header(absent), None);
    }
}

#[tokio::test]
async fn handshake_by_websocket_offers_no_upgrade() {
    let server = serve(Config::new()).await;
    let (_ws, open) = open_websocket(server.address, PATH, "").await;
    assert_eq!(open, open_packet(&sid(&open), ""));
}

#[tokio::test]
async fn handshake_says_what_was_configured() {
    use std::time::Duration;
    let config = Config::new()
        .path("/sub/eio")
        .ping_interval(Duration::from_millis(1500))
        .ping_timeout(Duration::from_millis(700))
        .max_payload(4096)
        .without_upgrades();
    let server = serve(config).await;
    let response = request(server.address, "GET", "/sub/eio?transport=polling&EIO=4", &[], b"").await;
    let expected = r#","upgrades":[],"pingInterval":1500,"pingTimeout":700,"maxPayload":4096}"#;
    assert!(response.text().ends_with(expected), "{}", response.text());
}

#[tokio::test]
async fn path_is_a_prefix_with_its_slash() {
    let server = serve(Config::new()).await;
    for (path, status) in [
        ("/engine.io/", 200),
        ("/engine.io/anything/else", 200),
        ("/engine.io", 404),
        ("/engine.iox/", 404),
        ("/", 404),
        ("/x/engine.io/", 404),
    ] {
        let response = request(server.address, "GET", &format!("{path}?EIO=4&transport=polling"), &[], b"").await;
        assert_eq!(response.status, status, "{path}");
    }
}

#[tokio::test]
async fn requests_are_refused_with_the_code_of_the_first_fault() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    let of_session = client.target("polling");
    let of_websocket = client.target("websocket");
    let version_3 = of_session.replace("EIO=4", "EIO=3");
    let illegal = [("Origin", "http://\u{e9}.example")];
    let cases = [
        ("GET", "/engine.io/", &[][..], 0, "Transport unknown"),
        ("GET", "/engine.io/?EIO=4", &[], 0, "Transport unknown"),
        ("GET", "/engine.io/?EIO=4&transport=tobi", &[], 0, "Transport unknown"),
        ("GET", "/engine.io/?EIO=4&transport=webtransport", &[], 0, "Transport unknown"),
        ("GET", "/engine.io/?EIO=4&transport=polling&sid=nobody", &[], 1, "Session ID unknown"),
        ("POST", "/engine.io/?EIO=4&transport=polling&sid=aaaaaaaaaaaaaaaaaaaa", &[], 1, "Session ID unknown"),
        ("GET", "/engine.io/?EIO=4&transport=polling&sid=", &[], 1, "Session ID unknown"),
        ("POST", POLLING, &[], 2, "Bad handshake method"),
        ("PUT", POLLING, &[], 2, "Bad handshake method"),
        ("OPTIONS", POLLING, &[], 2, "Bad handshake method"),
        ("GET", POLLING, &illegal, 3, "Bad request"),
        ("GET", WEBSOCKET, &[], 3, "Bad request"),
        ("GET", &of_websocket, &[], 3, "Bad request"),
        ("GET", &version_3, &[], 3, "Bad request"),
        ("PUT", &of_session, &[], 3, "Bad request"),
        ("DELETE", &of_session, &[], 3, "Bad request"),
        ("GET", "/engine.io/?transport=polling", &[], 5, "Unsupported protocol version"),
        ("GET", "/engine.io/?EIO=3&transport=polling", &[], 5, "Unsupported protocol version"),
        ("GET", "/engine.io/?EIO=5&transport=polling", &[], 5, "Unsupported protocol version"),
    ];
    for (method, target, headers, code, message) in cases {
        let response = request(server.address, method, target, headers, b"").await;
        assert_eq!(response.told(), (400, &*error(code, message)), "{method} {target}");
        assert_eq!(response.header("content-type").unwrap(), "application/json");
    }
    client.send("4still here").await;
    assert_eq!(client.get().await.told(), (200, "4still here"));
    assert_eq!(server.engine.len(), 1, "none of them began a session");
}

#[tokio::test]
async fn websockets_are_refused_before_their_101_with_the_message_alone() {
    let mut server = serve(Config::new()).await;
    let (client, _sender) = server.open().await;
    let version_3 = WEBSOCKET.replace("EIO=4", "EIO=3");
    let session_of_version_3 = client.target("websocket").replace("EIO=4", "EIO=3");
    for (target, message) in [
        ("/engine.io/?EIO=4", "Transport unknown"),
        ("/engine.io/?EIO=4&transport=websocket&sid=nobody", "Session ID unknown"),
        (POLLING, "Bad request"),
        (&client.target("polling"), "Bad request"),
        (&session_of_version_3, "Bad request"),
        (&version_3, "Unsupported protocol version"),
    ] {
        let response = request(server.address, "GET", target, &UPGRADE, b"").await;
        assert_eq!(response.told(), (400, message), "{target}");
        assert_eq!(response.header("content-type").unwrap(), "text/html");
        assert_eq!(response.header("connection").unwrap(), "close");
    }
    let without_key = request(server.address, "GET", WEBSOCKET, &UPGRADE[..3], b"").await;
    assert_eq!(without_key.told(), (400, "Bad request"));
    assert_eq!(server.engine.len(), 1, "none of them began a session");
}

#[tokio::test]
async fn upgrade_to_something_else_is_none() {
    // As Java's HttpClient asks for HTTP/2; a server may ignore it (RFC 9110 §7.8).
    let headers =
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAEAAEAAAAIAAAABAAMAAABk")];
    let server = serve(Config::new()).await;
    let response = request(server.address, "GET", POLLING, &headers, b"").await;
    assert_eq!(response.status, 200, "{}", response.text());
    let response = request(server.address, "GET", WEBSOCKET, &headers, b"").await;
    assert_eq!(response.told(), (400, &*error(3, "Bad request")));
}

#[tokio::test]
async fn transports_that_are_turned_off_are_unknown() {
    let polling = serve(Config::new().polling_only()).await;
    let response = request(polling.address, "GET", POLLING, &[], b"").await;
    assert_eq!(response.text(), open_packet(&sid(response.text()), ""));
    let response = request(polling.address, "GET", WEBSOCKET, &UPGRADE, b"").await;
    assert_eq!(response.told(), (400, "Transport unknown"));

    let websocket = serve(Config::new().websocket_only()).await;
    let response = request(websocket.address, "GET", POLLING, &[], b"").await;
    assert_eq!(response.told(), (400, &*error(0, "Transport unknown")));
    let (_ws, open) = open_websocket(websocket.address, PATH, "").await;
    assert_eq!(open, open_packet(&sid(&open), ""));
}

#[tokio::test]
async fn requests_of_others_pass_the_layer() {
    let server = serve(Config::new()).await;
    let app: Router = Router::new().route("/", get(|| async { "a page" })).layer(server.engine.layer());
    let (listener, address) = listener().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    assert_eq!(request(address, "GET", "/", &[], b"").await.told(), (200, "a page"));
    assert_eq!(request(address, "GET", "/engine.io", &[], b"").await.status, 404);
    let client = Client::open(address, PATH).await;
    client.send("4hello").await;
    assert_eq!(client.get().await.told(), (200, "4hello"));
    let mut ws = client.upgrade().await;
    crate::sio::send(&mut ws, "4there").await;
    assert_eq!(crate::sio::text(&mut ws).await, "4there");
}

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_order() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = serve(Config::new()).await;
    let mut tcp = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET {POLLING} HTTP/1.1\r\nHost: a\r\n\r\n");
    tcp.write_all(request.repeat(3).as_bytes()).await.unwrap();
    let mut read = Vec::new();
    while String::from_utf8_lossy(&read).matches("\"maxPayload\":1000000}").count() < 3 {
        assert!(crate::sio::unhung(tcp.read_buf(&mut read)).await.unwrap() > 0);
    }
    assert_eq!(server.engine.len(), 3);
}
