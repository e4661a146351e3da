#![cfg_attr(all(feature = "client", feature = "server", feature = "deflate"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "client", feature = "server", feature = "deflate")),
    doc = "WebSocket (RFC 6455) and permessage-deflate (RFC 7692) from scratch."
)]

pub mod proto;

pub use proto::{
    Limits, Utf8Bytes,
    connection::{Compress, Config, Keepalive, Kind, Message, PreparedMessage, Role, SlowReader},
    extension::deflate::DeflateConfig,
    frame::{CloseCode, CloseFrame},
};

#[cfg(all(feature = "client", feature = "server", feature = "deflate"))]
pub mod guide;

mod error;
pub use error::{Error, Http2Error, ProxyError, TlsError};

#[cfg(feature = "stream")]
mod transport;
#[cfg(feature = "stream")]
pub use transport::Transport;

#[cfg(feature = "stream")]
pub mod stream;
#[cfg(feature = "stream")]
pub use stream::WebSocket;

#[cfg(all(any(feature = "client", feature = "server"), any(feature = "rustls", feature = "native-tls")))]
pub mod tls;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub use client::{Connect, connect};

#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub use server::{Server, accept};

#[cfg(feature = "hyper")]
pub mod hyper;

#[cfg(feature = "axum")]
pub mod axum;

#[cfg(feature = "socketio")]
pub mod engineio;
#[cfg(feature = "socketio")]
pub mod socketio;
