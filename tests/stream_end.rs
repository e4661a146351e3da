//! The stream floor: how connections end, who is told what of it, and how long that may take.
#![cfg(feature = "stream")]

mod io;

use std::{pin::pin, time::Duration};

use io::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, TEXT, Wire, close_payload, endpoint, endpoint_and_peer, frame, opposite,
    pair, parse, pattern, poll_now, unhung,
};
use sockeye::{
    CloseCode, CloseFrame, Config, Error, Limits, Role,
    proto::{
        connection::{End, Initiator, Timeout},
        frame::ProtocolError,
    },
};
use tokio::{io::AsyncWriteExt, time::Instant};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

#[tokio::test]
async fn both_ends_of_a_clean_close_are_told_who_closed_and_why() {
    for closer in ROLES {
        let (client, server) = pair(1024);
        let (mut ours, mut theirs) = if closer == Role::Client { (client, server) } else { (server, client) };
        let (closed, received) =
            unhung(async { tokio::join!(ours.close(CloseCode::GOING_AWAY, "lunch"), async { theirs.recv().await }) })
                .await;
        closed.unwrap();
        assert_eq!(received.unwrap(), None);
        let said = Some(CloseFrame::new(CloseCode::GOING_AWAY, "lunch"));
        let (by_us, by_peer) = (Initiator::Us, Initiator::Peer);
        assert_eq!(ours.end(), Some(End::Closed { by: by_us, ours: said.clone(), theirs: said.clone() }));
        assert_eq!(theirs.end(), Some(End::Closed { by: by_peer, ours: said.clone(), theirs: said }));
        for ws in [&mut ours, &mut theirs] {
            assert_eq!(ws.recv().await.unwrap(), None, "a clean end can be asked for again");
            assert!(matches!(ws.send("late").await, Err(Error::Closed)));
            assert!(matches!(ws.ping("late").await, Err(Error::Closed)));
            ws.close(CloseCode::NORMAL, "").await.expect("closing twice is harmless");
        }
    }
}

#[tokio::test]
async fn close_without_a_code_is_clean_and_answered_without_one() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        peer.send(CLOSE, b"").await;
        peer.io.shutdown().await.unwrap();
        assert_eq!(unhung(ws.recv()).await.unwrap(), None);
        assert_eq!(ws.end(), Some(End::Closed { by: Initiator::Peer, ours: None, theirs: None }));
        assert_eq!(peer.recv().await, Some((CLOSE, vec![])));
        assert_eq!(peer.recv().await, None);
    }
}

#[tokio::test]
async fn fault_of_the_peer_is_told_once_and_to_the_peer_too() {
    // §5.1: each end sends what only the other may: a client unmasked, a server masked.
    for (role, fault) in [(Role::Server, ProtocolError::UnmaskedFrame), (Role::Client, ProtocolError::MaskedFrame)] {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        peer.send(TEXT, b"good").await;
        peer.io.write_all(&frame(role, TEXT, b"bad")).await.unwrap();
        peer.io.shutdown().await.unwrap();
        assert_eq!(ws.recv().await.unwrap(), Some("good".into()), "what came before is delivered");
        let told = unhung(ws.recv()).await;
        assert!(matches!(told, Err(Error::Protocol(error)) if error == fault), "{told:?}");
        assert!(matches!(ws.recv().await, Err(Error::Closed)));
        assert!(matches!(ws.recv_event().await, Err(Error::Closed)));
        assert_eq!(ws.end(), Some(End::Failed(fault)));
        assert_eq!(peer.recv_close().await, 1002);
        assert_eq!(peer.recv().await, None);
    }
}

#[tokio::test]
async fn transport_that_ends_without_a_close_is_lost() {
    for role in ROLES {
        // At rest, and inside a message.
        for bytes in [vec![], frame(opposite(role), TEXT & !FIN, b"half"), vec![TEXT]] {
            let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
            peer.io.write_all(&bytes).await.unwrap();
            drop(peer);
            assert!(matches!(ws.recv().await, Err(Error::Lost)));
            assert!(matches!(ws.recv().await, Err(Error::Closed)), "told once");
            assert_eq!(ws.end(), Some(End::Lost));
            assert!(matches!(ws.send("late").await, Err(Error::Closed)));
        }
    }
}

#[tokio::test]
async fn transport_that_fails_gives_its_error_once() {
    let wire = Wire::new();
    wire.state().writes_fail = true;
    let mut ws = endpoint(wire, Role::Server);
    ws.feed("message").await.unwrap();
    let told = unhung(ws.recv()).await;
    assert!(matches!(&told, Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe), "{told:?}");
    assert!(matches!(ws.recv().await, Err(Error::Closed)));
    assert_eq!(ws.end(), Some(End::Lost));
}

#[tokio::test]
async fn dropped_websocket_is_lost_to_its_peer() {
    let (client, mut server) = pair(1024);
    drop(client);
    assert!(matches!(server.recv().await, Err(Error::Lost)));
}

#[tokio::test]
async fn close_waits_for_the_peer_and_discards_what_still_comes() {
    for role in ROLES {
        let (mut ws, mut peer) = endpoint_and_peer(role, Config::new(role));
        {
            let mut close = pin!(ws.close(CloseCode::NORMAL, "bye"));
            assert!(poll_now(close.as_mut()).is_pending());
            assert_eq!(peer.recv().await, Some((CLOSE, close_payload(CloseCode::NORMAL, "bye"))));
            peer.send(TEXT, b"late").await;
            peer.send(BINARY, &pattern(10_000)).await;
            peer.send(PING, b"late").await;
            assert!(poll_now(close.as_mut()).is_pending(), "the peer has not answered");
            peer.close(CloseCode::NORMAL, "bye").await;
            peer.io.shutdown().await.unwrap();
            unhung(close).await.unwrap();
        }
        assert_eq!(ws.recv().await.unwrap(), None);
        assert_eq!(peer.recv().await, None, "§5.5.1: nothing follows our Close, not even a Pong");
    }
}

#[tokio::test]
async fn reader_behind_a_cancelled_close_gets_no_part_of_a_discarded_message() {
    let wire = Wire::new();
    let mut server = endpoint(wire.clone(), Role::Server);
    wire.push(&frame(Role::Client, TEXT & !FIN, b"discarded"));
    assert!(poll_now(pin!(server.close(CloseCode::NORMAL, ""))).is_pending());
    wire.push(&frame(Role::Client, CONTINUATION, b"the rest of it"));
    wire.push(&frame(Role::Client, BINARY, b"next"));
    let mut reader = server.recv_reader().await.unwrap().unwrap();
    assert_eq!(reader.next().await.unwrap().as_deref(), Some(&b"next"[..]));
}

#[tokio::test(start_paused = true)]
async fn close_gives_up_a_peer_that_does_not_answer() {
    for role in ROLES {
        for (config, seconds) in [
            (Config::new(role), 10),
            (Config::new(role).limits(Config::new(role).limits.close_timeout(Duration::from_secs(3))), 3),
        ] {
            let (mut ws, peer) = endpoint_and_peer(role, config);
            let start = Instant::now();
            let closed = ws.close(CloseCode::NORMAL, "").await;
            assert!(matches!(closed, Err(Error::TimedOut(Timeout::Close))), "{closed:?}");
            assert_eq!(start.elapsed().as_secs(), seconds);
            assert_eq!(ws.end(), Some(End::TimedOut(Timeout::Close)));
            drop(peer);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn close_gives_up_a_peer_that_talks_on_instead_of_answering() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    let start = Instant::now();
    let talk = tokio::spawn(async move {
        while peer.io.write_all(&frame(Role::Client, TEXT, b"and another thing")).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(matches!(server.close(CloseCode::NORMAL, "").await, Err(Error::TimedOut(Timeout::Close))));
    assert_eq!(start.elapsed().as_secs(), 10);
    talk.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn client_leaves_the_transports_end_to_the_server_but_not_for_ever() {
    let (mut client, mut peer) = endpoint_and_peer(Role::Client, Config::new(Role::Client));
    let start = Instant::now();
    peer.close(CloseCode::NORMAL, "").await;
    assert_eq!(client.recv().await.unwrap(), None, "clean, even if the server never ends the transport");
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(peer.recv_close().await, 1000);
    assert_eq!(peer.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn server_ends_the_transport_first() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    peer.close(CloseCode::NORMAL, "").await;
    let start = Instant::now();
    let received = tokio::spawn(async move { server.recv().await });
    assert_eq!(peer.recv_close().await, 1000);
    assert_eq!(peer.recv().await, None, "§7.1.1: the server closes first");
    assert_eq!(start.elapsed(), Duration::ZERO);
    drop(peer);
    assert_eq!(received.await.unwrap().unwrap(), None);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn reason_that_is_too_long_is_cut_at_a_character() {
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server));
    assert!(poll_now(pin!(server.close(CloseCode::NORMAL, "é".repeat(100)))).is_pending());
    let (first, payload) = peer.recv().await.unwrap();
    assert_eq!((first, &payload[2..]), (CLOSE, "é".repeat(61).as_bytes()));
}

#[tokio::test]
async fn only_the_first_of_two_closes_is_sent() {
    let wire = Wire::new();
    let mut server = endpoint(wire.clone(), Role::Server);
    assert!(poll_now(pin!(server.close(CloseCode::GOING_AWAY, "one"))).is_pending());
    assert!(poll_now(pin!(server.close(CloseCode::NORMAL, "two"))).is_pending());
    assert_eq!(parse(&wire.take_output()), [(CLOSE, close_payload(CloseCode::GOING_AWAY, "one"))]);
}

#[tokio::test]
async fn what_the_peer_sends_behind_its_close_is_ignored() {
    for role in ROLES {
        let wire = Wire::new();
        let mut ws = endpoint(wire.clone(), role);
        wire.push(&frame(opposite(role), CLOSE, &close_payload(CloseCode::NORMAL, "")));
        wire.push(&frame(opposite(role), TEXT, b"late"));
        wire.push(b"\xff\xff\xff"); // no frame at all
        wire.end();
        assert_eq!(unhung(ws.recv()).await.unwrap(), None);
        assert_eq!(parse(&wire.take_output()), [(CLOSE, close_payload(CloseCode::NORMAL, ""))]);
    }
}

#[tokio::test]
async fn message_over_the_limit_fails_with_1009_at_its_header() {
    for role in ROLES {
        let wire = Wire::new();
        let mut ws = io::open(wire.clone(), role, Config::new(role).max_message(1000), None);
        wire.push(&frame(opposite(role), TEXT, &[b'x'; 1000]));
        assert_eq!(ws.recv().await.unwrap().unwrap().len(), 1000, "the limit itself is allowed");
        let header_len = if role == Role::Server { 8 } else { 4 };
        wire.push(&frame(opposite(role), TEXT, &[b'x'; 1001])[..header_len]);
        assert!(poll_now(pin!(ws.recv())).is_pending(), "the transport is open");
        assert_eq!(ws.end(), Some(End::Failed(ProtocolError::MessageTooBig { limit: 1000 })));
        let [(CLOSE, payload)] = &parse(&wire.take_output())[..] else { panic!("a Close and nothing else") };
        assert_eq!(payload[..2], 1009_u16.to_be_bytes());
        wire.end();
        let told = unhung(ws.recv()).await;
        assert!(matches!(told, Err(Error::Protocol(ProtocolError::MessageTooBig { limit: 1000 }))), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn close_timeout_without_end_does_not_panic() {
    let config = Config::new(Role::Server).limits(Limits::internet().close_timeout(Duration::MAX));
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, config);
    assert!(poll_now(pin!(server.close(CloseCode::NORMAL, ""))).is_pending());
    peer.close(CloseCode::NORMAL, "").await;
    drop(peer);
    server.close(CloseCode::NORMAL, "").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keepalive_without_end_does_not_panic() {
    let keepalive = sockeye::Keepalive { interval: Duration::MAX, timeout: Duration::MAX };
    let (mut server, mut peer) = endpoint_and_peer(Role::Server, Config::new(Role::Server).keepalive(Some(keepalive)));
    peer.send(TEXT, b"message").await;
    assert_eq!(server.recv().await.unwrap(), Some("message".into()));
    assert!(poll_now(pin!(server.recv())).is_pending());
}
