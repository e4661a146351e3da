//! RFC 6455 §4: the opening handshake, every MUST of both roles, without a socket.

use sockeye::proto::{
    Limits,
    handshake::{
        Accept, AcceptError, Accepted, BuildError, ClientHandshake, ClientRequest, HandshakeError, Refusal, Request,
        Response, ServerHandshake,
    },
    http::{HeadError, Headers, InvalidHeader},
};

const NONCE: [u8; 16] = *b"the sample nonce"; // §1.3
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const REQUEST: &str = "GET /chat?room=1 HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

/// `head` with the line that starts with `name` replaced; an empty `line` leaves it out.
fn with(head: &str, name: &str, line: &str) -> String {
    assert!(head.contains(name), "{name}");
    let lines = head.split_inclusive("\r\n").map(|old| match (old.starts_with(name), line) {
        (false, _) => old.to_owned(),
        (true, "") => String::new(),
        (true, line) => format!("{line}\r\n"),
    });
    lines.collect()
}

/// `head` with one more line at its end.
fn plus(head: &str, line: &str) -> String {
    let head = head.strip_suffix("\r\n").expect("ends with an empty line");
    format!("{head}{line}\r\n\r\n")
}

fn receive(input: &str) -> Result<Request, Refusal> {
    receive_with(Limits::internet(), input.as_bytes())
}

fn receive_with(limits: Limits, input: &[u8]) -> Result<Request, Refusal> {
    let (consumed, request) = ServerHandshake::new(limits).receive(input)?;
    assert_eq!(consumed, input.len());
    Ok(request.expect("the head is whole"))
}

/// What a server that accepts all says to this request.
fn serve(input: &str) -> Result<String, Refusal> {
    match receive(input)?.accept(&Accept::default()) {
        Ok((response, _)) => Ok(String::from_utf8(response.to_vec()).expect("ASCII")),
        Err(AcceptError::Refusal(refusal)) => Err(refusal),
        Err(error) => panic!("{error}"),
    }
}

fn header(name: &str, value: &str) -> Headers {
    let mut headers = Headers::new();
    headers.push(name, value).expect("valid");
    headers
}

fn client_request() -> ClientRequest {
    ClientRequest::new("ws://server.example.com/chat".parse().expect("valid"))
}

fn start(request: &ClientRequest) -> (ClientHandshake, String) {
    let (handshake, bytes) =
        ClientHandshake::new(request, NONCE, Limits::internet(), 64).expect("the request can be sent");
    (handshake, String::from_utf8(bytes.to_vec()).expect("ASCII"))
}

/// What a client makes of this response to a request for a subprotocol `a` or `b`, and no extension.
fn ask(input: &str) -> Result<Accepted, HandshakeError> {
    let mut request = client_request();
    request.subprotocols = vec!["a".into(), "b".into()];
    let (consumed, accepted) = start(&request).0.receive(input.as_bytes())?;
    assert_eq!(consumed, input.len());
    Ok(accepted.expect("the head is whole"))
}

fn ask_err(input: &str) -> HandshakeError {
    ask(input).expect_err("the handshake fails")
}

mod server {
    use super::*;

    #[test]
    fn answers_the_request_of_section_1_2() {
        let request = receive(REQUEST).expect("well-formed");
        assert!(request.is_upgrade());
        assert_eq!((request.method(), request.target()), ("GET", "/chat?room=1"));
        assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
        assert_eq!((request.host(), request.origin()), (Some("server.example.com"), None));
        assert_eq!(request.header("sec-websocket-version"), Some("13"));
        assert_eq!(request.check_upgrade(), Ok(()));
        assert_eq!(serve(REQUEST).as_deref(), Ok(RESPONSE));
    }

    #[test]
    fn gives_the_same_request_at_every_split_and_leaves_what_is_behind() {
        let whole = receive(REQUEST).expect("well-formed");
        let input = [REQUEST.as_bytes(), b"\x81\x85frames\r\n\r\n"].concat();
        for at in 0..=input.len() {
            let mut handshake = ServerHandshake::new(Limits::internet());
            let (first, early) = handshake.receive(&input[..at]).expect("well-formed");
            assert_eq!(first, at.min(REQUEST.len()));
            assert_eq!(early.is_some(), at >= REQUEST.len(), "at {at}");
            let (second, late) = handshake.receive(&input[at..]).expect("well-formed");
            assert_eq!(first + second, REQUEST.len(), "at {at}");
            assert_eq!(early.or(late).as_ref(), Some(&whole), "at {at}");
            assert_eq!(handshake.receive(b"more").expect("over"), (0, None));
        }
    }

    #[test]
    fn gives_the_same_refusal_at_every_split() {
        let limits = Limits::internet().max_head(200).max_headers(5).max_target(30);
        for (input, refusal) in [
            (format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(30)), HeadError::TargetTooLong { limit: 30 }),
            (format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(200)), HeadError::TooLarge { limit: 200 }),
            (format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(6)), HeadError::TooManyHeaders { limit: 5 }),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n".into(), HeadError::FoldedLine),
            ("GET / HTTP/1.1\r\nA: b\nC: d\r\n\r\n".into(), HeadError::LineEnd),
            ("GET / HTTP/1.1\r\nA b\r\n\r\n".into(), HeadError::HeaderLine),
        ] {
            for at in 0..=input.len() {
                let mut handshake = ServerHandshake::new(limits);
                let (one, two) = input.as_bytes().split_at(at);
                let result = handshake.receive(one).and_then(|_| handshake.receive(two));
                assert_eq!(result, Err(Refusal::Head(refusal)), "{input:?} at {at}");
            }
        }
    }

    #[test]
    fn gives_requests_that_are_no_upgrade() {
        let request = receive("GET / HTTP/1.1\r\nHost: a:9001\r\nAccept: text/html\r\n\r\n").expect("well-formed");
        assert!(!request.is_upgrade());
        assert_eq!(request.check_upgrade(), Err(Refusal::MissingUpgrade));
        let request = receive("POST /x HTTP/1.0\r\nContent-Length: 3\r\n\r\n").expect("well-formed");
        assert_eq!((request.method(), request.path(), request.host()), ("POST", "/x", None));
        receive("\r\n\r\nGET / HTTP/1.0\r\n\r\n").expect("empty lines in front are passed over");
    }

    #[test]
    fn takes_an_absolute_target() {
        for (target, path, query, host) in [
            ("http://b:81/x?y", "/x", Some("y"), "b:81"),
            ("HTTPS://b", "/", None, "b"),
            ("ws://b?y", "/", Some("y"), "b"),
            ("/http://b/", "/http://b/", None, "server.example.com"),
        ] {
            let request = receive(&REQUEST.replace("/chat?room=1", target)).expect("well-formed");
            assert_eq!((request.path(), request.query(), request.host()), (path, query, Some(host)));
            assert_eq!(request.check_upgrade(), Ok(()), "{target}");
        }
        for target in ["*", "b:81", "chat", "ftp://b/x", "http:///x", "http://u@b/"] {
            assert_eq!(serve(&REQUEST.replace("/chat?room=1", target)), Err(Refusal::Target), "{target}");
        }
    }

    #[test]
    fn reads_later_minor_versions_as_the_latest_it_knows() {
        // RFC 9110 §2.5
        for version in ["HTTP/1.2", "HTTP/1.9"] {
            assert_eq!(serve(&REQUEST.replace("HTTP/1.1", version)).map(drop), Ok(()), "{version}");
        }
    }

    #[test]
    fn finds_websocket_among_the_protocols_that_a_client_could_upgrade_to() {
        // RFC 9110 §7.8: protocol = protocol-name ["/" protocol-version]
        for upgrade in ["WebSocket", "HTTP/2.0, websocket", "websocket , IRC/6.9", "h2c,\r\nUpgrade: websocket"] {
            assert_eq!(serve(&REQUEST.replace("Upgrade: websocket", &format!("Upgrade: {upgrade}"))).map(drop), Ok(()));
        }
        for upgrade in ["websocket/13", "web socket", "websockets", "websocket;q=1", "\"websocket\""] {
            let result = serve(&REQUEST.replace("Upgrade: websocket", &format!("Upgrade: {upgrade}")));
            assert_eq!(result, Err(Refusal::MissingUpgrade), "{upgrade}");
        }
    }

    #[test]
    fn ignores_the_upgrade_header_of_http_10() {
        // RFC 9110 §7.8
        let request = receive(&REQUEST.replace("HTTP/1.1", "HTTP/1.0")).expect("well-formed");
        assert!(!request.is_upgrade());
        assert_eq!(Response::from(&Refusal::HttpVersion).status(), 426);
    }

    #[test]
    fn refuses_what_is_no_http_11_get() {
        assert_eq!(serve(&REQUEST.replace("GET", "POST")), Err(Refusal::Method));
        assert_eq!(serve(&REQUEST.replace("GET", "get")), Err(Refusal::Method));
        assert_eq!(serve(&REQUEST.replace("HTTP/1.1", "HTTP/1.0")), Err(Refusal::HttpVersion));
        for (input, error) in [
            (REQUEST.replace("HTTP/1.1", "HTTP/2.0"), HeadError::Version),
            ("PRI * HTTP/2.0\r\n\r\n".into(), HeadError::Version),
            (REQUEST.replace(" HTTP/1.1", ""), HeadError::StartLine),
            (REQUEST.replace("GET", "G\u{e9}T"), HeadError::StartLine),
            (REQUEST.replace("HTTP/1.1", "HTTP/0.9"), HeadError::Version),
            (REQUEST.replace("HTTP/1.1", "HTTP/1.10"), HeadError::LineEnd),
            (REQUEST.replace("HTTP/1.1", "HTTX/1.1"), HeadError::StartLine),
            (REQUEST.replace("HTTP/1.1", "http/1.1"), HeadError::StartLine),
            (REQUEST.replace("HTTP/1.1", "HTTP/1"), HeadError::StartLine),
            (REQUEST.replace("/chat", "/a b"), HeadError::StartLine),
            ("GET\r\n".into(), HeadError::StartLine), // without waiting for headers
            ("GET /\r\n".into(), HeadError::StartLine),
            (REQUEST.replace("/chat", "/\u{e9}"), HeadError::Target),
            (REQUEST.replace("/chat", "/#x"), HeadError::Target),
            (REQUEST.replace("/chat", "/\0"), HeadError::ForbiddenByte { byte: 0 }),
            (REQUEST.replace("Upgrade:", "Upgrade :"), HeadError::HeaderLine),
            (REQUEST.replace("Upgrade:", ":"), HeadError::HeaderLine),
            (REQUEST.replace("websocket", "web\0socket"), HeadError::ForbiddenByte { byte: 0 }),
            (REQUEST.replace("websocket", "web\rsocket"), HeadError::LineEnd),
            (REQUEST.replace("\r\n", "\n"), HeadError::LineEnd),
            ("\u{16}\u{3}\u{1}".into(), HeadError::ForbiddenByte { byte: 0x16 }), // a TLS handshake
        ] {
            assert_eq!(serve(&input), Err(Refusal::Head(error)), "{input:?}");
        }
    }

    #[test]
    fn refuses_a_host_that_is_missing_repeated_or_malformed() {
        assert_eq!(serve(&with(REQUEST, "Host", "")), Err(Refusal::MissingHost));
        assert_eq!(serve(&plus(REQUEST, "host: b")), Err(Refusal::RepeatedHeader { name: "Host" }));
        for host in ["", "a b", "a:b", "a:99999", "a/b", "u@a", "[::1", "\u{e9}", "http://a"] {
            let request = with(REQUEST, "Host", &format!("Host: {host}"));
            assert_eq!(serve(&request), Err(Refusal::MalformedHost), "{host}");
        }
        for host in ["a", "a.b:9001", "127.0.0.1", "[::1]", "[::1]:80", "a_b"] {
            assert!(serve(&with(REQUEST, "Host", &format!("Host: {host}"))).is_ok(), "{host}");
        }
    }

    #[test]
    fn refuses_an_origin_that_is_repeated_or_unreadable() {
        // T31: to tell a good one from a bad one is up to the application.
        for origin in ["null", "http://a:b", "https://a.example"] {
            let request = receive(&plus(REQUEST, &format!("Origin: {origin}"))).expect("well-formed");
            assert_eq!(request.origin(), Some(origin));
        }
        let two = plus(&plus(REQUEST, "Origin: http://a"), "Origin: http://b");
        assert_eq!(serve(&two), Err(Refusal::RepeatedHeader { name: "Origin" }));
        assert_eq!(serve(&plus(REQUEST, "Origin: http://\u{e9}")), Err(Refusal::MalformedOrigin));
    }

    #[test]
    fn takes_upgrade_and_connection_as_lists_in_any_case() {
        for (name, line) in [
            ("Upgrade", "UPGRADE: WebSocket"),
            ("Upgrade", "Upgrade: h2c , websocket"),
            ("Connection", "connection: keep-alive, upgrade"),
            ("Connection", "Connection: keep-alive\r\nConnection: ,Upgrade,"),
        ] {
            assert!(serve(&with(REQUEST, name, line)).is_ok(), "{line}");
        }
    }

    #[test]
    fn refuses_a_missing_or_other_upgrade_or_connection() {
        for line in
            ["", "Upgrade:", "Upgrade: h2c", "Upgrade: websockets", "Upgrade: websocket/13", "Upgrade: x websocket"]
        {
            assert_eq!(serve(&with(REQUEST, "Upgrade", line)), Err(Refusal::MissingUpgrade), "{line}");
        }
        for line in ["", "Connection:", "Connection: close", "Connection: upgraded", "Connection: \"Upgrade\""] {
            assert_eq!(serve(&with(REQUEST, "Connection", line)), Err(Refusal::MissingConnection), "{line}");
        }
    }

    #[test]
    fn refuses_keys_that_are_no_16_bytes() {
        // T6
        for line in [
            String::new(),
            "Sec-WebSocket-Key:".into(),
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j".into(), // 15 bytes
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZWU=".into(), // 17 bytes
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ".into(), // no padding
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSB!b25jZQ==".into(),
            format!("Sec-WebSocket-Key: {}", "A".repeat(9000)),
        ] {
            assert_eq!(serve(&with(REQUEST, "Sec-WebSocket-Key", &line)), Err(Refusal::Key), "{line}");
        }
        let two = plus(REQUEST, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(serve(&two), Err(Refusal::RepeatedHeader { name: "Sec-WebSocket-Key" }));
    }

    #[test]
    fn refuses_other_versions_and_drafts() {
        for line in ["", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Version: 013", "Sec-WebSocket-Version: 13, 8"] {
            assert_eq!(
                serve(&with(REQUEST, "Sec-WebSocket-Version", line)),
                Err(Refusal::UnsupportedVersion),
                "{line}"
            );
        }
        let two = plus(REQUEST, "Sec-WebSocket-Version: 13");
        assert_eq!(serve(&two), Err(Refusal::RepeatedHeader { name: "Sec-WebSocket-Version" }));
        // T9
        let hixie = "GET / HTTP/1.1\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nHost: a\r\nOrigin: http://a\r\n\
            Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n\r\n";
        assert_eq!(serve(hixie), Err(Refusal::Hixie76));
    }

    #[test]
    fn refuses_an_upgrade_with_a_body() {
        // T30
        for line in ["Content-Length: 1", "Content-Length: 00", "Content-Length: x", "Transfer-Encoding: chunked"] {
            assert_eq!(serve(&plus(REQUEST, line)), Err(Refusal::Body), "{line}");
        }
        assert!(serve(&plus(REQUEST, "Content-Length: 0")).is_ok());
    }

    #[test]
    fn refuses_more_headers_than_the_limit_repeated_ones_too() {
        // T1, T5
        let many = |line: &str, times| REQUEST.replace("Host", &format!("{}Host", line.repeat(times)));
        assert!(serve(&many("A: b\r\n", 95)).is_ok());
        let refusal = Refusal::Head(HeadError::TooManyHeaders { limit: 100 });
        for times in [96, 2000] {
            assert_eq!(serve(&many("A: b\r\n", times)), Err(refusal));
        }
        let small = Limits::internet().max_headers(5);
        assert!(receive_with(small, REQUEST.as_bytes()).is_ok());
        let small = small.max_headers(4);
        assert!(receive_with(small, REQUEST.as_bytes()).is_err());
    }

    #[test]
    fn refuses_heads_and_targets_over_the_limit_to_the_byte() {
        let refusal = |limits, input: &str| receive_with(limits, input.as_bytes()).err();
        let fits = Limits::internet().max_head(REQUEST.len());
        assert_eq!(refusal(fits, REQUEST), None);
        let limit = REQUEST.len() - 1;
        let over = fits.max_head(limit);
        assert_eq!(refusal(over, REQUEST), Some(Refusal::Head(HeadError::TooLarge { limit })));
        let fits = Limits::internet().max_target("/chat?room=1".len());
        assert_eq!(refusal(fits, REQUEST), None);
        let limit = fits.max_target - 1;
        let over = fits.max_target(limit);
        assert_eq!(refusal(over, REQUEST), Some(Refusal::Head(HeadError::TargetTooLong { limit })));
    }

    #[test]
    fn refuses_an_endless_head_at_the_limit_however_it_comes() {
        // T4
        let endless = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(20_000_000));
        let refusal = Refusal::Head(HeadError::TooLarge { limit: 16 * 1024 });
        assert_eq!(receive(&endless).err(), Some(refusal));
        let mut handshake = ServerHandshake::new(Limits::internet());
        let refused_at = endless.bytes().position(|byte| handshake.receive(&[byte]).is_err());
        assert_eq!((refused_at, handshake.received()), (Some(16 * 1024), 16 * 1024));
        let endless = "\r\n".repeat(10_000);
        assert_eq!(receive(&endless).err(), Some(refusal));
    }

    #[test]
    fn takes_a_large_head_byte_by_byte() {
        // T4: were it scanned anew with each byte, this would take 10^13 steps.
        let limits = Limits::internet().max_head(8 << 20);
        let request = plus(REQUEST, &format!("A: {}", "a".repeat(4 << 20)));
        let mut handshake = ServerHandshake::new(limits);
        let (last, first) = request.as_bytes().split_last().expect("not empty");
        for byte in first {
            assert_eq!(handshake.receive(&[*byte]), Ok((1, None)));
        }
        assert!(handshake.receive(&[*last]).expect("well-formed").1.is_some());
    }

    #[test]
    fn takes_subprotocols_in_the_order_of_its_own_liking() {
        let request = plus(&plus(REQUEST, "Sec-WebSocket-Protocol: a, b"), "sec-websocket-protocol: c");
        let request = receive(&request).expect("well-formed");
        assert_eq!(request.subprotocols().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(request.choose_subprotocol(["x", "c", "a"]), Some("c"));
        assert_eq!(request.choose_subprotocol(["A"]), None);
        let accept = Accept { subprotocol: Some("c".into()), ..Accept::default() };
        let (response, agreed) = request.accept(&accept).expect("accepted");
        assert_eq!(agreed.subprotocol.as_deref(), Some("c"));
        assert!(response.ends_with(b"\r\nSec-WebSocket-Protocol: c\r\n\r\n"));
        let (response, agreed) = request.accept(&Accept::default()).expect("accepted");
        assert_eq!((agreed.subprotocol, &*response), (None, RESPONSE.as_bytes()));
    }

    #[test]
    fn refuses_malformed_or_repeated_subprotocols() {
        let protocol = |value: &str| serve(&plus(REQUEST, &format!("Sec-WebSocket-Protocol: {value}")));
        let spaces = format!("b{}x", " ".repeat(15_000)); // T2
        for value in ["", ",", "a b", "a;b", "\"a\"", "a, \u{e9}", "a/b", &spaces] {
            assert!(matches!(protocol(value), Err(Refusal::MalformedSubprotocols(_))), "{value}");
        }
        assert_eq!(protocol("a, b, a"), Err(Refusal::RepeatedSubprotocol));
        assert!(protocol("a, A").is_ok()); // §11.5: compared with case
    }

    #[test]
    fn refuses_malformed_extensions() {
        let extensions = |value: &str| serve(&plus(REQUEST, &format!("Sec-WebSocket-Extensions: {value}")));
        let backslashes = format!("a; b=\"{}", "\\".repeat(15_000)); // T3
        for value in ["", "a; b=\"c", "a; b=", "a b", "a;", "a; b=\"c d\"", &backslashes] {
            assert!(matches!(extensions(value), Err(Refusal::MalformedExtensions(_))), "{value}");
        }
        for value in ["a; constructor=__proto__; hasOwnProperty", "a,, b"] {
            assert_eq!(extensions(value).as_deref(), Ok(RESPONSE)); // unknown ones are not accepted
        }
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn accepts_permessage_deflate_only_if_asked_and_told_to() {
        let offering = receive(&plus(REQUEST, "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"));
        let offering = offering.expect("well-formed");
        let silent = receive(REQUEST).expect("well-formed");
        let accept = Accept { deflate: Some(Default::default()), ..Accept::default() };
        let (response, agreed) = offering.accept(&accept).expect("accepted");
        assert!(response.ends_with(b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"));
        assert!(agreed.deflate.is_some());
        for (request, accept) in [(&offering, &Accept::default()), (&silent, &accept)] {
            let (response, agreed) = request.accept(accept).expect("accepted");
            assert_eq!((&*response, agreed.deflate), (RESPONSE.as_bytes(), None));
        }
    }

    #[test]
    fn application_cannot_break_the_response() {
        // T29
        let request = receive(&plus(REQUEST, "Sec-WebSocket-Protocol: a")).expect("well-formed");
        let build = |accept| match request.accept(&accept) {
            Err(AcceptError::Build(error)) => error,
            other => panic!("{other:?}"),
        };
        for subprotocol in ["b", "A", "a\r\nSet-Cookie: b", ""] {
            let accept = Accept { subprotocol: Some(subprotocol.into()), ..Accept::default() };
            assert_eq!(build(accept), BuildError::UnaskedSubprotocol { subprotocol: subprotocol.into() });
        }
        for name in ["Connection", "upgrade", "Sec-WebSocket-Accept", "sec-websocket-extensions", "Content-Length"] {
            let accept = Accept { headers: header(name, "x"), ..Accept::default() };
            assert_eq!(build(accept), BuildError::OwnedHeader { name: name.into() });
        }
        let accept = Accept { headers: header("Set-Cookie", "a=b"), ..Accept::default() };
        let (response, _) = request.accept(&accept).expect("accepted");
        assert!(response.ends_with(b"\r\nSet-Cookie: a=b\r\n\r\n"));
    }

    #[test]
    fn refusals_say_why_and_close() {
        for (refusal, start) in [
            (Refusal::Key, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"),
            (Refusal::Head(HeadError::StartLine), "HTTP/1.1 400 Bad Request\r\n"),
            (Refusal::Head(HeadError::TargetTooLong { limit: 1 }), "HTTP/1.1 414 URI Too Long\r\n"),
            (Refusal::Head(HeadError::TooLarge { limit: 1 }), "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            (Refusal::Head(HeadError::TooManyHeaders { limit: 1 }), "HTTP/1.1 431 "),
            (Refusal::Head(HeadError::Version), "HTTP/1.1 505 HTTP Version Not Supported\r\n"),
        ] {
            let response = Response::from(&refusal).encode();
            assert!(response.starts_with(start.as_bytes()), "{response:?}");
            assert!(response.ends_with(format!("\r\n\r\n{refusal}\n").as_bytes()), "{response:?}");
        }
        let response = Response::from(&Refusal::Method);
        assert_eq!((response.status(), response.headers.get_str("Allow")), (405, Some("GET")));
        for refusal in [Refusal::HttpVersion, Refusal::MissingUpgrade, Refusal::UnsupportedVersion, Refusal::Hixie76] {
            let response = Response::from(&refusal);
            assert_eq!(response.status(), 426);
            assert_eq!(response.headers.get_str("Sec-WebSocket-Version"), Some("13"));
            assert_eq!(response.headers.get_str("Upgrade"), Some("websocket"));
            assert!(response.encode().starts_with(b"HTTP/1.1 426 Upgrade Required\r\nConnection: close, Upgrade\r\n"));
        }
    }

    #[test]
    fn responses_are_framed_by_their_length() {
        for status in [0, 99, 100, 101, 199, 600] {
            assert_eq!(Response::new(status), Err(BuildError::Status { status }));
        }
        let mut response = Response::new(403).expect("a status");
        response.headers.push("Content-Length", "1").expect("valid");
        response.headers.push("Transfer-Encoding", "chunked").expect("valid");
        response.headers.push("X-Reason", "origin").expect("valid");
        response.body = "no".into();
        assert_eq!(
            response.encode(),
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\nX-Reason: origin\r\n\r\nno"
        );
        // RFC 9110 §9.3.2: HEAD is answered as GET would be, without the content.
        assert_eq!(
            response.encode_head(),
            "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\nX-Reason: origin\r\n\r\n"
        );
        assert_eq!(
            Response::new(204).expect("a status").encode(),
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
        );
    }
}

mod client {
    use super::*;

    #[test]
    fn sends_the_request_of_section_4_1() {
        let mut request = client_request();
        assert_eq!(
            start(&request).1,
            "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        request.uri = "ws://[::1]:9001?x".parse().expect("valid");
        request.subprotocols = vec!["a".into(), "b".into()];
        request.headers = header("Origin", "http://a");
        assert_eq!(
            start(&request).1,
            "GET /?x HTTP/1.1\r\nHost: [::1]:9001\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: a, b\r\nOrigin: http://a\r\n\r\n"
        );
        request.headers = header("host", "other");
        let sent = start(&request).1;
        assert!(sent.contains("\r\nHost: other\r\n"));
        assert_eq!(sent.to_lowercase().matches("host:").count(), 1);
    }

    #[test]
    fn gives_the_same_acceptance_at_every_split_and_leaves_what_is_behind() {
        let whole = ask(RESPONSE).expect("accepted");
        assert_eq!((whole.response.status(), whole.response.reason()), (101, "Switching Protocols"));
        assert_eq!(whole.response.headers.get_str("sec-websocket-accept"), Some(ACCEPT));
        let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
        let head = format!("{interim}{RESPONSE}");
        let input = [head.as_bytes(), b"\x81\x05frame"].concat();
        for at in 0..=input.len() {
            let (mut handshake, _) = start(&client_request());
            let (first, early) = handshake.receive(&input[..at]).expect("well-formed");
            assert_eq!((first, early.is_some()), (at.min(head.len()), at >= head.len()), "at {at}");
            let (second, late) = handshake.receive(&input[at..]).expect("well-formed");
            assert_eq!(first + second, head.len(), "at {at}");
            assert_eq!(early.or(late).as_ref(), Some(&whole), "at {at}");
            assert_eq!(handshake.receive(b"more"), Ok((0, None)));
        }
    }

    #[test]
    fn fails_on_a_missing_or_other_upgrade_or_connection() {
        for line in ["", "Upgrade:", "Upgrade: h2c", "Upgrade: websocket, h2c", "Upgrade: websocket/13"] {
            assert_eq!(ask_err(&with(RESPONSE, "Upgrade", line)), HandshakeError::Upgrade, "{line}");
        }
        for line in ["", "Connection:", "Connection: close", "Connection: upgraded"] {
            assert_eq!(ask_err(&with(RESPONSE, "Connection", line)), HandshakeError::Connection, "{line}");
        }
        let error = ask_err(&plus(RESPONSE, "Upgrade: websocket"));
        assert_eq!(error, HandshakeError::RepeatedHeader { name: "Upgrade" });
        for (name, line) in [("Upgrade", "upgrade: WEBSOCKET"), ("Connection", "connection: x, upgrade")] {
            assert!(ask(&with(RESPONSE, name, line)).is_ok(), "{line}");
        }
    }

    #[test]
    fn fails_on_a_missing_wrong_or_repeated_accept() {
        const NAME: &str = "Sec-WebSocket-Accept";
        assert_eq!(ask_err(&with(RESPONSE, NAME, "")), HandshakeError::MissingAccept);
        for value in ["", "dGhlIHNhbXBsZSBub25jZQ==", "S3PPLMBITXAQ9KYGZZHZRBK+XOO=", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo"] {
            let response = with(RESPONSE, NAME, &format!("{NAME}: {value}"));
            assert_eq!(ask_err(&response), HandshakeError::WrongAccept, "{value}");
        }
        assert!(ask(&with(RESPONSE, NAME, &format!("{NAME}:  {ACCEPT}\t"))).is_ok()); // white space is ignored
        let error = ask_err(&plus(RESPONSE, &format!("{NAME}: {ACCEPT}")));
        assert_eq!(error, HandshakeError::RepeatedHeader { name: NAME });
    }

    #[test]
    fn fails_on_a_subprotocol_that_was_not_asked_for() {
        let agreed = |response: &str| ask(response).map(|accepted| accepted.agreed.subprotocol);
        assert_eq!(agreed(RESPONSE), Ok(None));
        assert_eq!(agreed(&plus(RESPONSE, "Sec-WebSocket-Protocol: b")), Ok(Some("b".into())));
        for subprotocol in ["c", "A", "a, b", ""] {
            let error = HandshakeError::UnaskedSubprotocol { subprotocol: subprotocol.into() };
            assert_eq!(agreed(&plus(RESPONSE, &format!("Sec-WebSocket-Protocol: {subprotocol}"))), Err(error));
        }
        let two = plus(&plus(RESPONSE, "Sec-WebSocket-Protocol: a"), "Sec-WebSocket-Protocol: a");
        assert_eq!(agreed(&two), Err(HandshakeError::RepeatedHeader { name: "Sec-WebSocket-Protocol" }));
    }

    #[test]
    fn fails_on_an_extension_that_was_not_asked_for() {
        for (value, name) in [("permessage-deflate", "permessage-deflate"), ("foo; bar=1", "foo")] {
            let error = ask_err(&plus(RESPONSE, &format!("Sec-WebSocket-Extensions: {value}")));
            assert_eq!(error, HandshakeError::UnaskedExtension { name: name.into() });
        }
        for value in ["", "foo;", "foo; bar=\"", "foo bar"] {
            let error = ask_err(&plus(RESPONSE, &format!("Sec-WebSocket-Extensions: {value}")));
            assert!(matches!(error, HandshakeError::MalformedExtensions(_)), "{value}");
        }
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn takes_permessage_deflate_once_and_only_as_offered() {
        let mut request = client_request();
        request.deflate = Some(Default::default());
        let (_, sent) = start(&request);
        assert!(sent.ends_with("\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"));
        let answer = |value: &str| {
            let response = plus(RESPONSE, &format!("Sec-WebSocket-Extensions: {value}"));
            start(&request).0.receive(response.as_bytes()).map(|(_, accepted)| {
                accepted.expect("the head is whole").agreed.deflate.map(|agreed| agreed.client_max_window_bits)
            })
        };
        assert_eq!(answer("permessage-deflate"), Ok(Some(15)));
        assert_eq!(answer("permessage-deflate; client_max_window_bits=10"), Ok(Some(10)));
        for value in ["permessage-deflate; client_max_window_bits=8", "permessage-deflate; server_max_window_bits=0"] {
            assert!(matches!(answer(value), Err(HandshakeError::Deflate(_))), "{value}");
        }
        for (value, name) in
            [("permessage-deflate, permessage-deflate", "permessage-deflate"), ("permessage-deflate, foo", "foo")]
        {
            assert_eq!(answer(value), Err(HandshakeError::UnaskedExtension { name: name.into() }));
        }
        let two = "permessage-deflate\r\nSec-WebSocket-Extensions: permessage-deflate";
        assert_eq!(answer(two), Err(HandshakeError::RepeatedHeader { name: "Sec-WebSocket-Extensions" }));
    }

    #[test]
    fn fails_on_what_is_no_response() {
        assert_eq!(ask_err(&RESPONSE.replace("HTTP/1.1", "HTTP/1.0")), HandshakeError::HttpVersion);
        for (input, error) in [
            (RESPONSE.replace("HTTP/1.1", "HTTP/2.0"), HeadError::Version),
            (RESPONSE.replace("101", "1010"), HeadError::StartLine),
            (RESPONSE.replace("101", "099"), HeadError::StartLine),
            (RESPONSE.replace("\r\n", "\n"), HeadError::LineEnd),
            (RESPONSE.replace("Upgrade:", "Upgrade :"), HeadError::HeaderLine),
            (RESPONSE.replace("Upgrade:", " Upgrade:"), HeadError::FoldedLine),
            ("SSH-2.0-OpenSSH\r\n\r\n".into(), HeadError::StartLine),
            (format!("HTTP/1.1 101 {}", "a".repeat(20_000)), HeadError::TooLarge { limit: 16 * 1024 }),
        ] {
            assert_eq!(ask_err(&input), HandshakeError::Head(error), "{input:?}");
        }
        assert_eq!(ask_err(&"HTTP/1.1 100 Continue\r\n\r\n".repeat(9)), HandshakeError::TooManyInterim { limit: 8 });
    }

    /// What a client that keeps 64 bytes of a body makes of this, at every split; `eof` says what ends it.
    fn refused(input: &str, eof: bool) -> Response {
        let mut all = (0..=input.len()).map(|at| {
            let (mut handshake, _) = start(&client_request());
            let (one, two) = input.as_bytes().split_at(at);
            match (handshake.receive(one).and_then(|_| handshake.receive(two)), eof) {
                (Err(HandshakeError::Refused(response)), false) => response,
                (Ok((_, None)), true) => match handshake.receive_eof() {
                    HandshakeError::Refused(response) => response,
                    error => panic!("{error}"),
                },
                (other, _) => panic!("{other:?} at {at}"),
            }
        });
        let first = all.next().expect("at least one");
        assert!(all.all(|response| response == first));
        *first
    }

    #[test]
    fn hands_over_the_response_of_a_server_that_refuses() {
        let response =
            refused("HTTP/1.1 401 Go Away\r\nWWW-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nno!more", false);
        assert_eq!((response.status(), response.reason(), &*response.body), (401, "Go Away", &b"no!"[..]));
        assert_eq!(response.headers.get_str("www-authenticate"), Some("Basic"));
        let response = refused("HTTP/1.1 404\r\n\r\nnobody", true);
        assert_eq!((response.status(), response.reason(), &*response.body), (404, "", &b"nobody"[..]));
        let response = refused("HTTP/1.1 204 No Content\r\n\r\n", false);
        assert_eq!((response.status(), response.body.len()), (204, 0));
        let chunked = "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(&*refused(chunked, false).body, b"abcde");
        let cut = "HTTP/1.1 503 Busy\r\nContent-Length: 10\r\n\r\nabc";
        assert_eq!(&*refused(cut, true).body, b"abc");
        let response = refused("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false);
        assert_eq!((response.status(), &*response.body), (200, &b"hi"[..]));
    }

    #[test]
    fn keeps_no_more_of_a_body_than_the_limit() {
        for framing in ["", "Content-Length: 18446744073709551615\r\n", "Content-Length: -1\r\n"] {
            let endless = format!("HTTP/1.1 500 Oops\r\n{framing}\r\n{}", "a".repeat(300));
            assert_eq!(refused(&endless, false).body.len(), 64, "{framing}");
        }
    }

    #[test]
    fn fails_where_the_server_ends_the_connection() {
        let (handshake, _) = start(&client_request());
        assert_eq!(handshake.receive_eof(), HandshakeError::Ended { received: 0 });
        let (mut handshake, _) = start(&client_request());
        assert_eq!(handshake.receive(&RESPONSE.as_bytes()[..20]), Ok((20, None)));
        assert_eq!(handshake.receive_eof(), HandshakeError::Ended { received: 20 });
    }

    #[test]
    fn application_cannot_break_the_request() {
        // T29
        let build = |request: &ClientRequest| {
            ClientHandshake::new(request, NONCE, Limits::internet(), 0).map(|_| ()).expect_err("cannot be sent")
        };
        for name in ["Connection", "upgrade", "Sec-WebSocket-Key", "sec-websocket-protocol", "Transfer-Encoding"] {
            let request = ClientRequest { headers: header(name, "x"), ..client_request() };
            assert_eq!(build(&request), BuildError::OwnedHeader { name: name.into() });
        }
        for subprotocol in ["", "a b", "a,b", "a\r\nX: y", "a\0", "\u{e9}"] {
            let request = ClientRequest { subprotocols: vec![subprotocol.into()], ..client_request() };
            assert_eq!(build(&request), BuildError::MalformedSubprotocol { subprotocol: subprotocol.into() });
        }
        let request = ClientRequest { subprotocols: vec!["a".into(), "b".into(), "a".into()], ..client_request() };
        assert_eq!(build(&request), BuildError::RepeatedSubprotocol { subprotocol: "a".into() });
        let mut request = ClientRequest { headers: header("Host", "a"), ..client_request() };
        request.headers.push("host", "b").expect("valid");
        assert_eq!(build(&request), BuildError::RepeatedHeader { name: "Host" });
    }
}

#[test]
fn header_values_cannot_hold_line_ends() {
    // T29
    let mut headers = Headers::new();
    for (value, byte) in [("a\r\nB: c", b'\r'), ("a\nb", b'\n'), ("a\0", 0), ("\r", b'\r'), ("\u{7f}", 0x7f)] {
        assert_eq!(headers.push("A", value), Err(InvalidHeader::Value { name: "A".into(), byte }));
    }
    for name in ["", "a b", "a:", "a\r\n", "\u{e9}"] {
        assert_eq!(headers.push(name, "x"), Err(InvalidHeader::Name { name: name.into() }));
    }
    for value in [" a", "a ", "\ta"] {
        assert_eq!(headers.push("A", value), Err(InvalidHeader::Padded { name: "A".into() }));
    }
    assert!(headers.is_empty());
    for value in ["", "a b\tc", "\u{e9}"] {
        headers.push("A", value).expect("valid");
    }
    headers.push("Authorization", "Basic c2VjcmV0").expect("valid");
    assert_eq!((headers.len(), headers.get_all("a").count()), (4, 3));
    assert!(!format!("{headers:?}").contains("c2VjcmV0"));
}

#[test]
fn client_and_server_agree() {
    for subprotocol in [None, Some("chat".to_owned())] {
        let mut asked = client_request();
        asked.subprotocols = vec!["superchat".into(), "chat".into()];
        let deflate = cfg!(feature = "deflate").then(Default::default);
        asked.deflate = deflate.clone();
        let (mut client, sent) = start(&asked);
        let request = receive(&sent).expect("well-formed");
        let accept = Accept { subprotocol, headers: header("Server", "sockeye"), deflate };
        let (response, at_server) = request.accept(&accept).expect("accepted");
        let (consumed, accepted) = client.receive(&response).expect("accepted");
        let accepted = accepted.expect("the head is whole");
        assert_eq!((consumed, &accepted.agreed), (response.len(), &at_server));
        assert_eq!(at_server.deflate.is_some(), cfg!(feature = "deflate"));
        assert_eq!(accepted.response.headers.get_str("server"), Some("sockeye"));
    }
}

#[cfg(feature = "deflate")]
#[test]
fn deflate_out_of_range_is_the_callers_fault() {
    use sockeye::proto::extension::deflate::{DeflateConfig, InvalidDeflateConfig};
    let deflate = Some(DeflateConfig { level: 10, ..DeflateConfig::default() });
    let error = BuildError::Deflate(InvalidDeflateConfig::Level { level: 10 });
    let asked = ClientRequest { deflate: deflate.clone(), ..client_request() };
    assert_eq!(ClientHandshake::new(&asked, NONCE, Limits::internet(), 0).map(|_| ()), Err(error.clone()));
    let accept = Accept { deflate, ..Accept::default() };
    assert_eq!(receive(REQUEST).expect("well-formed").accept(&accept), Err(AcceptError::Build(error)));
}

#[cfg(not(feature = "deflate"))]
#[test]
fn deflate_without_its_feature_is_the_callers_fault() {
    use sockeye::proto::extension::deflate::InvalidDeflateConfig::FeatureOff;
    let asked = ClientRequest { deflate: Some(Default::default()), ..client_request() };
    let error = ClientHandshake::new(&asked, NONCE, Limits::internet(), 0).map(|_| ()).expect_err("no codec");
    assert_eq!(error, BuildError::Deflate(FeatureOff));
    let accept = Accept { deflate: Some(Default::default()), ..Accept::default() };
    let error = receive(REQUEST).expect("well-formed").accept(&accept).expect_err("no codec");
    assert_eq!(error, AcceptError::Build(BuildError::Deflate(FeatureOff)));
}
