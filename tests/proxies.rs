//! Through real proxies: `tests/proxies/run` starts them and says where they are.
#![cfg(all(
    feature = "client",
    feature = "deflate",
    feature = "http2",
    feature = "proxy",
    feature = "rustls",
    feature = "socketio"
))]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::env;

use sockeye::{
    CloseCode, Connect, DeflateConfig, Error, Message, ProxyError, WebSocket,
    client::{Http2, Proxy},
    connect,
    proto::{
        connection::{End, Initiator},
        handshake::HandshakeError,
    },
    tls::ClientTls,
};

mod sio;

fn port(name: &str) -> String {
    env::var(name).expect("tests/proxies/run sets it")
}

fn trusting(connect: Connect) -> Connect {
    connect
        .tls(ClientTls::with_roots(&std::fs::read(port("ROOTS")).unwrap()).unwrap())
        .deflate(DeflateConfig::default())
}

/// Small, large and compressed messages both ways, and a clean end.
async fn talk(mut ws: WebSocket) {
    let large: Vec<u8> = (0..900_000u32).map(|n| (n ^ (n >> 7)) as u8).collect();
    for message in [Message::from("hello"), Message::from(large), Message::from("compressed ".repeat(10_000))] {
        ws.send(message.clone()).await.unwrap();
        assert!(ws.recv().await.unwrap() == Some(message), "what comes back is what was sent");
    }
    ws.close(CloseCode::NORMAL, "done").await.unwrap();
    assert!(matches!(ws.end(), Some(End::Closed { by: Initiator::Us, .. })), "{:?}", ws.end());
}

#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn server_behind_nginx_and_haproxy_echoes() {
    for name in ["NGINX", "HAPROXY"] {
        talk(trusting(connect(format!("ws://127.0.0.1:{}/", port(name)))).proxy(Proxy::none()).await.unwrap()).await;
        let url = format!("wss://localhost:{}/", port(&format!("{name}_TLS")));
        talk(trusting(connect(url)).proxy(Proxy::none()).await.unwrap()).await;
    }
}

/// RFC 8441 to the proxy, and to the server either that or an upgrade of HTTP/1.1; and the other way round.
#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn websockets_over_http2_go_through_nghttpx() {
    for (name, version) in [("NGHTTPX_H1", "HTTP/1.1"), ("NGHTTPX_H2", "HTTP/2.0")] {
        let host = format!("localhost:{}", port(name));
        let url = || trusting(connect(format!("wss://{host}/echo"))).proxy(Proxy::none());
        let http2 = Http2::connect(url()).await.unwrap();
        let (first, second) = tokio::join!(http2.open(url()), http2.open(url()));
        tokio::join!(talk(first.unwrap()), talk(second.unwrap()));
        talk(url().http2().await.unwrap()).await;
        talk(url().await.unwrap()).await;

        // The server says how it was asked.
        for asking in [http2.open(url().subprotocols(["version"])).await, url().subprotocols(["version"]).await] {
            let mut ws = asking.unwrap();
            assert_eq!(ws.recv().await.unwrap().unwrap().as_text(), Some(version));
            talk(ws).await;
        }
        talk(http2.open(url().header("Origin", format!("https://{host}"))).await.unwrap()).await;
        let refused = http2.open(url().header("Origin", "https://evil.example")).await.unwrap_err();
        assert_eq!(status(&refused), 403, "{refused}");
    }
}

/// A page of the proxy's own host is one of the server's, if the proxy forwards `Host`.
#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn server_behind_nginx_lets_its_own_pages_in_and_no_others() {
    let url = || connect(format!("wss://localhost:{}/", port("NGINX_TLS"))).proxy(Proxy::none());
    let origin = format!("https://localhost:{}", port("NGINX_TLS"));
    talk(trusting(url()).header("Origin", origin).await.unwrap()).await;
    let refused = trusting(url()).header("Origin", "https://evil.example").await.unwrap_err();
    assert_eq!(status(&refused), 403, "{refused}");
}

#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn proxy_that_forgets_the_upgrade_is_seen_by_its_status() {
    let url = format!("ws://127.0.0.1:{}/forgetful", port("NGINX"));
    let refused = connect(url).proxy(Proxy::none()).await.unwrap_err();
    assert!(matches!(status(&refused), 200 | 400 | 404 | 426), "{refused}");
}

fn status(error: &Error) -> u16 {
    let Error::Handshake(error) = error else { panic!("{error:?}") };
    let HandshakeError::Refused(response) = &**error else { panic!("{error:?}") };
    response.status()
}

#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn client_goes_through_tinyproxy_with_its_password() {
    let proxy = |user: &str| Proxy::new(&format!("http://{user}127.0.0.1:{}", port("TINYPROXY"))).unwrap();
    for url in [format!("ws://127.0.0.1:{}/", port("ECHO")), format!("wss://localhost:{}/", port("NGINX_TLS"))] {
        talk(trusting(connect(&*url)).proxy(proxy("ann:secret@")).await.unwrap()).await;
        let refused = connect(&*url).proxy(proxy("ann:wrong@")).await.unwrap_err();
        let Error::Proxy(refused) = refused else { panic!("{refused:?}") };
        assert!(matches!(*refused, ProxyError::Refused { status: 401 | 407, .. }), "{refused}");
    }
}

/// As systemd's socket activation does it.
#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn server_that_was_given_its_listener_echoes() {
    talk(connect(format!("ws://127.0.0.1:{}/", port("ACTIVATED"))).proxy(Proxy::none()).await.unwrap()).await;
}

#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn client_goes_through_dante() {
    for scheme in ["socks5", "socks5h"] {
        let proxy = || Proxy::new(&format!("{scheme}://127.0.0.1:{}", port("DANTE"))).unwrap();
        let url = format!("ws://127.0.0.1:{}/", port("ECHO"));
        talk(connect(url).deflate(DeflateConfig::default()).proxy(proxy()).await.unwrap()).await;
        let nobody = connect("ws://127.0.0.1:1/").proxy(proxy()).await.unwrap_err();
        assert!(matches!(nobody, Error::Proxy(_)), "{nobody:?}");
    }
}

/// What a browser's client does: it polls, goes over to a WebSocket, and comes back later with a WebSocket alone.
#[tokio::test]
#[ignore = "tests/proxies/run starts the proxies"]
async fn socketio_behind_nginx_and_haproxy_polls_and_goes_over() {
    let large = format!(r#"42["msg","{}"]"#, "a".repeat(900_000));
    for name in ["NGINX", "HAPROXY"] {
        let address = format!("127.0.0.1:{}", port(name)).parse().unwrap();
        let client = sio::Client::open(address, "/socket.io/").await;
        client.send("40").await;
        assert!(client.get().await.text().starts_with("40{"));
        // A poll waits at the server, and what is said meanwhile answers it.
        let poll = client.poll();
        client.send(r#"42["msg","while it waits"]"#).await;
        assert_eq!(poll.await.unwrap().told(), (200, r#"42["msg","while it waits"]"#));
        client.send(&large).await;
        assert_eq!(client.get().await.told(), (200, &*large));
        let mut ws = client.upgrade().await;
        sio::send(&mut ws, &*large).await;
        assert!(sio::text(&mut ws).await == large);

        let (mut ws, _) = sio::open_websocket(address, "/socket.io/", "").await;
        sio::send(&mut ws, "40").await;
        assert!(sio::text(&mut ws).await.starts_with("40{"));
        sio::send(&mut ws, r#"42["msg","alone"]"#).await;
        assert_eq!(sio::text(&mut ws).await, r#"42["msg","alone"]"#);
    }
}
