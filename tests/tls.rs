//! TLS: whom a client trusts, what its errors say, deadlines, and the order of the ends.
#![cfg(all(feature = "client", feature = "server", feature = "rustls"))]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod io;

use std::{sync::Arc, time::Duration};

use io::{
    authority::Authority,
    tcp::{REQUEST, Running, bind, echo, serve},
    unhung,
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use sockeye::{
    CloseCode, Error, Limits, Message, TlsError, WebSocket, connect,
    proto::connection::{End, Timeout},
    server::Budget,
    tls::{
        ClientTls, ServerTls,
        rustls::{self, ServerConfig},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

fn server_tls(authority: &Authority, name: &str, from: i32, to: i32) -> ServerTls {
    let (certificate, key) = authority.sign(name, from, to);
    ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
}

fn trusting(authority: &Authority) -> ClientTls {
    ClientTls::with_roots(authority.pem.as_bytes()).unwrap()
}

/// An echo server for `localhost` that a client trusts who trusts the authority.
async fn server() -> (Running, Authority) {
    let authority = Authority::new();
    let tls = server_tls(&authority, "localhost", 2020, 2100);
    (serve(bind().await.tls(tls), echo), authority)
}

fn url(server: &Running) -> String {
    format!("wss://localhost:{}/chat", server.address.port())
}

async fn echoes(ws: &mut WebSocket, message: impl Into<Message>) {
    let message = message.into();
    ws.send(message.clone()).await.unwrap();
    assert_eq!(ws.recv().await.unwrap(), Some(message));
}

#[tokio::test]
async fn client_and_server_meet_over_tls_and_part_cleanly() {
    let (server, authority) = server().await;
    unhung(async {
        let mut ws = connect(url(&server)).tls(trusting(&authority)).await.unwrap();
        echoes(&mut ws, "over TLS").await;
        echoes(&mut ws, vec![7; 900_000]).await;
        ws.close(CloseCode::NORMAL, "bye").await.unwrap();
        assert!(matches!(ws.end(), Some(End::Closed { .. })), "{:?}", ws.end());
    })
    .await;
}

/// T26.
#[tokio::test]
async fn client_says_which_certificate_it_does_not_accept_and_why() {
    let (authority, stranger) = (Authority::new(), Authority::named("Another"));
    unhung(async {
        let refusal = async |tls: ServerTls, client: ClientTls| {
            let server = serve(bind().await.tls(tls), echo);
            match connect(url(&server)).tls(client).await {
                Err(Error::Tls(error)) => *error,
                other => panic!("{other:?}"),
            }
        };
        let error = refusal(server_tls(&authority, "example.com", 2020, 2100), trusting(&authority)).await;
        let TlsError::WrongHost { host, names } = &error else { panic!("{error:?}") };
        assert!(host == "localhost" && names.contains("example.com"), "{error}");
        let error = refusal(server_tls(&authority, "localhost", 2020, 2021), trusting(&authority)).await;
        assert!(matches!(&error, TlsError::Expired { host } if host == "localhost"), "{error:?}");
        let error = refusal(server_tls(&authority, "localhost", 2090, 2100), trusting(&authority)).await;
        assert!(matches!(&error, TlsError::NotYetValid { .. }), "{error:?}");
        let error = refusal(server_tls(&stranger, "localhost", 2020, 2100), trusting(&authority)).await;
        assert!(matches!(&error, TlsError::UnknownIssuer { .. }), "{error:?}");
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let tls = ServerTls::from_pem(own.cert.pem().as_bytes(), own.signing_key.serialize_pem().as_bytes()).unwrap();
        let error = refusal(tls.clone(), trusting(&authority)).await;
        assert!(matches!(&error, TlsError::UnknownIssuer { .. }), "{error:?}");
        // By default, whom the platform trusts.
        let server = serve(bind().await.tls(tls), echo);
        let error = connect(url(&server)).await.unwrap_err();
        assert!(matches!(&error, Error::Tls(_)), "{error:?}");
        connect(url(&server)).tls(ClientTls::dangerously_unverified()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn client_knows_its_server_by_an_address_too() {
    let authority = Authority::new();
    let server = serve(bind().await.tls(server_tls(&authority, "127.0.0.1", 2020, 2100)), echo);
    unhung(async {
        let url = format!("wss://{}/", server.address);
        connect(url).tls(trusting(&authority)).await.unwrap();
        let error = connect(self::url(&server)).tls(trusting(&authority)).await.unwrap_err();
        assert!(matches!(&error, Error::Tls(error) if matches!(**error, TlsError::WrongHost { .. })), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn identity_and_roots_that_are_none_are_errors() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    let strange = other.signing_key.serialize_pem();
    for (certificate, key) in [("", &key), (&*certificate, &String::new()), ("garbage", &key), (&certificate, &strange)]
    {
        let error = ServerTls::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(matches!(error, TlsError::Identity { .. }), "{error:?}");
    }
    for pem in ["", "garbage", &*key] {
        assert!(matches!(ClientTls::with_roots(pem.as_bytes()), Err(TlsError::Roots { .. })));
    }
}

/// T32: a client that begins TLS, or nothing at all, and goes no further.
#[tokio::test]
async fn client_that_stalls_the_tls_handshake_is_let_go_at_the_deadline() {
    let authority = Authority::new();
    let limits = Limits::internet().handshake_timeout(Duration::from_millis(50));
    let tls = server_tls(&authority, "localhost", 2020, 2100);
    let server = serve(bind().await.tls(tls).limits(limits), echo);
    unhung(async {
        for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
            let mut tcp = TcpStream::connect(server.address).await.unwrap();
            tcp.write_all(bytes).await.unwrap();
            let mut answer = Vec::new();
            let _ = tcp.read_to_end(&mut answer).await;
            assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn server_that_stalls_the_tls_handshake_is_named_by_the_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    unhung(async {
        for connecting in
            [connect(&*url).timeout(Duration::from_millis(20)), connect(&*url).tls_timeout(Duration::from_millis(20))]
        {
            let error = connecting.tls(trusting(&Authority::new())).await.unwrap_err();
            assert!(matches!(error, Error::TimedOut(Timeout::Tls)), "{error:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn peers_that_do_not_speak_tls_are_told_apart_from_certificates() {
    let (server, authority) = server().await;
    unhung(async {
        // A client without TLS, and the server lives on.
        let mut tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.write_all(format!("{REQUEST}\r\n").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = tcp.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 101"));
        connect(url(&server)).tls(trusting(&authority)).await.unwrap();
        // A server without it.
        let plain = serve(bind().await, echo);
        let error = connect(url(&plain)).tls(trusting(&authority)).await.unwrap_err();
        assert!(matches!(&error, Error::Tls(error) if matches!(**error, TlsError::Handshake(_))), "{error:?}");
    })
    .await;
}

#[tokio::test]
async fn client_that_finds_no_place_is_told_so_over_tls() {
    let authority = Authority::new();
    let tls = server_tls(&authority, "localhost", 2020, 2100);
    let server = serve(bind().await.tls(tls).budget(Budget::default().max_connections(1)), echo);
    unhung(async {
        let _first = connect(url(&server)).tls(trusting(&authority)).await.unwrap();
        let error = connect(url(&server)).tls(trusting(&authority)).await.unwrap_err();
        let Error::Handshake(refused) = &error else { panic!("{error:?}") };
        assert!(refused.to_string().contains("503"), "{refused}");
    })
    .await;
}

/// A server that agrees on HTTP/2 would read our request as none.
#[tokio::test]
async fn client_refuses_a_protocol_that_it_did_not_offer() {
    let authority = Authority::new();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = date_time_ymd(2100, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key.serialize_der().try_into().unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = serve(bind().await.tls(Arc::new(config)), echo);
    let error = unhung(connect(url(&server)).tls(trusting(&authority)).into_future()).await.unwrap_err();
    assert!(matches!(&error, Error::Tls(_)), "{error:?}");
}

/// A peer that ends TCP without TLS's own end has not ended the connection (1006), whatever was sent before.
#[tokio::test]
async fn transport_that_ends_without_close_notify_is_lost() {
    let (server, authority) = server().await;
    let relay = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://localhost:{}/", relay.local_addr().unwrap().port());
    let relaying = tokio::spawn(async move {
        let (mut client, _) = relay.accept().await.unwrap();
        let mut server = TcpStream::connect(server.address).await.unwrap();
        tokio::io::copy_bidirectional(&mut client, &mut server).await
    });
    unhung(async {
        let mut ws = connect(url).tls(trusting(&authority)).await.unwrap();
        echoes(&mut ws, "still there").await;
        relaying.abort();
        let error = ws.recv().await.unwrap_err();
        assert!(matches!(error, Error::Lost), "{error:?}");
        assert_eq!(ws.end(), Some(End::Lost));
    })
    .await;
}
