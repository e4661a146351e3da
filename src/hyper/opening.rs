use std::{
    fmt, io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::transport::Multiplexed;
use crate::{
    Error, Transport, WebSocket,
    proto::{
        connection::{Connection, DeflateSettings, Inbox, Timeout},
        handshake::Agreed,
        http::Version,
    },
    server::Options,
    stream::{Metrics, after},
};

/// A WebSocket that is open once the response is sent: await it, in another task than the one that returns the response.
///
/// # Errors
///
/// Awaited: [`Error::Lost`] if the client went away or the response was dropped; [`Error::TimedOut`] if it was not sent
/// within [`handshake_timeout`](crate::Limits::handshake_timeout); [`Error::Io`].
///
/// # Cancel safety
///
/// Cancel safe; dropped, it drops the connection.
#[must_use = "there is no WebSocket until it is awaited"]
pub struct Opening(Pin<Box<dyn Future<Output = Result<WebSocket, Error>> + Send>>);

impl Opening {
    pub(super) fn new(
        on_upgrade: OnUpgrade,
        version: Version,
        options: Options,
        agreed: Agreed,
        deflate: Option<DeflateSettings>,
        metrics: Option<Arc<dyn Metrics>>,
    ) -> Self {
        let deadline = after(options.config.limits.handshake_timeout);
        Self(Box::pin(async move {
            let upgraded = timeout_at(deadline, on_upgrade).await.map_err(|_| Timeout::Handshake)?;
            let upgraded = upgraded.map_err(failed)?;
            let connection = Connection::server(options.config, deflate.as_ref(), Instant::now().into_std());
            let ws = if version == Version::Http2 {
                let io = Multiplexed::new(TokioIo::new(upgraded));
                WebSocket::new(Transport::new(io), connection, Inbox::new()).awaiting_end()
            } else {
                let (transport, inbox) = connected(upgraded);
                WebSocket::new(transport, connection, inbox)
            };
            let ws = ws.with_subprotocol(agreed.subprotocol.as_deref());
            let ws = match &options.budget {
                Some(budget) => ws.with_budget(budget),
                None => ws,
            };
            Ok(match metrics {
                Some(metrics) => ws.with_metrics(metrics),
                None => ws,
            })
        }))
    }
}

/// The connection that hyper has given up, and what it had read from it already. A TCP connection of its own has nothing of
/// hyper around it any more.
fn connected(upgraded: Upgraded) -> (Transport, Inbox) {
    let mut inbox = Inbox::new();
    match tcp(upgraded) {
        Ok((tcp, read)) => {
            if !read.is_empty() {
                inbox.extend(&read);
            }
            (tcp.into(), inbox)
        }
        Err(upgraded) => (Transport::new(TokioIo::new(upgraded)), inbox),
    }
}

fn tcp(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    #[cfg(feature = "socketio")]
    let upgraded = match upgraded.downcast::<TokioIo<super::Patient<TcpStream>>>() {
        Ok(parts) => return Ok((parts.io.into_inner().into_inner(), parts.read_buf)),
        Err(upgraded) => upgraded,
    };
    Err(upgraded)
}

fn failed(error: hyper::Error) -> Error {
    if error.is_canceled() { Error::Lost } else { Error::Io(io::Error::other(error)) }
}

impl Future for Opening {
    type Output = Result<WebSocket, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").finish_non_exhaustive()
    }
}
