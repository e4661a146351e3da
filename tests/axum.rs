//! The extractor for axum, over HTTP/1.1 and HTTP/2, by `axum::serve`.
#![cfg(all(feature = "axum", feature = "http2", feature = "deflate"))]
#![allow(clippy::unwrap_used)] // what fails here fails the test

mod io;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use io::unhung;
use sockeye::{
    CloseCode, Connect, DeflateConfig, Error, Keepalive, Limits, Role, WebSocket,
    axum::{Rejection, Sockets, WebSocketUpgrade},
    client::Http2,
    connect,
    proto::{
        connection::End,
        handshake::{HandshakeError, Origin},
    },
    server::Options,
    stream::Metrics,
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener, sync::oneshot, task::JoinHandle};

async fn echo(mut ws: WebSocket) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// Opens a WebSocket over both versions of HTTP, as `with` says.
async fn over_both(
    address: SocketAddr,
    path: &str,
    with: impl Fn(Connect) -> Connect,
) -> [Result<WebSocket, Error>; 2] {
    let url = format!("ws://{address}{path}");
    let http2 = unhung(Http2::connect(connect(&url[..]))).await.unwrap();
    [unhung(with(connect(&url[..])).into_future()).await, unhung(http2.open(with(connect(&url[..])))).await]
}

fn refused_with(result: Result<WebSocket, Error>) -> (u16, String) {
    match result {
        Err(Error::Handshake(error)) => match *error {
            HandshakeError::Refused(response) => {
                (response.status(), String::from_utf8(response.body.to_vec()).unwrap())
            }
            other => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    }
}

fn close_code(ws: &WebSocket) -> CloseCode {
    match ws.end() {
        Some(End::Closed { theirs: Some(theirs), .. }) => theirs.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn handlers_of_every_shape_are_handlers() {
    async fn named(ws: WebSocketUpgrade) -> Response {
        ws.protocols(["chat"]).deflate(DeflateConfig::default()).on_upgrade(echo)
    }
    async fn with_more(
        Path(room): Path<String>,
        State(prefix): State<&'static str>,
        ws: WebSocketUpgrade,
    ) -> impl IntoResponse {
        ws.on_upgrade(move |mut ws| async move { ws.send(format!("{prefix}{room}")).await })
    }
    async fn fallible(ws: Result<WebSocketUpgrade, Rejection>) -> Result<Response, Rejection> {
        Ok(ws?.on_upgrade(|_ws| async {}))
    }
    async fn page_or_socket(ws: Option<WebSocketUpgrade>) -> Response {
        match ws {
            Some(ws) => ws.on_upgrade(echo),
            None => "a page".into_response(),
        }
    }
    let app = Router::new()
        .route("/named", any(named))
        .route("/rooms/{room}", any(with_more))
        .route("/fallible", any(fallible))
        .route("/page", any(page_or_socket))
        .with_state("room ");
    let address = serve(Router::new().nest("/nested", app.clone()).merge(app)).await;
    for path in ["/named", "/nested/named"] {
        for ws in over_both(address, path, |ws| ws.subprotocols(["x", "chat"]).deflate(DeflateConfig::default())).await
        {
            let mut ws = ws.unwrap();
            assert_eq!((ws.subprotocol(), ws.is_compressed()), (Some("chat"), true));
            ws.send("a".repeat(10_000)).await.unwrap();
            assert_eq!(unhung(ws.recv()).await.unwrap().unwrap().len(), 10_000);
            unhung(ws.close(CloseCode::NORMAL, "")).await.unwrap();
        }
    }
    for ws in over_both(address, "/rooms/7", |ws| ws).await {
        let mut ws = ws.unwrap();
        assert_eq!(unhung(ws.recv()).await.unwrap().unwrap().as_text(), Some("room 7"));
        assert_eq!(unhung(ws.recv()).await.unwrap(), None);
        assert_eq!(close_code(&ws), CloseCode::NORMAL);
    }
    for path in ["/fallible", "/page"] {
        for ws in over_both(address, path, |ws| ws).await {
            ws.unwrap();
        }
    }
    assert!(http_1_1(address, "GET", "/page").await.ends_with("\r\n\r\na page"));
}

/// The whole answer to a request that is not for a WebSocket.
async fn http_1_1(address: SocketAddr, method: &str, path: &str) -> String {
    use tokio::io::AsyncReadExt as _;
    let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    unhung(tcp.read_to_string(&mut answer)).await.unwrap();
    answer
}

#[tokio::test]
async fn rejections_answer_for_themselves() {
    let app = Router::new().route("/", any(async |ws: WebSocketUpgrade| -> Response { ws.on_upgrade(echo) }));
    let address = serve(app).await;
    let answer = http_1_1(address, "GET", "/").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("upgrade: websocket\r\n") && answer.contains("sec-websocket-version: 13\r\n"), "{answer}");

    for refused in over_both(address, "/", |ws| ws.header("Origin", "http://elsewhere.example")).await {
        assert_eq!(refused_with(refused), (403, "this Origin is not let in\n".into()));
    }
}

#[tokio::test]
async fn options_of_the_whole_application_hold() {
    let mut options = Options::default();
    options.origin = Origin::same_host().allow(["http://app.example"]).unwrap();
    options.config.limits = Limits::internet().max_message(10);
    let app = Router::new().route("/", any(async |ws: WebSocketUpgrade| -> Response { ws.on_upgrade(echo) }));
    let address = serve(app.layer(Extension(options))).await;
    for ws in over_both(address, "/", |ws| ws.header("Origin", "http://app.example")).await {
        let mut ws = ws.unwrap();
        ws.send("more than ten bytes").await.unwrap();
        while let Ok(Some(_)) = unhung(ws.recv()).await {}
        assert_eq!(close_code(&ws), CloseCode::MESSAGE_TOO_BIG);
    }
}

#[tokio::test]
async fn metrics_of_the_whole_application_are_told() {
    let log = Arc::new(io::told::Log::default());
    let metrics: Arc<dyn Metrics> = log.clone();
    let app = Router::new().route("/", any(async |ws: WebSocketUpgrade| -> Response { ws.on_upgrade(echo) }));
    let address = serve(app.layer(Extension(metrics))).await;
    for (number, ws) in over_both(address, "/", |ws| ws).await.into_iter().enumerate() {
        let mut ws = ws.unwrap();
        assert_eq!(unhung(log.line(1 + number)).await, "opened");
        ws.send("hello").await.unwrap();
        assert!(unhung(ws.recv()).await.unwrap().is_some());
        unhung(ws.close(CloseCode::NORMAL, "bye")).await.unwrap();
        assert_eq!(unhung(log.line(3 + number)).await, "closed by the peer with 1000 (\"bye\")");
    }
    // Masked there, unmasked back: a text of 5 bytes, and a Close of 5.
    assert_eq!(log.bytes(), [2 * (6 + 5 + 6 + 5), 2 * (2 + 5 + 2 + 5)]);
    for refused in over_both(address, "/", |ws| ws.header("Origin", "http://elsewhere.example")).await {
        assert_eq!(refused_with(refused).0, 403);
    }
    assert_eq!([log.line(5).await, log.line(6).await], ["answered 403", "answered 403"]);
}

/// What comes of a request for a WebSocket, to a client that says nothing more: its frames up to the end.
async fn frames_of_silence(app: Router) -> Vec<io::Frame> {
    let mut peer = io::Peer::new(tokio::net::TcpStream::connect(serve(app).await).await.unwrap(), Role::Client);
    peer.io.write_all(format!("{}\r\n", io::tcp::REQUEST).as_bytes()).await.unwrap();
    peer.recv_head().await;
    let mut frames = Vec::new();
    while let Some(frame) = unhung(peer.recv()).await {
        frames.push(frame);
    }
    frames
}

#[tokio::test]
async fn client_that_answers_no_ping_is_let_go() {
    let keepalive = Keepalive { interval: Duration::from_millis(10), timeout: Duration::from_millis(10) };
    let keepalive = async move |ws: WebSocketUpgrade| -> Response { ws.keepalive(Some(keepalive)).on_upgrade(echo) };
    let frames = frames_of_silence(Router::new().route("/chat", any(keepalive))).await;
    assert_eq!(frames[0].0, io::PING);
}

#[tokio::test]
async fn client_that_answers_no_close_is_let_go() {
    let limits = Limits::internet().close_timeout(Duration::from_millis(10));
    let hang_up = async move |ws: WebSocketUpgrade| -> Response { ws.limits(limits).on_upgrade(|_ws| async {}) };
    let frames = frames_of_silence(Router::new().route("/chat", any(hang_up))).await;
    assert_eq!(frames, [(io::CLOSE, io::close_payload(CloseCode::NORMAL, ""))]);
}

#[tokio::test]
async fn handler_that_fails_closes_with_1011() {
    let app = Router::new().route(
        "/",
        get(async |ws: WebSocketUpgrade| -> Response { ws.on_upgrade(|_ws| async { Err("no such room") }) }),
    );
    let mut ws = unhung(connect(format!("ws://{}/", serve(app).await)).into_future()).await.unwrap();
    assert_eq!(unhung(ws.recv()).await.unwrap(), None);
    assert_eq!(close_code(&ws), CloseCode::INTERNAL_ERROR);
}

/// An application that is shut down, and when its server has returned.
async fn with_shutdown() -> (SocketAddr, Sockets, oneshot::Sender<()>, JoinHandle<()>) {
    let sockets = Sockets::new();
    let app = Router::new()
        .route("/", any(async |ws: WebSocketUpgrade| -> Response { ws.on_upgrade(echo) }))
        .layer(Extension(sockets.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (shut_down, signal) = oneshot::channel();
    let ours = sockets.clone();
    let serving = tokio::spawn(async move {
        let shutdown = async move {
            let _ = signal.await;
            ours.shut_down(Duration::from_secs(60)).await;
        };
        axum::serve(listener, app).with_graceful_shutdown(shutdown).await.unwrap();
    });
    (address, sockets, shut_down, serving)
}

#[tokio::test]
async fn graceful_shutdown_closes_with_1001_and_waits() {
    let (address, sockets, shut_down, serving) = with_shutdown().await;
    let mut all = over_both(address, "/", |ws| ws).await.map(Result::unwrap);
    for ws in &mut all {
        ws.send("here").await.unwrap();
        assert!(unhung(ws.recv()).await.unwrap().is_some());
    }
    assert_eq!(sockets.len(), 2);
    shut_down.send(()).unwrap();
    for ws in &mut all {
        assert_eq!(unhung(ws.recv()).await.unwrap(), None);
        assert_eq!(close_code(ws), CloseCode::GOING_AWAY);
    }
    unhung(serving).await.unwrap();
    assert!(sockets.is_empty());
}
