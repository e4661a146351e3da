use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{connect::Options, happy_eyeballs};
#[cfg(any(feature = "rustls", feature = "native-tls"))]
use crate::tls::ClientTls;
use crate::{
    Error, Transport,
    proto::{connection::Timeout, handshake::WsUri},
    stream::after,
};

/// Connects to where a URI says: by TCP, through a proxy or by a Unix socket, and with TLS if it says so.
pub(super) async fn dial(uri: &WsUri, options: &Options, deadline: Instant) -> Result<Transport, Error> {
    let io = reach(uri, options, deadline).await?;
    if !uri.is_secure() {
        return Ok(io);
    }
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    return {
        let tls = tls(options).await?;
        let secured = timeout_at(stage(options.tls_timeout, deadline), tls.connect(uri.host(), io)).await;
        secured.map_err(|_| Timeout::Tls)?
    };
    #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
    Err(Error::NoTls)
}

/// As [`dial`], and has TLS offer HTTP/2: says whether the server chose it.
#[cfg(feature = "http2")]
pub(super) async fn dial_http2(uri: &WsUri, options: &Options, deadline: Instant) -> Result<(Transport, bool), Error> {
    let io = reach(uri, options, deadline).await?;
    if !uri.is_secure() {
        return Ok((io, false));
    }
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    return {
        let tls = tls(options).await?;
        let secured = timeout_at(stage(options.tls_timeout, deadline), tls.connect_http2(uri.host(), io)).await;
        secured.map_err(|_| Timeout::Tls)?
    };
    #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
    Err(Error::NoTls)
}

/// When a part of the way has to be done.
fn stage(limit: Option<Duration>, deadline: Instant) -> Instant {
    limit.map_or(deadline, |limit| deadline.min(after(limit)))
}

async fn reach(uri: &WsUri, options: &Options, deadline: Instant) -> Result<Transport, Error> {
    let reached = timeout_at(stage(options.connect_timeout, deadline), reach_in_any_time(uri, options)).await;
    reached.map_err(|_| Timeout::Connect)?
}

async fn reach_in_any_time(uri: &WsUri, options: &Options) -> Result<Transport, Error> {
    // Nobody is to be reached in vain.
    if uri.is_secure() && cfg!(not(any(feature = "rustls", feature = "native-tls"))) {
        return Err(Error::NoTls);
    }
    if let Some(path) = uri.socket() {
        return unix(path).await;
    }
    #[cfg(feature = "proxy")]
    if let Some(tunnel) = options.proxy.clone().unwrap_or_default().connect(uri, options.config.limits).await? {
        return Ok(tunnel);
    }
    #[cfg(not(feature = "proxy"))]
    let _ = options;
    Ok(happy_eyeballs::connect(uri.host(), uri.port()).await?.into())
}

#[cfg(unix)]
async fn unix(path: &str) -> Result<Transport, Error> {
    Ok(Transport::new(tokio::net::UnixStream::connect(path).await?))
}

#[cfg(not(unix))]
async fn unix(_path: &str) -> Result<Transport, Error> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "there are no Unix sockets here").into())
}

#[cfg(any(feature = "rustls", feature = "native-tls"))]
async fn tls(options: &Options) -> Result<ClientTls, Error> {
    match &options.tls {
        Some(tls) => Ok(tls.clone()),
        None => platform_tls().await,
    }
}

/// [`ClientTls::platform`], which reads files.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
pub(super) async fn platform_tls() -> Result<ClientTls, Error> {
    Ok(tokio::task::spawn_blocking(ClientTls::platform).await.map_err(std::io::Error::other)??)
}
