//! Connections over TCP on this machine: many of them, large ones, slow ones and broken ones.
#![cfg(all(feature = "client", feature = "server"))]

mod io;

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use io::{
    BINARY, TEXT, frame, pattern,
    tcp::{Running, bind, echo, serve},
    unhung,
};
use sockeye::{
    CloseCode, Config, Error, Limits, Message, Role, WebSocket, connect,
    proto::{connection::End, handshake::HandshakeError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
};

#[tokio::test]
async fn client_and_server_talk_over_tcp() {
    let server = serve(bind().await, echo);
    unhung(async {
        let mut client = connect(server.url()).await.unwrap();
        assert!(!client.is_compressed());
        for message in [Message::from("héllo"), b"\x00\xff".into(), "".into()] {
            client.send(message.clone()).await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some(message));
        }
        client.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(client.end().unwrap().is_clean());
    })
    .await;
}

#[tokio::test]
async fn client_that_dials_first_opens_over_what_it_puts_around_the_transport() {
    let server = serve(bind().await, echo);
    unhung(async {
        let request = connect(server.url());
        let io = request.dial().await.unwrap();
        assert!(io.peer_addr().is_some());
        let (mut client, _response) = request.over(tokio::io::BufStream::new(io)).await.unwrap();
        client.send("hello").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("hello".into()));
        assert!(matches!(connect("ftp://a").dial().await, Err(Error::Uri(_))));
        assert!(matches!(connect(server.url()).header("a b", "").dial().await, Err(Error::Build(_))));
    })
    .await;
}

#[cfg(feature = "deflate")]
#[tokio::test]
async fn client_and_server_talk_compressed_over_tcp() {
    use sockeye::DeflateConfig;
    let server = serve(bind().await.deflate(DeflateConfig::default()), echo);
    unhung(async {
        let mut client = connect(server.url()).deflate(DeflateConfig::default()).await.unwrap();
        assert!(client.is_compressed());
        for round in 0..10 {
            let text = format!("round {round}: ").repeat(1000);
            client.send(text.clone()).await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some(text.into()));
        }
        client.close(CloseCode::NORMAL, "").await.unwrap();
        assert!(!connect(server.url()).await.unwrap().is_compressed(), "only for those who offer it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousand_connections_are_served_at_once() {
    const CONNECTIONS: usize = 1000;
    // Both ends are in this process, and many systems start one with 1,024 open files.
    let files = rlimit::increase_nofile_limit(4096).unwrap_or(0);
    assert!(files > 2 * CONNECTIONS as u64 + 200, "{files} open files are allowed, too few: see `ulimit -Hn`");
    let open = Arc::new(AtomicUsize::new(0));
    let all_open = Arc::new(Notify::new());
    let handler = {
        let (open, all_open) = (Arc::clone(&open), Arc::clone(&all_open));
        move |ws, request| {
            if open.fetch_add(1, Ordering::SeqCst) + 1 == CONNECTIONS {
                all_open.notify_one();
            }
            echo(ws, request)
        }
    };
    let server = serve(bind().await, handler);
    unhung(async {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(connect(server.url()).await.unwrap());
        }
        all_open.notified().await;
        for (n, client) in clients.iter_mut().enumerate() {
            client.send(format!("{n}")).await.unwrap();
        }
        for (n, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.recv().await.unwrap(), Some(format!("{n}").into()));
        }
        for client in &mut clients {
            client.close(CloseCode::NORMAL, "").await.unwrap();
        }
    })
    .await;
}

/// Awaits `future`, and tells whenever it has to wait.
async fn telling<F: Future>(future: F, waits: &Notify) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            waits.notify_one();
        }
        polled
    })
    .await
}

#[tokio::test]
async fn sender_to_a_peer_that_does_not_read_waits_and_queues_no_more_than_a_bound() {
    const MESSAGES: u32 = 2000;
    let (waits, most) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let handler = {
        let (waits, most) = (Arc::clone(&waits), Arc::clone(&most));
        move |mut ws: WebSocket, _request| {
            let (waits, most) = (Arc::clone(&waits), Arc::clone(&most));
            async move {
                for n in 0..MESSAGES {
                    let message = [&n.to_be_bytes()[..], &[0; 30_000]].concat();
                    telling(ws.send(message), &waits).await?;
                    most.fetch_max(ws.queued(), Ordering::SeqCst);
                }
                ws.close(CloseCode::NORMAL, "").await
            }
        }
    };
    let server = serve(bind().await, handler);
    unhung(async {
        let mut client = connect(server.url()).await.unwrap();
        waits.notified().await; // 60 MB are more than the two sockets hold
        for n in 0..MESSAGES {
            let message = client.recv().await.unwrap().unwrap();
            assert_eq!(message.as_bytes()[..4], n.to_be_bytes());
            assert_eq!(message.len(), 30_004);
        }
        assert_eq!(client.recv().await.unwrap(), None);
    })
    .await;
    let most = most.load(Ordering::SeqCst);
    assert!(most < 100_000, "{most} bytes were queued: 64 KiB and a message are the bound");
}

#[tokio::test]
async fn messages_of_8_mib_go_both_ways() {
    let limit = 8 << 20;
    let server = serve(bind().await.config(Config::new(Role::Server).max_message(limit)), echo);
    unhung(async {
        let mut client = connect(server.url()).max_message(limit).await.unwrap();
        let message = Message::from(pattern(limit));
        client.send(message.clone()).await.unwrap();
        assert!(client.recv().await.unwrap() == Some(message), "what came back is something else");
        client.send(vec![0; limit + 1]).await.unwrap();
        let told = client.recv().await;
        assert!(matches!(told, Ok(None)), "the server closes with 1009: {told:?}");
        assert_eq!(client.end().unwrap().close_frame().unwrap().code, CloseCode::MESSAGE_TOO_BIG);
    })
    .await;
}

#[tokio::test]
async fn peer_that_is_still_sending_too_much_is_told_1009() {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let handler = move |mut ws: WebSocket, _request| {
        let ends = ends.clone();
        async move {
            let told = ws.recv().await;
            let _ = ends.send((told.is_err(), ws.end()));
            told.map(drop)
        }
    };
    let server = serve(bind().await, handler);
    unhung(async {
        let mut peer = server.peer().await;
        // 32 MiB are announced, and nearly all of them sent before the first look at what the server says.
        let message = frame(Role::Client, BINARY, &vec![0; 32 << 20]);
        peer.io
            .write_all(&message[..31 << 20])
            .await
            .expect("the server reads on, so that no reset overtakes its Close");
        assert_eq!(peer.recv_close().await, 1009);
        assert_eq!(peer.recv().await, None);
        drop(peer);
        let (is_error, end) = ended.recv().await.unwrap();
        assert!(is_error && matches!(end, Some(End::Failed(_))), "{end:?}");
    })
    .await;
}

/// What `recv` gives after a message came from a peer that then ends in its own way.
async fn ended_by<F: Future<Output = ()>>(end: impl FnOnce(io::Peer<tokio::net::TcpStream>) -> F) -> Error {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let handler = move |mut ws: WebSocket, _request| {
        let ends = ends.clone();
        async move {
            assert_eq!(ws.recv().await?, Some("message".into()));
            ws.send("reply").await?;
            let told = ws.recv().await.expect_err("the peer sent no Close");
            assert!(matches!(ws.recv().await, Err(Error::Closed)), "told once");
            let _ = ends.send(told);
            Ok::<_, Error>(())
        }
    };
    let server = serve(bind().await, handler);
    unhung(async {
        let mut peer = server.peer().await;
        peer.send(TEXT, b"message").await;
        end(peer).await;
        ended.recv().await.expect("the handler comes to its end")
    })
    .await
}

#[tokio::test]
async fn peer_that_closes_its_half_has_its_reply_and_is_lost() {
    let told = ended_by(async |mut peer| {
        peer.io.shutdown().await.unwrap();
        assert_eq!(peer.recv().await, Some((TEXT, b"reply".to_vec())));
        assert_eq!(peer.recv().await, None);
    })
    .await;
    assert!(matches!(told, Error::Lost), "{told:?}");
}

#[tokio::test]
async fn peer_that_resets_the_connection_gives_an_error() {
    let told = ended_by(async |mut peer| {
        assert_eq!(peer.recv().await, Some((TEXT, b"reply".to_vec())));
        peer.io.set_zero_linger().unwrap();
        drop(peer);
    })
    .await;
    assert!(matches!(told, Error::Io(_) | Error::Lost), "{told:?}");
}

#[tokio::test]
async fn sender_to_a_peer_that_resets_the_connection_is_told() {
    let (ends, mut ended) = mpsc::unbounded_channel();
    let waits = Arc::new(Notify::new());
    let handler = {
        let waits = Arc::clone(&waits);
        move |mut ws: WebSocket, _request| {
            let (ends, waits) = (ends.clone(), Arc::clone(&waits));
            async move {
                let told = loop {
                    match telling(ws.send(pattern(100_000)), &waits).await {
                        Ok(()) => {}
                        Err(error) => break error,
                    }
                };
                let _ = ends.send(told);
                Ok::<_, Error>(())
            }
        }
    };
    let server = serve(bind().await, handler);
    unhung(async {
        let peer = server.peer().await;
        waits.notified().await;
        peer.io.set_zero_linger().unwrap();
        drop(peer);
        let told = ended.recv().await.unwrap();
        assert!(matches!(told, Error::Io(_)), "{told:?}");
    })
    .await;
}

#[tokio::test]
async fn third_connection_of_two_is_told_so_and_let_in_when_another_ends() {
    let server = serve(bind().await.max_connections(2), echo);
    unhung(async {
        let mut first = connect(server.url()).await.unwrap();
        let mut second = connect(server.url()).await.unwrap();
        let refused = status_of(connect(server.url()).await.unwrap_err());
        assert_eq!(refused, (503, "the server has 2 connections, which is its limit\n".into()));
        for client in [&mut first, &mut second] {
            client.send("still served").await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some("still served".into()));
        }
        first.close(CloseCode::NORMAL, "").await.unwrap();
        let mut third = connect_when_there_is_room(&server).await;
        third.send("served now").await.unwrap();
        assert_eq!(third.recv().await.unwrap(), Some("served now".into()));
    })
    .await;
}

/// A server learns of an end a little later than its client.
async fn connect_when_there_is_room(server: &Running) -> WebSocket {
    loop {
        match connect(server.url()).await {
            Ok(client) => return client,
            Err(error) => assert_eq!(status_of(error).0, 503),
        }
    }
}

/// The status and the body of the response that refused a client.
fn status_of(error: Error) -> (u16, String) {
    let Error::Handshake(error) = error else { panic!("{error:?}") };
    let HandshakeError::Refused(response) = *error else { panic!("{error:?}") };
    (response.status(), String::from_utf8(response.body.to_vec()).expect("a text"))
}

#[tokio::test]
async fn connection_that_was_refused_or_lost_gives_its_place_back() {
    let server = serve(bind().await.max_connections(1), echo);
    unhung(async {
        for _ in 0..3 {
            drop(server.tcp().await);
            let mut refused = server.tcp().await;
            refused.io.write_all(b"no HTTP at all\r\n\r\n").await.unwrap();
            refused.io.read_to_end(&mut Vec::new()).await.unwrap();
            drop(refused);
            let lost = connect_when_there_is_room(&server).await.into_parts().unwrap();
            lost.io.unwrap().write_all(&[BINARY, 0xff, 0]).await.unwrap();
        }
        let mut client = connect_when_there_is_room(&server).await;
        client.close(CloseCode::NORMAL, "").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn server_that_does_not_answer_a_close_costs_the_close_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let ws = sockeye::accept(listener.accept().await.unwrap().0).await;
        std::future::pending::<()>().await;
        drop(ws);
    });
    unhung(async {
        let config = Config::new(Role::Client).limits(Limits::trusted().close_timeout(Duration::from_millis(50)));
        let mut client = connect(format!("ws://{address}")).config(config).await.unwrap();
        assert!(matches!(client.close(CloseCode::NORMAL, "").await, Err(Error::TimedOut(_))));
    })
    .await;
}

#[tokio::test]
async fn server_that_goes_away_is_lost_to_the_client() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    unhung(async {
        let (client, server) = tokio::join!(connect(format!("ws://{address}")).into_future(), async {
            sockeye::accept(listener.accept().await.unwrap().0).await
        });
        drop(server.unwrap());
        let told = client.unwrap().recv().await;
        assert!(matches!(told, Err(Error::Lost)), "{told:?}");
    })
    .await;
}
