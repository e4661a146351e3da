//! The protocol without I/O: no socket, no clock, no random source, no lock.
//!
//! | module | holds |
//! |---|---|
//! | [`frame`] | RFC 6455 §5: headers, masking, close codes, UTF-8 |
//! | [`http`] | just enough HTTP/1.1 for an upgrade |
//! | [`extension`] | RFC 6455 §9, and permessage-deflate (RFC 7692) |
//! | [`handshake`] | RFC 6455 §4: the opening handshake, both roles |
//! | [`connection`] | RFC 6455 §5.4–§7: messages, pongs, the closing handshake, both roles |

pub mod connection;
pub mod extension;
pub mod frame;
pub mod handshake;
pub mod http;
mod limits;
mod utf8_bytes;

pub use limits::Limits;
pub use utf8_bytes::Utf8Bytes;
