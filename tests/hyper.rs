//! Requests that hyper has read, over HTTP/1.1: what [`sockeye::hyper`] makes of them.
#![cfg(all(feature = "hyper", feature = "client", feature = "deflate"))]

mod io;

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use io::{BINARY, CLOSE, Peer, TEXT, close_payload, tcp::REQUEST, unhung};
use sockeye::{
    CloseCode, DeflateConfig, Error, Keepalive, Limits, Role, WebSocket,
    hyper::{Rejection, Sockets, WebSocketLayer, WebSocketUpgrade},
    proto::{
        connection::End,
        handshake::{HandshakeError, Origin, Refusal},
        http::Version,
    },
    server::{Budget, Options},
    stream::Metrics,
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

type Upgrade = WebSocketUpgrade<Full<Bytes>>;

/// A server that hands each upgrade to `answer`.
async fn serve<A>(answer: A) -> SocketAddr
where
    A: Fn(Upgrade) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let answer = Arc::new(answer);
    listen(move || {
        let answer = Arc::clone(&answer);
        service_fn(move |mut request: Request<Incoming>| {
            let response = match Upgrade::from_request(&mut request) {
                Ok(upgrade) => answer(upgrade),
                Err(rejection) => rejection.into_response(),
            };
            async { Ok::<_, Infallible>(response) }
        })
    })
    .await
}

async fn listen<N, S>(new_service: N) -> SocketAddr
where
    N: Fn() -> S + Send + 'static,
    S: hyper::service::Service<
            Request<Incoming>,
            Response = Response<Full<Bytes>>,
            Error = Infallible,
            Future: Send + 'static,
        > + Send
        + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let service = new_service();
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection_with_upgrades(TokioIo::new(tcp), service).await;
            });
        }
    });
    address
}

async fn echo(mut ws: WebSocket) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

async fn peer(address: SocketAddr) -> Peer<TcpStream> {
    Peer::new(TcpStream::connect(address).await.expect("the server listens"), Role::Client)
}

/// The head that answers a request, and what is behind it to the connection's end.
async fn ask(address: SocketAddr, request: &str) -> (String, String) {
    let mut peer = peer(address).await;
    peer.io.write_all(request.as_bytes()).await.expect("the server takes a request");
    let head = peer.recv_head().await;
    (head.to_lowercase(), String::from_utf8(peer.rest().await).expect("text"))
}

#[tokio::test]
async fn messages_of_every_size_come_back_compressed_or_not() {
    let address =
        serve(|upgrade| upgrade.deflate(DeflateConfig::default()).protocols(["b", "a"]).on_upgrade(echo)).await;
    for deflate in [None, Some(DeflateConfig::default())] {
        let mut connect = sockeye::connect(format!("ws://{address}/")).subprotocols(["a", "b"]);
        if let Some(deflate) = &deflate {
            connect = connect.deflate(deflate.clone());
        }
        let mut ws = unhung(connect.into_future()).await.expect("it opens");
        assert_eq!((ws.subprotocol(), ws.is_compressed()), (Some("b"), deflate.is_some()));
        for len in [0, 1, 125, 126, 20_000, 1 << 20] {
            ws.send(io::pattern(len)).await.expect("it is open");
            let message = unhung(ws.recv()).await.expect("it is open").expect("an echo");
            assert!(message.as_bytes() == io::pattern(len), "{len} bytes");
        }
        unhung(ws.close(CloseCode::NORMAL, "")).await.expect("it ends cleanly");
    }
}

#[tokio::test]
async fn frames_that_come_with_the_request_are_not_lost() {
    let address = serve(|upgrade| upgrade.on_upgrade(echo)).await;
    let mut peer = peer(address).await;
    let mut bytes = format!("{REQUEST}\r\n").into_bytes();
    bytes.extend(io::frame(Role::Client, TEXT, b"early"));
    peer.io.write_all(&bytes).await.expect("the server takes it");
    assert!(peer.recv_head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(unhung(peer.recv()).await, Some((TEXT, b"early".to_vec())));
}

#[tokio::test]
async fn replies_to_what_came_at_once_leave_in_one_write() {
    // Two frames that were read together are answered together: what the first read of the peer gets is both.
    let address = serve(|upgrade| upgrade.on_upgrade(echo)).await;
    let mut peer = peer(address).await;
    peer.io.write_all(format!("{REQUEST}\r\n").as_bytes()).await.expect("the server takes it");
    peer.recv_head().await;
    let two = [io::frame(Role::Client, TEXT, b"one"), io::frame(Role::Client, TEXT, b"two")].concat();
    peer.io.write_all(&two).await.expect("the server takes it");
    peer.io.readable().await.expect("it answers");
    let mut read = [0; 64];
    let len = peer.io.try_read(&mut read).expect("it is readable");
    assert_eq!(io::parse(&read[..len]), [(TEXT, b"one".to_vec()), (TEXT, b"two".to_vec())]);
}

#[tokio::test]
async fn handler_that_returns_closes_with_1000_and_behind_an_error_with_1011() {
    for (fails, code) in [(false, CloseCode::NORMAL), (true, CloseCode::INTERNAL_ERROR)] {
        let address = serve(move |upgrade| {
            upgrade.on_upgrade(move |mut ws| async move {
                ws.send("hello").await.map_err(|error| error.to_string())?;
                if fails { Err("no such room".to_owned()) } else { Ok(()) }
            })
        })
        .await;
        let mut ws = sockeye::connect(format!("ws://{address}/")).await.expect("it opens");
        assert!(unhung(ws.recv()).await.expect("it is open").is_some());
        assert_eq!(unhung(ws.recv()).await.expect("it ends cleanly"), None);
        let Some(End::Closed { theirs: Some(theirs), .. }) = ws.end() else { panic!("{:?}", ws.end()) };
        assert_eq!(theirs.code, code);
    }
}

#[tokio::test]
async fn handler_without_an_error_may_return_nothing() {
    let address = serve(|upgrade| upgrade.on_upgrade(|ws| async { drop(ws) })).await;
    let mut ws = sockeye::connect(format!("ws://{address}/")).await.expect("it opens");
    assert_eq!(unhung(ws.recv()).await.expect("it ends cleanly"), None);
}

#[tokio::test]
async fn requests_that_are_none_are_told_what_is_wrong_and_the_connection_ends() {
    let address = serve(|upgrade| upgrade.on_upgrade(echo)).await;
    let without = |line: &str| REQUEST.replace(line, "");
    let with = |line: &str| format!("{REQUEST}{line}\r\n");
    let cases = [
        (without("Upgrade: websocket\r\n"), 426, "no Upgrade header"),
        (without("Connection: Upgrade\r\n"), 400, "no Connection header"),
        (REQUEST.replace("GET", "POST"), 405, "method is not GET"),
        (REQUEST.replace("HTTP/1.1", "HTTP/1.0"), 426, "HTTP/1.0"),
        (REQUEST.replace("Version: 13", "Version: 8"), 426, "Sec-WebSocket-Version is not 13"),
        (REQUEST.replace("dGhl", "dGh"), 400, "Sec-WebSocket-Key"),
        (with("Content-Length: 5"), 400, "with a body"),
        (with("Transfer-Encoding: chunked"), 400, "with a body"),
        (with("Sec-WebSocket-Version: 13"), 400, "more than once"),
        (with("Host: localhost"), 400, "more than once"),
        (without("Host: localhost\r\n"), 400, "no Host header"),
        (with("Origin: http://elsewhere.example"), 403, "Origin"),
        (with("Origin: null"), 403, "Origin"),
        (with("Origin: http://a:b"), 403, "Origin"),
        (with("Origin: http://localhost\r\nOrigin: http://localhost"), 400, "more than once"),
        (with("Sec-WebSocket-Extensions: \"deflate"), 400, "Sec-WebSocket-Extensions"),
        (with("Sec-WebSocket-Protocol: a, a"), 400, "twice"),
    ];
    for (request, status, reason) in cases {
        // What is behind it would be a request of its own, if anybody parsed it.
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let (head, rest) = unhung(ask(address, &format!("{request}\r\n{smuggled}"))).await;
        assert!(
            head.starts_with(&format!("http/1.1 {status} ")) || head.starts_with(&format!("http/1.0 {status} ")),
            "{request}{head}"
        );
        assert!(head.contains("connection: close"), "{head}");
        assert!(rest.contains(reason) && !rest.contains("HTTP/1.1 "), "{request}{rest}");
        assert_eq!(head.contains("sec-websocket-version: 13"), status == 426, "{head}");
        assert_eq!(head.contains("allow: get"), status == 405, "{head}");
    }
}

#[tokio::test]
async fn origin_that_the_options_let_in_is_let_in() {
    let address = serve(|upgrade| upgrade.origin(Origin::any()).on_upgrade(echo)).await;
    let connect = sockeye::connect(format!("ws://{address}/")).header("Origin", "http://elsewhere.example");
    unhung(connect.into_future()).await.expect("it opens");
}

#[tokio::test]
async fn response_has_the_callers_headers_and_none_of_the_handshakes_own() {
    let address = serve(|upgrade| match upgrade.header("Set-Cookie", "a=b") {
        Ok(upgrade) => upgrade.on_upgrade(echo),
        Err(_) => unreachable!("it is a header"),
    })
    .await;
    let connect = sockeye::connect(format!("ws://{address}/")).with_response();
    let (_, response) = unhung(connect).await.expect("it opens");
    assert_eq!(response.headers.get_str("set-cookie"), Some("a=b"));

    let address = serve(|upgrade| upgrade.header("Upgrade", "h2c").expect("a header").on_upgrade(echo)).await;
    let (head, rest) = ask(address, &format!("{REQUEST}\r\n")).await;
    assert!(head.starts_with("http/1.1 500 ") && rest == "the server could not answer\n", "{head}{rest}");
}

#[tokio::test]
async fn limits_hold() {
    let address = serve(|upgrade| upgrade.limits(Limits::internet().max_message(10)).on_upgrade(echo)).await;
    let mut ws = sockeye::connect(format!("ws://{address}/")).await.expect("it opens");
    ws.send("0123456789a").await.expect("it is open");
    while let Ok(Some(_)) = unhung(ws.recv()).await {}
    let Some(End::Closed { theirs: Some(theirs), .. }) = ws.end() else { panic!("{:?}", ws.end()) };
    assert_eq!(theirs.code, CloseCode::MESSAGE_TOO_BIG);
}

#[tokio::test]
async fn shutdown_closes_all_with_1001_and_waits() {
    let sockets = Sockets::new();
    let ours = sockets.clone();
    let address = serve(move |upgrade| upgrade.sockets(&ours).on_upgrade(echo)).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        let mut ws = sockeye::connect(format!("ws://{address}/")).await.expect("it opens");
        ws.send("here").await.expect("it is open");
        assert!(ws.recv().await.expect("it is open").is_some());
        clients.push(ws);
    }
    assert_eq!(sockets.len(), 10);
    let shutdown = sockets.shut_down(Duration::from_secs(60));
    let leave = async {
        for mut ws in clients {
            assert_eq!(ws.recv().await.expect("it ends cleanly"), None);
            let Some(End::Closed { theirs: Some(theirs), .. }) = ws.end() else { panic!("{:?}", ws.end()) };
            assert_eq!(theirs.code, CloseCode::GOING_AWAY);
        }
    };
    unhung(async { tokio::join!(shutdown, leave) }).await;
    assert!(sockets.is_empty());

    let refused = unhung(sockeye::connect(format!("ws://{address}/")).into_future()).await;
    assert!(matches!(refused, Err(Error::Handshake(error)) if refused_with(&error) == Some(503)));
}

fn refused_with(error: &HandshakeError) -> Option<u16> {
    match error {
        HandshakeError::Refused(response) => Some(response.status()),
        _ => None,
    }
}

#[tokio::test]
async fn shutdown_drops_those_that_do_not_end_in_time() {
    let sockets = Sockets::new();
    let ours = sockets.clone();
    let address = serve(move |upgrade| {
        upgrade.sockets(&ours).on_upgrade(|ws| async move {
            let _kept = ws;
            std::future::pending::<()>().await;
        })
    })
    .await;
    let mut peer = peer(address).await;
    peer.io.write_all(format!("{REQUEST}\r\n").as_bytes()).await.expect("the server takes it");
    peer.recv_head().await;
    unhung(sockets.shut_down(Duration::from_millis(50))).await;
    assert_eq!(unhung(peer.recv_close()).await, 1001);
    assert!(unhung(peer.rest()).await.is_empty());
}

#[tokio::test]
async fn one_websocket_too_many_is_told_503_and_its_place_is_given_to_the_next() {
    let sockets = Sockets::with_budget(Budget::default().max_connections(1));
    let ours = sockets.clone();
    let address = serve(move |upgrade| upgrade.sockets(&ours).on_upgrade(echo)).await;
    let url = format!("ws://{address}/");
    let mut first = sockeye::connect(&url[..]).await.expect("it opens");
    let refused = sockeye::connect(&url[..]).await;
    assert!(matches!(refused, Err(Error::Handshake(error)) if refused_with(&error) == Some(503)));
    first.close(CloseCode::NORMAL, "").await.expect("it ends cleanly");
    unhung(left(&sockets)).await;
    sockeye::connect(&url[..]).await.expect("there is a place");
}

#[tokio::test]
async fn metrics_are_told_of_each_websocket_and_of_what_is_refused() {
    use tower_layer::Layer as _;
    for by_layer in [false, true] {
        let log = Arc::new(io::told::Log::default());
        let metrics: Arc<dyn Metrics> = log.clone();
        let address = if by_layer {
            let layer = WebSocketLayer::new(|ws, _request| echo(ws)).metrics(metrics);
            let pages = tower_service_fn(|_request: Request<Incoming>| async {
                Ok::<_, Infallible>(Response::new(Full::from("a page")))
            });
            let service = layer.layer(pages);
            listen(move || TowerToHyperService::new(service.clone())).await
        } else {
            serve(move |upgrade| upgrade.metrics(Arc::clone(&metrics)).on_upgrade(echo)).await
        };
        let mut ws = sockeye::connect(format!("ws://{address}/")).await.expect("it opens");
        ws.send("hello").await.expect("it is open");
        assert!(unhung(ws.recv()).await.expect("it is open").is_some());
        ws.close(CloseCode::NORMAL, "bye").await.expect("it ends cleanly");
        assert_eq!(unhung(log.line(1)).await, "opened");
        assert_eq!(unhung(log.line(2)).await, "closed by the peer with 1000 (\"bye\")");
        // Masked there, unmasked back: a text of 5 bytes, and a Close of 5.
        assert_eq!(log.bytes(), [6 + 5 + 6 + 5, 2 + 5 + 2 + 5]);
        let elsewhere = format!("{REQUEST}Origin: http://elsewhere.example\r\n\r\n");
        assert!(unhung(ask(address, &elsewhere)).await.0.starts_with("http/1.1 403 "));
        assert_eq!(unhung(log.line(3)).await, "answered 403");
        // What is no proper request is the layer's to answer, or the application's.
        let malformed = format!("{}\r\n", REQUEST.replace("dGhl", "dGh"));
        assert!(unhung(ask(address, &malformed)).await.0.starts_with("http/1.1 400 "));
        let page = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        unhung(ask(address, page)).await;
        assert_eq!(log.len(), if by_layer { 4 } else { 3 });
    }
}

/// A server with these options, and a client that says nothing behind its request.
async fn silent_client(options: Options, handler: impl Fn(WebSocket) -> Handling + Send + Sync + 'static) -> Silent {
    let sockets = Sockets::new();
    let ours = sockets.clone();
    let handler = Arc::new(handler);
    let address = serve(move |upgrade| {
        let handler = Arc::clone(&handler);
        upgrade.options(options.clone()).sockets(&ours).on_upgrade(move |ws| handler(ws))
    })
    .await;
    let mut peer = peer(address).await;
    peer.io.write_all(format!("{REQUEST}\r\n").as_bytes()).await.expect("the server takes it");
    peer.recv_head().await;
    (peer, sockets)
}

type Silent = (Peer<TcpStream>, Sockets);
type Handling = std::pin::Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

#[tokio::test]
async fn client_that_answers_no_ping_is_let_go() {
    let mut options = Options::default();
    options.config.keepalive =
        Some(Keepalive { interval: Duration::from_millis(10), timeout: Duration::from_millis(10) });
    let (mut peer, sockets) = silent_client(options, |ws| Box::pin(echo(ws))).await;
    assert_eq!(unhung(peer.recv()).await.expect("a Ping comes first").0, io::PING);
    while let Some((first, _)) = unhung(peer.recv()).await {
        assert_ne!(first, TEXT, "nobody has said anything");
    }
    drop(peer);
    unhung(left(&sockets)).await;
}

#[tokio::test]
async fn client_that_answers_no_close_is_let_go() {
    let mut options = Options::default();
    options.config.limits = Limits::internet().close_timeout(Duration::from_millis(10));
    let (mut peer, sockets) = silent_client(options, |ws| {
        Box::pin(async {
            drop(ws);
            Ok(())
        })
    })
    .await;
    assert_eq!(unhung(peer.recv_close()).await, 1000);
    assert_eq!(unhung(peer.recv()).await, None, "the transport ends, though the client has not said that it does");
    unhung(left(&sockets)).await;
}

async fn left(sockets: &Sockets) {
    while !sockets.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn client_that_goes_away_before_the_response_is_told_to_the_caller() {
    let (sender, mut told) = mpsc::unbounded_channel();
    let address = listen(move || {
        let sender = sender.clone();
        service_fn(move |mut request: Request<Incoming>| {
            let sender = sender.clone();
            async move {
                let upgrade = Upgrade::from_request(&mut request).expect("a request for a WebSocket");
                let upgrade = upgrade.on_failed_upgrade(move |error| sender.send(error).expect("it listens"));
                let _kept = upgrade.on_upgrade(echo);
                std::future::pending().await
            }
        })
    })
    .await;
    let mut peer = peer(address).await;
    peer.io.write_all(format!("{REQUEST}\r\n").as_bytes()).await.expect("the server takes it");
    drop(peer);
    let error = unhung(told.recv()).await.expect("it is told");
    assert!(matches!(error, Error::Lost), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn response_that_is_never_sent_ends_at_the_deadline() {
    let (request, _upgraded) = upgradable();
    let mut request = request;
    let upgrade = Upgrade::from_request(&mut request).expect("a request for a WebSocket");
    let (_kept, opening) = upgrade.accept().expect("it is accepted");
    let error = opening.await.expect_err("nobody has sent the response");
    assert!(matches!(error, Error::TimedOut(_)), "{error:?}");
}

/// A request that a server has read which is never polled again.
fn upgradable() -> (Request<()>, Box<dyn std::any::Any>) {
    let (mut ours, theirs) = tokio::io::duplex(4096);
    let (sender, receiver) = std::sync::mpsc::channel();
    let service = service_fn(move |request: Request<Incoming>| {
        sender.send(request.map(drop)).expect("it listens");
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()
    });
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service).with_upgrades();
    let mut serving = Box::pin(serving);
    let asked = format!("{REQUEST}\r\n");
    let mut write = Box::pin(async move {
        ours.write_all(asked.as_bytes()).await.expect("it is taken");
        ours
    });
    let std::task::Poll::Ready(ours) = io::poll_now(write.as_mut()) else { panic!("it fits") };
    assert!(io::poll_now(serving.as_mut()).is_pending());
    (receiver.try_recv().expect("a request was read"), Box::new((ours, serving)))
}

#[test]
fn rejections_say_who_is_at_fault() {
    let request = |uri: &str| Request::get(uri).header("Host", "a").body(()).expect("a request");
    let rejection = Upgrade::from_request(&mut request("/")).expect_err("it asks for a page");
    assert_eq!(rejection, Rejection::Refused { refusal: Refusal::MissingUpgrade, version: Version::Http11 });
    assert_eq!(rejection.status(), StatusCode::UPGRADE_REQUIRED);

    let mut request = request("/");
    for (name, value) in [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ] {
        request.headers_mut().insert(name, value.parse().expect("a value"));
    }
    let rejection = Upgrade::from_request(&mut request).expect_err("no server has read it");
    assert_eq!(rejection, Rejection::NotUpgradable { version: Version::Http11 });
    assert_eq!(rejection.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

#[test]
fn options_in_the_extensions_hold() {
    let (mut request, _server) = upgradable();
    let mut options = Options::default();
    options.origin = Origin::none();
    request.extensions_mut().insert(options);
    request.headers_mut().insert("Origin", "http://localhost".parse().expect("a value"));
    let upgrade = Upgrade::from_request(&mut request).expect("a request for a WebSocket");
    let rejection = upgrade.accept().expect_err("no page is let in");
    assert_eq!(rejection, Rejection::Refused { refusal: Refusal::Origin, version: Version::Http11 });
}

#[tokio::test]
async fn layer_takes_websockets_and_lets_the_rest_pass() {
    use tower_layer::Layer as _;
    let layer = WebSocketLayer::new(|ws: WebSocket, request| async move {
        assert_eq!(sockeye::proto::handshake::Request::path(&request), "/chat");
        echo(ws).await
    })
    .protocols(["chat"]);
    let pages = tower_service_fn(|_request: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new(Full::from("a page")))
    });
    let service = layer.layer(pages);
    let address = listen(move || TowerToHyperService::new(service.clone())).await;
    let mut ws = sockeye::connect(format!("ws://{address}/chat")).subprotocols(["chat"]).await.expect("it opens");
    assert_eq!(ws.subprotocol(), Some("chat"));
    ws.send("hello").await.expect("it is open");
    assert_eq!(ws.recv().await.expect("it is open").expect("an echo").as_text(), Some("hello"));
    let (head, page) = ask(address, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 200 ") && page == "a page", "{head}{page}");

    let service = layer.into_service::<Full<Bytes>>();
    let address = listen(move || TowerToHyperService::new(service.clone())).await;
    sockeye::connect(format!("ws://{address}/chat")).await.expect("it opens");
    let (head, _) = ask(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(head.starts_with("http/1.1 426 "), "{head}");
}

#[derive(Clone)]
struct TowerFn<F>(F);

fn tower_service_fn<F>(f: F) -> TowerFn<F> {
    TowerFn(f)
}

impl<F, R, Fut> tower_service::Service<R> for TowerFn<F>
where
    F: FnMut(R) -> Fut,
    Fut: Future<Output = Result<Response<Full<Bytes>>, Infallible>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Fut;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: R) -> Fut {
        (self.0)(request)
    }
}

#[tokio::test]
async fn close_that_the_client_sends_is_answered() {
    let address = serve(|upgrade| upgrade.on_upgrade(echo)).await;
    let mut peer = peer(address).await;
    peer.io.write_all(format!("{REQUEST}\r\n").as_bytes()).await.expect("the server takes it");
    peer.recv_head().await;
    peer.send(BINARY, b"x").await;
    peer.close(CloseCode::NORMAL, "bye").await;
    assert_eq!(peer.recv().await, Some((BINARY, b"x".to_vec())));
    assert_eq!(peer.recv().await, Some((CLOSE, close_payload(CloseCode::NORMAL, "bye"))));
    assert_eq!(peer.recv().await, None);
}
