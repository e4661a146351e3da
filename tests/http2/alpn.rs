//! What TLS agrees on: HTTP/2 if both can, else HTTP/1.1.

use std::{net::SocketAddr, sync::Arc};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sockeye::{
    Error, Http2Error, WebSocket,
    client::Http2,
    connect,
    tls::{ClientTls, rustls},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    io::unhung,
    peers::{Upgrade, echo},
};

/// A server for `localhost` with these protocols, and whether it takes WebSockets over HTTP/2.
async fn server(protocols: &[&str], takes: bool) -> (SocketAddr, ClientTls) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut builder = auto::Builder::new(TokioExecutor::new());
                if takes {
                    builder.http2().enable_connect_protocol();
                }
                let service = hyper::service::service_fn(|mut request: ::http::Request<hyper::body::Incoming>| {
                    let response = match Upgrade::from_request(&mut request) {
                        Ok(upgrade) => {
                            let version = format!("{:?}", upgrade.request().version());
                            upgrade.header("x-version", version).unwrap().on_upgrade(echo)
                        }
                        Err(rejection) => rejection.into_response(),
                    };
                    async { Ok::<_, std::convert::Infallible>(response) }
                });
                if let Ok(tls) = acceptor.accept(tcp).await {
                    let _ = builder.serve_connection_with_upgrades(TokioIo::new(tls), service).await;
                }
            });
        }
    });
    (address, ClientTls::with_roots(cert.pem().as_bytes()).unwrap())
}

/// Which version of HTTP a WebSocket came over.
async fn version(address: SocketAddr, tls: &ClientTls) -> Result<String, Error> {
    let connecting = connect(format!("wss://localhost:{}/", address.port())).tls(tls.clone()).http2();
    let (ws, response) = unhung(connecting.with_response()).await?;
    let mut ws: WebSocket = ws;
    ws.send("hello").await?;
    assert_eq!(unhung(ws.recv()).await?.unwrap().as_text(), Some("hello"));
    Ok(response.headers.get_str("x-version").unwrap().to_owned())
}

#[tokio::test]
async fn falls_back_to_http_1_1_by_alpn() {
    for (protocols, expected) in
        [(&["h2", "http/1.1"][..], "Http2"), (&["h2"], "Http2"), (&["http/1.1"], "Http11"), (&[], "Http11")]
    {
        let (address, tls) = server(protocols, true).await;
        assert_eq!(version(address, &tls).await.unwrap(), expected, "{protocols:?}");
    }
}

#[tokio::test]
async fn falls_back_if_the_server_takes_none_over_http2() {
    let (address, tls) = server(&["h2", "http/1.1"], false).await;
    assert_eq!(version(address, &tls).await.unwrap(), "Http11");
}

#[tokio::test]
async fn connection_of_many_needs_http2_and_says_what_is_missing() {
    let (address, tls) = server(&["h2", "http/1.1"], true).await;
    let to =
        |address: SocketAddr, tls: &ClientTls| connect(format!("wss://localhost:{}/", address.port())).tls(tls.clone());
    let http2 = unhung(Http2::connect(to(address, &tls))).await.unwrap();
    let mut ws = unhung(http2.open(to(address, &tls))).await.unwrap();
    ws.send("hello").await.unwrap();
    assert_eq!(unhung(ws.recv()).await.unwrap().unwrap().as_text(), Some("hello"));

    for (protocols, takes, expected) in
        [(&["http/1.1"][..], true, Http2Error::NotNegotiated), (&["h2"], false, Http2Error::NoExtendedConnect)]
    {
        let (address, tls) = server(protocols, takes).await;
        let error = unhung(Http2::connect(to(address, &tls))).await.unwrap_err();
        assert!(matches!(&error, Error::Http2(error) if **error == expected), "{error}");
    }
}

#[tokio::test]
async fn without_the_option_it_stays_at_http_1_1() {
    let (address, tls) = server(&["h2", "http/1.1"], true).await;
    let connecting = connect(format!("wss://localhost:{}/", address.port())).tls(tls).with_response();
    let (_ws, response) = unhung(connecting).await.unwrap();
    assert_eq!(response.headers.get_str("x-version"), Some("Http11"));
}
