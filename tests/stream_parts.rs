//! The stream floor: a `WebSocket` is taken apart and put together again without losing a byte.
#![cfg(feature = "stream")]

mod io;

use std::pin::pin;

use io::{
    BINARY, CONTINUATION, FIN, PING, PONG, TEXT, Wire, endpoint, frame, opposite, parse, pattern, poll_now, unhung,
};
use sockeye::{
    CloseCode, Error, Role, WebSocket,
    stream::{Parts, serve_connection},
};
use tokio::io::{AsyncRead, AsyncWrite};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// Takes it apart and puts it together.
fn rebuilt<S: AsyncRead + AsyncWrite + Unpin>(ws: WebSocket<S>) -> WebSocket<S> {
    let Parts { io, connection, inbox, .. } = ws.into_parts().expect("nobody else has a share");
    WebSocket::new(io.expect("the connection has not ended"), connection, inbox)
}

#[tokio::test]
async fn unread_messages_come_after_it_is_put_together() {
    for role in ROLES {
        let wire = Wire::new();
        let mut ws = endpoint(wire.clone(), role);
        for text in ["one", "two", "three"] {
            wire.push(&frame(opposite(role), TEXT, text.as_bytes()));
        }
        assert_eq!(ws.recv().await.unwrap(), Some("one".into()));
        let mut ws = rebuilt(ws);
        assert_eq!(ws.recv().await.unwrap(), Some("two".into()));
        let Parts { connection, inbox, .. } = ws.into_parts().unwrap();
        assert_eq!(inbox.as_bytes(), frame(opposite(role), TEXT, b"three"));
        assert_eq!(connection.role(), role);
    }
}

#[tokio::test]
async fn message_is_whole_wherever_it_is_taken_apart() {
    for role in ROLES {
        let bytes = [
            frame(opposite(role), BINARY & !FIN, &pattern(130)),
            frame(opposite(role), PING, b"ping"),
            frame(opposite(role), CONTINUATION, &pattern(5)),
        ]
        .concat();
        for split in 0..bytes.len() {
            let wire = Wire::new();
            let mut ws = endpoint(wire.clone(), role);
            wire.push(&bytes[..split]);
            assert!(poll_now(pin!(ws.recv())).is_pending(), "split at {split}");
            let mut ws = rebuilt(ws);
            wire.push(&bytes[split..]);
            let message = unhung(ws.recv()).await.unwrap().unwrap();
            assert!(message.as_bytes() == [pattern(130), pattern(5)].concat(), "split at {split}");
            assert!(poll_now(pin!(ws.recv())).is_pending());
            assert_eq!(parse(&wire.take_output()), [(PONG, b"ping".to_vec())], "split at {split}");
        }
    }
}

#[tokio::test]
async fn unwritten_bytes_go_out_after_it_is_put_together() {
    for role in ROLES {
        // 40 kB is large enough to be shared instead of copied.
        let messages = [pattern(100), pattern(40_000), pattern(3)];
        for room in [0, 1, 50, 20_000] {
            let wire = Wire::new();
            wire.set_room(room);
            let mut ws = endpoint(wire.clone(), role);
            for message in &messages {
                ws.feed(message.clone()).await.unwrap();
            }
            assert!(poll_now(pin!(ws.flush())).is_pending());
            let mut ws = rebuilt(ws);
            assert!(ws.queued() > 0);
            wire.set_room(usize::MAX);
            unhung(ws.flush()).await.unwrap();
            let frames = parse(&wire.take_output());
            assert!(frames == messages.clone().map(|message| (BINARY, message)), "{role:?} with room for {room}");
        }
    }
}

/// A server that was taken apart behind a reader that was dropped inside its message, with the next message behind it.
async fn skipping() -> WebSocket<Wire> {
    let wire = Wire::new();
    let mut server = endpoint(wire.clone(), Role::Server);
    wire.push(&frame(Role::Client, TEXT & !FIN, b"one"));
    drop(server.recv_reader().await);
    let server = rebuilt(server);
    wire.push(&frame(Role::Client, CONTINUATION, b"the rest of it"));
    wire.push(&frame(Role::Client, BINARY, b"next"));
    server
}

#[tokio::test]
async fn rest_of_a_skipped_message_stays_skipped() {
    let mut server = skipping().await;
    assert_eq!(server.recv().await.unwrap(), Some(b"next".into()));
}

#[tokio::test]
async fn rest_of_a_skipped_message_is_no_message_for_the_next_reader() {
    let mut server = skipping().await;
    let mut reader = server.recv_reader().await.unwrap().unwrap();
    assert_eq!(reader.next().await.unwrap().as_deref(), Some(&b"next"[..]));
}

#[tokio::test]
async fn message_that_was_begun_is_still_owed_its_end() {
    let wire = Wire::new();
    let mut server = endpoint(wire.clone(), Role::Server);
    let mut writer = server.begin(sockeye::Kind::Text).await.unwrap();
    writer.write("part").await.unwrap();
    std::mem::forget(writer);
    let Parts { mut connection, .. } = server.into_parts().unwrap();
    assert!(connection.send(&"other".into()).is_err());
    connection.part(&"end".into(), true).unwrap();
    assert_eq!(parse(&connection.take_output()), [(CONTINUATION, b"end".to_vec())]);
}

#[tokio::test]
async fn close_goes_on_after_it_is_put_together() {
    for role in ROLES {
        let wire = Wire::new();
        let mut ws = endpoint(wire.clone(), role);
        assert!(poll_now(pin!(ws.close(CloseCode::NORMAL, "bye"))).is_pending());
        let mut ws = rebuilt(ws);
        assert!(matches!(ws.send("late").await, Err(Error::Closed)));
        wire.push(&frame(opposite(role), io::CLOSE, &io::close_payload(CloseCode::NORMAL, "bye")));
        wire.end();
        assert_eq!(unhung(ws.recv()).await.unwrap(), None);
        assert_eq!(parse(&wire.take_output()).len(), 1, "one Close");
    }
}

#[tokio::test]
async fn connection_that_has_ended_has_no_transport_left() {
    let wire = Wire::new();
    let mut server = endpoint(wire.clone(), Role::Server);
    wire.end();
    assert!(matches!(server.recv().await, Err(Error::Lost)));
    assert!(server.into_parts().unwrap().io.is_none());
}

#[tokio::test]
async fn served_connection_is_given_back_whole() {
    let wire = Wire::new();
    wire.push(&frame(Role::Client, TEXT, b"message"));
    let server = endpoint(wire, Role::Server);
    let mut received = None;
    let handler = async |ws: WebSocket<Wire>| {
        let mut ws = ws.into_parts().expect_err("the task that serves it has a share");
        received = ws.recv().await.unwrap();
    };
    // It ends only with the peer's Close, but the handler has run.
    assert!(poll_now(pin!(serve_connection(server, handler))).is_pending());
    assert_eq!(received, Some("message".into()));
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn compression_goes_on_where_it_was() {
    use sockeye::{
        Config, DeflateConfig,
        proto::{connection::DeflateSettings, extension::deflate::DeflateAgreed},
    };
    let settings = DeflateSettings {
        config: DeflateConfig { threshold: 0, ..DeflateConfig::default() },
        agreed: DeflateAgreed {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        },
    };
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let mut client = io::open(ours, Role::Client, Config::new(Role::Client), Some(&settings));
    let mut server = io::open(theirs, Role::Server, Config::new(Role::Server), Some(&settings));
    for round in 0..5 {
        let text = format!("the window of round {round} has what the rounds before had");
        client.send(text.clone()).await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some(text.into()));
        (client, server) = (rebuilt(client), rebuilt(server));
    }
}
