//! A request's head gets one verdict however it is cut, at the same byte; what is behind it is not taken; what is
//! accepted is an upgrade by RFC 6455 §4.2.1, and the answer to it is one.
#![no_main]

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    DeflateConfig,
    proto::handshake::{Accept, AcceptError, Key, Refusal, Request, Response},
};
use sockeye_fuzz::{cuts::Cuts, head_limits, heap, server_handshake};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    cuts: Cuts,
    bytes: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let Input { cuts, bytes } = input;
    let whole = read([bytes].into_iter());
    let cut = read(cuts.pieces(bytes));
    let bytewise = read(bytes.chunks(1));
    assert_eq!(cut, whole);
    assert_eq!(bytewise, whole);
    let [max_head, max_headers, max_target] = head_limits();
    match whole {
        (consumed, Ok(Some(request))) => {
            let head = &bytes[..consumed];
            assert!(consumed <= max_head && head.ends_with(b"\r\n\r\n"));
            assert!(request.headers().len() <= max_headers && request.target().len() <= max_target);
            check_head(head, &request);
            answer(&request);
        }
        (_, Ok(None)) => assert!(bytes.len() <= max_head, "more than a head may have"),
        (_, Err(refusal)) => check_refusal(refusal),
    }
});

/// How many bytes were taken, and the verdict.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (usize, Result<Option<Request>, Refusal>) {
    let mut handshake = server_handshake();
    let mut taken = 0;
    for piece in pieces {
        let (received, peak, _) = heap::measured(|| handshake.receive(piece));
        // The head and its growth, and what it is parsed into.
        assert!(peak <= 6 * head_limits()[0] + 64 * head_limits()[1], "{peak} bytes for a head");
        match received {
            Ok((consumed, None)) => {
                assert_eq!(consumed, piece.len(), "a head that is not whole takes everything");
                taken += consumed;
            }
            Ok((consumed, Some(request))) => {
                assert!(matches!(handshake.receive(b"GET"), Ok((0, None))), "taken behind a request");
                return (taken + consumed, Ok(Some(request)));
            }
            // How much of the piece is behind the fault does not show.
            Err(refusal) => return (0, Err(refusal)),
        }
    }
    (taken, Ok(None))
}

/// Reads the head by its lines, which is all that it takes once it was found to be well-formed.
fn check_head(head: &[u8], request: &Request) {
    let text = head.iter().map(|byte| char::from(*byte)).collect::<String>();
    assert!(!text.replace("\r\n", "").contains(['\r', '\n', '\0']), "a line that ends otherwise");
    let text = text.trim_start_matches("\r\n");
    let mut lines = text.trim_end_matches("\r\n").split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    assert!(first.first() == Some(&request.method()) && first.get(1) == Some(&request.target()), "{first:?}");
    for (line, (name, value)) in lines.by_ref().zip(request.headers().iter()) {
        let (line_name, line_value) = line.split_once(':').expect("a header line has a colon");
        let value: String = value.iter().map(|byte| char::from(*byte)).collect();
        assert_eq!((line_name, line_value.trim_matches([' ', '\t'])), (name, &*value));
    }
    assert_eq!(lines.next(), None, "more lines than headers");
}

/// Accepts it with all that there is.
fn answer(request: &Request) {
    let subprotocol = request.choose_subprotocol(["chat", "v1"]).map(str::to_owned);
    let accept = Accept { subprotocol, deflate: Some(DeflateConfig::default()), ..Accept::default() };
    let verdict = request.check_upgrade();
    match request.accept(&accept) {
        Ok((response, agreed)) => {
            assert_eq!(verdict, Ok(()));
            check_upgrade(request);
            let response = String::from_utf8(response.to_vec()).expect("what is accepted is ASCII");
            assert!(response.starts_with("HTTP/1.1 101 ") && response.ends_with("\r\n\r\n"));
            let lines: Vec<&str> = response.trim_end().split("\r\n").collect();
            assert_eq!(
                lines.len(),
                4 + usize::from(agreed.subprotocol.is_some()) + usize::from(agreed.deflate.is_some())
            );
            let key = request.headers().get("Sec-WebSocket-Key").and_then(Key::parse).expect("it was accepted");
            assert!(lines.contains(&&*format!("Sec-WebSocket-Accept: {}", key.accept())));
        }
        Err(AcceptError::Refusal(refusal)) => {
            assert_eq!(verdict, Err(refusal));
            check_refusal(refusal);
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// §4.2.1, by hand.
fn check_upgrade(request: &Request) {
    let lines = |name: &str| {
        let fields = request.headers().iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| String::from_utf8_lossy(value).to_ascii_lowercase()).collect::<Vec<_>>()
    };
    let has =
        |name: &str, token: &str| lines(name).iter().any(|line| line.split(',').any(|element| element.trim() == token));
    assert_eq!(request.method(), "GET");
    assert!(has("upgrade", "websocket") && has("connection", "upgrade"));
    assert_eq!(lines("sec-websocket-version"), ["13"]);
    assert_eq!(lines("sec-websocket-key").len(), 1);
    assert_eq!(lines("host").len(), 1);
    assert!(lines("transfer-encoding").is_empty() && lines("content-length").iter().all(|len| len == "0"));
    assert!(lines("origin").len() <= 1);
    assert!(request.path().starts_with('/'), "{:?}", request.path());
}

/// Whatever the reason, the client gets an answer that ends the connection.
fn check_refusal(refusal: Refusal) {
    assert!(matches!(refusal.status(), 400 | 403 | 405 | 414 | 426 | 431 | 505), "{refusal:?}");
    let response = Response::from(&refusal).encode();
    let text = std::str::from_utf8(&response).expect("what refuses is ASCII");
    assert!(text.starts_with(&format!("HTTP/1.1 {} ", refusal.status())));
    assert!(text.contains("\r\nConnection: close"));
    assert_eq!(refusal.status() == 426, text.contains("Sec-WebSocket-Version: 13"));
}
