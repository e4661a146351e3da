//! RFC 8441 §5 without I/O, and requests of HTTP/1.1 that another library has read. What stands in requests over a real
//! HTTP/2 connection is in `http2`.

use sockeye::Limits;
use sockeye::proto::{
    handshake::{
        Accept, AcceptError, BuildError, ClientRequest, ExtendedConnect, HandshakeError, Refusal, Request, Response,
        ServerHandshake,
    },
    http::{HeadError, Headers, RequestHead, Version},
};

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    fields.iter().for_each(|(name, value)| headers.push(name, value).expect("a valid header"));
    headers
}

fn connect() -> ExtendedConnect {
    ExtendedConnect {
        protocol: "websocket".into(),
        scheme: "https".into(),
        authority: "a.example".into(),
        path: "/chat?x".into(),
    }
}

const VERSION: (&str, &str) = ("sec-websocket-version", "13");
const UPGRADE: [(&str, &str); 5] = [
    ("Host", "a.example"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn head(method: &str, target: &str, version: Version, fields: &[(&str, &str)]) -> RequestHead {
    RequestHead { method: method.into(), target: target.into(), version, headers: headers(fields) }
}

#[test]
fn request_in_parts_is_the_request_in_bytes() {
    let fields = [&UPGRADE[..], &[("Origin", "https://a.example"), ("Cookie", "a=b")]].concat();
    let mut bytes = b"GET /chat?x HTTP/1.1\r\n".to_vec();
    for (name, value) in &fields {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    let (_, read) = ServerHandshake::new(Limits::internet()).receive(&bytes).expect("a request");
    let taken = Request::from_head(head("GET", "/chat?x", Version::Http11, &fields)).expect("a request");
    assert_eq!(read.as_ref(), Some(&taken));

    let (response, agreed) = taken.acceptance(&Accept::default()).expect("it is accepted");
    let (written, agreed_in_bytes) = taken.accept(&Accept::default()).expect("it is accepted");
    assert_eq!((response.status(), agreed), (101, agreed_in_bytes));
    let mut expected = b"HTTP/1.1 101 Switching Protocols\r\n".to_vec();
    for (name, value) in response.headers.iter() {
        expected.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    assert_eq!(written, [&expected[..], b"\r\n"].concat());
}

#[test]
fn parts_that_are_no_request_are_refused() {
    for (method, target, refusal) in [
        ("", "/", HeadError::StartLine),
        ("GE T", "/", HeadError::StartLine),
        ("GET", "/a b", HeadError::Target),
        ("GET", "/a#b", HeadError::Target),
        ("GET", "/\u{e9}", HeadError::Target),
        ("GET", "/\r\nX: y", HeadError::Target),
    ] {
        let refused = Request::from_head(head(method, target, Version::Http11, &UPGRADE));
        assert_eq!(refused, Err(Refusal::Head(refusal)), "{method} {target}");
    }
    assert_eq!(Request::from_head(head("GET", "/", Version::Http11, &[])), Err(Refusal::MissingHost));
}

#[test]
fn http_2_asks_by_extended_connect_alone() {
    for (method, refusal) in [("GET", Refusal::NotConnect), ("CONNECT", Refusal::MissingProtocol)] {
        let request =
            Request::from_head(head(method, "https://a.example/", Version::Http2, &UPGRADE)).expect("a request");
        assert!(!request.is_upgrade());
        assert_eq!((request.check_upgrade(), request.host()), (Err(refusal), Some("a.example")));
    }
    let request = Request::from_extended_connect(connect(), headers(&[VERSION])).expect("a request");
    assert!(request.is_upgrade());
    assert_eq!((request.path(), request.query(), request.host()), ("/chat", Some("x"), Some("a.example")));
}

#[test]
fn extended_connect_is_checked() {
    let check = |connect, fields: &[_]| {
        Request::from_extended_connect(connect, headers(fields)).and_then(|request| request.check_upgrade())
    };
    assert_eq!(check(connect(), &[VERSION]), Ok(()));
    for (change, refusal) in [
        (ExtendedConnect { protocol: "webtransport".into(), ..connect() }, Refusal::Protocol),
        (ExtendedConnect { protocol: String::new(), ..connect() }, Refusal::Protocol),
        (ExtendedConnect { scheme: "wss".into(), ..connect() }, Refusal::Scheme),
        (ExtendedConnect { authority: String::new(), ..connect() }, Refusal::MissingHost),
        (ExtendedConnect { authority: "me@a.example".into(), ..connect() }, Refusal::MalformedHost),
        (ExtendedConnect { path: String::new(), ..connect() }, Refusal::Target),
        (ExtendedConnect { path: "*".into(), ..connect() }, Refusal::Target),
        (ExtendedConnect { path: "/a b".into(), ..connect() }, Refusal::Head(HeadError::Target)),
    ] {
        assert_eq!(check(change.clone(), &[VERSION]), Err(refusal), "{change:?}");
    }
    for (field, refusal) in [
        (("connection", "upgrade"), Refusal::ConnectionHeader { name: "Connection" }),
        (("upgrade", "websocket"), Refusal::ConnectionHeader { name: "Upgrade" }),
        (("content-length", "5"), Refusal::Body),
        (("host", "b.example"), Refusal::MalformedHost),
        (("origin", "a\tb"), Refusal::MalformedOrigin),
    ] {
        assert_eq!(check(connect(), &[VERSION, field]), Err(refusal), "{field:?}");
    }
    assert_eq!(check(connect(), &[]), Err(Refusal::UnsupportedVersion));
}

#[test]
fn extended_connect_has_no_answer_in_bytes() {
    let request = Request::from_extended_connect(connect(), headers(&[VERSION])).expect("a request");
    assert!(matches!(request.accept(&Accept::default()), Err(AcceptError::Build(BuildError::Http2))));
}

#[test]
fn client_refuses_to_ask_what_cannot_be_asked() {
    let mut request = ClientRequest::new("wss://a.example/".parse().expect("a URI"));
    request.headers.push("Upgrade", "websocket").expect("a header");
    assert!(matches!(request.extended_connect(), Err(BuildError::OwnedHeader { .. })));
}

#[test]
fn client_is_refused_by_every_status_but_2xx() {
    let request = ClientRequest::new("wss://a.example/".parse().expect("a URI"));
    for status in [200, 204, 299] {
        request.confirm(&Response::new(status).expect("a status")).expect("it accepts");
    }
    for status in [300, 404, 501] {
        let refused = request.confirm(&Response::new(status).expect("a status"));
        assert!(matches!(refused, Err(HandshakeError::Refused(response)) if response.status() == status));
    }
}
