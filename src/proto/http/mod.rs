//! Just enough HTTP/1.1 (RFC 9110, RFC 9112) for an upgrade: the heads of requests and responses, header fields, and
//! the grammar inside them.

mod body;
mod error;
pub(crate) mod grammar;
mod head;
mod headers;

pub(crate) use body::BodyReader;
pub use error::{HeadError, InvalidHeader, Malformed};
pub use head::{HeadReader, RequestHead, ResponseHead, Version};
pub use headers::Headers;
#[cfg(any(feature = "client", feature = "hyper"))]
pub(crate) use headers::is_secret;
