//! Servers that send a client elsewhere: it follows none, so what it was given to say goes nowhere else.

use sockeye::{Error, connect, proto::handshake::HandshakeError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    io::{Peer, poll_now},
    network::{listen, run},
};

/// T42: nobody at the other address is asked anything, and the caller sees where it was sent.
#[test]
fn client_follows_no_redirect() {
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for scheme in ["ws", "http", "wss", "https", ""] {
            run(async {
                let ((first, asked), (second, elsewhere)) = (listen().await, listen().await);
                let location = if scheme.is_empty() { "/other".into() } else { format!("{scheme}://{elsewhere}/") };
                let client = connect(format!("ws://user:password@{asked}/"))
                    .header("Authorization", "Bearer secret")
                    .header("Cookie", "id=secret")
                    .into_future();
                let server = async {
                    let mut peer = Peer::new(first.accept().await.unwrap().0, sockeye::Role::Server);
                    let head = peer.recv_head().await;
                    let answer =
                        format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
                    peer.io.write_all(answer.as_bytes()).await.unwrap();
                    // Nothing more comes over this connection.
                    assert_eq!(peer.recv().await, None);
                    head
                };
                let (refused, head) = tokio::join!(client, server);
                let Err(Error::Handshake(refused)) = refused else { panic!("{refused:?}") };
                let HandshakeError::Refused(response) = *refused else { panic!("{refused:?}") };
                assert_eq!((response.status(), response.headers.get_str("Location")), (status, Some(&*location)));
                assert!(head.contains("Authorization: Bearer secret\r\nCookie: id=secret\r\n"), "{head}");
                assert!(!head.contains("password"), "what is in the URL is not sent: {head}");
                // Whoever had connected would be in the queue by now.
                for listener in [&first, &second] {
                    assert!(
                        poll_now(std::pin::pin!(listener.accept())).is_pending(),
                        "nobody has come to {listener:?}"
                    );
                }
            });
        }
    }
}

/// T42: and nobody is asked in plain text who was to be asked over TLS.
#[test]
fn client_does_not_fall_back_to_plain_text() {
    run(async {
        let (listener, address) = listen().await;
        let connecting = connect(format!("wss://{address}/")).header("Cookie", "id=secret").into_future();
        let server = async {
            let (mut tcp, _) = listener.accept().await.unwrap();
            // What TLS says first is not understood.
            let mut first = [0; 1];
            tcp.read_exact(&mut first).await.unwrap();
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            assert_eq!(first, [0x16], "a TLS handshake");
        };
        if cfg!(feature = "rustls") {
            let (refused, ()) = tokio::join!(connecting, server);
            assert!(refused.is_err());
        } else {
            assert!(matches!(connecting.await, Err(Error::NoTls)));
        }
        assert!(poll_now(std::pin::pin!(listener.accept())).is_pending(), "nobody has come again");
    });
}
