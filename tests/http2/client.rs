//! Our client, and a server that is `h2`.

use std::time::Duration;

use ::http::{Request, Response};
use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};
use sockeye::{
    CloseCode, DeflateConfig, Error, Http2Error, Limits, Role,
    client::Http2,
    connect,
    proto::{connection::End, handshake::HandshakeError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{mpsc, oneshot},
};

use crate::{
    io::{CLOSE, CONTINUATION, FIN, TEXT, close_payload, frame, unhung},
    peers::{Raw, server},
};

const URL: &str = "wss://server.example.com/chat?room=1";

type Asked = (Request<RecvStream>, SendResponse<Bytes>);

/// A server that hands out what it is asked.
fn asked() -> (DuplexStream, mpsc::UnboundedReceiver<Asked>) {
    let (ours, theirs) = duplex(64 * 1024);
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut connection = server(theirs).await;
        while let Some(Ok(asked)) = connection.accept().await {
            let _ = sender.send(asked);
        }
    });
    (ours, receiver)
}

/// Accepts what comes next.
async fn accepted(asked: &mut mpsc::UnboundedReceiver<Asked>) -> Raw {
    loop {
        let (request, mut respond) = asked.recv().await.unwrap();
        // What the client gave up in the meantime has no answer.
        if let Ok(send) = respond.send_response(Response::new(()), false) {
            return Raw::new(Role::Server, send, request.into_body());
        }
    }
}

#[tokio::test]
async fn asks_for_nothing_without_the_setting() {
    let (ours, theirs) = duplex(64 * 1024);
    let serving = tokio::spawn(async move {
        let mut connection = h2::server::handshake(theirs).await.unwrap();
        let asked = connection.accept().await;
        assert!(!matches!(asked, Some(Ok(_))), "nothing may be asked");
    });
    let error = unhung(Http2::over(ours)).await.unwrap_err();
    assert!(matches!(&error, Error::Http2(error) if **error == Http2Error::NoExtendedConnect), "{error}");
    unhung(serving).await.unwrap();
}

#[tokio::test]
async fn waits_for_the_settings() {
    let (ours, mut theirs) = duplex(64 * 1024);
    let mut opening = Box::pin(Http2::over(ours));
    tokio::select! {
        biased;
        _ = &mut opening => panic!("the server has said nothing yet"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    // The preface, SETTINGS and PING have come, and no HEADERS.
    let mut came = [0; 512];
    let len = theirs.read(&mut came).await.unwrap();
    let (mut at, mut kinds) = (24, Vec::new());
    while at < len {
        kinds.push(came[at + 3]);
        at += 9 + u32::from_be_bytes([0, came[at], came[at + 1], came[at + 2]]) as usize;
    }
    assert!(!kinds.contains(&1), "{kinds:?}");
    // SETTINGS_ENABLE_CONNECT_PROTOCOL (8) = 1, and the answers to SETTINGS and PING, wherever its payload stands.
    let ping = came[..len].windows(5).position(|window| window == [0, 0, 8, 6, 0]).map(|at| &came[at + 9..at + 17]);
    let mut bytes = vec![0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 4, 1, 0, 0, 0, 0];
    if let Some(payload) = ping {
        bytes.extend([0, 0, 8, 6, 1, 0, 0, 0, 0]);
        bytes.extend(payload);
    }
    theirs.write_all(&bytes).await.unwrap();
    unhung(opening).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn gives_up_a_server_that_says_nothing() {
    let (ours, _theirs) = duplex(64 * 1024);
    assert!(matches!(Http2::over(ours).await, Err(Error::TimedOut(_))));
}

#[tokio::test]
async fn says_what_is_wrong_with_a_server_of_http_1_1() {
    let (ours, mut theirs) = duplex(64 * 1024);
    theirs.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await.unwrap();
    let error = unhung(Http2::over(ours)).await.unwrap_err();
    assert!(matches!(error, Error::Http2(_)), "{error}");
}

#[tokio::test]
async fn asks_as_the_rfc_does() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    for (url, uri) in [
        (URL, "https://server.example.com/chat?room=1"),
        ("ws://Server.example.com:8080", "http://server.example.com:8080/"),
        ("wss://[::1]:443/", "https://[::1]/"),
    ] {
        let what = connect(url)
            .subprotocols(["chat", "superchat"])
            .deflate(DeflateConfig::default())
            .header("Origin", "https://www.example.com");
        let opening = tokio::spawn({
            let http2 = http2.clone();
            async move { http2.open(what).await }
        });
        let (request, mut respond) = unhung(asked.recv()).await.unwrap();
        assert_eq!((request.method().as_str(), request.uri().to_string()), ("CONNECT", uri.to_owned()));
        assert_eq!(request.extensions().get::<h2::ext::Protocol>().unwrap().as_str(), "websocket");
        let mut fields: Vec<_> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                ("origin", "https://www.example.com"),
                ("sec-websocket-extensions", "permessage-deflate; client_max_window_bits"),
                ("sec-websocket-protocol", "chat, superchat"),
                ("sec-websocket-version", "13"),
            ]
        );
        let response = Response::builder().header("sec-websocket-protocol", "chat").body(()).unwrap();
        let _send = respond.send_response(response, false).unwrap();
        let ws = unhung(opening).await.unwrap().unwrap();
        assert_eq!((ws.subprotocol(), ws.is_compressed()), (Some("chat"), false));
    }
}

#[tokio::test]
async fn credentials_and_another_host_go_where_they_belong() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let what = connect("wss://me:secret@10.0.0.1/").header("Host", "server.example.com");
    let opening = http2.open(what);
    let serve = async {
        let (request, _respond) = asked.recv().await.unwrap();
        assert_eq!(request.uri(), "https://server.example.com/");
        assert_eq!(request.headers()["authorization"], "Basic bWU6c2VjcmV0");
        assert!(!request.headers().contains_key("host"));
    };
    let (opened, ()) = unhung(async { tokio::join!(opening, serve) }).await;
    assert!(matches!(opened, Err(Error::Http2(_))), "the stream was dropped unanswered");
}

#[tokio::test]
async fn takes_any_2xx() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    for status in [200, 201, 299] {
        let opening = http2.open_with_response(connect(URL));
        let serve = async {
            let (_request, mut respond) = asked.recv().await.unwrap();
            respond.send_response(Response::builder().status(status).body(()).unwrap(), false).unwrap()
        };
        let (opened, _send) = unhung(async { tokio::join!(opening, serve) }).await;
        assert_eq!(opened.unwrap().1.status(), status);
    }
}

#[tokio::test]
async fn takes_no_notice_of_an_accept() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let serve = async {
        let (_request, mut respond) = asked.recv().await.unwrap();
        let response = Response::builder().header("sec-websocket-accept", "nonsense").body(()).unwrap();
        respond.send_response(response, false).unwrap()
    };
    let (opened, _send) = unhung(async { tokio::join!(http2.open(connect(URL)), serve) }).await;
    opened.unwrap();
}

#[tokio::test]
async fn is_refused_with_the_status_and_the_body() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    for status in [302, 400, 403, 404, 501, 503] {
        let serve = async {
            let (_request, mut respond) = asked.recv().await.unwrap();
            let response = Response::builder().status(status).header("x-why", "so").body(()).unwrap();
            let mut send = respond.send_response(response, false).unwrap();
            send.send_data("no ".into(), false).unwrap();
            send.send_data("room".into(), true).unwrap();
        };
        let opening = http2.open(connect(URL).max_refusal_body(5));
        let (opened, ()) = unhung(async { tokio::join!(opening, serve) }).await;
        let Err(Error::Handshake(error)) = opened else { panic!("{status} is a refusal") };
        let HandshakeError::Refused(response) = *error else { panic!("{error}") };
        assert_eq!((response.status(), &response.body[..]), (status, &b"no ro"[..]));
        assert_eq!(response.headers.get_str("x-why"), Some("so"));
    }
}

#[tokio::test]
async fn fails_on_what_it_did_not_ask_for() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    for (name, value) in [
        ("sec-websocket-protocol", "superchat"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("sec-websocket-extensions", "x-unknown"),
        ("sec-websocket-extensions", "\"broken"),
    ] {
        let serve = async {
            let (request, mut respond) = asked.recv().await.unwrap();
            let mut send =
                respond.send_response(Response::builder().header(name, value).body(()).unwrap(), false).unwrap();
            let reset = std::future::poll_fn(|cx| send.poll_reset(cx)).await;
            drop(request);
            reset
        };
        let opening = http2.open(connect(URL).subprotocols(["chat"]));
        let (opened, reset) = unhung(async { tokio::join!(opening, serve) }).await;
        assert!(matches!(opened, Err(Error::Handshake(_))), "{name}: {value}");
        assert_eq!(reset.unwrap(), Reason::CANCEL);
    }
}

#[tokio::test(start_paused = true)]
async fn gives_up_an_answer_that_does_not_come() {
    let (io, mut asked) = asked();
    let http2 = Http2::over(io).await.unwrap();
    let limits = Limits::trusted().handshake_timeout(Duration::from_secs(3));
    assert!(matches!(http2.open(connect(URL).limits(limits)).await, Err(Error::TimedOut(_))));
    let (_request, mut respond) = asked.recv().await.unwrap();
    let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await.unwrap();
    assert_eq!(reset, Reason::CANCEL);
}

#[tokio::test]
async fn reads_frames_cut_at_every_byte_and_between_empty_ones() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let (ws, mut raw) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    let mut ws = ws.unwrap();
    let bytes = [frame(Role::Server, TEXT - FIN, b"Hel"), frame(Role::Server, CONTINUATION, b"lo")].concat();
    for at in 0..=bytes.len() {
        raw.data(&bytes[..at]);
        raw.data(&[]);
        raw.data(&bytes[at..]);
        assert_eq!(unhung(ws.recv()).await.unwrap().unwrap().as_text(), Some("Hello"));
    }
}

#[tokio::test]
async fn end_of_the_stream_without_a_close_is_lost() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let (ws, mut raw) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    let mut ws = ws.unwrap();
    raw.frame(TEXT, b"one");
    raw.end();
    assert!(unhung(ws.recv()).await.unwrap().is_some());
    assert!(matches!(unhung(ws.recv()).await, Err(Error::Lost)));
}

#[tokio::test]
async fn both_ends_end_the_stream_behind_a_close() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let (ws, mut raw) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    let mut ws = ws.unwrap();
    let close = async {
        raw.frame(CLOSE, &close_payload(CloseCode::GOING_AWAY, "later"));
        raw.end();
        raw.rest().await
    };
    let (received, rest) = unhung(async { tokio::join!(ws.recv(), close) }).await;
    assert_eq!(received.unwrap(), None);
    let Some(End::Closed { theirs: Some(theirs), .. }) = ws.end() else { panic!("{:?}", ws.end()) };
    assert_eq!((theirs.code, theirs.reason.as_str()), (CloseCode::GOING_AWAY, "later"));
    drop(ws);
    assert_eq!(rest.unwrap()[0].0, CLOSE);
}

#[tokio::test]
async fn reset_stream_is_an_error() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    for reason in [Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let (ws, mut raw) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
        let mut ws = ws.unwrap();
        raw.send.send_reset(reason);
        let Err(Error::Io(error)) = unhung(ws.recv()).await else { panic!("{:?}", ws.end()) };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn dropped_websocket_resets_its_stream() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let (ws, mut raw) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    drop(ws.unwrap());
    let reset = unhung(std::future::poll_fn(|cx| raw.send.poll_reset(cx))).await.unwrap();
    assert_eq!(reset, Reason::CANCEL);
}

#[tokio::test]
async fn lost_connection_ends_all_its_websockets() {
    let (ours, theirs) = duplex(64 * 1024);
    let serving = tokio::spawn(async move {
        let mut connection = server(theirs).await;
        let mut kept = Vec::new();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            kept.push((request, respond.send_response(Response::new(()), false).unwrap()));
        }
    });
    let http2 = unhung(Http2::over(ours)).await.unwrap();
    let mut first = unhung(http2.open(connect(URL))).await.unwrap();
    let mut second = unhung(http2.open(connect(URL))).await.unwrap();
    serving.abort();
    for ws in [&mut first, &mut second] {
        assert!(matches!(unhung(ws.recv()).await, Err(Error::Io(_) | Error::Lost)));
    }
    assert!(matches!(unhung(http2.open(connect(URL))).await, Err(Error::Io(_) | Error::Http2(_))));
}

#[tokio::test]
async fn waits_for_a_place_among_the_streams() {
    let (ours, theirs) = duplex(64 * 1024);
    let (sender, mut asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut builder = h2::server::Builder::new();
        builder.enable_connect_protocol().max_concurrent_streams(1);
        let mut connection = builder.handshake::<_, Bytes>(theirs).await.unwrap();
        while let Some(Ok(asked)) = connection.accept().await {
            sender.send(asked).unwrap();
        }
    });
    let http2 = unhung(Http2::over(ours)).await.unwrap();
    let (ws, first) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    let limits = Limits::trusted().handshake_timeout(Duration::from_millis(100));
    let late = unhung(http2.open(connect(URL).limits(limits))).await;
    assert!(matches!(late, Err(Error::TimedOut(_))), "{late:?}");
    assert!(asked.try_recv().is_err(), "the server was not asked");
    drop((ws, first));
    let (ws, _second) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    ws.unwrap();
}

#[tokio::test]
async fn websocket_that_waits_and_is_not_polled_does_not_keep_the_window_from_the_others() {
    const WINDOW: usize = 65_535; // of the connection; that of a stream is larger
    let (io, theirs) = duplex(64 * 1024);
    let (sender, mut asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut builder = h2::server::Builder::new();
        builder.enable_connect_protocol().initial_window_size(1 << 20);
        let mut connection = builder.handshake::<_, Bytes>(theirs).await.unwrap();
        while let Some(Ok(asked)) = connection.accept().await {
            let _ = sender.send(asked);
        }
    });
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let (stuck, mut raw_stuck) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    let (other, mut raw_other) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    let (mut stuck, mut other) = (stuck.unwrap(), other.unwrap());

    let mut came = 0;
    let fill = async {
        while came < WINDOW {
            came += raw_stuck.recv.data().await.unwrap().unwrap().len();
        }
    };
    tokio::select! {
        sent = stuck.send(vec![0; 1 << 20]) => panic!("there is no room for it: {sent:?}"),
        () = unhung(fill) => {}
    }
    // It waits for a window, and is polled no more.
    raw_stuck.recv.flow_control().release_capacity(WINDOW).unwrap();
    other.send("here").await.unwrap();
    assert_eq!(unhung(raw_other.bytes(2)).await, [TEXT, 0x84]);

    // It goes on where it was.
    raw_stuck.recv.flow_control().release_capacity(came - WINDOW).unwrap();
    let rest = async {
        while came < 1 << 20 {
            let data = raw_stuck.recv.data().await.unwrap().unwrap();
            raw_stuck.recv.flow_control().release_capacity(data.len()).unwrap();
            came += data.len();
        }
    };
    unhung(async { tokio::join!(rest, async { stuck.flush().await.unwrap() }) }).await;
}

#[tokio::test]
async fn server_that_cuts_messages_into_bytes_for_nobody_loses_the_connection() {
    let (io, mut asked) = asked();
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let (ws, mut raw) = unhung(async { tokio::join!(http2.open(connect(URL)), accepted(&mut asked)) }).await;
    let _unread = ws.unwrap();
    // Each frame of a byte takes a byte of the window, of which there are 2²⁰, and more of memory than that.
    let flood = async {
        for _ in 0..1 << 20 {
            raw.send.reserve_capacity(1);
            let capacity = std::future::poll_fn(|cx| raw.send.poll_capacity(cx)).await;
            if !matches!(capacity, Some(Ok(_))) || raw.send.send_data(Bytes::from_static(&[0]), false).is_err() {
                break;
            }
        }
    };
    unhung(flood).await;
    assert!(unhung(asked.recv()).await.is_none(), "the connection is gone");
    assert!(matches!(unhung(http2.open(connect(URL))).await, Err(Error::Http2(_) | Error::Io(_))));
}

#[tokio::test]
async fn connection_is_for_the_origin_that_it_was_made_to() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut builder = h2::server::Builder::new();
        let mut connection = builder.enable_connect_protocol().handshake::<_, Bytes>(tcp).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            assert_eq!(request.uri().path(), "/news", "nobody else is asked for");
            respond.send_response(Response::new(()), false).unwrap();
        }
    });
    let http2 = unhung(Http2::connect(connect(format!("ws://{address}")))).await.unwrap();
    unhung(http2.open(connect(format!("ws://{address}/news")))).await.unwrap();
    let port = address.port();
    for other in ["wss://127.0.0.1", "ws://localhost", "ws://127.0.0.2"].map(|other| format!("{other}:{port}/chat")) {
        let error = unhung(http2.open(connect(&other[..]).header("Cookie", "session=secret"))).await.unwrap_err();
        let Error::Http2(error) = error else { panic!("{error}") };
        let connected = format!("ws://{address}");
        assert_eq!(*error, Http2Error::OtherOrigin { connected, asked: other.replace("/chat", "") });
    }
}

#[tokio::test(start_paused = true)]
async fn connection_to_a_server_that_takes_nothing_ends_when_nobody_uses_it() {
    let (io, theirs) = duplex(1024);
    let (stop, mut stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let mut connection = server(theirs).await;
        let mut open = Vec::new();
        loop {
            tokio::select! {
                asked = connection.accept() => {
                    let (request, mut respond) = asked.unwrap().unwrap();
                    open.push((request, respond.send_response(Response::new(()), false).unwrap()));
                }
                _ = &mut stopped => return (connection, open),
            }
        }
    });
    let http2 = Http2::over(io).await.unwrap();
    let mut ws = http2.open(connect(URL)).await.unwrap();
    stop.send(()).unwrap();
    let _idle = serving.await.unwrap();
    let sending = tokio::time::timeout(Duration::from_secs(1), ws.send(vec![0; 1 << 20])).await;
    assert!(sending.is_err(), "the server takes nothing");
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    drop(ws);
    assert_eq!(tasks(), 1, "the connection's, as it may be used again");
    drop(http2);
    tokio::time::sleep(2 * Limits::trusted().close_timeout).await;
    assert_eq!(tasks(), 0);
}

#[tokio::test]
async fn credentials_are_in_no_table_of_http2() {
    let (io, ours) = duplex(64 * 1024);
    let (server_io, mut asked) = asked();
    let (mut from_client, mut to_client) = tokio::io::split(ours);
    let (mut from_server, mut to_server) = tokio::io::split(server_io);
    let (told, mut heard) = mpsc::unbounded_channel();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    tokio::spawn(async move {
        let mut bytes = [0; 4096];
        while let Ok(read @ 1..) = from_client.read(&mut bytes).await {
            told.send(bytes[..read].to_vec()).unwrap();
            to_server.write_all(&bytes[..read]).await.unwrap();
        }
    });
    let http2 = unhung(Http2::over(io)).await.unwrap();
    let what = connect("wss://me:secret@server.example.com/").header("Cookie", "session=secret").header("X-Plain", "x");
    let (opened, _raw) = unhung(async { tokio::join!(http2.open(what), accepted(&mut asked)) }).await;
    opened.unwrap();
    let mut sent = Vec::new();
    while let Ok(bytes) = heard.try_recv() {
        sent.extend(bytes);
    }
    // RFC 7541 §6.2.3: a literal that is never indexed begins with 0001 and the name's index, 23 and 32 of the static table.
    for (name, literal) in [("authorization", [0x1f, 23 - 15]), ("cookie", [0x1f, 32 - 15])] {
        assert!(sent.windows(2).any(|window| window == literal), "{name} in {sent:02x?}");
    }
}
