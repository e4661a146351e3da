//! Heads of requests and responses: too large, too many lines, malformed, smuggled, drafts.

use std::net::SocketAddr;

use sockeye::{
    DeflateConfig, Limits, Role, connect,
    proto::{
        handshake::{Accept, AcceptError, HandshakeError, Refusal, Response, ServerHandshake},
        http::HeadError,
    },
    server::{Options, receive_request},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::{
    common::heap,
    io::{frame, tcp::REQUEST},
    network::{answered, listen, only_refusal, reading_server, refused, request, run, say},
};

const SERVER: Role = Role::Server;

/// What lies behind a request for whoever parses on: a request that would be accepted, and frames.
fn pipelined() -> Vec<u8> {
    let mut bytes = request("").into_bytes();
    bytes.extend(frame(Role::Client, 0x81, b"smuggled"));
    bytes.extend(frame(Role::Client, 0x88, b""));
    bytes
}

#[track_caller]
fn assert_refused(head: &str, status: u16, refusal: Refusal) {
    let bytes = [head.as_bytes(), &pipelined()].concat();
    assert_eq!(refused(&bytes), (status, refusal), "{}", &head[..head.len().min(300)]);
}

/// A handshake that takes heads of any size, so that nothing but the work of the parser bounds it.
fn unlimited() -> ServerHandshake {
    ServerHandshake::new(Limits::internet().max_head(usize::MAX).max_headers(usize::MAX).max_target(usize::MAX))
}

/// What a server without limits makes of a request with more lines.
fn judge(more: &str) -> Result<(), Refusal> {
    let input = request(more);
    let (consumed, request) = unlimited().receive(input.as_bytes())?;
    assert_eq!(consumed, input.len());
    let request = request.expect("the head is whole");
    let accept = Accept { deflate: cfg!(feature = "deflate").then(DeflateConfig::default), ..Accept::default() };
    match request.accept(&accept) {
        Ok(_) => Ok(()),
        Err(AcceptError::Refusal(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

// ── T1 and T5: many lines ──

/// T1: `Upgrade` is the last of many lines, where a parser that drops what is too much would not find it.
#[test]
fn request_of_2000_lines_is_told_431_and_the_next_client_is_served() {
    let many =
        |lines: &str| REQUEST.replace("Upgrade: websocket\r\n", &format!("{lines}Upgrade: websocket\r\n")) + "\r\n";
    let numbered = (0..2000).map(|n| format!("{n:x}:\r\n")).collect::<String>();
    for lines in [numbered, "A: b\r\n".repeat(2000), "Host: a\r\n".repeat(1000), "A:\r\n".repeat(96)] {
        let head = many(&lines);
        assert!(head.len() < 16 * 1024, "it is not the size that is refused");
        assert_refused(&head, 431, Refusal::Head(HeadError::TooManyHeaders { limit: 100 }));
        run(async {
            let (server, mut ended) = reading_server(sockeye::Config::new(SERVER), false).await;
            let answer = say(server.address, &[head.as_bytes(), &pipelined()].concat()).await;
            assert_eq!(only_refusal(&answer, "many lines"), 431);
            let mut next = connect(server.url()).await.expect("the server lives");
            next.close(sockeye::CloseCode::NORMAL, "").await.expect("the server answers");
            assert!(ended.recv().await.expect("one handler has run").1.is_none());
            assert!(ended.try_recv().is_err(), "and no other");
        });
    }
    assert_eq!(judge(&"A: b\r\n".repeat(95)), Ok(()));
}

/// T1, T5: the same for a client, by the server's answer.
#[test]
fn response_of_2000_lines_fails() {
    for lines in ["A: b\r\n".repeat(2000), (0..2000).map(|n| format!("{n:x}:\r\n")).collect()] {
        let response = format!("HTTP/1.1 101 Switching Protocols\r\n{lines}Upgrade: websocket\r\n\r\n");
        let error = answered(response.as_bytes(), |connect| connect);
        assert_eq!(error, HandshakeError::Head(HeadError::TooManyHeaders { limit: 100 }));
    }
}

/// T5: lines are counted, whatever their names; 300,000 of them with the limits off take one look each. Each of them
/// compared with each other would be 10^11 comparisons.
#[test]
fn lines_are_judged_in_linear_time() {
    assert_eq!(judge(&"Sec-WebSocket-Extensions: x\r\n".repeat(300_000)), Ok(()));
    let numbered: String = (0..300_000).map(|n| format!("Sec-WebSocket-Protocol: p{n}\r\n")).collect();
    assert_eq!(judge(&numbered), Ok(()));
    assert_eq!(judge(&format!("{numbered}sec-websocket-protocol: p7\r\n")), Err(Refusal::RepeatedSubprotocol));
    let hosts = "Sec-WebSocket-Version: 13\r\n".repeat(300_000);
    assert_eq!(judge(&hosts), Err(Refusal::RepeatedHeader { name: "Sec-WebSocket-Version" }));
}

// ── T2 and T3: long values ──

/// A value of so many bytes is walked over in milliseconds a time, and in hours if each byte leads to a walk over those
/// before it: 10^13 steps.
const LONG: usize = 4 << 20;

/// T2: the value that made a server backtrack, and others that would.
#[test]
fn long_subprotocol_values_are_judged_in_linear_time() {
    let protocol = |value: &str| judge(&format!("Sec-WebSocket-Protocol: {value}\r\n"));
    for value in [
        format!("b{}x", " ".repeat(LONG)),
        format!("b{}x", "\t ".repeat(LONG / 2)),
        format!("a{}\"", " ,".repeat(LONG / 2)),
        ",".repeat(LONG),
        format!("{}\"", "a".repeat(LONG)),
    ] {
        assert!(matches!(protocol(&value), Err(Refusal::MalformedSubprotocols(_))), "{}", &value[..20]);
    }
    assert_eq!(protocol(&format!("b{}", " ,".repeat(LONG / 2))), Ok(()));
    assert_eq!(protocol(&"a".repeat(LONG)), Ok(()));
    // As many as there are can be found to be equal only by looking at each.
    assert_eq!(protocol(&"a,".repeat(LONG / 8)), Err(Refusal::RepeatedSubprotocol));
    let distinct: String = (0..LONG / 8).map(|n| format!("{n:x},")).collect();
    assert_eq!(protocol(&distinct), Ok(()));
    let list = "x,".repeat(LONG / 2);
    assert_eq!(judge(&format!("Connection: {list}\r\n")), Ok(()));
}

/// T2: the advisory's own request.
#[test]
fn subprotocol_with_spaces_inside_is_told_400() {
    let (status, refusal) =
        refused(request(&format!("Sec-WebSocket-Protocol: b{}x\r\n", " ".repeat(15_000))).as_bytes());
    assert_eq!(status, 400);
    assert!(matches!(refusal, Refusal::MalformedSubprotocols(_)), "{refusal:?}");
}

/// T3: quoted strings that do not end, with and without escapes, and lists of all shapes.
#[test]
fn long_extension_values_are_judged_in_linear_time() {
    let extensions = |value: &str| judge(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    for value in [
        format!("a; b=\"{}", "\\".repeat(LONG)),
        format!("a; b=\"{}", "\\\"".repeat(LONG / 2)),
        format!("a; b=\"{}", "x".repeat(LONG)),
        format!("a; b=\"{}\"", "\\x".repeat(LONG / 2) + " "),
        format!("permessage-deflate; client_max_window_bits=\"{}", "\\1".repeat(LONG / 2)),
        "a; b=\"\", ".repeat(LONG / 8),
        format!("a{};", "; b".repeat(LONG / 8)),
    ] {
        assert!(matches!(extensions(&value), Err(Refusal::MalformedExtensions(_))), "{}", &value[..30]);
    }
    for value in [
        format!("permessage-deflate{}", "; client_max_window_bits".repeat(LONG / 64)),
        "permessage-deflate; server_max_window_bits=8, ".repeat(LONG / 64),
        format!("permessage-deflate; x=\"{}\"", "\\9".repeat(LONG / 2)),
        format!("permessage-deflate{}", "; __proto__=1".repeat(LONG / 64)),
    ] {
        assert_eq!(extensions(&value), Ok(()), "declined: {}", &value[..30]);
    }
}

/// T3: names that are properties of every object in some languages are names here.
#[test]
fn extension_values_that_are_malformed_are_told_400() {
    let extensions = |value: &str| request(&format!("Sec-WebSocket-Extensions: {value}\r\n"));
    let backslashes = format!("a; b=\"{}", "\\".repeat(15_000));
    for value in [&*backslashes, "a; b=\"c", "__proto__; constructor=\"", "a; b=\"c\\\"", "a; \"b\"=c"] {
        let (status, refusal) = refused(&[extensions(value).as_bytes(), &pipelined()].concat());
        assert_eq!(status, 400);
        assert!(matches!(refusal, Refusal::MalformedExtensions(_)), "{refusal:?}");
    }
    for name in ["__proto__", "constructor", "hasOwnProperty", "toString"] {
        assert_eq!(
            judge(&format!("Sec-WebSocket-Extensions: {name}; {name}={name}, permessage-deflate; {name}\r\n")),
            Ok(())
        );
    }
}

/// T2, T3: what a head within the limits makes us hold while it is judged.
#[test]
fn lists_within_the_limits_cost_less_than_a_mebibyte() {
    let fill = |unit: &str| unit.repeat(15_900 / unit.len());
    for more in [
        format!("Sec-WebSocket-Extensions: {}a", fill("a,")),
        format!("Sec-WebSocket-Extensions: a{}", fill(";b")),
        format!("Sec-WebSocket-Extensions: permessage-deflate{}", fill(";b=1")),
        format!("Sec-WebSocket-Protocol: {}", fill("a,")),
        format!("Connection: {}", fill("a,")),
    ] {
        let (_, peak) = heap::peak(|| judge(&format!("{more}\r\n")));
        assert!(peak < 1 << 20, "{peak} bytes for {}", &more[..40]);
    }
}

// ── T4: heads without end ──

const TOO_LARGE: HeadError = HeadError::TooLarge { limit: 16 * 1024 };

/// T4: 20 MB in one line cost no more than the limit, at once and byte by byte. That a head is not scanned anew with each
/// byte is held by `takes_a_large_head_byte_by_byte` in rfc6455_4_handshake.rs.
#[test]
fn endless_head_costs_no_more_than_the_limit() {
    let endless = format!("{REQUEST}A: {}", "a".repeat(20_000_000)).into_bytes();
    for step in [1, 7, 4096, 65_536, endless.len()] {
        let (refused_at, work) = heap::work(|| {
            let mut handshake = ServerHandshake::new(Limits::internet());
            let refused = endless.chunks(step).position(|piece| handshake.receive(piece).is_err());
            refused.expect("it is refused") * step
        });
        assert!(refused_at <= 16 * 1024, "refused behind {refused_at} bytes");
        // A buffer that doubles up to the limit is asked for twice the limit in all.
        assert!(work.bytes <= 4 * 16 * 1024, "{work:?} in steps of {step}");
    }
}

/// T4: told over TCP while it is still sending, in packets of one byte too.
#[test]
fn client_that_sends_a_head_without_end_is_told_431() {
    let endless = format!("{REQUEST}A: {}", "a".repeat(200_000));
    assert_eq!(refused(endless.as_bytes()), (431, Refusal::Head(TOO_LARGE)));
    run(async {
        let (server, _ended) = reading_server(sockeye::Config::new(SERVER), false).await;
        let mut peer = server.tcp().await;
        peer.io.set_nodelay(true).expect("a socket");
        for byte in &endless.as_bytes()[..20_000] {
            peer.io.write_all(&[*byte]).await.expect("what is sent is taken");
        }
        let mut answer = Vec::new();
        peer.io.read_to_end(&mut answer).await.expect("the stream ends, and is not reset");
        assert_eq!(only_refusal(&answer, "an endless head"), 431);
    });
}

/// T4: the same for a client: heads, interim responses and bodies without end.
#[test]
fn client_gives_up_a_response_without_end() {
    let endless = |start: &str, unit: &str| start.to_owned() + &unit.repeat(2_000_000 / unit.len());
    let head = HandshakeError::Head(TOO_LARGE);
    assert_eq!(answered(endless("HTTP/1.1 101 ", "a").as_bytes(), |connect| connect), head);
    assert_eq!(answered(endless("HTTP/1.1 101 Ok\r\nA: ", "a").as_bytes(), |connect| connect), head);
    assert_eq!(answered(endless("", "\r\n").as_bytes(), |connect| connect), head);
    let error = answered(endless("", "HTTP/1.1 103 Early Hints\r\n\r\n").as_bytes(), |connect| connect);
    assert!(matches!(error, HandshakeError::TooManyInterim { .. }), "{error:?}");
    for framing in ["Content-Length: 99999999999999\r\n", "", "Transfer-Encoding: chunked\r\n"] {
        let refusal = endless(&format!("HTTP/1.1 503 Busy\r\n{framing}\r\n"), "ff\r\n");
        match answered(refusal.as_bytes(), |connect| connect.max_refusal_body(1000)) {
            HandshakeError::Refused(response) => assert!(response.body.len() <= 1000, "{}", response.body.len()),
            error => panic!("{error:?}"),
        }
    }
}

// ── T6: keys ──

/// T6: the RFC's key is 24 characters, and no other length is copied anywhere.
#[test]
fn keys_of_other_lengths_and_alphabets_are_told_400() {
    let with = |key: &str| REQUEST.replace("dGhlIHNhbXBsZSBub25jZQ==", key) + "\r\n";
    for key in [
        "",
        "=",
        "==",
        "dGhlIHNhbXBsZSBub25j",      // 15 bytes
        "dGhlIHNhbXBsZSBub25jZWU=",  // 17 bytes
        "dGhlIHNhbXBsZSBub25jZQ",    // no padding
        "dGhlIHNhbXBsZSBub25jZQ===", // too much of it
        "dGhlIHNhbXBsZSBub25j-_==",  // another alphabet
        "dGhlIHNhbXBsZSBub25jZQ== x",
        "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}==",
        &"A".repeat(15_000),
        &format!("{}==", "A".repeat(15_000)),
    ] {
        assert_refused(&with(key), 400, Refusal::Key);
    }
}

// ── T9: drafts ──

/// T9: frames of the drafts have lengths of any number of bytes; whoever speaks them is told which version to speak.
#[test]
fn drafts_are_told_426_and_their_frames_are_not_read() {
    let hixie_75 = "GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\nOrigin: http://a\r\n\r\n";
    let hixie_76 = "GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\nOrigin: http://a\r\n\
        Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n^n:ds[4U";
    let mut drafts = vec![(hixie_75.to_owned(), Refusal::UnsupportedVersion), (hixie_76.into(), Refusal::Hixie76)];
    for version in ["0", "4", "6", "7", "8", "12", "14", "25", "255", "256", "013", "13.0", "-13", "8, 13"] {
        let other = REQUEST.replace("Version: 13", &format!("Version: {version}")) + "\r\n";
        drafts.push((other, Refusal::UnsupportedVersion));
    }
    for (head, refusal) in drafts {
        // A text frame of hixie-76, and a binary one whose length has no end.
        let bytes = [head.as_bytes(), b"\x00text\xff\x80", &[0xff; 100_000]].concat();
        assert_eq!(refused(&bytes), (426, refusal), "{head}");
    }
    assert_eq!(Response::from(&Refusal::Hixie76).headers.get_str("Sec-WebSocket-Version"), Some("13"));
}

/// T9: the same for a client, by servers that speak drafts.
#[test]
fn client_fails_on_the_answers_of_drafts() {
    let hixie = "HTTP/1.1 101 WebSocket Protocol Handshake\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Origin: http://a\r\nSec-WebSocket-Location: ws://a/\r\n\r\n8jKS'y:G*Co,Wxa-";
    assert_eq!(answered(hixie.as_bytes(), |connect| connect), HandshakeError::MissingAccept);
}

// ── T29: control characters ──

/// T29: wherever CR, LF and NUL come in, they get no further.
#[test]
fn control_characters_in_a_request_are_told_400() {
    for byte in ["\r", "\n", "\0", "\x0b", "\x7f"] {
        for (place, head) in [
            ("the target", request("").replace("/chat", &format!("/ch{byte}at"))),
            ("a name", request(&format!("X{byte}Y: a\r\n"))),
            ("a value", request(&format!("X: a{byte}b\r\n"))),
            ("a subprotocol", request(&format!("Sec-WebSocket-Protocol: a{byte}b\r\n"))),
            ("the key", request("").replace("dGhl", &format!("dG{byte}l"))),
            ("the method", request("").replace("GET", &format!("GE{byte}"))),
        ] {
            let (status, refusal) = refused(&[head.as_bytes(), &pipelined()].concat());
            assert_eq!(status, 400, "{byte:?} in {place}");
            assert!(matches!(refusal, Refusal::Head(_)), "{byte:?} in {place}: {refusal:?}");
        }
    }
}

/// T29: the same for a client, in a server's reason phrase and headers.
#[test]
fn control_characters_in_a_response_fail() {
    for byte in ["\r", "\n", "\0", "\x7f"] {
        for response in [
            format!("HTTP/1.1 503 Bu{byte}sy\r\n\r\n"),
            format!("HTTP/1.1 503 Busy\r\nX: a{byte}b\r\n\r\n"),
            format!("HTTP/1.1 503 Busy\r\nX{byte}Y: a\r\n\r\n"),
        ] {
            let error = answered(response.as_bytes(), |connect| connect);
            assert!(matches!(error, HandshakeError::Head(_)), "{response:?}: {error:?}");
        }
    }
}

// ── T30: what is behind a refused request ──

/// T30: requests to upgrade with a body, however it is announced.
#[test]
fn upgrade_with_a_body_is_told_400() {
    for line in [
        "Content-Length: 5",
        "content-length: 00",
        "Content-Length: +0",
        "Content-Length: 0, 0",
        "Content-Length: 0x0",
        "Content-Length:",
        "Content-Length: 0\r\nContent-Length: 5",
        "Content-Length: 99999999999999999999999",
        "Transfer-Encoding: chunked",
        "transfer-encoding: identity",
        "Transfer-Encoding: \x08chunked",
        "Transfer-Encoding:\tchunked",
        "Transfer-Encoding:",
        "Content-Length: 0\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding : chunked",
        "Content-Length : 5",
        " Content-Length: 5",
        "X: a\r\n\tTransfer-Encoding: chunked",
        "X: a\nTransfer-Encoding: chunked",
        "X: a\rTransfer-Encoding: chunked",
    ] {
        let (status, refusal) =
            refused(&[request(&format!("{line}\r\n")).as_bytes(), b"smuggled", &*pipelined()].concat());
        assert_eq!(status, 400, "{line:?}");
        assert!(matches!(refusal, Refusal::Body | Refusal::Head(_)), "{line:?}: {refusal:?}");
    }
}

/// T30: behind a refusal of any kind, there is one response and the end, whatever was pipelined.
#[test]
fn nothing_behind_a_refused_upgrade_is_parsed() {
    let replaced = |what: &str, with: &str| REQUEST.replace(what, with) + "\r\n";
    for (head, status, refusal) in [
        (replaced("Version: 13", "Version: 1337"), 426, Refusal::UnsupportedVersion),
        (replaced("Sec-WebSocket-Version: 13\r\n", ""), 426, Refusal::UnsupportedVersion),
        (replaced("GET", "POST"), 405, Refusal::Method),
        (replaced("GET", "OPTIONS"), 405, Refusal::Method),
        (replaced("HTTP/1.1", "HTTP/1.0"), 426, Refusal::HttpVersion),
        (replaced("Upgrade: websocket\r\n", ""), 426, Refusal::MissingUpgrade),
        (replaced("Upgrade: websocket", "Upgrade: h2c"), 426, Refusal::MissingUpgrade),
        (replaced("Connection: Upgrade", "Connection: keep-alive"), 400, Refusal::MissingConnection),
        (replaced("/chat", "*"), 400, Refusal::Target),
        (replaced("Host: localhost", "Host: a\r\nHost: b"), 400, Refusal::RepeatedHeader { name: "Host" }),
        (replaced("Host: localhost\r\n", ""), 400, Refusal::MissingHost),
    ] {
        assert_refused(&head, status, refusal);
    }
}

/// T30: a refusal of the application's own closes just as well.
#[test]
fn nothing_behind_a_request_that_the_application_rejects_is_parsed() {
    for (head, status) in [(request(""), 403), (request(""), 200), (request("Content-Length: 5\r\n"), 404)] {
        let bytes = [head.as_bytes(), b"hello", &*pipelined()].concat();
        let answer = run(async {
            let (listener, address) = listen().await;
            let reject = async {
                let (tcp, _) = listener.accept().await.expect("a client comes");
                let incoming = receive_request(tcp, &Options::default()).await.expect("a request");
                incoming.reject(&Response::new(status).expect("a status")).await.expect("it is sent");
            };
            tokio::join!(reject, say(address, &bytes)).1
        });
        assert_eq!(only_refusal(&answer, &head), status);
    }
}

/// T30: no more than a bound is read behind a refusal, of a client that sends for ever.
#[test]
fn client_that_sends_for_ever_behind_a_refusal_is_read_no_further_than_a_bound() {
    const DISCARDED: usize = 256 * 1024;
    run(async {
        let (ours, mut theirs) = duplex(4096);
        let client = async {
            theirs.write_all(REQUEST.replace("13", "8").as_bytes()).await.expect("there is room");
            theirs.write_all(b"\r\n").await.expect("there is room");
            let mut sent = 0;
            while let Ok(written) = theirs.write(&[b'x'; 1000]).await {
                sent += written;
                assert!(sent < 2 * DISCARDED, "it is still read");
            }
            sent
        };
        let (accepted, sent) = tokio::join!(sockeye::accept(ours), client);
        assert!(matches!(accepted, Err(sockeye::Error::Refused(_))), "{accepted:?}");
        assert!((DISCARDED..DISCARDED + 3 * 4096).contains(&sent), "{sent} bytes");
    });
}

/// T30: a server that refuses many in turn serves the next one.
#[test]
fn server_that_has_refused_many_serves_the_next() {
    run(async {
        let (server, _ended) = reading_server(sockeye::Config::new(SERVER), false).await;
        let address: SocketAddr = server.address;
        for bytes in [
            &b"\x16\x03\x01\x02\x00\x01\x00"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\0",
            &[0xff; 5000],
            b"GET\r\n\r\n",
        ] {
            let status = only_refusal(&say(address, bytes).await, "garbage");
            assert!(status == 400 || status == 505, "{status} for {bytes:?}");
        }
        connect(server.url()).await.expect("the server lives");
    });
}
