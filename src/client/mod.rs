//! The client: [`connect`], and what it goes through on the way.

mod connect;
mod dial;
mod happy_eyeballs;
#[cfg(feature = "http2")]
mod http2;
mod keys;
mod open;
#[cfg(feature = "proxy")]
mod proxy;
mod reconnect;
mod redirect;

#[cfg(feature = "http2")]
pub use self::http2::Http2;
#[cfg(feature = "proxy")]
pub use self::proxy::Proxy;
pub use self::{
    connect::{Connect, connect},
    reconnect::{Happening, Loss, Reconnecting, reconnecting},
};
