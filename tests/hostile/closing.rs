//! Connections that do not end as they should: peers that neither read nor leave, handlers that close in the middle, and
//! what a hundred thousand of them leave behind.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use sockeye::{
    CloseCode, Config, Error, Message, Role, WebSocket, connect,
    proto::{
        connection::{End, Event, Initiator, Timeout},
        frame::ProtocolError,
        handshake::Request,
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};

use crate::{
    common::{Scenario, close_payload, frame, frames, heap, other},
    io::{
        BINARY, CLOSE, TEXT, Wire, endpoint, pattern, poll_now,
        tcp::{Running, bind, serve},
    },
    network::{open, read_all, reading_server, run},
    twins,
};

twins![
    gives_up_over_tcp_a_peer_that_neither_answers_nor_ends,
    gives_up_over_tcp_a_peer_that_takes_nothing,
    gives_up_over_tcp_a_peer_that_floods_behind_its_fault,
    lets_go_of_messages_that_were_written,
];

const TIMEOUT: Duration = Duration::from_secs(7);

fn config(role: Role) -> Config {
    Config::new(role).limits(Config::new(role).limits.close_timeout(TIMEOUT))
}

// ── T33: peers that do not let go ──

/// T33: whichever way the connection ends, a peer that stays costs `close_timeout` at most. The clock is tokio's paused one,
/// which moves when there is nothing else to do.
fn gives_up_over_tcp_a_peer_that_neither_answers_nor_ends(role: Role) {
    type Told = Result<(), Error>;
    let fault = ProtocolError::ReservedOpcode { bits: 3 };
    for way in ["our close", "its fault", "its close", "behind our close, its fault"] {
        run(async {
            let (mut ws, mut peer) = open(role, config(role), false).await;
            tokio::time::pause();
            let start = Instant::now();
            let ended: Told = match way {
                "our close" => ws.close(CloseCode::NORMAL, "").await,
                "its fault" => {
                    peer.io.write_all(&frame(other(role), 0x83, b"")).await.unwrap();
                    ws.recv().await.map(|message| assert_eq!(message, None))
                }
                "its close" => {
                    peer.close(CloseCode::NORMAL, "").await;
                    ws.recv().await.map(|message| assert_eq!(message, None))
                }
                _ => {
                    let mut close = pin!(ws.close(CloseCode::NORMAL, ""));
                    assert!(poll_now(close.as_mut()).is_pending());
                    peer.io.write_all(&frame(other(role), 0x83, b"")).await.unwrap();
                    close.await
                }
            };
            match (way, &ended) {
                ("our close", Err(Error::TimedOut(Timeout::Close))) | ("its close", Ok(())) => {}
                (_, Err(Error::Protocol(told))) if *told == fault => {}
                _ => panic!("{way}: {ended:?}"),
            }
            assert!(start.elapsed() <= TIMEOUT + Duration::from_millis(5), "{way}: {:?}", start.elapsed());
            assert!(ws.end().is_some());
            // It was told, and the stream has ended for it.
            assert_eq!(peer.recv().await.map(|(first, _)| first), Some(CLOSE), "{way}");
            let last = peer.io.read(&mut [0; 16]).await;
            assert!(matches!(last, Ok(0)), "{way}: {last:?}");
        });
    }
}

/// T33: a Close that cannot even be written, as the peer takes nothing.
fn gives_up_over_tcp_a_peer_that_takes_nothing(role: Role) {
    run(async {
        let (mut ws, peer) = open(role, config(role), false).await;
        tokio::time::pause();
        {
            let mut send = pin!(ws.send(pattern(32 << 20)));
            // Until the operating system takes no more.
            let mut pending = 0;
            while pending < 1000 {
                match poll_now(send.as_mut()) {
                    Poll::Pending => pending += 1,
                    Poll::Ready(sent) => panic!("32 MiB fit into a socket: {sent:?}"),
                }
            }
        }
        assert!(ws.queued() > 0);
        let start = Instant::now();
        let closed = ws.close(CloseCode::NORMAL, "").await;
        assert!(matches!(closed, Err(Error::TimedOut(Timeout::Close))), "{closed:?}");
        assert!(start.elapsed() <= TIMEOUT + Duration::from_millis(5), "{:?}", start.elapsed());
        assert_eq!(ws.queued(), 0, "nothing is held for it");
        assert!(matches!(ws.send("more").await, Err(Error::Closed | Error::TimedOut(_))));
        drop(peer);
    });
}

/// T33: a peer that is told to go and sends on, as fast as it can. The time is real here, and short.
fn gives_up_over_tcp_a_peer_that_floods_behind_its_fault(role: Role) {
    run(async {
        let config = Config::new(role).limits(Config::new(role).limits.close_timeout(Duration::from_millis(100)));
        let (mut ws, mut peer) = open(role, config, false).await;
        let flood = tokio::spawn(async move {
            peer.io.write_all(&frame(other(role), 0x83, b"")).await.unwrap();
            let some = frame(other(role), BINARY, &[1; 60_000]);
            while peer.io.write_all(&some).await.is_ok() {}
        });
        let ended = ws.recv().await;
        assert!(matches!(ended, Err(Error::Protocol(ProtocolError::ReservedOpcode { bits: 3 }))), "{ended:?}");
        // The transport is gone, and so is its reader.
        flood.await.unwrap();
    });
}

/// T33: a server's place is free again, though the peer of its only connection stays.
#[test]
fn server_gives_the_place_of_a_peer_that_stays_to_the_next() {
    run(async {
        let server = bind().await.max_connections(1).config(config(Role::Server));
        let server = serve(server, async |ws: WebSocket, _request: Request| {
            drop(ws);
            Ok::<_, Error>(())
        });
        let stays = server.peer().await;
        tokio::time::pause();
        let mut seconds = 0;
        while connect(server.url()).await.is_err() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            seconds += 1;
        }
        assert!(seconds <= TIMEOUT.as_secs() + 1, "{seconds} s");
        drop(stays);
    });
}

/// A client of a server with one place, once the one before has left it.
async fn let_in(server: &Running, deflate: bool) -> WebSocket {
    loop {
        let mut client = connect(server.url());
        if deflate {
            client = client.deflate(Default::default());
        }
        if let Ok(client) = client.await {
            return client;
        }
    }
}

// ── T34: closing in the middle ──

const MESSAGES: usize = 50;

fn message(n: usize) -> Vec<u8> {
    pattern(n * 997)
}

/// All that a client sees of a server: the messages, and how often it was told of a Close.
async fn all_events(ws: &mut WebSocket) -> (Vec<Message>, usize) {
    let (mut messages, mut closes) = (Vec::new(), 0);
    while let Some(event) = ws.recv_event().await.expect("a clean end") {
        match event {
            Event::Message(message) => messages.push(message),
            Event::Close(_) => closes += 1,
            event => panic!("{event:?}"),
        }
    }
    for _ in 0..3 {
        assert!(matches!(ws.recv_event().await, Ok(None)), "the end is told as one");
    }
    (messages, closes)
}

#[derive(Clone, Copy, Debug)]
enum Leaves {
    ByReturning,
    ByClosing,
    ByClosingTwice,
    ByDropping,
    InsideAMessageOfThePeer,
    FromAnotherTask,
}

async fn leave(mut ws: WebSocket, leaves: Leaves) -> Result<(), Error> {
    for n in 0..MESSAGES {
        ws.feed(message(n)).await?;
    }
    match leaves {
        Leaves::ByReturning | Leaves::InsideAMessageOfThePeer => {}
        Leaves::ByClosing => ws.close(CloseCode::NORMAL, "").await?,
        Leaves::ByClosingTwice => {
            assert!(poll_now(pin!(ws.close(CloseCode::NORMAL, ""))).is_pending());
            ws.close(CloseCode::GOING_AWAY, "again").await?;
            ws.close(CloseCode::GOING_AWAY, "and again").await?;
            assert!(matches!(ws.send("too late").await, Err(Error::Closed)));
            assert!(matches!(ws.feed("too late").await, Err(Error::Closed)));
            assert!(matches!(ws.ping("too late").await, Err(Error::Closed)));
        }
        Leaves::ByDropping => drop(ws),
        Leaves::FromAnotherTask => {
            let (sender, mut receiver) = ws.split();
            let closing = tokio::spawn(async move { sender.close(CloseCode::NORMAL, "").await });
            while receiver.recv().await?.is_some() {}
            closing.await.expect("no panic")?;
        }
    }
    Ok(())
}

/// T34: everything that was queued comes, then one Close, then the end of the stream.
#[test]
fn handler_that_closes_at_once_loses_nothing_that_it_queued() {
    use Leaves::{ByClosing, ByClosingTwice, ByDropping, ByReturning, FromAnotherTask, InsideAMessageOfThePeer};
    for leaves in [ByReturning, ByClosing, ByClosingTwice, ByDropping, InsideAMessageOfThePeer, FromAnotherTask] {
        run(async {
            let runs = Arc::new(AtomicUsize::new(0));
            let server = {
                let runs = Arc::clone(&runs);
                serve(bind().await, move |ws: WebSocket, _request: Request| {
                    runs.fetch_add(1, Ordering::SeqCst);
                    leave(ws, leaves)
                })
            };
            // A client of ours, which counts Closes.
            let mut client = connect(server.url()).await.expect("the server accepts");
            let (messages, closes) = all_events(&mut client).await;
            assert_eq!((messages.len(), closes), (MESSAGES, 1), "{leaves:?}");
            assert!(messages.iter().enumerate().all(|(n, came)| came.as_bytes() == message(n)), "{leaves:?}");
            let Some(End::Closed { by: Initiator::Peer, theirs, .. }) = client.end() else {
                panic!("{:?}", client.end())
            };
            assert_eq!(theirs.map(|close| close.code), Some(CloseCode::NORMAL), "{leaves:?}");
            // And one as bytes, which sees the end of the stream.
            let mut peer = server.peer().await;
            if let InsideAMessageOfThePeer = leaves {
                peer.send(TEXT & 0x7f, b"the beginning of a mess").await;
            }
            for n in 0..MESSAGES {
                assert!(peer.recv().await == Some((BINARY, message(n))), "message {n}, {leaves:?}");
            }
            assert_eq!(peer.recv_close().await, 1000, "{leaves:?}");
            peer.close(CloseCode::NORMAL, "").await;
            assert_eq!(peer.recv().await, None, "one Close, {leaves:?}");
            assert_eq!(runs.load(Ordering::SeqCst), 2);
        });
    }
}

/// T34: both ends close as soon as they are open.
#[test]
fn both_ends_that_close_behind_the_handshake_end_cleanly() {
    run(async {
        let server = serve(bind().await, async |mut ws: WebSocket, _request: Request| {
            ws.close(CloseCode::GOING_AWAY, "").await?;
            assert!(matches!(ws.recv().await, Ok(None)));
            Ok::<_, Error>(())
        });
        for _ in 0..50 {
            let mut client = connect(server.url()).await.expect("the server accepts");
            client.close(CloseCode::NORMAL, "").await.expect("a clean end");
            assert!(client.end().expect("it has ended").is_clean());
        }
    });
}

/// T34: a Close in the middle of what the peer does not take yet comes behind all of it.
#[test]
fn close_behind_a_full_queue_goes_last() {
    for role in [Role::Client, Role::Server] {
        let wire = Wire::new();
        wire.set_room(1000);
        let mut ws = endpoint(wire.clone(), role);
        run(async {
            assert!(poll_now(pin!(ws.send(pattern(50_000)))).is_pending());
            assert!(poll_now(pin!(ws.close(CloseCode::NORMAL, ""))).is_pending());
            assert!(matches!(poll_now(pin!(ws.send("too late"))), Poll::Ready(Err(Error::Closed))));
            wire.set_room(usize::MAX);
            wire.push(&frame(other(role), CLOSE, &close_payload(1000, "")));
            wire.end();
            ws.recv().await.expect("a clean end");
        });
        let sent = frames(role, &wire.take_output());
        assert!(sent[0] == (BINARY, pattern(50_000)));
        assert_eq!(sent[1..], [(CLOSE, close_payload(1000, ""))]);
    }
}

/// T34: so does the one that tells of a fault, however long the peer takes to read.
#[test]
fn close_that_tells_of_a_fault_goes_behind_all_that_was_queued() {
    for role in [Role::Client, Role::Server] {
        let wire = Wire::new();
        wire.set_room(1000);
        let mut ws = endpoint(wire.clone(), role);
        let fault = ProtocolError::ReservedOpcode { bits: 3 };
        run(async {
            assert!(poll_now(pin!(ws.send(pattern(50_000)))).is_pending());
            wire.push(&frame(other(role), 0x83, b""));
            for room in [0, 1, 5000, 0] {
                wire.set_room(room);
                assert!(poll_now(pin!(ws.recv())).is_pending());
                assert!(!wire.state().is_shut_down);
            }
            wire.set_room(usize::MAX);
            wire.end();
            let told = ws.recv().await;
            assert!(matches!(told, Err(Error::Protocol(told)) if told == fault), "{told:?}");
        });
        let sent = frames(role, &wire.take_output());
        assert!(sent[0] == (BINARY, pattern(50_000)));
        assert_eq!(sent[1..], [(CLOSE, close_payload(1002, &fault.to_string()))]);
        assert!(wire.state().is_shut_down);
    }
}

// ── T35: what is left of connections that are gone ──

/// A message that shows whether anybody holds it.
fn watched(len: usize) -> (Arc<Vec<u8>>, Message) {
    struct Shared(Arc<Vec<u8>>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let bytes = Arc::new(pattern(len));
    let message = Message::Binary(Bytes::from_owner(Shared(Arc::clone(&bytes))));
    (bytes, message)
}

/// T35: a large message is shared on its way out, and not a moment longer; neither is what came.
fn lets_go_of_messages_that_were_written(role: Role) {
    for len in [10, 5000, 20_000, 3 << 20] {
        let wire = Wire::with_capacity(4 << 20);
        let mut ws = endpoint(wire.clone(), role);
        let (bytes, message) = watched(len);
        assert!(poll_now(pin!(ws.send(message))).is_ready());
        assert_eq!(Arc::strong_count(&bytes), 1, "{len} bytes that were written");
        // The transport fails under it.
        wire.set_room(1);
        let (bytes, message) = watched(len);
        assert!(poll_now(pin!(ws.send(message))).is_pending());
        wire.state().writes_fail = true;
        assert!(poll_now(pin!(ws.recv())).is_ready());
        assert_eq!(Arc::strong_count(&bytes), 1, "{len} bytes that can never be written");
        // The connection is dropped with it.
        let wire = Wire::new();
        wire.set_room(1);
        let mut ws = endpoint(wire, role);
        let (bytes, message) = watched(len);
        assert!(poll_now(pin!(ws.send(message))).is_pending());
        drop(ws);
        assert_eq!(Arc::strong_count(&bytes), 1, "{len} bytes of a connection that was dropped");
    }
    // The core, which shares a large payload with whoever writes it.
    for len in [10, 16_384, 100_000, 3 << 20] {
        let mut us = Scenario::open(role);
        let (bytes, message) = watched(len);
        us.connection.send(&message).unwrap();
        drop(message);
        assert!(us.sent() == [(BINARY, bytes.to_vec())]);
        assert_eq!(Arc::strong_count(&bytes), 1, "{len} bytes that were written");
        let (bytes, message) = watched(len);
        us.connection.send(&message).unwrap();
        drop((us, message));
        assert_eq!(Arc::strong_count(&bytes), 1, "{len} bytes of a connection that was dropped");
    }
    // What came is nobody's but the caller's.
    let wire = Wire::with_capacity(1 << 20);
    let mut ws = endpoint(wire.clone(), role);
    let payload = pattern(300_000);
    let bytes = frame(other(role), BINARY, &payload);
    let mut before = 0;
    for round in 0..5 {
        wire.push(&bytes);
        let Poll::Ready(Ok(Some(message))) = poll_now(pin!(ws.recv())) else { panic!("no message") };
        assert_eq!(message.len(), payload.len());
        drop(message);
        assert!(poll_now(pin!(ws.recv())).is_pending());
        if round == 0 {
            before = heap::live();
        }
    }
    assert_eq!(heap::live(), before, "behind messages that were dropped");
}

/// T35: connections over TCP, each with its handshake, that are aborted in many ways. A server with one place has let go of
/// one when it takes the next.
#[test]
fn some_hundred_connections_aborted_over_tcp_leave_nothing_on_the_heap() {
    let deflate = cfg!(feature = "deflate");
    run(async {
        let mut server = bind().await.max_connections(1);
        if deflate {
            server = server.deflate(Default::default());
        }
        let server = serve(server, async |mut ws: WebSocket, _request: Request| {
            while let Some(message) = ws.recv().await? {
                ws.send(message).await?;
            }
            Ok::<_, Error>(())
        });
        let text = "a message that compresses, compresses, compresses".repeat(10);
        let mut before = 0;
        for n in 0..300 {
            if n == 60 {
                before = heap::live();
            }
            match n % 6 {
                0 => drop(server.tcp().await),
                1 => {
                    let mut peer = server.tcp().await;
                    peer.io.write_all(b"GET /half HTTP/1.1\r\nHost:").await.unwrap();
                    peer.io.set_zero_linger().unwrap();
                }
                2 => let_in(&server, deflate)
                    .await
                    .into_parts()
                    .unwrap()
                    .io
                    .unwrap()
                    .get_ref::<TcpStream>()
                    .unwrap()
                    .set_zero_linger()
                    .unwrap(),
                way => {
                    let mut client = let_in(&server, deflate).await;
                    client.send(text.clone()).await.unwrap();
                    assert_eq!(client.recv().await.unwrap(), Some(text.clone().into()));
                    match way {
                        3 => drop(client),
                        4 => client
                            .into_parts()
                            .unwrap()
                            .io
                            .unwrap()
                            .get_ref::<TcpStream>()
                            .unwrap()
                            .set_zero_linger()
                            .unwrap(),
                        _ => client.close(CloseCode::NORMAL, "").await.unwrap(),
                    }
                }
            }
        }
        // The last has gone when another has come.
        let mut client = let_in(&server, deflate).await;
        client.close(CloseCode::NORMAL, "").await.unwrap();
        let left = heap::live() - before;
        assert!(left.abs() < 16 * 1024, "{left} bytes are left of 240 connections");
    });
}

#[cfg(feature = "deflate")]
mod cycles {
    use std::{io::IoSlice, time::Instant};

    use sockeye::{
        DeflateConfig, Limits,
        proto::{
            connection::{Connection, DeflateSettings, Inbox},
            handshake::{Accept, ClientHandshake, ClientRequest, ServerHandshake},
        },
    };
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// One connection of so many compresses what it sends, as zlib takes long to make or clear a deflater's state; the
    /// others inflate only, which they all do.
    const DEFLATING: usize = 16;
    /// One connection of so many has states of its own; the others take the thread's.
    const TAKEOVER: usize = 9;

    /// §7.2.3.1 of RFC 7692: "Hello".
    const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

    fn compress(n: usize) -> sockeye::Compress {
        if n.is_multiple_of(DEFLATING) { sockeye::Compress::Always } else { sockeye::Compress::Never }
    }

    /// Windows of 512 bytes.
    fn small(context_takeover: bool) -> DeflateConfig {
        DeflateConfig {
            threshold: 0,
            mem_level: 1,
            server_max_window_bits: 9,
            client_max_window_bits: 9,
            server_no_context_takeover: !context_takeover,
            client_no_context_takeover: !context_takeover,
            ..DeflateConfig::default()
        }
    }

    /// A client and a server behind a whole handshake.
    fn handshake(config: &DeflateConfig) -> [Connection; 2] {
        pair(&agree(config))
    }

    /// The same, but three of four leave out the handshake, which takes most of the time.
    fn small_pair(n: usize) -> [Connection; 2] {
        thread_local! {
            static AGREED: std::cell::RefCell<[Option<DeflateSettings>; 2]> = const { std::cell::RefCell::new([None, None]) };
        }
        let context_takeover = n.is_multiple_of(TAKEOVER);
        AGREED.with_borrow_mut(|agreed| {
            let agreed = &mut agreed[usize::from(context_takeover)];
            if n.is_multiple_of(4) {
                *agreed = None;
            }
            pair(agreed.get_or_insert_with(|| agree(&small(context_takeover))))
        })
    }

    fn agree(config: &DeflateConfig) -> DeflateSettings {
        let mut request = ClientRequest::new("ws://example.com/".parse().unwrap());
        request.deflate = Some(config.clone());
        let (mut client, bytes) = ClientHandshake::new(&request, [7; 16], Limits::internet(), 0).unwrap();
        let (_, request) = ServerHandshake::new(Limits::internet()).receive(&bytes).unwrap();
        let accept = Accept { deflate: Some(config.clone()), ..Accept::default() };
        let (response, agreed) = request.unwrap().accept(&accept).unwrap();
        let (_, accepted) = client.receive(&response).unwrap();
        assert_eq!(accepted.unwrap().agreed, agreed);
        DeflateSettings { config: config.clone(), agreed: agreed.deflate.unwrap() }
    }

    fn pair(settings: &DeflateSettings) -> [Connection; 2] {
        let now = Instant::now();
        [
            Connection::client(Config::new(Role::Client), Some(settings), crate::common::keys(), now),
            Connection::server(Config::new(Role::Server), Some(settings), now),
        ]
    }

    /// Carries what one has to say to the other, a part of it if it is cut off.
    fn carry(from: &mut Connection, to: &mut Connection, inbox: &mut Inbox, at_most: usize) {
        let mut slices = [IoSlice::new(&[]); 4];
        let filled = from.poll_transmit(&mut slices);
        let bytes: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.iter().copied()).take(at_most).collect();
        from.transmitted(bytes.len());
        inbox.extend(&bytes);
        while to.receive(inbox, Instant::now()).is_ok_and(|event| event.is_some()) {}
    }

    /// One connection in the core: opened, used, and ended in one of many ways.
    fn cycle_in_the_core(n: usize, inbox: &mut Inbox, message: &Message) {
        let [mut client, mut server] = small_pair(n);
        for us in [&mut client, &mut server] {
            inbox.extend(&frame(other(us.role()), 0xc1, HELLO));
            assert_eq!(us.receive(inbox, Instant::now()), Ok(Some(Event::Message("Hello".into()))));
            us.send_with(message, compress(n)).unwrap();
        }
        // Cut off in the middle of a compressed message, or not.
        let at_most = if n.is_multiple_of(3) { 20 } else { usize::MAX };
        carry(&mut client, &mut server, inbox, at_most);
        carry(&mut server, &mut client, inbox, at_most);
        match n % 5 {
            0 => {
                client.close(None, Instant::now());
                carry(&mut client, &mut server, inbox, usize::MAX);
                carry(&mut server, &mut client, inbox, usize::MAX);
            }
            1 => server.receive_eof(),
            2 => {
                inbox.extend(b"\xf3garbage");
                assert!(server.receive(inbox, Instant::now()).is_err());
            }
            3 => {
                client.begin(sockeye::Kind::Text, compress(n)).unwrap();
                client.part(&Bytes::from_static(b"never finished"), false).unwrap();
            }
            _ => {}
        }
    }

    /// One connection on the streams over memory, which is aborted or closed.
    async fn cycle_on_the_streams(n: usize, message: &Message) {
        let [client, server] = small_pair(n);
        let (near, far) = duplex(1024);
        let mut client: WebSocket<DuplexStream> = WebSocket::new(near, client, Inbox::new());
        let mut server = WebSocket::new(far, server, Inbox::new());
        client.send_with(message.clone(), compress(n)).await.unwrap();
        assert_eq!(server.recv().await.unwrap().as_ref(), Some(message));
        match n % 4 {
            0 => {
                let (closed, told) = tokio::join!(client.close(CloseCode::NORMAL, ""), server.recv());
                closed.unwrap();
                assert_eq!(told.unwrap(), None);
            }
            1 => {
                drop(client);
                assert!(matches!(server.recv().await, Err(Error::Lost)));
            }
            2 => {
                // More than the memory between them takes.
                assert!(poll_now(pin!(server.send_with(message.clone(), compress(n)))).is_ready());
                assert!(poll_now(pin!(server.send_with(pattern(5000), sockeye::Compress::Never))).is_pending());
                drop(client);
                assert!(server.send(message.clone()).await.is_err());
            }
            _ => {
                let (sender, receiver) = server.split();
                drop((client, receiver));
                drop(sender);
            }
        }
    }

    /// Behind so many cycles each kind has met each other kind: what a thread keeps for its next connection (an inbox, a
    /// write buffer, zlib's states without a context) is as it was so many cycles ago, to the byte.
    const ROUND: usize = 16 * 9 * 5;

    /// T35: 80,640 cycles in the core.
    #[test]
    fn eighty_thousand_connections_with_deflate_leave_nothing_on_the_heap() {
        let message = Message::from("a message that compresses, compresses, compresses, compresses");
        let mut inbox = Inbox::new();
        let mut round = || (0..ROUND).for_each(|n| cycle_in_the_core(n, &mut inbox, &message));
        round();
        let before = heap::live();
        for _ in 1..112 {
            round();
            assert_eq!(heap::live() - before, 0, "bytes are left");
        }
    }

    /// T35: 20,160 cycles on the streams.
    #[test]
    fn twenty_thousand_streams_with_deflate_leave_nothing_on_the_heap() {
        let message = Message::from("a message that compresses, compresses, compresses, compresses");
        run(async {
            let mut before = None;
            for _ in 0..28 {
                for n in 0..ROUND {
                    cycle_on_the_streams(n, &message).await;
                }
                assert_eq!(heap::live(), *before.get_or_insert(heap::live()), "bytes are left");
            }
        });
    }

    /// T35: the same with zlib's states as large as they are by default, which are given back when a connection is
    /// aborted in the middle of a message.
    #[test]
    fn connections_with_states_of_300_kb_leave_nothing_on_the_heap() {
        let message = Message::from("a message that compresses, compresses, compresses, compresses".repeat(100));
        let mut inbox = Inbox::new();
        let mut before = 0;
        for n in 0..300 {
            if n == 30 {
                before = heap::live();
            }
            let (context_takeover, cut) = (n % 2 == 0, if n % 3 == 0 { 30 } else { usize::MAX });
            let config = DeflateConfig {
                server_no_context_takeover: !context_takeover,
                client_no_context_takeover: !context_takeover,
                ..DeflateConfig::default()
            };
            let ([mut client, mut server], peak) = heap::peak(|| handshake(&config));
            assert!(peak < 32 * 1024, "{peak} bytes before the first message");
            client.send(&message).unwrap();
            carry(&mut client, &mut server, &mut inbox, cut);
            server.send(&message).unwrap();
            carry(&mut server, &mut client, &mut inbox, cut);
        }
        assert_eq!(heap::live() - before, 0, "bytes are left of 270 connections");
    }
}

/// T35: a server that reads, and clients that are gone in the middle of what they say.
#[test]
fn connections_cut_off_inside_a_message_are_lost_to_the_handler_and_to_nobody_else() {
    run(async {
        let (server, mut ended) = reading_server(Config::new(Role::Server), false).await;
        let bytes = [frame(Role::Client, 0x01, b"frag"), frame(Role::Client, 0x80, &[b'x'; 300])].concat();
        for cut in [1, 2, 5, 6, 9, 10, 11, 12, 13, 18, 19, 200, bytes.len() - 1] {
            let mut peer = server.peer().await;
            peer.io.write_all(&bytes[..cut]).await.unwrap();
            drop(peer);
            let (messages, error, end) = ended.recv().await.expect("the handler comes to its end");
            assert!(messages.is_empty() && matches!(error, Some(Error::Lost)), "{messages:?} {error:?}");
            assert_eq!(end, Some(End::Lost));
        }
        let (mut ws, _) = open(Role::Server, Config::new(Role::Server), false).await;
        assert!(matches!(read_all(&mut ws).await.1, Some(Error::Lost)));
    });
}
