use std::fmt;
#[cfg(feature = "rustls")]
use std::sync::{Arc, OnceLock};

#[cfg(feature = "rustls")]
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

#[cfg(all(feature = "rustls", feature = "http2"))]
use super::HTTP_2;
use super::TlsError;
#[cfg(feature = "rustls")]
use super::{HTTP_11, provider, rustls_errors::of_handshake, unverified::Unverified};
use crate::{Transport, error::Error};

/// How a client encrypts `wss://`, and whom it trusts to say who a server is.
///
/// A configuration of one's own, be it a [`rustls::ClientConfig`](super::rustls::ClientConfig) in an `Arc` or a
/// `native_tls::TlsConnector`, is turned into one by `into()`. The server's name is verified in any case.
#[derive(Clone)]
pub struct ClientTls(Connector);

#[derive(Clone)]
enum Connector {
    #[cfg(feature = "rustls")]
    Rustls(tokio_rustls::TlsConnector),
    #[cfg(feature = "native-tls")]
    Native(tokio_native_tls::TlsConnector),
}

impl ClientTls {
    /// Trusts whom the platform trusts; on Unix that is its bundle of certificates, or `SSL_CERT_FILE` and
    /// `SSL_CERT_DIR`. They are read once.
    ///
    /// # Errors
    ///
    /// [`TlsError::Roots`] if there are none.
    pub fn platform() -> Result<Self, TlsError> {
        #[cfg(feature = "rustls")]
        return platform_config().map(Self::from);
        #[cfg(not(feature = "rustls"))]
        Self::native()
    }

    /// Trusts whom the platform trusts, by its own TLS library.
    ///
    /// # Errors
    ///
    /// [`TlsError::Roots`] if the library cannot be set up.
    #[cfg(feature = "native-tls")]
    pub fn native() -> Result<Self, TlsError> {
        let connector = super::native_tls::TlsConnector::new();
        connector.map(Self::from).map_err(|error| TlsError::Roots { reason: error.to_string() })
    }

    /// Trusts whom Mozilla trusted when the crate `webpki-roots` was made, whatever the platform has.
    #[cfg(feature = "webpki-roots")]
    pub fn webpki() -> Self {
        verifying(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect()).into()
    }

    /// Trusts the certificates in a PEM file, and no others.
    ///
    /// # Errors
    ///
    /// [`TlsError::Roots`] if it has none, or one that cannot be used.
    #[cfg(feature = "rustls")]
    pub fn with_roots(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| TlsError::Roots { reason: error.to_string() })?;
            roots.add(certificate).map_err(|error| TlsError::Roots { reason: error.to_string() })?;
        }
        if roots.is_empty() {
            return Err(TlsError::Roots { reason: "no certificate in the PEM file".into() });
        }
        Ok(verifying(roots).into())
    }

    /// Takes any server for the one it says it is: whoever sits on the wire can read and change everything.
    ///
    /// For a test against a certificate that is not to be had otherwise, and for nothing else.
    #[cfg(feature = "rustls")]
    pub fn dangerously_unverified() -> Self {
        let provider = provider();
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
            .with_no_client_auth();
        Arc::new(with_alpn(config)).into()
    }

    /// Makes a TLS handshake with the server that is asked for as `host`.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`].
    pub(crate) async fn connect(&self, host: &str, io: Transport) -> Result<Transport, Error> {
        let peer = io.peer_addr();
        match &self.0 {
            #[cfg(feature = "rustls")]
            Connector::Rustls(connector) => {
                let tls = connector.connect(server_name(host)?, io).await.map_err(|error| of_handshake(error, host))?;
                let protocol = tls.get_ref().1.alpn_protocol();
                if let Some(other) = protocol.filter(|&protocol| protocol != HTTP_11) {
                    return Err(TlsError::Protocol { protocol: String::from_utf8_lossy(other).into_owned() }.into());
                }
                Ok(Transport::layered(tls, peer))
            }
            #[cfg(feature = "native-tls")]
            Connector::Native(connector) => {
                let connected = connector.connect(host, io).await;
                Ok(Transport::layered(connected.map_err(|error| of_native(&error, host))?, peer))
            }
        }
    }

    /// As [`connect`](Self::connect), and offers HTTP/2, if the TLS library can: says whether the server chose it.
    #[cfg(feature = "http2")]
    pub(crate) async fn connect_http2(&self, host: &str, io: Transport) -> Result<(Transport, bool), Error> {
        match &self.0 {
            #[cfg(feature = "rustls")]
            Connector::Rustls(connector) => {
                let connector = connector.with_alpn(vec![HTTP_2.to_vec(), HTTP_11.to_vec()]);
                let tls = connector.connect(server_name(host)?, io).await.map_err(|error| of_handshake(error, host))?;
                let is_http2 = tls.get_ref().1.alpn_protocol() == Some(HTTP_2);
                Ok((Transport::new(tls), is_http2))
            }
            #[cfg(feature = "native-tls")]
            Connector::Native(_) => Ok((self.connect(host, io).await?, false)),
        }
    }
}

#[cfg(feature = "rustls")]
fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Host { host: host.to_owned() })
}

#[cfg(feature = "rustls")]
fn platform_config() -> Result<Arc<ClientConfig>, TlsError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A platform's bundle may well have certificates of a kind that is not known here.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if errors.is_empty() { "the platform has none".into() } else { errors.join("; ") };
        return Err(TlsError::Roots { reason });
    }
    Ok(Arc::clone(CONFIG.get_or_init(|| verifying(roots))))
}

#[cfg(feature = "rustls")]
fn verifying(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring has the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(with_alpn(config))
}

#[cfg(feature = "rustls")]
fn with_alpn(mut config: ClientConfig) -> ClientConfig {
    config.alpn_protocols = vec![HTTP_11.to_vec()];
    config
}

/// The library tells what OpenSSL, Secure Transport or SChannel say, in their words.
#[cfg(feature = "native-tls")]
fn of_native(error: &super::native_tls::Error, host: &str) -> TlsError {
    let (reason, host) = (error.to_string(), host.to_owned());
    let says = |words: &[&str]| words.iter().any(|words| reason.to_lowercase().contains(words));
    if says(&["expired"]) {
        TlsError::Expired { host }
    } else if says(&["not yet valid"]) {
        TlsError::NotYetValid { host }
    } else if says(&["hostname mismatch", "ip address mismatch", "host name"]) {
        TlsError::WrongHost { host, names: reason }
    } else if says(&["self-signed", "self signed", "unable to get local issuer", "not trusted"]) {
        TlsError::UnknownIssuer { host }
    } else if says(&["certificate"]) {
        TlsError::Certificate { host, reason }
    } else {
        TlsError::Handshake(std::io::Error::other(reason))
    }
}

#[cfg(feature = "rustls")]
impl From<Arc<ClientConfig>> for ClientTls {
    /// What the configuration says of ALPN holds: `http/1.1`, if anything.
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(Connector::Rustls(config.into()))
    }
}

#[cfg(feature = "native-tls")]
impl From<super::native_tls::TlsConnector> for ClientTls {
    fn from(connector: super::native_tls::TlsConnector) -> Self {
        Self(Connector::Native(connector.into()))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls").finish_non_exhaustive()
    }
}
