//! TLS by the platform's library: whom a client trusts, and what its errors say.
#![cfg(all(feature = "client", feature = "server", feature = "native-tls"))]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod io;

use io::{
    authority::Authority,
    tcp::{bind, echo, serve},
    unhung,
};
use sockeye::{
    CloseCode, Error, TlsError, connect,
    tls::native_tls::{Certificate, Identity, TlsAcceptor, TlsConnector},
};

fn acceptor(authority: &Authority, name: &str, from: i32, to: i32) -> TlsAcceptor {
    let (certificate, key) = authority.sign(name, from, to);
    TlsAcceptor::new(Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes()).unwrap()).unwrap()
}

fn trusting(authority: &Authority) -> TlsConnector {
    let root = Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    TlsConnector::builder().add_root_certificate(root).build().unwrap()
}

#[tokio::test]
async fn client_and_server_meet_over_the_platforms_tls() {
    let authority = Authority::new();
    let server = serve(bind().await.tls(acceptor(&authority, "localhost", 2020, 2040)), echo);
    unhung(async {
        let url = format!("wss://localhost:{}/", server.address.port());
        let mut ws = connect(url).tls(trusting(&authority)).await.unwrap();
        for message in [sockeye::Message::from("over TLS"), vec![7; 900_000].into()] {
            ws.send(message.clone()).await.unwrap();
            assert!(ws.recv().await.unwrap() == Some(message));
        }
        ws.close(CloseCode::NORMAL, "bye").await.unwrap();
    })
    .await;
}

/// T26.
#[tokio::test]
async fn client_says_which_certificate_it_does_not_accept_and_why() {
    let (authority, stranger) = (Authority::new(), Authority::named("Another"));
    unhung(async {
        for (tls, expected) in [
            (acceptor(&authority, "example.com", 2020, 2040), "is for other names"),
            (acceptor(&authority, "localhost", 2020, 2021), "has expired"),
            (acceptor(&authority, "localhost", 2090, 2095), "is not valid yet"),
            (acceptor(&stranger, "localhost", 2020, 2040), "nobody who is trusted has signed"),
        ] {
            let server = serve(bind().await.tls(tls), echo);
            let url = format!("wss://localhost:{}/", server.address.port());
            let Err(Error::Tls(error)) = connect(url).tls(trusting(&authority)).await else { panic!("{expected}") };
            assert!(error.to_string().contains(expected), "{error}");
        }
        let plain = serve(bind().await, echo);
        let url = format!("wss://localhost:{}/", plain.address.port());
        let Err(Error::Tls(error)) = connect(url).tls(trusting(&authority)).await else { panic!("it has no TLS") };
        assert!(matches!(*error, TlsError::Handshake(_)), "{error:?}");
    })
    .await;
}
