//! Echoes over HTTP/1.1 and HTTP/2, with hyper: what a browser opens over `https://` uses RFC 8441.
//!
//! ```text
//! cargo run --release --features hyper,deflate --example http2_echo_server -- --tls --port 9443
//! ```
//!
//! With `--tls` it makes its own certificate for `localhost`. A browser that opens its address gets a page that says what
//! came back, and over which version of HTTP.

use std::{convert::Infallible, error::Error, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use sockeye::{DeflateConfig, Limits, WebSocket, hyper::WebSocketUpgrade};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (mut port, mut tls) = (9443, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--port" => port = args.next().ok_or("--port needs a number")?.parse()?,
            "--tls" => tls = Some(acceptor()?),
            other => return Err(format!("{other}? usage: http2_echo_server [--port N] [--tls]").into()),
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("listening on {scheme}://localhost:{}", listener.local_addr()?.port());
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let tls = tls.clone();
        tokio::spawn(async move {
            let served = match tls {
                Some(tls) => match tls.accept(tcp).await {
                    Ok(tls) => serve(tls).await,
                    Err(error) => Err(error.into()),
                },
                None => serve(tcp).await,
            };
            if let Err(error) = served {
                eprintln!("connection: {error}");
            }
        });
    }
}

async fn serve<S>(io: S) -> Result<(), Box<dyn Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let mut server = Builder::new(TokioExecutor::new());
    server.http2().timer(TokioTimer::new()).enable_connect_protocol();
    server.http2().initial_stream_window_size(256 * 1024).initial_connection_window_size(64 * 1024 * 1024);
    server.serve_connection_with_upgrades(TokioIo::new(io), service_fn(answer)).await
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/" {
        let page = Response::builder().header(CONTENT_TYPE, "text/html; charset=utf-8");
        return Ok(page.body(include_str!("support/http2.html").into()).expect("a valid header"));
    }
    let upgrade = match WebSocketUpgrade::from_request(&mut request) {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let version = format!("{:?}", request.version());
    println!("{} over {version}", upgrade.request().path());
    Ok(upgrade
        .protocols(["version", "echo"])
        .deflate(DeflateConfig::default())
        .limits(Limits::trusted())
        .on_upgrade(|ws| echo(ws, version)))
}

/// With the subprotocol `version`, it says the version of HTTP first.
async fn echo(mut ws: WebSocket, version: String) -> Result<(), sockeye::Error> {
    if ws.subprotocol() == Some("version") {
        ws.send(version).await?;
    }
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

fn acceptor() -> Result<TlsAcceptor, Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
