//! Who may come in: origins, the judge in front of the upgrade, credentials, and the server's budget.
#![cfg(all(feature = "client", feature = "server"))]

mod io;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use io::{
    CLOSE, PONG, TEXT, close_payload, pattern,
    tcp::{REQUEST, Running, bind, echo, serve},
    unhung,
};
use sockeye::{
    CloseCode, Error, Limits, Server, WebSocket, connect,
    proto::handshake::{
        Accept, BasicAuth, InvalidOrigin, Origin, Refusal, Request, Response, ServerHandshake, same_secret,
    },
    server::{Budget, Options, accept_with},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request with some more header lines.
fn request(lines: &str) -> Request {
    let bytes = format!("{REQUEST}{lines}\r\n");
    let (_, request) = ServerHandshake::new(Limits::internet()).receive(bytes.as_bytes()).expect("it is well-formed");
    request.expect("it is whole")
}

/// Whether an origin is let in by a server that is asked for as `host`.
fn admits(policy: &Origin, host: &str, origin: &str) -> bool {
    let bytes = REQUEST.replace("Host: localhost", &format!("Host: {host}"));
    let bytes = format!("{bytes}Origin: {origin}\r\n\r\n");
    let (_, request) = ServerHandshake::new(Limits::internet()).receive(bytes.as_bytes()).expect("it is well-formed");
    match policy.check(&request.expect("it is whole")) {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!((refusal, refusal.status()), (Refusal::Origin, 403));
            false
        }
    }
}

// ── origins ──

/// T31.
#[test]
fn same_host_is_the_host_and_port_that_was_asked_for() {
    let policy = Origin::default();
    for (host, origin) in [
        ("example.com", "http://example.com"),
        ("example.com", "https://example.com"), // TLS may end in front of us
        ("EXAMPLE.com", "https://example.COM"),
        ("example.com:443", "https://example.com"),
        ("example.com", "https://example.com:443"),
        ("example.com:80", "http://example.com"),
        ("example.com:8080", "http://example.com:8080"),
        ("127.0.0.1:9001", "http://127.0.0.1:9001"),
        ("[::1]:9001", "http://[::1]:9001"),
    ] {
        assert!(admits(&policy, host, origin), "{origin} at {host}");
    }
    for (host, origin) in [
        ("example.com", "http://example.org"),
        ("example.com", "http://evil-example.com"),
        ("example.com", "http://example.com.evil.org"),
        ("example.com", "http://sub.example.com"),
        ("example.com", "http://example.com:8080"),
        ("example.com:8080", "http://example.com"),
        ("example.com:443", "http://example.com"),
        ("example.com", "null"),
        ("example.com", "http://a:b"),
        ("example.com", "http://example.com:99999"),
        ("example.com:81", "http://example.com:081"), // no browser writes it so
        ("example.com", "http://user@example.com"),
        ("example.com", "http://example.com/path"),
        ("example.com", "http://example.com http://example.com"),
        ("example.com", "example.com"),
        ("example.com", "//example.com"),
        ("example.com", "http:example.com"),
        ("example.com", "file://example.com"),
        ("example.com", "chrome-extension://example.com"),
        ("example.com", "://example.com"),
        ("example.com", "http://"),
        ("example.com", ""),
    ] {
        assert!(!admits(&policy, host, origin), "{origin} at {host}");
    }
}

#[test]
fn request_without_an_origin_comes_from_no_browser() {
    for policy in [Origin::same_host(), Origin::none(), Origin::any()] {
        assert_eq!(policy.check(&request("")), Ok(()));
    }
}

#[test]
fn listed_origins_come_in_whatever_the_host() {
    let listed = ["https://app.example.org", "http://localhost:3000", "null"];
    for base in [Origin::same_host(), Origin::none()] {
        let policy = base.allow(listed).unwrap();
        for origin in ["https://app.example.org", "https://APP.example.org:443", "http://localhost:3000", "null"] {
            assert!(admits(&policy, "example.com", origin), "{origin}");
        }
        for origin in ["http://app.example.org", "https://app.example.org:8443", "http://localhost", "https://null"] {
            assert!(!admits(&policy, "example.com", origin), "{origin}");
        }
    }
    let only = Origin::none().allow(listed).unwrap();
    assert!(!admits(&only, "example.com", "http://example.com"));
    assert!(admits(&Origin::any(), "example.com", "not even an origin"));
}

#[test]
fn rules_allow_besides() {
    let policy = Origin::none()
        .allow_if(|origin, _| origin == "app://local")
        .allow_if(|_, request| request.header("X-Trusted") == Some("yes"));
    assert!(admits(&policy, "example.com", "app://local"));
    assert!(!admits(&policy, "example.com", "http://example.com"));
    assert_eq!(policy.check(&request("Origin: http://evil.example\r\nX-Trusted: yes\r\n")), Ok(()));
}

#[test]
fn origin_that_would_never_match_is_an_error() {
    for origin in ["example.com", "https://example.com/", "https://*.example.com/x", "https://a b", "", "https://"] {
        let error = Origin::none().allow([origin]).unwrap_err();
        assert_eq!(error, InvalidOrigin { origin: origin.into() });
        assert!(error.to_string().contains("is no origin"), "{error}");
    }
}

/// Sends a request with some more header lines; gives all that the server answers until it ends.
async fn answer(server: &Running, lines: &str) -> String {
    let mut peer = server.tcp().await;
    peer.io.write_all(format!("{REQUEST}{lines}\r\n").as_bytes()).await.expect("the server takes a request");
    let mut answer = Vec::new();
    peer.io.read_to_end(&mut answer).await.expect("the server ends without a reset");
    String::from_utf8(answer).expect("the answer is text")
}

/// T31: as a browser's page of another host would come.
#[tokio::test]
async fn server_refuses_pages_of_other_hosts_by_default() {
    let server = serve(bind().await, echo);
    unhung(async {
        for (lines, status) in [
            ("Origin: http://evil.example\r\n", "403 Forbidden"),
            ("Origin: null\r\n", "403 Forbidden"),
            ("Origin: http://a:b\r\n", "403 Forbidden"),
            ("Origin: \u{fc}\r\n", "403 Forbidden"),
            ("Origin: http://localhost\r\nOrigin: http://evil.example\r\n", "400 Bad Request"),
        ] {
            let answer = answer(&server, lines).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\nConnection: close\r\n")), "{lines}: {answer}");
        }
        let mut ws = connect(server.url()).header("Origin", format!("http://{}", server.address)).await.unwrap();
        ws.send("from our own page").await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("from our own page".into()));
    })
    .await;
}

#[tokio::test]
async fn server_and_accept_let_in_whom_they_are_told_to() {
    unhung(async {
        let server = serve(bind().await.origin(Origin::any()), echo);
        assert!(connect(server.url()).header("Origin", "http://evil.example").await.is_ok());

        for (origin, is_let_in) in [(Origin::same_host(), false), (Origin::any(), true)] {
            let (client, server) = tokio::io::duplex(4096);
            let mut options = Options::default();
            options.origin = origin;
            let connecting = connect("ws://localhost/").header("Origin", "http://evil.example").over(client);
            let (connected, accepted) = tokio::join!(connecting, accept_with(server, &options));
            assert_eq!((connected.is_ok(), accepted.is_ok()), (is_let_in, is_let_in));
            if let Err(error) = accepted {
                assert!(matches!(error, Error::Refused(refusal) if *refusal == Refusal::Origin));
            }
        }
    })
    .await;
}

// ── the judge ──

#[tokio::test]
async fn judge_may_wait_and_sees_everything() {
    let server = bind().await.judge(|request, peer| async move {
        tokio::task::yield_now().await;
        assert!(peer.address.ip().is_loopback());
        let mut accept = Accept::default();
        accept.headers.push("X-Seen", request.header("X-Sent").unwrap_or("nothing")).expect("a valid header");
        accept.headers.push("X-Port", peer.address.port().to_string()).expect("a valid header");
        Ok(accept)
    });
    let server = serve(server, echo);
    unhung(async {
        let (_ws, response) = connect(server.url()).header("X-Sent", "something").with_response().await.unwrap();
        assert_eq!(response.headers.get_str("X-Seen"), Some("something"));
        assert_ne!(response.headers.get_str("X-Port"), Some(server.address.port().to_string().as_str()));
    })
    .await;
}

#[tokio::test]
async fn judge_is_not_asked_about_what_is_refused_anyway() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let server = bind().await.judge(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok(Accept::default()))
    });
    let server = serve(server, echo);
    unhung(async {
        answer(&server, "Origin: http://evil.example\r\n").await;
        answer(&server, "Content-Length: 5\r\n").await;
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        connect(server.url()).await.unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test]
async fn judge_that_takes_too_long_costs_its_client_a_503() {
    let limits = Limits::internet().handshake_timeout(Duration::from_millis(20));
    let server = serve(bind().await.limits(limits).judge(|_, _| std::future::pending()), echo);
    let answer = unhung(answer(&server, "")).await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nthe server did not decide in time\n"), "{answer}");
}

#[tokio::test]
async fn judge_that_panics_costs_its_connection_alone() {
    let server = bind().await.max_connections(2).judge(|request, _| async move {
        assert!(request.header("X-Panic").is_none(), "as it was asked to");
        Ok(Accept::default())
    });
    let server = serve(server, echo);
    unhung(async {
        for _ in 0..5 {
            assert_eq!(answer(&server, "X-Panic: please\r\n").await, "");
        }
        connect_when_there_is_room(&server).await;
    })
    .await;
}

// ── credentials ──

#[test]
fn bearer_tokens_are_found_in_their_one_header() {
    let token = |lines: &str| request(lines).bearer_token().map(String::from);
    assert_eq!(token("Authorization: Bearer abc.DEF-_~+/=\r\n").as_deref(), Some("abc.DEF-_~+/="));
    assert_eq!(token("authorization: bearer   abc\r\n").as_deref(), Some("abc"));
    for lines in [
        "",
        "Authorization: Bearer\r\n",
        "Authorization: Bearer a b\r\n",
        "Authorization: Basic abc\r\n",
        "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        "Authorization: \u{fc} abc\r\n",
    ] {
        assert_eq!(token(lines), None, "{lines}");
    }
}

#[test]
fn basic_credentials_are_decoded() {
    let basic = |value: &str| request(&format!("Authorization: {value}\r\n")).basic_auth();
    let is = |user: &str, password: &str| Some(BasicAuth { user: user.into(), password: password.into() });
    assert_eq!(basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), is("Aladdin", "open sesame")); // RFC 7617 §2
    assert_eq!(basic("basic dGVzdDoxMjPCow=="), is("test", "123£")); // §2.1
    assert_eq!(basic("Basic OjpvbmU6Og=="), is("", ":one::"));
    for value in ["Basic", "Basic ", "Basic !!!", "Basic bm9jb2xvbg==", "Basic /zo=", "Bearer QTpi"] {
        assert_eq!(basic(value), None, "{value}");
    }
    let shown = format!("{:?}", basic("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    assert!(!shown.contains("sesame"), "{shown}");
}

#[test]
fn cookies_are_found_by_their_name() {
    let request = request("Cookie: a=1; session=\"x=y\"; A=2;b = 3\r\nCookie: late=4;;\r\n");
    assert_eq!(request.cookie("a"), Some("1"));
    assert_eq!(request.cookie("session"), Some("x=y"));
    assert_eq!(request.cookie("A"), Some("2"));
    assert_eq!(request.cookie("late"), Some("4"));
    assert_eq!(request.cookie("none"), None);
}

/// T25: as the README's recipe has it.
#[tokio::test]
async fn only_those_who_know_the_secret_come_in() {
    let server = bind().await.judge(|request, _| async move {
        match request.basic_auth() {
            Some(given) if given.user == "Aladdin" && same_secret(&given.password, "open sesame") => {
                Ok(Accept::default())
            }
            _ => Err(Response::unauthorized("Basic realm=\"the cave\"").expect("a valid header")),
        }
    });
    let server = serve(server, echo);
    unhung(async {
        let with = |credentials: &'static str| connect(server.url()).header("Authorization", credentials);
        assert!(with("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==").await.is_ok());
        for other in ["Basic QWxhZGRpbjpvcGVuIHNlc2Ft", "Basic QWxhZGRpbjo=", "Basic SmFmYXI6b3BlbiBzZXNhbWU="] {
            assert!(with(other).await.is_err(), "{other}");
        }
        let answer = answer(&server, "").await;
        assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
        assert!(answer.contains("\r\nWWW-Authenticate: Basic realm=\"the cave\"\r\n"), "{answer}");
    })
    .await;
}

// ── answers ──

/// RFC 9110 §6.6.1 and §9.3.2.
#[tokio::test]
async fn answers_have_a_date_and_those_to_head_no_body() {
    let server = bind().await.fallback(|_| {
        let mut response = Response::new(200).expect("a status");
        response.body = "a page".into();
        response
    });
    let server = serve(server, echo);
    unhung(async {
        for (request, status, body) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", "a page"),
            ("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "200 OK", ""),
            ("GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n", "200 OK", "a page"), // RFC 9110 §7.8
            (&format!("{REQUEST}\r\n").replace("GET", "HEAD"), "405 Method Not Allowed", ""),
            ("GET / HTTP/1.1\r\n\r\n", "400 Bad Request", "no Host header\n"),
        ] {
            let mut peer = server.tcp().await;
            peer.io.write_all(request.as_bytes()).await.unwrap();
            let head = peer.recv_head().await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {head}");
            assert_eq!(head.matches("\r\nDate: ").count(), 1, "{head}");
            let length = head.split_once("Content-Length: ").and_then(|(_, rest)| rest.split_once("\r\n"));
            assert!(length.is_some_and(|(length, _)| length != "0"), "{head}");
            assert_eq!(peer.rest().await, body.as_bytes(), "{request}");
        }
    })
    .await;
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn judge_that_says_nothing_of_compression_leaves_it_to_the_server() {
    use sockeye::DeflateConfig;
    let server = bind().await.deflate(DeflateConfig::default()).judge(|_, _| async { Ok(Accept::default()) });
    let server = serve(server, echo);
    unhung(async {
        let (_ws, response) = connect(server.url()).deflate(DeflateConfig::default()).with_response().await.unwrap();
        assert!(response.headers.contains("Sec-WebSocket-Extensions"), "{response:?}");
    })
    .await;
}

/// A server that shuts down sees off those whom it has just refused.
#[tokio::test]
async fn shutdown_waits_for_those_who_were_refused() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = bind().await;
    let address = server.local_addr().unwrap();
    let running = tokio::spawn(server.serve_until(echo, async { drop(stopped.await) }));
    unhung(async {
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        stop.send(()).unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!running.is_finished(), "the client has not ended");
        drop(client);
        running.await.unwrap().unwrap();
    })
    .await;
}

// ── the budget ──

/// A server learns of an end a little later than its client.
async fn connect_when_there_is_room(server: &Running) -> WebSocket {
    loop {
        if let Ok(client) = connect(server.url()).await {
            return client;
        }
    }
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let server = serve(bind().await.budget(Budget::default().max_per_address(Some(2))), echo);
    unhung(async {
        let first = connect(server.url()).await.unwrap();
        let _second = connect(server.url()).await.unwrap();
        let answer = answer(&server, "").await;
        assert!(answer.starts_with("HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("\nthere are 2 connections from this address, which is the limit\n"), "{answer}");
        drop(first);
        connect_when_there_is_room(&server).await;
    })
    .await;
}

#[tokio::test]
async fn clients_that_are_turned_away_and_stay_keep_nobody_out() {
    let server = serve(bind().await.max_connections(1), echo);
    unhung(async {
        let first = connect(server.url()).await.unwrap();
        let mut staying = Vec::new();
        let (mut told, mut closed) = (0, 0);
        for _ in 0..200 {
            let mut peer = server.tcp().await;
            let mut answer = [0; 12];
            match peer.io.read_exact(&mut answer).await {
                Ok(_) => {
                    assert_eq!(&answer, b"HTTP/1.1 503");
                    told += 1;
                }
                Err(_) => closed += 1,
            }
            staying.push(peer);
        }
        assert_eq!((told, closed), (128, 72));
        drop(first);
        connect_when_there_is_room(&server).await;
    })
    .await;
}

/// T32: those who say nothing hold a place until the deadline, and are told so; however long they stay, no longer.
#[tokio::test]
async fn clients_that_say_nothing_or_dribble_are_answered_408_by_one_deadline() {
    // Whoever kept a place until the close deadline would keep it for the whole test.
    let limits =
        Limits::internet().handshake_timeout(Duration::from_millis(300)).close_timeout(Duration::from_secs(3600));
    let server = serve(bind().await.limits(limits).max_connections(3), echo);
    unhung(async {
        let mut silent = server.tcp().await;
        let mut half = server.tcp().await;
        half.io.write_all(&REQUEST.as_bytes()[..40]).await.unwrap();
        let mut dribbling = server.tcp().await;
        // Each byte comes long before a deadline that began anew with it would have passed.
        let mut answered = 0;
        for byte in REQUEST.bytes().cycle() {
            if dribbling.io.write_all(&[byte]).await.is_err() {
                break;
            }
            let mut answer = [0; 12];
            let wait = tokio::time::timeout(Duration::from_millis(20), dribbling.io.read_exact(&mut answer));
            if let Ok(read) = wait.await {
                read.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 408");
                answered += 1;
                break;
            }
        }
        assert_eq!(answered, 1);
        for peer in [&mut silent, &mut half] {
            let head = peer.recv_head().await;
            assert!(head.starts_with("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"), "{head}");
        }
        connect_when_there_is_room(&server).await;
        drop((silent, half, dribbling));
    })
    .await;
}

#[tokio::test]
async fn bytes_of_all_connections_are_limited() {
    let server: Server = bind().await.budget(Budget::default().max_bytes(300_000));
    let server = serve(server, echo);
    unhung(async {
        let mut holding = Vec::new();
        for _ in 0..2 {
            let mut peer = server.peer().await;
            peer.send(TEXT & 0x0f, &vec![b'a'; 100_000]).await;
            peer.send(io::PING, b"taken?").await;
            assert_eq!(peer.recv().await, Some((PONG, b"taken?".to_vec())));
            holding.push(peer);
        }
        let mut greedy = server.peer().await;
        greedy.send(TEXT & 0x0f, &vec![b'a'; 150_000]).await;
        let reason = "no memory for this: all connections together may hold 300000 bytes, try again later";
        assert_eq!(greedy.recv().await, Some((CLOSE, close_payload(CloseCode::TRY_AGAIN_LATER, reason))));
        assert_eq!(greedy.recv().await, None);
        for peer in &mut holding {
            peer.send(io::CONTINUATION, b"b").await;
            let (first, payload) = peer.recv().await.unwrap();
            assert_eq!((first, payload.len()), (TEXT, 100_001));
        }
        // What they held is there for others.
        let mut ws = connect(server.url()).await.unwrap();
        let message = sockeye::Message::from(pattern(250_000));
        ws.send(message.clone()).await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some(message));
    })
    .await;
}
