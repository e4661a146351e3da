//! `Server` over TCP: how handlers end, how requests are judged, and how it shuts down.
#![cfg(all(feature = "client", feature = "server"))]

mod io;

use std::{sync::Arc, time::Duration};

use io::{
    CLOSE, Peer, TEXT, close_payload,
    tcp::{REQUEST, bind, echo, serve},
    unhung,
};
use sockeye::{
    CloseCode, Config, Error, Limits, Role, WebSocket, connect,
    proto::{
        connection::{End, Initiator},
        handshake::{Accept, HandshakeError, Request, Response},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Notify, oneshot},
    task::JoinHandle,
};

/// The code with which a server closes behind a handler of this kind.
async fn code_behind<F>(handler: impl Fn(WebSocket) -> F + Send + Sync + 'static) -> u16
where
    F: Future<Output = Result<(), &'static str>> + Send + 'static,
{
    let server = serve(bind().await, move |ws, _request| handler(ws));
    unhung(async {
        let mut client = connect(server.url()).await.expect("the server accepts");
        client.feed("message").await.expect("the server is there");
        assert_eq!(client.recv().await.expect("a clean close"), None, "a clean close");
        let Some(End::Closed { by: Initiator::Peer, theirs: Some(close), .. }) = client.end() else {
            panic!("{:?}", client.end())
        };
        close.code.get()
    })
    .await
}

#[tokio::test]
async fn both_ends_know_each_others_address() {
    let server = serve(bind().await, async |mut ws: WebSocket, _request| {
        ws.send(ws.peer_addr().expect("it is TCP").to_string()).await
    });
    unhung(async {
        let tcp = TcpStream::connect(server.address).await.unwrap();
        let ours = tcp.local_addr().unwrap();
        let (mut client, _) = connect(server.url()).over(tcp).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some(ours.to_string().into()));
        let client = connect(server.url()).await.unwrap();
        assert_eq!(client.peer_addr(), Some(server.address));
        let (io, _far) = tokio::io::duplex(64);
        assert_eq!(sockeye::Transport::new(io).peer_addr(), None);
    })
    .await;
}

#[tokio::test]
async fn handler_that_returns_ok_closes_with_1000() {
    assert_eq!(code_behind(async |_ws| Ok(())).await, 1000);
}

#[tokio::test]
async fn handler_that_returns_an_error_closes_with_1011() {
    assert_eq!(code_behind(async |_ws| Err("out of order")).await, 1011);
}

#[tokio::test]
async fn handler_that_drops_the_websocket_and_then_fails_closes_with_1011() {
    let handler = async |ws| {
        drop(ws);
        Err("out of order")
    };
    assert_eq!(code_behind(handler).await, 1011);
}

#[tokio::test]
async fn handler_that_splits_and_drops_the_halves_closes_with_1000() {
    let handler = async |ws: WebSocket| {
        let (sender, receiver) = ws.split();
        drop(receiver);
        drop(sender);
        Ok(())
    };
    assert_eq!(code_behind(handler).await, 1000);
}

#[tokio::test]
async fn handler_that_closes_chooses_the_code() {
    let handler = async |mut ws: WebSocket| {
        ws.close(CloseCode::POLICY_VIOLATION, "").await.map_err(|_| "not clean")?;
        Err("too late to be told")
    };
    assert_eq!(code_behind(handler).await, 1008);
}

#[tokio::test]
async fn handler_that_returns_what_it_queued_sends_it_first() {
    let server = serve(bind().await, async |mut ws: WebSocket, _request: Request| {
        ws.feed("last words").await?;
        Ok::<_, Error>(())
    });
    unhung(async {
        let mut client = connect(server.url()).await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("last words".into()));
        assert_eq!(client.recv().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn judge_accepts_with_subprotocol_and_headers_or_rejects_with_a_response() {
    let server = bind().await.judge(|request, _peer| {
        std::future::ready(match request.path() {
            "/chat" => {
                let subprotocol = request.choose_subprotocol(["v2", "v1"]).map(String::from);
                let mut accept = Accept { subprotocol, ..Accept::default() };
                accept.headers.push("X-Room", request.query().unwrap_or("none")).expect("a query is fit for a header");
                Ok(accept)
            }
            _ => {
                let mut response = Response::new(403).expect("403 is a status");
                response.headers.push("X-Why", "no such room").expect("a valid header");
                response.body = "ask for /chat\n".into();
                Err(response)
            }
        })
    });
    let server = serve(server, echo);
    unhung(async {
        let url = format!("{}?blue", server.url());
        let (mut client, response) = connect(url).subprotocols(["v1", "v2"]).with_response().await.unwrap();
        assert_eq!(client.subprotocol(), Some("v2"));
        assert_eq!(response.headers.get_str("X-Room"), Some("blue"));
        client.send("message").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("message".into()));
        assert_eq!(connect(server.url()).subprotocols(["v3"]).await.unwrap().subprotocol(), None);

        let refused = connect(format!("ws://{}/other", server.address)).await.unwrap_err();
        let Error::Handshake(refused) = refused else { panic!("{refused:?}") };
        let HandshakeError::Refused(response) = *refused else { panic!("{refused:?}") };
        assert_eq!(response.status(), 403);
        assert_eq!(response.headers.get_str("X-Why"), Some("no such room"));
        assert_eq!(response.body, "ask for /chat\n");
    })
    .await;
}

#[tokio::test]
async fn fallback_answers_what_is_no_upgrade_and_nothing_else() {
    let page = bind().await.fallback(|request| {
        let mut page = Response::new(if request.path() == "/" { 200 } else { 404 }).expect("a status");
        page.body = "a page".into();
        page
    });
    let server = serve(page, echo);
    unhung(async {
        for (path, status) in [("/", "200 OK"), ("/favicon.ico", "404 Not Found")] {
            let mut browser = server.tcp().await;
            browser.io.write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            browser.io.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")) && answer.ends_with("a page"), "{answer}");
        }
        connect(server.url()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn request_without_upgrade_is_told_426_by_a_server_without_fallback() {
    let server = serve(bind().await, echo);
    unhung(async {
        let mut browser = server.tcp().await;
        browser.io.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let head = browser.recv_head().await;
        assert!(head.starts_with("HTTP/1.1 426 ") && head.contains("Sec-WebSocket-Version: 13\r\n"), "{head}");
    })
    .await;
}

#[tokio::test]
async fn frames_right_behind_the_request_are_used() {
    let server = serve(bind().await, echo);
    unhung(async {
        let mut peer = server.tcp().await;
        let frames = [
            io::frame(Role::Client, TEXT, b"early"),
            io::frame(Role::Client, CLOSE, &close_payload(CloseCode::NORMAL, "")),
        ];
        let all = [format!("{REQUEST}\r\n").as_bytes(), &frames.concat()].concat();
        peer.io.write_all(&all).await.unwrap();
        assert!(peer.recv_head().await.starts_with("HTTP/1.1 101 "));
        assert_eq!(peer.recv().await, Some((TEXT, b"early".to_vec())));
        assert_eq!(peer.recv_close().await, 1000);
        assert_eq!(peer.recv().await, None);
    })
    .await;
}

#[tokio::test]
async fn client_that_asks_for_nothing_is_told_408() {
    let server = serve(bind().await.limits(Limits::internet().handshake_timeout(Duration::from_millis(20))), echo);
    unhung(async {
        for begun in ["", REQUEST] {
            let mut silent = server.tcp().await;
            silent.io.write_all(begun.as_bytes()).await.unwrap();
            let mut answer = String::new();
            silent.io.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            assert!(answer.ends_with("\r\n\r\nthe request did not come within 20ms\n"), "{answer}");
        }
    })
    .await;
}

/// A server that can be shut down.
struct Stopping {
    url: String,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<std::io::Result<()>>,
}

async fn stopping<F>(drain: Duration, handler: impl Fn(WebSocket) -> F + Send + Sync + 'static) -> Stopping
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    // A peer that never answers is given up by the drain timeout and not by this one.
    let config = Config::new(Role::Server).limits(Limits::internet().close_timeout(Duration::from_secs(3600)));
    let server = bind().await.drain_timeout(drain).config(config);
    let address = server.local_addr().expect("it is bound");
    let (stop, stops) = oneshot::channel();
    let stops = async { stops.await.expect("the test stops it") };
    let stopped = tokio::spawn(server.serve_until(move |ws, _request| handler(ws), stops));
    Stopping { url: format!("ws://{address}"), address, stop, stopped }
}

const LONG: Duration = Duration::from_secs(3600);

async fn read_to_the_end(mut ws: WebSocket) -> Result<(), Error> {
    while ws.recv().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn shutdown_closes_all_with_1001_and_returns_when_they_have_left() {
    let server = stopping(LONG, read_to_the_end).await;
    unhung(async {
        let mut clients = Vec::new();
        for _ in 0..10 {
            clients.push(connect(&*server.url).await.unwrap());
        }
        server.stop.send(()).unwrap();
        for client in &mut clients {
            assert_eq!(client.recv().await.unwrap(), None);
            assert_eq!(client.end().unwrap().close_frame().unwrap().code, CloseCode::GOING_AWAY);
        }
        server.stopped.await.unwrap().unwrap();
        assert!(TcpStream::connect(server.address).await.is_err(), "nobody listens any more");
    })
    .await;
}

#[tokio::test]
async fn shutdown_without_connections_returns() {
    let server = stopping(LONG, read_to_the_end).await;
    server.stop.send(()).unwrap();
    unhung(server.stopped).await.unwrap().unwrap();
}

/// Shuts down while a handler waits for something other than its connection.
async fn shut_down_beside_a_busy_handler(has_received: bool) {
    let (waits, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (waits, go_on) = (Arc::clone(&waits), Arc::clone(&go_on));
        move |mut ws: WebSocket| {
            let (waits, go_on) = (Arc::clone(&waits), Arc::clone(&go_on));
            async move {
                if has_received {
                    ws.recv().await?;
                }
                waits.notify_one();
                go_on.notified().await;
                read_to_the_end(ws).await
            }
        }
    };
    let server = stopping(LONG, handler).await;
    unhung(async {
        let mut client = connect(&*server.url).await.expect("the server accepts");
        client.send("work").await.expect("the server is there");
        waits.notified().await;
        server.stop.send(()).expect("the server runs");
        assert!(
            client.recv_event().await.expect("the connection is open").is_some(),
            "the Close comes while the handler works"
        );
        go_on.notify_one();
        assert_eq!(client.recv().await.expect("a clean close"), None);
        server.stopped.await.expect("no panic").expect("no error");
    })
    .await;
}

#[tokio::test]
async fn shutdown_reaches_the_client_of_a_handler_that_works_on_a_message() {
    shut_down_beside_a_busy_handler(true).await;
}

#[tokio::test]
async fn shutdown_reaches_the_client_of_a_handler_that_has_not_received_yet() {
    shut_down_beside_a_busy_handler(false).await;
}

#[tokio::test]
async fn shutdown_drops_a_peer_that_never_answers_behind_the_drain_timeout() {
    let server = stopping(Duration::from_millis(50), read_to_the_end).await;
    unhung(async {
        let mut peer = Peer::new(TcpStream::connect(server.address).await.unwrap(), Role::Client);
        peer.io.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
        assert!(peer.recv_head().await.starts_with("HTTP/1.1 101 "));
        server.stop.send(()).unwrap();
        server.stopped.await.unwrap().unwrap();
        assert_eq!(peer.recv_close().await, 1001);
        assert_eq!(peer.recv().await, None, "it was dropped");
    })
    .await;
}

#[tokio::test]
async fn shutdown_drops_a_handler_that_never_returns_behind_the_drain_timeout() {
    let server = stopping(Duration::from_millis(50), async |ws| {
        std::future::pending::<()>().await;
        drop(ws);
        Ok(())
    })
    .await;
    unhung(async {
        let mut client = connect(&*server.url).await.unwrap();
        server.stop.send(()).unwrap();
        server.stopped.await.unwrap().unwrap();
        // With the Close that was sent before, or without it.
        assert!(matches!(client.recv().await, Ok(None) | Err(Error::Lost)));
    })
    .await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_those_who_have_not_asked_for_anything() {
    let server = stopping(LONG, read_to_the_end).await;
    unhung(async {
        let mut silent = Peer::new(TcpStream::connect(server.address).await.unwrap(), Role::Client);
        // The one that comes behind is served, so the silent one has been accepted.
        let mut client = connect(&*server.url).await.unwrap();
        server.stop.send(()).unwrap();
        assert_eq!(client.recv().await.unwrap(), None);
        server.stopped.await.unwrap().unwrap();
        let read = silent.io.read(&mut [0; 16]).await;
        assert_eq!(read.unwrap_or(0), 0, "not a 408, as its handshake timeout would send it");
    })
    .await;
}

#[tokio::test]
async fn metrics_are_told_of_every_connection_once() {
    let log = Arc::new(io::told::Log::default());
    let server = io::tcp::serve(bind().await.metrics(Arc::clone(&log) as Arc<_>).max_connections(1), io::tcp::echo);
    unhung(async {
        let mut ws = connect(server.url()).await.unwrap();
        ws.send("hello").await.unwrap();
        ws.recv().await.unwrap();
        assert!(connect(server.url()).await.is_err());
        assert_eq!(log.line(2).await, "answered 503");
        ws.close(CloseCode::NORMAL, "bye").await.unwrap();
        assert_eq!(log.line(3).await, "closed by the peer with 1000 (\"bye\")");
        // Masked there, unmasked back: a text of 5 bytes, and a Close of 5.
        assert_eq!(log.bytes(), [6 + 5 + 6 + 5, 2 + 5 + 2 + 5]);
        let lost = loop {
            if let Ok(client) = connect(server.url()).await {
                break client;
            }
        };
        let before = log.len();
        drop(lost);
        assert!(log.line(before + 1).await.starts_with("lost"));
    })
    .await;
}
