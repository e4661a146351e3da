use std::fmt;
#[cfg(feature = "rustls")]
use std::sync::Arc;

#[cfg(feature = "rustls")]
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::TlsError;
#[cfg(feature = "rustls")]
use super::{HTTP_11, provider};
use crate::Transport;

/// How a server encrypts, and who it says it is.
///
/// A configuration of one's own, be it a [`rustls::ServerConfig`](super::rustls::ServerConfig) in an `Arc` or a
/// `native_tls::TlsAcceptor`, is turned into one by `into()`.
#[derive(Clone)]
pub struct ServerTls(Acceptor);

#[derive(Clone)]
enum Acceptor {
    #[cfg(feature = "rustls")]
    Rustls(tokio_rustls::TlsAcceptor),
    #[cfg(feature = "native-tls")]
    Native(tokio_native_tls::TlsAcceptor),
}

impl ServerTls {
    /// Takes a chain of certificates, the server's own first, and its key, both as PEM files have them.
    ///
    /// # Errors
    ///
    /// [`TlsError::Identity`] if one of them is missing or malformed, or they do not belong to each other.
    #[cfg(feature = "rustls")]
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let identity = |error: &dyn fmt::Display| TlsError::Identity { reason: error.to_string() };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|error| identity(&error))?;
        if chain.is_empty() {
            return Err(identity(&"no certificate in the PEM file"));
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| identity(&format_args!("key: {error}")))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .with_no_client_auth()
            .with_single_cert(chain, key);
        let mut config = config.map_err(|error| identity(&error))?;
        config.alpn_protocols = vec![HTTP_11.to_vec()];
        Ok(Arc::new(config).into())
    }

    /// Makes a TLS handshake with a client.
    ///
    /// # Errors
    ///
    /// [`TlsError::Handshake`].
    pub(crate) async fn accept(&self, io: Transport) -> Result<Transport, TlsError> {
        let peer = io.peer_addr();
        match &self.0 {
            #[cfg(feature = "rustls")]
            Acceptor::Rustls(acceptor) => {
                let accepted = acceptor.accept(io).await.map_err(TlsError::Handshake)?;
                Ok(Transport::layered(accepted, peer))
            }
            #[cfg(feature = "native-tls")]
            Acceptor::Native(acceptor) => {
                let accepted = acceptor.accept(io).await;
                let accepted = accepted.map_err(|error| TlsError::Handshake(std::io::Error::other(error)))?;
                Ok(Transport::layered(accepted, peer))
            }
        }
    }
}

#[cfg(feature = "rustls")]
impl From<Arc<ServerConfig>> for ServerTls {
    /// What the configuration says of ALPN holds: `http/1.1`, if anything.
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(Acceptor::Rustls(config.into()))
    }
}

#[cfg(feature = "native-tls")]
impl From<super::native_tls::TlsAcceptor> for ServerTls {
    fn from(acceptor: super::native_tls::TlsAcceptor) -> Self {
        Self(Acceptor::Native(acceptor.into()))
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
