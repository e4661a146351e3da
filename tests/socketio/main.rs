//! The server of Socket.IO over loopback: what it makes of packets that are written by hand.
#![cfg(all(feature = "socketio", feature = "client"))]
#![allow(clippy::unwrap_used)] // what fails here fails the test

#[path = "../sio/mod.rs"]
mod sio;

mod acks;
mod cluster;
mod connecting;
mod events;
mod faults;
mod fetching;
mod hostile;
mod hub;
mod leaving;
mod listening;
mod namespaces;
mod recovering;
mod rooms;
mod slow_clients;
#[cfg(feature = "tracing")]
mod tracing;

use std::net::SocketAddr;

use sio::{Client, closed, listener, open_websocket, send, sid, text};
use sockeye::{
    CloseFrame, Message, WebSocket,
    socketio::{Reply, Server, Socket},
};

const PATH: &str = "/socket.io/";

/// Serves Socket.IO.
async fn serve(io: &Server) -> SocketAddr {
    let (listener, address) = listener().await;
    let io = io.clone();
    tokio::spawn(async move { io.serve(listener).await });
    address
}

/// A server that answers `sync`, so that a client sees that nothing else came.
fn server() -> Server {
    let io = Server::new();
    io.on_connect(|socket: Socket| async move { answer_sync(&socket) });
    io
}

fn answer_sync(socket: &Socket) {
    socket.on("sync", |_: Socket| async { Reply(()) });
}

/// A client on a WebSocket.
struct Peer {
    ws: WebSocket,
}

impl Peer {
    /// One in no namespace yet.
    async fn open(address: SocketAddr) -> Self {
        Self { ws: open_websocket(address, PATH, "").await.0 }
    }

    /// One in the main namespace, and its id.
    async fn connect(address: SocketAddr) -> (Self, String) {
        let mut peer = Self::open(address).await;
        let id = peer.join("0").await;
        (peer, id)
    }

    /// Connects to a namespace with this packet; gives the id that it has there.
    async fn join(&mut self, packet: &str) -> String {
        self.send(packet).await;
        let answer = self.recv().await;
        assert!(answer.starts_with('0'), "{answer}");
        sid(&answer)
    }

    /// Sends a packet.
    async fn send(&mut self, packet: &str) {
        send(&mut self.ws, format!("4{packet}")).await;
    }

    /// Sends messages in one piece, as far as the transport takes one.
    async fn send_together(&mut self, messages: impl IntoIterator<Item = String>) {
        for message in messages {
            self.ws.feed(message).await.expect("the WebSocket is open");
        }
        self.ws.flush().await.expect("the WebSocket is open");
    }

    async fn send_bytes(&mut self, bytes: &'static [u8]) {
        send(&mut self.ws, Message::Binary(bytes.into())).await;
    }

    /// The next packet.
    async fn recv(&mut self) -> String {
        let packet = text(&mut self.ws).await;
        packet.strip_prefix('4').unwrap_or_else(|| panic!("{packet} is no message")).into()
    }

    async fn expect(&mut self, packet: &str) {
        assert_eq!(self.recv().await, packet);
    }

    async fn expect_bytes(&mut self, bytes: &'static [u8]) {
        assert_eq!(sio::message(&mut self.ws).await, Message::Binary(bytes.into()));
    }

    /// Sees that nothing has come, up to here.
    async fn expect_nothing(&mut self) {
        self.send(r#"299["sync"]"#).await;
        self.expect("399[]").await;
    }

    /// The server's Close, which comes next.
    async fn closed(&mut self) -> Option<CloseFrame> {
        closed(&mut self.ws).await
    }
}

/// The id that an event is to be acknowledged with.
fn ack_id(event: &str) -> &str {
    event.strip_prefix('2').and_then(|rest| rest.split('[').next()).unwrap()
}

/// A client that polls, in the main namespace.
async fn poll(address: SocketAddr) -> Client {
    let client = Client::open(address, PATH).await;
    client.send("40").await;
    let connected = client.get().await;
    assert!(connected.text().starts_with("40{"), "{}", connected.text());
    client
}
