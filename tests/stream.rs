//! The stream floor: messages in and out of a `WebSocket`, whole and in parts, and what happens beside them.
#![cfg(feature = "stream")]

mod io;

use std::{pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream};
use io::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, TEXT, Wire, endpoint, endpoint_and_peer, pair, pattern, poll_now,
    unhung,
};
use sockeye::{
    CloseCode, Config, Error, Keepalive, Kind, Message, Role,
    proto::connection::{End, Event, SendError, Timeout},
    stream::MessageReader,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::Instant,
};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

#[tokio::test]
async fn client_and_server_exchange_messages_of_all_sizes() {
    let (mut client, mut server) = pair(1024);
    let echo = tokio::spawn(async move {
        while let Some(message) = server.recv().await? {
            server.send(message).await?;
        }
        Ok::<_, Error>(())
    });
    unhung(async {
        for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
            let binary = Message::from(pattern(len));
            let text = Message::from("é".repeat(len / 2));
            for message in [binary, text] {
                client.send(message.clone()).await.unwrap();
                assert!(
                    client.recv().await.unwrap() == Some(message),
                    "a message of {len} bytes is not what came back"
                );
            }
        }
        client.close(CloseCode::NORMAL, "").await.unwrap();
        echo.await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn fed_messages_stay_until_the_flush() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    server.feed("one").await.unwrap();
    server.feed("two").await.unwrap();
    assert_eq!(server.queued(), 10, "two headers of 2 bytes and two payloads of 3");
    assert!(poll_now(pin!(peer.recv())).is_pending(), "feed writes nothing");
    server.flush().await.unwrap();
    assert_eq!(server.queued(), 0);
    assert_eq!(peer.recv().await, Some((TEXT, b"one".to_vec())));
    assert_eq!(peer.recv().await, Some((TEXT, b"two".to_vec())));
}

#[tokio::test]
async fn messages_wait_for_a_transport_that_takes_none_once_64_kib_are_queued() {
    for is_fed in [true, false] {
        let wire = Wire::new();
        wire.set_room(0);
        let mut server = endpoint(wire.clone(), Role::Server);
        for _ in 0..1000 {
            // A `send` is cancelled each time: it queues its message if it is its turn.
            if is_fed {
                let _ = poll_now(pin!(server.feed(pattern(1000))));
            } else {
                let _ = poll_now(pin!(server.send(pattern(1000))));
            }
        }
        assert!((64 * 1024..66 * 1024).contains(&server.queued()), "{} bytes are queued", server.queued());
    }
}

#[tokio::test]
async fn fed_message_leaves_when_recv_waits() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        ws.feed("fed").await.unwrap();
        assert!(poll_now(pin!(ws.recv())).is_pending());
        let Poll::Ready(frame) = poll_now(pin!(peer.recv())) else { panic!("{role:?} holds it back") };
        assert_eq!(frame, Some((TEXT, b"fed".to_vec())));
    }
}

#[tokio::test]
async fn user_who_only_reads_answers_pings() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        peer.send(PING, b"first").await;
        peer.send(TEXT, b"between").await;
        peer.send(PING, b"second").await;
        assert_eq!(ws.recv().await.unwrap(), Some("between".into()));
        assert!(poll_now(pin!(ws.recv())).is_pending());
        assert_eq!(unhung(peer.recv()).await, Some((PONG, b"first".to_vec())));
        assert_eq!(unhung(peer.recv()).await, Some((PONG, b"second".to_vec())));
    }
}

#[tokio::test]
async fn ping_shows_at_the_peer_and_its_pong_here() {
    let (mut client, mut server) = pair(1024);
    client.ping("are you there?").await.unwrap();
    assert_eq!(server.recv_event().await.unwrap(), Some(Event::Ping("are you there?".into())));
    server.flush().await.unwrap();
    assert_eq!(unhung(client.recv_event()).await.unwrap(), Some(Event::Pong("are you there?".into())));
}

#[tokio::test]
async fn ping_of_126_bytes_is_refused_and_the_connection_goes_on() {
    let (mut client, mut server) = pair(1024);
    let refused = client.ping(vec![0; 126]).await;
    assert!(matches!(refused, Err(Error::Send(SendError::ControlTooLong { len: 126 }))), "{refused:?}");
    client.send("on").await.unwrap();
    assert_eq!(server.recv_event().await.unwrap(), Some(Event::Message("on".into())));
}

async fn read_all<S: AsyncRead + AsyncWrite + Unpin>(mut reader: MessageReader<'_, S>) -> (Vec<u8>, usize) {
    let (mut whole, mut largest) = (Vec::new(), 0);
    while let Some(chunk) = reader.next().await.expect("the message goes on") {
        largest = largest.max(chunk.len());
        whole.extend_from_slice(&chunk);
    }
    (whole, largest)
}

#[tokio::test]
async fn reader_takes_a_message_over_the_limit_in_bounded_chunks() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role).max_message(1000));
        let payload = pattern(1 << 20);
        let sent = payload.clone();
        let sender = tokio::spawn(async move {
            let (first, second) = sent.split_at(300_000);
            peer.send(BINARY & !FIN, first).await;
            peer.send(PING, b"").await;
            peer.send(CONTINUATION, second).await;
            peer.send(TEXT, b"next").await;
            peer
        });
        let reader = unhung(ws.recv_reader()).await.unwrap().unwrap();
        assert_eq!(reader.kind(), Kind::Binary);
        let (whole, largest) = unhung(read_all(reader)).await;
        assert!(whole == payload, "{} bytes came, other than sent", whole.len());
        assert!(largest <= 64 * 1024, "a chunk of {largest} bytes");
        assert_eq!(ws.recv().await.unwrap(), Some("next".into()), "the next one can be read whole");
        drop(sender);
    }
}

#[tokio::test]
async fn reader_takes_empty_messages_and_text_cut_inside_a_character() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    peer.send(TEXT, b"").await;
    peer.send(TEXT & !FIN, b"\xc3").await; // the first half of é
    peer.send(CONTINUATION, b"\xa9").await; // and the second
    let reader = server.recv_reader().await.unwrap().unwrap();
    assert_eq!(read_all(reader).await.0, b"");
    let reader = server.recv_reader().await.unwrap().unwrap();
    assert_eq!(reader.kind(), Kind::Text);
    assert_eq!(read_all(reader).await.0, "é".as_bytes());
}

#[tokio::test]
async fn chunks_stay_bounded_behind_a_recv_that_was_cancelled_inside_the_message() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    let payload = pattern(200_000);
    let bytes = io::frame(Role::Client, BINARY, &payload);
    for part in bytes[..150_000].chunks(50_000) {
        peer.io.write_all(part).await.unwrap();
        assert!(poll_now(pin!(server.recv())).is_pending());
    }
    peer.io.write_all(&bytes[150_000..]).await.unwrap();
    let reader = server.recv_reader().await.unwrap().unwrap();
    let (whole, largest) = read_all(reader).await;
    assert!(whole == payload, "{} bytes came, other than sent", whole.len());
    assert!(largest <= 64 * 1024, "a chunk of {largest} bytes");
}

#[tokio::test]
async fn dropping_a_reader_skips_the_rest_of_its_message_only() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        peer.send(TEXT & !FIN, b"one").await;
        let mut reader = ws.recv_reader().await.unwrap().unwrap();
        assert_eq!(reader.next().await.unwrap().as_deref(), Some(&b"one"[..]));
        drop(reader);
        peer.send(CONTINUATION & !FIN, b"two").await;
        peer.send(PING, b"beside").await;
        peer.send(CONTINUATION, b"three").await;
        peer.send(TEXT, b"next").await;
        assert_eq!(unhung(ws.recv()).await.unwrap(), Some("next".into()));
        assert!(poll_now(pin!(ws.recv())).is_pending());
        assert_eq!(unhung(peer.recv()).await, Some((PONG, b"beside".to_vec())), "a skipped message hides no Ping");

        peer.send(TEXT & !FIN, b"one").await;
        drop(ws.recv_reader().await.unwrap().unwrap());
        peer.send(CONTINUATION, b"two").await;
        peer.send(BINARY, b"next").await;
        let next = unhung(ws.recv_reader()).await.unwrap().unwrap();
        assert_eq!((next.kind(), read_all(next).await.0), (Kind::Binary, b"next".to_vec()));
    }
}

#[tokio::test]
async fn reader_of_a_message_that_the_transport_cuts_off_gives_lost() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    peer.send(TEXT & !FIN, b"one").await;
    drop(peer);
    let mut reader = server.recv_reader().await.unwrap().unwrap();
    assert_eq!(reader.next().await.unwrap().as_deref(), Some(&b"one"[..]));
    assert!(matches!(reader.next().await, Err(Error::Lost)));
}

#[tokio::test]
async fn reader_of_a_message_that_the_peer_closes_in_the_middle_of_gives_lost() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    peer.send(TEXT & !FIN, b"one").await;
    peer.close(CloseCode::GOING_AWAY, "").await;
    let mut reader = server.recv_reader().await.unwrap().unwrap();
    assert_eq!(reader.next().await.unwrap().as_deref(), Some(&b"one"[..]));
    peer.io.shutdown().await.unwrap();
    assert!(matches!(unhung(reader.next()).await, Err(Error::Lost)), "its end never came");
}

#[tokio::test]
async fn stream_of_parts_goes_out_as_one_message() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        let parts = [&b"caf\xc3"[..], b"\xa9 ", b"noir"].map(Bytes::from_static);
        ws.send_stream(Kind::Text, stream::iter(parts)).await.unwrap();
        ws.send("next").await.unwrap();
        assert_eq!(peer.recv().await, Some((TEXT & !FIN, b"caf\xc3".to_vec())));
        assert_eq!(peer.recv().await, Some((CONTINUATION & !FIN, b"\xa9 ".to_vec())));
        assert_eq!(peer.recv().await, Some((CONTINUATION & !FIN, b"noir".to_vec())));
        assert_eq!(peer.recv().await, Some((CONTINUATION, vec![])));
        assert_eq!(peer.recv().await, Some((TEXT, b"next".to_vec())));
    }
}

#[tokio::test]
async fn writer_dropped_before_its_first_part_costs_nothing() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    drop(server.begin(Kind::Binary).await.unwrap());
    server.send("next").await.unwrap();
    assert_eq!(peer.recv().await, Some((TEXT, b"next".to_vec())));
}

#[tokio::test]
async fn writer_dropped_behind_its_first_part_closes_with_1011() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        let mut writer = ws.begin(Kind::Binary).await.unwrap();
        writer.write("part").await.unwrap();
        drop(writer);
        assert!(matches!(ws.send("next").await, Err(Error::Closed)));
        assert!(poll_now(pin!(ws.recv())).is_pending());
        assert_eq!(peer.recv().await, Some((BINARY & !FIN, b"part".to_vec())));
        assert_eq!(unhung(peer.recv_close()).await, 1011);
        assert_eq!(ws.end(), Some(End::Abandoned));
    }
}

#[tokio::test]
async fn writer_refuses_parts_that_are_no_text_and_closes_with_1011() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    let parts = [&b"caf\xc3"[..], b"!"].map(Bytes::from_static);
    let sent = server.send_stream(Kind::Text, stream::iter(parts)).await;
    assert!(matches!(sent, Err(Error::Send(SendError::InvalidUtf8))), "{sent:?}");
    server.flush().await.unwrap();
    assert_eq!(peer.recv().await, Some((TEXT & !FIN, b"caf\xc3".to_vec())));
    assert_eq!(unhung(peer.recv_close()).await, 1011);
}

#[tokio::test]
async fn writer_refuses_text_that_ends_inside_a_character() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    let mut writer = server.begin(Kind::Text).await.unwrap();
    writer.write(&b"caf\xc3"[..]).await.unwrap();
    assert!(matches!(writer.finish().await, Err(Error::Send(SendError::InvalidUtf8))));
    server.flush().await.unwrap();
    assert_eq!(peer.recv().await, Some((TEXT & !FIN, b"caf\xc3".to_vec())));
    assert_eq!(unhung(peer.recv_close()).await, 1011);
}

#[tokio::test]
async fn stream_and_sink_carry_messages_and_end_with_the_connection() {
    let (client, mut server) = pair(1024);
    let echo = tokio::spawn(async move {
        let (mut sink, mut messages) = StreamExt::split(&mut server);
        while let Some(message) = messages.next().await {
            sink.send(message.unwrap()).await.unwrap();
        }
        assert!(messages.next().await.is_none());
    });
    unhung(async {
        let mut client = client;
        let mut messages = stream::iter((0..100).map(|n| Ok(Message::from(format!("{n}")))));
        SinkExt::send_all(&mut client, &mut messages).await.unwrap();
        for n in 0..100 {
            assert_eq!(client.next().await.unwrap().unwrap(), Message::from(format!("{n}")));
        }
        SinkExt::close(&mut client).await.unwrap();
        assert!(client.next().await.is_none());
        assert!(matches!(SinkExt::send(&mut client, "late".into()).await, Err(Error::Closed)));
        echo.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn stream_ends_behind_its_first_error() {
    let (mut server, peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    drop(peer);
    assert!(matches!(server.next().await, Some(Err(Error::Lost))));
    assert!(server.next().await.is_none());
}

const KEEPALIVE: Keepalive = Keepalive { interval: Duration::from_secs(30), timeout: Duration::from_secs(20) };

#[tokio::test(start_paused = true)]
async fn silent_peer_is_pinged_and_then_given_up() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role).keepalive(Some(KEEPALIVE)));
        let start = Instant::now();
        let pinged = tokio::spawn(async move {
            let frame = peer.recv().await;
            (frame.map(|(first, _)| first), start.elapsed().as_secs(), peer)
        });
        let end = ws.recv().await;
        assert!(matches!(end, Err(Error::TimedOut(Timeout::Keepalive))), "{end:?}");
        assert_eq!(start.elapsed().as_secs(), 50);
        assert_eq!(ws.end(), Some(End::TimedOut(Timeout::Keepalive)));
        let (first, at, _peer) = pinged.await.unwrap();
        assert_eq!((first, at), (Some(PING), 30), "{role:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_answers_pings_is_kept_and_its_round_trip_measured() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role).keepalive(Some(KEEPALIVE)));
        let start = Instant::now();
        tokio::spawn(async move {
            for _ in 0..5 {
                let (first, payload) = peer.recv().await.unwrap();
                assert_eq!(first, PING);
                tokio::time::sleep(Duration::from_secs(7)).await;
                peer.send(PONG, &payload).await;
            }
            peer.send(TEXT, b"still here").await;
            peer.recv().await
        });
        assert_eq!(ws.recv().await.unwrap(), Some("still here".into()));
        assert_eq!(start.elapsed().as_secs(), 5 * 37);
        assert_eq!(ws.rtt().unwrap().as_secs(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn peer_that_talks_is_not_pinged() {
    let config = Config::new(Role::Server).keepalive(Some(KEEPALIVE));
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, config);
    let talk = tokio::spawn(async move {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(29)).await;
            peer.send(BINARY, b"").await;
        }
        peer.close(CloseCode::NORMAL, "").await;
        peer.recv().await.map(|(first, _)| first)
    });
    while server.recv().await.unwrap().is_some() {}
    assert_eq!(talk.await.unwrap(), Some(CLOSE), "the first frame is the reply to the Close");
}
