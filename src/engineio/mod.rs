//! Engine.IO, version 4 of its protocol: sessions that begin with HTTP long-polling and go on by WebSocket, or begin with a
//! WebSocket, for clients whose networks do not let them choose (feature `socketio`).
//!
//! [`Engine`] is the server. Socket.IO sits on it.

mod config;
mod engine;
mod error;
mod handshake;
mod hooks;
mod http;
mod listen;
mod log;
mod packet;
mod payload;
mod registry;
mod service;
mod session;
mod sid;

pub(crate) use self::http::ClientFiles;
use self::registry::Registry;
pub use self::{
    config::Config,
    engine::Engine,
    error::{CloseReason, ConnectionError},
    handshake::{Handshake, PeerAddress},
    http::{Cookie, Cors, SameSite},
    packet::{Packet, PacketError},
    payload::{Payload, SEPARATOR},
    service::{EngineLayer, EngineService, NotFound},
    session::{Sender, Session, SlowClient, TransportKind},
    sid::Sid,
};
pub(crate) use self::{session::Outgoing, sid::SidHasher};
