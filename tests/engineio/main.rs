//! The server of Engine.IO over loopback: what it answers to requests that are written by hand, and to WebSockets.
#![cfg(all(feature = "socketio", feature = "client"))]
#![allow(clippy::unwrap_used)] // what fails here fails the test

#[path = "../sio/mod.rs"]
mod sio;

mod cors;
mod ends;
mod heartbeat;
mod hooks;
mod hostile;
mod polling;
mod requests;
mod upgrade;
mod websocket;

use std::net::SocketAddr;

use sio::{Client, listener, unhung, until};
use sockeye::{
    Message,
    engineio::{CloseReason, Config, Engine, Sender},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Where Engine.IO is by default.
const PATH: &str = "/engine.io/";
const POLLING: &str = "/engine.io/?EIO=4&transport=polling";
const WEBSOCKET: &str = "/engine.io/?EIO=4&transport=websocket";

/// A server that sends everything back, and tells the test of its sessions.
struct Running {
    engine: Engine,
    address: SocketAddr,
    begun: UnboundedReceiver<Sender>,
    heard: UnboundedReceiver<Message>,
    ended: UnboundedReceiver<CloseReason>,
}

/// Serves Engine.IO.
async fn serve(config: Config) -> Running {
    let (begin, begun) = unbounded_channel();
    let (hear, heard) = unbounded_channel();
    let (end, ended) = unbounded_channel();
    let engine = Engine::new(config, move |mut session| {
        let (begin, hear, end) = (begin.clone(), hear.clone(), end.clone());
        async move {
            let sender = session.sender();
            // The test may have seen enough.
            let _ = begin.send(sender.clone());
            while let Some(message) = session.recv().await {
                let _ = hear.send(message.clone());
                sender.send(message);
            }
            let _ = end.send(sender.reason().expect("a session ends for a reason"));
        }
    });
    let (listener, address) = listener().await;
    tokio::spawn(engine.clone().serve(listener));
    Running { engine, address, begun, heard, ended }
}

impl Running {
    /// Begins a session by polling.
    async fn open(&mut self) -> (Client, Sender) {
        let client = Client::open(self.address, PATH).await;
        let sender = self.begun().await;
        assert_eq!(sender.id().as_str(), client.sid);
        (client, sender)
    }

    async fn begun(&mut self) -> Sender {
        unhung(self.begun.recv()).await.expect("a session begins")
    }

    async fn heard(&mut self) -> Message {
        unhung(self.heard.recv()).await.expect("a message comes")
    }

    /// Why a session has ended; the server remembers none afterwards.
    async fn ended(&mut self) -> CloseReason {
        let reason = unhung(self.ended.recv()).await.expect("a session ends");
        until(|| self.engine.is_empty()).await;
        reason
    }
}

/// The error of a body.
fn error(code: u8, message: &str) -> String {
    format!(r#"{{"code":{code},"message":"{message}"}}"#)
}

/// What a request for a session that there is not is answered with.
fn unknown_sid() -> (u16, String) {
    (400, error(1, "Session ID unknown"))
}
