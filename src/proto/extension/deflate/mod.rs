//! permessage-deflate (RFC 7692): compression of each message.

mod params;

pub use params::{DeflateAgreed, DeflateConfig, InvalidDeflateConfig, InvalidDeflateResponse, confirm, offer, respond};

/// The extension's name (RFC 7692 §7).
pub const NAME: &str = "permessage-deflate";

#[cfg(feature = "deflate")]
mod codec;
#[cfg(not(feature = "deflate"))]
#[path = "no_codec.rs"]
mod codec;

pub(crate) use self::codec::{Deflater, Inflated, Inflater, codecs};
