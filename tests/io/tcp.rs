//! Servers on a port of their own, and clients as bytes.

use std::{fmt, net::SocketAddr};

use sockeye::{Error, Role, Server, WebSocket, proto::handshake::Request};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinHandle};

use super::Peer;

/// A request to upgrade, without the empty line.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A server that runs in a task of its own; dropped, it stops listening.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/chat", self.address)
    }

    pub(crate) async fn tcp(&self) -> Peer<TcpStream> {
        Peer::new(TcpStream::connect(self.address).await.expect("the server listens"), Role::Client)
    }

    /// A client as bytes, behind its handshake.
    pub(crate) async fn peer(&self) -> Peer<TcpStream> {
        let mut peer = self.tcp().await;
        peer.io.write_all(format!("{REQUEST}\r\n").as_bytes()).await.expect("the server takes a request");
        let head = peer.recv_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        peer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn bind() -> Server {
    Server::bind("127.0.0.1:0").await.expect("there is a free port")
}

pub(crate) fn serve<H, F, E>(server: Server, handler: H) -> Running
where
    H: Fn(WebSocket, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let address = server.local_addr().expect("it is bound");
    let task = tokio::spawn(async move { server.serve(handler).await.expect("it serves for ever") });
    Running { address, task }
}

/// The loop that everybody writes.
pub(crate) async fn echo(mut ws: WebSocket, _request: Request) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}
