use tokio::time::{Instant, timeout_at};

use super::{connect::Options, happy_eyeballs};
use crate::{
    Error, Transport,
    proto::{connection::Timeout, handshake::WsUri},
    stream::after,
};

/// Connects to where a URI says: by TCP, through a proxy or by a Unix socket, and with TLS if it says so.
pub(super) async fn dial(uri: &WsUri, options: &Options, deadline: Instant) -> Result<Transport, Error> {
    let stage = |limit: Option<_>| limit.map_or(deadline, |limit| deadline.min(after(limit)));
    let reached = timeout_at(stage(options.connect_timeout), reach(uri, options)).await;
    let io = reached.map_err(|_| Timeout::Connect)??;
    if !uri.is_secure() {
        return Ok(io);
    }
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    return secure(uri, options, io, stage(options.tls_timeout)).await;
    #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
    Err(Error::NoTls)
}

async fn reach(uri: &WsUri, options: &Options) -> Result<Transport, Error> {
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
async fn secure(uri: &WsUri, options: &Options, io: Transport, deadline: Instant) -> Result<Transport, Error> {
    let tls = match &options.tls {
        Some(tls) => tls.clone(),
        // It reads files.
        None => tokio::task::spawn_blocking(crate::tls::ClientTls::platform).await.map_err(std::io::Error::other)??,
    };
    timeout_at(deadline, tls.connect(uri.host(), io)).await.map_err(|_| Timeout::Tls)?
}
