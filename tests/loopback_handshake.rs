//! The opening handshake of the tokio floor: in two steps, in time, and with peers that answer otherwise than they should.
#![cfg(all(feature = "client", feature = "server"))]

mod io;

use std::time::Duration;

use io::{Peer, TEXT, frame, tcp::REQUEST, unhung};
use sockeye::{
    Error, Role, accept, connect,
    proto::{
        connection::Timeout,
        handshake::{Accept, BuildError, HandshakeError, InvalidUri, Key, Refusal, Response},
        http::InvalidHeader,
    },
    server::{Options, accept_with, receive_request},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{Instant, timeout},
};

/// A transport, and the client at its other end.
fn client() -> (DuplexStream, Peer<DuplexStream>) {
    let (ours, theirs) = duplex(64 * 1024);
    (ours, Peer::new(theirs, Role::Client))
}

async fn asks(peer: &mut Peer<DuplexStream>, more: &str) {
    peer.io.write_all(format!("{REQUEST}{more}\r\n").as_bytes()).await.expect("there is room");
}

#[tokio::test]
async fn request_is_looked_at_and_accepted_in_two_steps() {
    let (io, mut peer) = client();
    asks(&mut peer, "Sec-WebSocket-Protocol: v1, v2\r\nX-Token: secret\r\n").await;
    let incoming = receive_request(io, &Options::default()).await.unwrap();
    assert_eq!(incoming.request().path(), "/chat");
    assert_eq!(incoming.request().header("x-token"), Some("secret"));
    let subprotocol = incoming.request().choose_subprotocol(["v2"]).map(String::from);
    let mut ws = incoming.accept(Accept { subprotocol, ..Accept::default() }).await.unwrap();
    assert_eq!(ws.subprotocol(), Some("v2"));
    let head = peer.recv_head().await;
    // RFC 6455 §1.3 has this key and its answer.
    assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    assert!(head.contains("Sec-WebSocket-Protocol: v2\r\n"), "{head}");
    peer.send(TEXT, b"message").await;
    assert_eq!(ws.recv().await.unwrap(), Some("message".into()));
}

#[tokio::test]
async fn request_is_rejected_with_the_callers_response() {
    let (io, mut peer) = client();
    asks(&mut peer, "").await;
    peer.send(TEXT, b"early").await;
    let incoming = receive_request(io, &Options::default()).await.unwrap();
    let mut response = Response::new(401).unwrap();
    response.headers.push("WWW-Authenticate", "Basic").unwrap();
    response.body = "who are you?".into();
    let answer = async {
        let mut answer = String::new();
        peer.io.read_to_string(&mut answer).await.unwrap();
        drop(peer);
        answer
    };
    let (rejected, answer) = unhung(async { tokio::join!(incoming.reject(&response), answer) }).await;
    rejected.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{answer}");
    assert!(answer.contains("WWW-Authenticate: Basic\r\n") && answer.ends_with("\r\n\r\nwho are you?"), "{answer}");
}

#[tokio::test]
async fn accept_that_cannot_be_sent_is_the_callers_error_and_500_to_the_client() {
    let (io, mut peer) = client();
    asks(&mut peer, "").await;
    let incoming = receive_request(io, &Options::default()).await.unwrap();
    let wrong = Accept { subprotocol: Some("unasked".into()), ..Accept::default() };
    let head = async {
        let head = peer.recv_head().await;
        drop(peer);
        head
    };
    let (accepted, head) = unhung(async { tokio::join!(incoming.accept(wrong), head) }).await;
    let Err(Error::Build(error)) = accepted else { panic!("{accepted:?}") };
    assert!(matches!(*error, BuildError::UnaskedSubprotocol { .. }), "{error:?}");
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
}

#[tokio::test]
async fn refused_request_is_told_why() {
    for (request, status, refusal) in [
        (REQUEST.replace("13", "8"), "426", Refusal::UnsupportedVersion),
        (REQUEST.replace("GET", "POST"), "405", Refusal::Method),
        (REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"), "400", Refusal::Key),
    ] {
        let (io, mut peer) = client();
        peer.io.write_all(format!("{request}\r\n").as_bytes()).await.unwrap();
        let head = async {
            let head = peer.recv_head().await;
            drop(peer);
            head
        };
        let (accepted, head) = unhung(async { tokio::join!(accept(io), head) }).await;
        assert!(matches!(&accepted, Err(Error::Refused(why)) if **why == refusal), "{accepted:?}");
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
}

#[tokio::test]
async fn client_that_goes_away_inside_its_request_is_lost() {
    for sent in ["", REQUEST] {
        let (io, mut peer) = client();
        peer.io.write_all(sent.as_bytes()).await.unwrap();
        drop(peer);
        assert!(matches!(accept(io).await, Err(Error::Lost)));
    }
}

#[tokio::test(start_paused = true)]
async fn request_that_dribbles_in_has_one_deadline_for_all_of_it() {
    let (io, mut peer) = client();
    let start = Instant::now();
    let dribble = tokio::spawn(async move {
        for byte in REQUEST.bytes() {
            peer.io.write_all(&[byte]).await.unwrap();
            // The whole takes 19 s.
            if let Ok(head) = timeout(Duration::from_millis(100), peer.recv_head()).await {
                return (head, start.elapsed().as_secs());
            }
        }
        panic!("the server waits on");
    });
    let accepted = accept(io).await;
    assert!(matches!(accepted, Err(Error::TimedOut(Timeout::Handshake))), "{accepted:?}");
    let (head, after) = dribble.await.unwrap();
    assert!(head.starts_with("HTTP/1.1 408 "), "{head}");
    assert_eq!(after, 10);
}

#[tokio::test]
async fn handshake_timeout_without_end_does_not_panic() {
    let (io, mut peer) = client();
    asks(&mut peer, "").await;
    let mut options = Options::default();
    options.config.limits.handshake_timeout = Duration::MAX;
    accept_with(io, &options).await.unwrap();
}

/// What a client says to a server that answers with these bytes, whatever was asked, and ends then.
async fn answered(answer: &[u8]) -> Error {
    let (ours, mut theirs) = duplex(64 * 1024);
    theirs.write_all(answer).await.expect("there is room");
    theirs.shutdown().await.expect("there is room");
    unhung(connect("ws://example.com/").over(ours)).await.expect_err("no server answers so")
}

#[tokio::test]
async fn refused_client_has_status_headers_and_body() {
    for (length, max_body, body) in [("Content-Length: 9\r\n", 64, "wait here"), ("", 64, "wait here"), ("", 4, "wait")]
    {
        let (ours, mut theirs) = duplex(64 * 1024);
        let answer = format!("HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n{length}\r\nwait here");
        theirs.write_all(answer.as_bytes()).await.unwrap();
        theirs.shutdown().await.unwrap();
        let refused = unhung(connect("ws://example.com/").max_refusal_body(max_body).over(ours)).await.unwrap_err();
        let Error::Handshake(refused) = refused else { panic!("{refused:?}") };
        let HandshakeError::Refused(response) = *refused else { panic!("{refused:?}") };
        assert_eq!((response.status(), response.reason()), (503, "Busy"));
        assert_eq!(response.headers.get_str("retry-after"), Some("120"));
        assert_eq!(response.body, body);
    }
}

#[tokio::test(start_paused = true)]
async fn refusal_that_does_not_end_is_told_at_the_deadline() {
    for answer in ["403 Forbidden\r\n\r\nwait", "403 Forbidden\r\nContent-Length: 9\r\n\r\nwait"] {
        let (ours, mut theirs) = duplex(64 * 1024);
        theirs.write_all(format!("HTTP/1.1 {answer}").as_bytes()).await.unwrap();
        let refused = unhung(connect("ws://example.com/").over(ours)).await.unwrap_err();
        let Error::Handshake(refused) = refused else { panic!("{refused:?}") };
        let HandshakeError::Refused(response) = *refused else { panic!("{refused:?}") };
        assert_eq!((response.status(), &*response.body), (403, &b"wait"[..]));
    }
    let (ours, mut theirs) = duplex(64 * 1024);
    theirs.write_all(b"HTTP/1.1 403 Forbidden\r\nX: ").await.unwrap();
    let late = unhung(connect("ws://example.com/").over(ours)).await.unwrap_err();
    assert!(matches!(late, Error::TimedOut(Timeout::Handshake)), "{late:?}");
}

#[tokio::test]
async fn client_refuses_garbage_and_half_a_response() {
    for answer in
        [&b"SSH-2.0-OpenSSH_9.6\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", &[0xff; 100_000][..60_000]]
    {
        let error = answered(answer).await;
        assert!(matches!(&error, Error::Handshake(why) if matches!(**why, HandshakeError::Head(_))), "{error:?}");
    }
    let error = answered(b"HTTP/1.1 101 Switch").await;
    assert!(
        matches!(&error, Error::Handshake(why) if matches!(**why, HandshakeError::Ended { received: 19 })),
        "{error:?}"
    );
    let accept = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"; // another key's
    let error = answered(accept.as_bytes()).await;
    assert!(matches!(&error, Error::Handshake(why) if **why == HandshakeError::WrongAccept), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn client_gives_up_a_server_that_does_not_answer() {
    let (ours, _theirs) = duplex(64 * 1024);
    let start = Instant::now();
    let given_up = connect("ws://example.com/").timeout(Duration::from_secs(7)).over(ours).await;
    assert!(matches!(given_up, Err(Error::TimedOut(Timeout::Handshake))), "{given_up:?}");
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test]
async fn frames_right_behind_the_response_are_used() {
    let (ours, theirs) = duplex(64 * 1024);
    let mut peer = Peer::new(theirs, Role::Server);
    let server = async {
        let head = peer.recv_head().await;
        assert!(head.starts_with("GET /chat?room=1 HTTP/1.1\r\nHost: example.com\r\n"), "{head}");
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = Key::parse(key.as_bytes()).unwrap().accept();
        let head = format!(
            "HTTP/1.1 101 Hello\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        let all = [head.into_bytes(), frame(Role::Server, TEXT, b"early"), frame(Role::Server, TEXT, b"too")].concat();
        peer.io.write_all(&all).await.unwrap();
    };
    let opened = connect("ws://example.com/chat?room=1").over(ours);
    let (opened, ()) = unhung(async { tokio::join!(opened, server) }).await;
    let (mut ws, response) = opened.unwrap();
    assert_eq!((response.status(), response.reason()), (101, "Hello"));
    assert_eq!(ws.recv().await.unwrap(), Some("early".into()));
    assert_eq!(ws.recv().await.unwrap(), Some("too".into()));
}

#[tokio::test]
async fn client_asks_for_no_wss_and_no_broken_url() {
    if cfg!(not(any(feature = "rustls", feature = "native-tls"))) {
        assert!(matches!(connect("wss://example.com/").await, Err(Error::NoTls)));
    }
    for (url, is_expected) in [
        ("http://a/", (|error| matches!(error, InvalidUri::Scheme { .. })) as fn(&InvalidUri) -> bool),
        ("localhost:9001", |error| matches!(error, InvalidUri::MissingScheme)),
        ("ws://a/#top", |error| matches!(error, InvalidUri::Fragment)),
        ("ws://a:99999/", |error| matches!(error, InvalidUri::Port { .. })),
        ("ws://a/\r\nX: y", |error| matches!(error, InvalidUri::Character { character: '\r' })),
    ] {
        let error = connect(url).await.expect_err(url);
        assert!(matches!(&error, Error::Uri(why) if is_expected(why)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn client_sends_no_header_that_would_be_another_one() {
    let build = async |connect: sockeye::Connect| {
        let (ours, mut theirs) = duplex(64 * 1024);
        let error = connect.over(ours).await.expect_err("it is not to be sent");
        let mut sent = Vec::new();
        theirs.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"", "nothing goes out");
        let Error::Build(error) = error else { panic!("{error:?}") };
        *error
    };
    let ws = || connect("ws://example.com/");
    for value in ["a\r\nX-Evil: b", "a\nb", "a\rb", "a\0b"] {
        let error = build(ws().header("X-Good", value)).await;
        assert!(matches!(error, BuildError::Header(InvalidHeader::Value { .. })), "{error:?}");
    }
    let error = build(ws().header("X-Good: a\r\nX-Evil", "b")).await;
    assert!(matches!(error, BuildError::Header(InvalidHeader::Name { .. })), "{error:?}");
    let error = build(ws().header("sec-websocket-key", "mine")).await;
    assert!(matches!(error, BuildError::OwnedHeader { .. }), "{error:?}");
    let error = build(ws().subprotocols(["a\r\nX-Evil: b"])).await;
    assert!(matches!(error, BuildError::MalformedSubprotocol { .. }), "{error:?}");
}
