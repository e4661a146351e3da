//! Extensions (RFC 6455 §9): what is offered and answered in `Sec-WebSocket-Extensions`, and the one extension there
//! is.

pub mod deflate;
mod offer;

pub use offer::{Offer, Param};
