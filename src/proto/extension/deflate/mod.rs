//! permessage-deflate (RFC 7692): compression of each message.

mod config;
mod params;

pub use config::{DeflateConfig, InvalidDeflateConfig};
pub use params::{DeflateAgreed, InvalidDeflateResponse, confirm, offer, respond};

/// The extension's name (RFC 7692 §7).
pub const NAME: &str = "permessage-deflate";

#[cfg(feature = "deflate")]
mod codec;
#[cfg(not(feature = "deflate"))]
#[path = "no_codec.rs"]
mod codec;

#[cfg(feature = "deflate")]
mod pool;

pub(crate) use self::codec::{Deflater, Inflater, codecs};

/// What a compressed message depends on, besides those before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DeflateClass {
    level: u8,
    mem_level: u8,
    window_bits: u8,
}

/// How far [`Inflater::inflate`] and [`Inflater::finish`] came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(not(feature = "deflate"), expect(dead_code, reason = "nothing is ever inflated"))]
pub(crate) enum Inflated {
    /// All input is taken in and all that it makes is out.
    All,
    /// The output has as many bytes as it may have, and there may be more.
    Full,
}
