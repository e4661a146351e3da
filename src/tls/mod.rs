//! TLS for `wss://`: by rustls (feature `rustls`) or the platform's library (feature `native-tls`).
//!
//! ```no_run
//! # #[cfg(feature = "rustls")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sockeye::tls::{ClientTls, ServerTls};
//! let tls = ServerTls::from_pem(&std::fs::read("chain.pem")?, &std::fs::read("key.pem")?)?;
//! let server = sockeye::Server::bind("0.0.0.0:443").await?.tls(tls);
//!
//! let ws = sockeye::connect("wss://example.com/chat").await?; // trusts whom the platform trusts
//! let own = ClientTls::with_roots(&std::fs::read("our-ca.pem")?)?;
//! let ws = sockeye::connect("wss://chat.internal/").tls(own).await?;
//! # Ok(()) }
//! ```
//!
//! With both features, rustls is taken where nothing else is said. Its cryptography is ring's, chosen here, so that no
//! process-wide provider is needed.

#[cfg(feature = "client")]
mod client;
#[cfg(all(feature = "client", feature = "rustls"))]
mod rustls_errors;
#[cfg(feature = "server")]
mod server;
#[cfg(all(feature = "client", feature = "rustls"))]
mod unverified;

#[cfg(feature = "client")]
pub use self::client::ClientTls;
#[cfg(feature = "server")]
pub use self::server::ServerTls;
pub use crate::error::TlsError;

/// The TLS library, for configurations of one's own.
#[cfg(feature = "native-tls")]
pub use tokio_native_tls::native_tls;
/// The TLS library, for configurations of one's own.
#[cfg(feature = "rustls")]
pub use tokio_rustls::rustls;

/// What is agreed on by ALPN (RFC 7301).
#[cfg(feature = "rustls")]
const HTTP_11: &[u8] = b"http/1.1";

/// The cryptography, chosen here: a process may have no default one, or several to choose from.
#[cfg(feature = "rustls")]
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}
