//! The opening handshake (RFC 6455 §3 and §4): bytes in, bytes out, for both ends.

mod client;
mod credentials;
mod error;
mod extended_connect;
mod key;
mod origin;
mod request;
mod response;
mod server;
mod uri;

use crate::proto::extension::deflate::DeflateAgreed;

pub use client::{Accepted, ClientHandshake, ClientRequest};
pub use credentials::{BasicAuth, same_secret};
pub use error::{AcceptError, BuildError, HandshakeError, Refusal};
pub use extended_connect::ExtendedConnect;
pub use key::Key;
pub use origin::{InvalidOrigin, Origin};
pub use request::Request;
pub use response::Response;
pub use server::{Accept, ServerHandshake};
pub use uri::{InvalidUri, Scheme, WsUri};

/// What the opening handshake agreed on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Agreed {
    /// The subprotocol (RFC 6455 §1.9), if one was chosen.
    pub subprotocol: Option<String>,
    /// permessage-deflate, if it was accepted.
    pub deflate: Option<DeflateAgreed>,
}

/// The value of `Sec-WebSocket-Version` (RFC 6455 §4.1).
const VERSION: &str = "13";

/// The headers that the handshake sets itself, and nobody else may.
fn is_owned(name: &str) -> bool {
    const OWNED: [&str; 4] = ["Connection", "Upgrade", "Content-Length", "Transfer-Encoding"];
    const PREFIX: &str = "Sec-WebSocket-";
    OWNED.iter().any(|owned| owned.eq_ignore_ascii_case(name))
        || name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}
