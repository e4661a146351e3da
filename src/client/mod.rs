//! The client: [`connect`], and what it goes through on the way.

mod connect;
mod dial;
mod happy_eyeballs;
mod keys;
mod open;
#[cfg(feature = "proxy")]
mod proxy;
mod reconnect;
mod redirect;

#[cfg(feature = "proxy")]
pub use self::proxy::Proxy;
pub use self::{
    connect::{Connect, connect},
    reconnect::{Happening, Loss, Reconnecting, reconnecting},
};
