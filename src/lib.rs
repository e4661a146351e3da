#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod proto;

pub use proto::{
    Utf8Bytes,
    connection::{Compress, Config, Keepalive, Kind, Message, Role},
    extension::deflate::DeflateConfig,
    frame::{CloseCode, CloseFrame},
};

mod error;
pub use error::Error;

#[cfg(feature = "stream")]
pub mod stream;
#[cfg(feature = "stream")]
pub use stream::WebSocket;

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub use client::{Connect, connect};

#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub use server::{Server, accept};
