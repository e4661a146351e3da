//! Our server, and a client that is `h2` or bytes.

use ::http::{Method, Request};
use h2::{Reason, ext::Protocol};
use sockeye::{CloseCode, DeflateConfig, Error, Role, hyper::Sockets, proto::handshake::Origin};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use crate::{
    io::{BINARY, CLOSE, CONTINUATION, FIN, TEXT, close_payload, frame, pattern, unhung},
    peers::{Raw, ask, client, client_with, connect, echo, hyper, serve, serve_on},
};

fn echo_server() -> tokio::io::DuplexStream {
    serve(|upgrade| upgrade.protocols(["chat"]).deflate(DeflateConfig::default()).on_upgrade(echo))
}

fn with(name: &'static str, value: &str) -> Request<()> {
    let mut request = connect();
    request.headers_mut().append(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn says_that_it_takes_websockets() {
    let requests = client(echo_server()).await;
    assert!(requests.is_extended_connect_protocol_enabled());
}

#[tokio::test]
async fn tells_a_plain_connect_400_and_a_get_405() {
    let requests = client(echo_server()).await;
    let plain = Request::connect("server.example.com:443").body(()).unwrap();
    let (response, body) = unhung(ask(&requests, plain)).await.unwrap();
    assert_eq!((response.status().as_u16(), &body[..]), (400, "CONNECT without :protocol\n"));
    let get = Request::get("https://server.example.com/chat").header("sec-websocket-version", "13").body(()).unwrap();
    let (response, _) = unhung(ask(&requests, get)).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["allow"]), (405, &"CONNECT".parse().unwrap()));
}

#[tokio::test]
async fn tells_another_protocol_501() {
    let requests = client(echo_server()).await;
    for protocol in ["connect-udp", "WebSocket", "websocket2"] {
        let mut request = connect();
        request.extensions_mut().insert(Protocol::from(protocol));
        let (response, body) = unhung(ask(&requests, request)).await.unwrap();
        assert_eq!((response.status().as_u16(), &body[..]), (501, ":protocol is not websocket\n"));
    }
}

#[tokio::test]
async fn tells_another_scheme_400() {
    let requests = client(echo_server()).await;
    let mut request = connect();
    *request.uri_mut() = "wss://server.example.com/chat".parse().unwrap();
    let (response, body) = unhung(ask(&requests, request)).await.unwrap();
    assert_eq!((response.status().as_u16(), &body[..]), (400, ":scheme is neither http nor https\n"));
}

#[tokio::test]
async fn ignores_a_key_and_answers_without_accept() {
    let requests = client(echo_server()).await;
    let (response, _) = unhung(ask(&requests, with("sec-websocket-key", "no key at all"))).await.unwrap();
    assert_eq!(response.status(), 200);
    let forbidden = ["sec-websocket-accept", "upgrade", "connection", "sec-websocket-extensions", "content-length"];
    assert!(forbidden.iter().all(|name| !response.headers().contains_key(*name)), "{response:?}");
}

#[tokio::test]
async fn tells_another_version_400_with_the_one_it_knows() {
    let requests = client(echo_server()).await;
    for version in [None, Some("8"), Some("13, 8")] {
        let mut request = connect();
        request.headers_mut().remove("sec-websocket-version");
        if let Some(version) = version {
            request.headers_mut().insert("sec-websocket-version", version.parse().unwrap());
        }
        let (response, body) = unhung(ask(&requests, request)).await.unwrap();
        assert_eq!((response.status().as_u16(), &body[..]), (400, "Sec-WebSocket-Version is not 13\n"));
        assert_eq!(response.headers()["sec-websocket-version"], "13");
        assert!(!response.headers().contains_key("upgrade"));
    }
}

#[tokio::test]
async fn tells_what_is_malformed_400() {
    let requests = client(echo_server()).await;
    for request in [
        with("sec-websocket-version", "13"),
        with("sec-websocket-protocol", "a, a"),
        with("sec-websocket-protocol", ""),
        with("sec-websocket-extensions", "\"deflate"),
        with("sec-websocket-key1", "1"),
    ] {
        let (response, _) = unhung(ask(&requests, request)).await.unwrap();
        assert!(matches!(response.status().as_u16(), 400), "{response:?}");
    }
}

#[tokio::test]
async fn tells_another_host_than_the_authority_400() {
    let requests = client(echo_server()).await;
    let (response, _) = unhung(ask(&requests, with("host", "elsewhere.example"))).await.unwrap();
    assert_eq!(response.status(), 400);
    let (response, _) = unhung(ask(&requests, with("host", "SERVER.example.com"))).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn chooses_a_subprotocol_and_deflate() {
    let requests = client(echo_server()).await;
    let mut request = with("sec-websocket-protocol", "superchat, chat");
    request.headers_mut().insert("sec-websocket-extensions", "permessage-deflate".parse().unwrap());
    let (response, _) = unhung(ask(&requests, request)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    assert_eq!(response.headers()["sec-websocket-extensions"], "permessage-deflate");
}

#[tokio::test]
async fn tells_pages_of_other_hosts_403_and_opens_nothing() {
    let (opened, mut log) = mpsc::unbounded_channel();
    let io = serve(move |upgrade| {
        let opened = opened.clone();
        upgrade.on_upgrade(move |_ws| async move { opened.send(()).unwrap() })
    });
    let requests = client(io).await;
    for origin in ["https://elsewhere.example", "null", "https://server.example.com:8443", "https://a:b"] {
        let (response, body) = unhung(ask(&requests, with("origin", origin))).await.unwrap();
        assert_eq!((response.status().as_u16(), &body[..]), (403, "this Origin is not let in\n"));
    }
    drop(requests);
    assert_eq!(unhung(log.recv()).await, None);
}

#[tokio::test]
async fn same_host_is_the_authority() {
    let requests = client(echo_server()).await;
    let (response, _) = unhung(ask(&requests, with("origin", "https://server.example.com"))).await.unwrap();
    assert_eq!(response.status(), 200);
    let requests = client(serve(|upgrade| upgrade.origin(Origin::any()).on_upgrade(echo))).await;
    let (response, _) = unhung(ask(&requests, with("origin", "https://elsewhere.example"))).await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn reads_frames_cut_at_every_byte_and_between_empty_ones() {
    let requests = client(echo_server()).await;
    let mut raw = Raw::open(&requests).await;
    let bytes = [frame(Role::Client, TEXT - FIN, b"Hel"), frame(Role::Client, CONTINUATION, b"lo")].concat();
    for at in 0..=bytes.len() {
        raw.data(&bytes[..at]);
        raw.data(&[]);
        raw.data(&bytes[at..]);
        assert_eq!(unhung(raw.bytes(7)).await, b"\x81\x05Hello");
    }
}

#[tokio::test]
async fn both_ends_end_the_stream_behind_a_close() {
    let requests = client(echo_server()).await;
    let mut raw = Raw::open(&requests).await;
    raw.frame(TEXT, b"one");
    raw.frame(CLOSE, &close_payload(CloseCode::NORMAL, "bye"));
    raw.end();
    let expected = [(TEXT, b"one".to_vec()), (CLOSE, close_payload(CloseCode::NORMAL, "bye"))];
    assert_eq!(unhung(raw.rest()).await.unwrap(), expected);
    Raw::open(&requests).await; // the connection goes on
}

#[tokio::test]
async fn close_is_not_overtaken_by_a_reset() {
    // A stream that is dropped while its other direction is open is reset, and some clients forget then what they have.
    let requests = client(echo_server()).await;
    let mut raw = Raw::open(&requests).await;
    raw.frame(CLOSE, &close_payload(CloseCode::NORMAL, ""));
    assert_eq!(unhung(raw.bytes(4)).await, b"\x88\x02\x03\xe8");
    let end = unhung(raw.recv.data()).await;
    assert!(end.is_none_or(|data| data.unwrap().is_empty()) && raw.recv.is_end_stream());
    let reset = std::future::poll_fn(|cx| raw.send.poll_reset(cx));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(50), reset).await.is_err());
    raw.end();
}

/// A server whose handlers say how their connection ended.
fn telling() -> (tokio::io::DuplexStream, mpsc::UnboundedReceiver<Result<(), Error>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let io = serve(move |upgrade| {
        let sender = sender.clone();
        upgrade.on_upgrade(move |ws| async move { sender.send(echo(ws).await).unwrap() })
    });
    (io, receiver)
}

#[tokio::test]
async fn end_of_the_stream_without_a_close_is_lost() {
    let (io, mut ends) = telling();
    let requests = client(io).await;
    let mut raw = Raw::open(&requests).await;
    raw.frame(TEXT, b"one");
    raw.end();
    assert!(matches!(unhung(ends.recv()).await, Some(Err(Error::Lost))));
    assert_eq!(unhung(raw.rest()).await.unwrap(), [(TEXT, b"one".to_vec())]);
}

#[tokio::test]
async fn reset_stream_is_lost_to_its_handler_and_to_nobody_else() {
    let (io, mut ends) = telling();
    let requests = client(io).await;
    let mut other = Raw::open(&requests).await;
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR, Reason::PROTOCOL_ERROR] {
        let mut raw = Raw::open(&requests).await;
        raw.send.send_reset(reason);
        assert!(matches!(unhung(ends.recv()).await, Some(Err(Error::Lost | Error::Io(_)))));
    }
    other.frame(TEXT, b"here");
    assert_eq!(unhung(other.bytes(6)).await, b"\x81\x04here");
}

#[tokio::test]
async fn lost_connection_ends_all_its_websockets() {
    let (io, mut ends) = telling();
    let (theirs, ours) = tokio::io::duplex(64 * 1024);
    let piping = tokio::spawn(async move {
        let (mut io, mut ours) = (io, ours);
        let _ = tokio::io::copy_bidirectional(&mut io, &mut ours).await;
    });
    let requests = client(theirs).await;
    let _kept = (Raw::open(&requests).await, Raw::open(&requests).await);
    piping.abort();
    for _ in 0..2 {
        assert!(matches!(unhung(ends.recv()).await, Some(Err(Error::Lost | Error::Io(_)))));
    }
}

#[tokio::test]
async fn sends_no_more_than_the_window_and_goes_on_when_it_grows() {
    const LEN: usize = 1 << 20;
    let (io, ours) = tokio::io::duplex(64 * 1024);
    tokio::spawn(serve_on(hyper(), ours, |upgrade| {
        upgrade.on_upgrade(|mut ws| async move { ws.send(pattern(LEN)).await })
    }));
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(1000);
    let requests = client_with(&builder, io).await;
    let mut raw = Raw::open(&requests).await;
    let mut came = Vec::new();
    while came.len() < 1000 {
        came.extend_from_slice(&unhung(raw.recv.data()).await.unwrap().unwrap());
    }
    assert_eq!(came.len(), 1000, "not a byte beyond the window");
    raw.recv.flow_control().release_capacity(came.len()).unwrap();
    came.extend(unhung(raw.bytes(10 + LEN - 1000)).await);
    assert!(came[10..] == pattern(LEN)[..]);
}

#[tokio::test]
async fn peer_that_does_not_read_does_not_have_a_message_held_twice() {
    // What hyper takes from us is bounded, whatever the message's length: the rest stays in our queue.
    let (told, mut queued) = mpsc::unbounded_channel();
    let io = serve(move |upgrade| {
        let told = told.clone();
        upgrade.on_upgrade(move |mut ws| async move {
            let sending = tokio::time::timeout(std::time::Duration::from_millis(200), ws.send(vec![0; 8 << 20])).await;
            assert!(sending.is_err());
            told.send(ws.queued()).unwrap();
        })
    });
    let requests = client(io).await;
    let _raw = Raw::open(&requests).await;
    let queued = unhung(queued.recv()).await.unwrap();
    assert!(queued > (8 << 20) - 512 * 1024, "{queued} of 8 MiB are still ours");
}

#[tokio::test]
async fn shutdown_closes_with_1001_and_leaves_the_connection() {
    let sockets = Sockets::new();
    let ours = sockets.clone();
    let requests = client(serve(move |upgrade| upgrade.sockets(&ours).on_upgrade(echo))).await;
    let mut raw = Raw::open(&requests).await;
    let shutdown = sockets.shut_down(std::time::Duration::from_secs(60));
    let leave = async {
        let close = raw.bytes(4).await;
        assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (CLOSE, 1001));
        raw.frame(CLOSE, &close_payload(CloseCode::GOING_AWAY, ""));
        raw.end();
    };
    unhung(async { tokio::join!(shutdown, leave) }).await;
    let (response, body) = unhung(ask(&requests, connect())).await.unwrap();
    assert_eq!((response.status().as_u16(), &body[..]), (503, "the server shuts down\n"));
}

#[tokio::test]
async fn peers_that_break_the_protocol_are_told_by_a_close() {
    let requests = client(echo_server()).await;
    for (bytes, code) in [
        (frame(Role::Server, TEXT, b"unmasked"), 1002),
        (frame(Role::Client, TEXT | 0x40, b"RSV1"), 1002),
        (frame(Role::Client, TEXT, b"\xff"), 1007),
        (frame(Role::Client, BINARY, &vec![0; (1 << 20) + 1])[..20].to_vec(), 1009),
    ] {
        let mut raw = Raw::open(&requests).await;
        raw.data(&bytes);
        raw.end();
        let frames = unhung(raw.rest()).await.unwrap();
        assert_eq!((frames[0].0, u16::from_be_bytes([frames[0].1[0], frames[0].1[1]])), (CLOSE, code));
    }
}

/// An HTTP/2 frame (RFC 9113 §4.1).
fn http2_frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Sends a request that no library sends, and says what ends it: the first HEADERS or RST_STREAM.
async fn ask_in_bytes(fields: &[(&str, &str)]) -> (u8, Vec<u8>) {
    let mut io = echo_server();
    let mut block = Vec::new();
    for (name, value) in fields {
        // RFC 7541 §6.2.2: a literal without indexing, with a new name.
        block.push(0);
        for text in [name, value] {
            block.push(text.len() as u8);
            block.extend(text.as_bytes());
        }
    }
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(http2_frame(4, 0, 0, &[]));
    bytes.extend(http2_frame(1, 4, 1, &block));
    io.write_all(&bytes).await.unwrap();
    loop {
        let mut head = [0; 9];
        io.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        io.read_exact(&mut payload).await.unwrap();
        if matches!(head[3], 1 | 3 | 7) {
            return (head[3], payload);
        }
    }
}

const PSEUDO: [(&str, &str); 5] = [
    (":method", "CONNECT"),
    (":protocol", "websocket"),
    (":scheme", "https"),
    (":path", "/chat"),
    (":authority", "server.example.com"),
];

#[tokio::test]
async fn resets_a_request_with_fields_of_one_connection() {
    let version = ("sec-websocket-version", "13");
    assert_eq!(unhung(ask_in_bytes(&[&PSEUDO[..], &[version]].concat())).await.0, 1, "as it should be, it is answered");
    for field in [("connection", "upgrade"), ("upgrade", "websocket"), ("transfer-encoding", "chunked")] {
        let (kind, payload) = unhung(ask_in_bytes(&[&PSEUDO[..], &[version, field]].concat())).await;
        assert_eq!((kind, &payload[..]), (3, &1_u32.to_be_bytes()[..]), "{field:?}: RST_STREAM with PROTOCOL_ERROR");
    }
}

#[tokio::test]
async fn refuses_a_connect_without_scheme_or_path() {
    for missing in [":scheme", ":path", ":authority"] {
        let mut fields = PSEUDO.to_vec();
        fields.retain(|(name, _)| *name != missing);
        fields.push(("sec-websocket-version", "13"));
        let (kind, payload) = unhung(ask_in_bytes(&fields)).await;
        // By the library with a reset, or by us with a status of 400: index 12 of RFC 7541's static table.
        assert!(kind == 3 || kind == 1 && payload[0] == 0x8c, "{missing}: {kind} {payload:x?}");
    }
}

#[test]
fn method_is_connect() {
    assert_eq!(connect().method(), Method::CONNECT);
}
