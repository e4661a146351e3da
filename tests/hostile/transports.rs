//! T45: the attacks of all kinds once more over TLS and over a Unix socket, where reads, writes and ends are not TCP's.

use std::{sync::Arc, task::Poll};

use sockeye::{
    CloseCode, Config, Message, Role, WebSocket, connect,
    proto::connection::End,
    server::{Options, accept_with},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex},
    net::UnixStream,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{PrivateKeyDer, ServerName},
    },
};

use crate::{
    common::{self, frame, header, other, stream},
    io::{CLOSE, Peer, opposite, pattern, poll_now, tcp::REQUEST},
    network::run,
    twins,
};

twins![
    is_told_over_tls_and_unix_of_every_fault,
    takes_large_messages_both_ways_over_tls_and_unix,
    closes_cleanly_over_tls_and_unix,
    loses_a_peer_that_is_cut_off_over_tls_and_unix,
];

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Io for S {}

#[derive(Clone, Copy, Debug)]
enum Transport {
    Tls,
    Unix,
}

const TRANSPORTS: [Transport; 2] = [Transport::Tls, Transport::Unix];

/// The two ends of a transport: the one that connected, and the one that accepted.
async fn ends(transport: Transport) -> (Box<dyn Io>, Box<dyn Io>) {
    match transport {
        Transport::Unix => {
            let (connected, accepted) = UnixStream::pair().expect("there is a pair of sockets");
            (Box::new(connected), Box::new(accepted))
        }
        Transport::Tls => {
            let (connector, acceptor) = certified();
            let (near, far) = duplex(16 * 1024);
            let name = ServerName::try_from("localhost").expect("a host name");
            let (connected, accepted) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
            (Box::new(connected.expect("TLS")), Box::new(accepted.expect("TLS")))
        }
    }
}

/// TLS with a certificate of its own, which the client knows.
fn certified() -> (TlsConnector, TlsAcceptor) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).expect("a key");
    let certificate = certified.cert.der().clone();
    let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.clone()], key);
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a certificate");
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (TlsConnector::from(Arc::new(client)), TlsAcceptor::from(Arc::new(server.expect("a certificate with its key"))))
}

/// One of ours behind its opening handshake with a peer that is played by hand.
async fn open(transport: Transport, role: Role, config: Config) -> (WebSocket<Box<dyn Io>>, Peer<Box<dyn Io>>) {
    let (connected, accepted) = ends(transport).await;
    let deflate = sockeye::DeflateConfig::default();
    match role {
        Role::Server => {
            let mut options = Options::default();
            (options.config, options.deflate) = (config, Some(deflate));
            let mut peer = Peer::new(connected, Role::Client);
            let request = format!("{REQUEST}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
            let asking = async {
                peer.io.write_all(request.as_bytes()).await.expect("a request is taken");
                peer.io.flush().await.expect("a request is taken");
                peer.recv_head().await
            };
            let (accepted, head) = tokio::join!(accept_with(accepted, &options), asking);
            assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
            (accepted.expect("a proper request"), peer)
        }
        Role::Client => {
            let mut peer = Peer::new(accepted, Role::Server);
            let answering = async {
                let head = peer.recv_head().await;
                let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
                let accept = sockeye::proto::handshake::Key::parse(key.as_bytes()).expect("a key").accept();
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
                );
                peer.io.write_all(answer.as_bytes()).await.expect("an answer is taken");
                peer.io.flush().await.expect("an answer is taken");
            };
            let connecting = connect("ws://localhost/").config(config).deflate(deflate);
            let (connected, ()) = tokio::join!(connecting.over(connected), answering);
            (connected.expect("a proper answer").0, peer)
        }
    }
}

fn limited(role: Role) -> Config {
    Config::new(role).max_message(10_000)
}

/// What a peer of `role` sends, and the code that it is told.
fn faults(role: Role) -> Vec<(&'static str, Vec<u8>, u16)> {
    let peer = other(role);
    let mut bomb = common::zlib::Peer::new(15, true);
    vec![
        ("the wrong masking", frame(role, 0x81, b"x"), 1002),
        ("a reserved opcode and 2^62 bytes", header(peer, 0x83, 1 << 62), 1002),
        ("a top bit", [&header(peer, 0x82, u64::MAX)[..]].concat(), 1002),
        ("4 GiB", header(peer, 0x82, 1 << 32), 1009),
        ("RSV2", frame(peer, 0xa1, b"x"), 1002),
        ("RSV1 on a Ping", frame(peer, 0xc9, b"x"), 1002),
        ("a continuation of nothing", frame(peer, 0x80, b"x"), 1002),
        ("a message inside another", stream(peer, &[(0x01, b"x"), (0x81, b"y")]), 1002),
        ("a fragmented Ping", frame(peer, 0x09, b"x"), 1002),
        ("a Ping of 126 bytes", frame(peer, 0x89, &[0; 126]), 1002),
        ("text that is none", frame(peer, 0x81, b"\xff"), 1007),
        ("a Close of one byte", frame(peer, 0x88, b"x"), 1002),
        ("a Close with 1006", frame(peer, 0x88, &[0x03, 0xee]), 1002),
        ("a message that is too long", frame(peer, 0x82, &[0; 10_001]), 1009),
        (
            "too long in fragments of 1 byte",
            frame(peer, 0x02, b"x").into_iter().chain(frame(peer, 0x00, b"x").repeat(10_000)).collect(),
            1009,
        ),
        ("a bomb", frame(peer, 0xc2, &bomb.deflate(&vec![0; 10 << 20])), 1009),
        ("what does not inflate", frame(peer, 0xc2, b"\xff\xff\xff"), 1007),
    ]
}

fn is_told_over_tls_and_unix_of_every_fault(role: Role) {
    for transport in TRANSPORTS {
        for (name, bytes, code) in faults(role) {
            run(async {
                let (mut ws, mut peer) = open(transport, role, limited(role)).await;
                let attack = async {
                    // More than the transport holds may be read no further.
                    let _ = peer.io.write_all(&bytes).await;
                    let _ = peer.io.flush().await;
                    let told = loop {
                        let (first, payload) = peer.recv().await.expect("a Close comes in front of the end");
                        if first == CLOSE {
                            break u16::from_be_bytes([payload[0], payload[1]]);
                        }
                    };
                    assert!(peer.recv().await.is_none(), "{name}: nothing behind the Close");
                    let rest = peer.io.read(&mut [0; 16]).await;
                    assert_eq!(rest.expect("an end and no reset"), 0, "{name}");
                    drop(peer);
                    told
                };
                let (received, told) = tokio::join!(ws.recv(), attack);
                assert_eq!(told, code, "{name} over {transport:?}");
                assert!(matches!(received, Err(sockeye::Error::Protocol(fault)) if fault.close_code().get() == code));
            });
        }
    }
}

fn takes_large_messages_both_ways_over_tls_and_unix(role: Role) {
    for transport in TRANSPORTS {
        run(async {
            let (connected, accepted) = ends(transport).await;
            let options = Options::default();
            let (client, server) =
                tokio::join!(connect("ws://localhost/").over(connected), accept_with(accepted, &options));
            let (client, server) = (client.expect("it opens").0, server.expect("it opens"));
            let (mut ours, mut theirs) = if role == Role::Client { (client, server) } else { (server, client) };
            let message = Message::from(pattern(1 << 20));
            let echo = async {
                while let Some(message) = theirs.recv().await.expect("nothing is wrong") {
                    theirs.send(message).await.expect("nothing is wrong");
                }
            };
            let talk = async {
                for _ in 0..3 {
                    ours.send(message.clone()).await.expect("nothing is wrong");
                    assert!(ours.recv().await.expect("nothing is wrong").as_ref() == Some(&message));
                }
                ours.close(CloseCode::NORMAL, "").await.expect("a clean end");
            };
            tokio::join!(echo, talk);
        });
    }
}

fn closes_cleanly_over_tls_and_unix(role: Role) {
    for transport in TRANSPORTS {
        run(async {
            let (mut ws, mut peer) = open(transport, role, limited(role)).await;
            let leave = async {
                peer.close(CloseCode::GOING_AWAY, "bye").await;
                peer.io.flush().await.expect("a Close is taken");
                assert_eq!(peer.recv_close().await, 1001);
                if opposite(role) == Role::Server {
                    peer.io.shutdown().await.expect("a server ends first");
                }
                assert!(peer.recv().await.is_none());
            };
            let (received, ()) = tokio::join!(ws.recv(), leave);
            assert_eq!(received.expect("a clean end"), None);
            assert!(ws.end().is_some_and(|end| end.is_clean()));
        });
    }
}

/// As an attacker cuts a TLS stream: without its `close_notify`.
fn loses_a_peer_that_is_cut_off_over_tls_and_unix(role: Role) {
    for transport in TRANSPORTS {
        run(async {
            let (mut ws, mut peer) = open(transport, role, limited(role)).await;
            peer.io.write_all(&frame(other(role), 0x01, b"half a mess")).await.expect("it is taken");
            peer.io.flush().await.expect("it is taken");
            let mut receiving = std::pin::pin!(ws.recv());
            assert!(matches!(poll_now(receiving.as_mut()), Poll::Pending));
            drop(peer);
            let error = receiving.await.expect_err("half a message is none");
            assert!(matches!(error, sockeye::Error::Lost | sockeye::Error::Io(_)), "{error:?}");
            assert_eq!(ws.end(), Some(End::Lost));
        });
    }
}
