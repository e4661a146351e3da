use std::{fmt, sync::Arc};

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::AsyncWriteExt;
use tokio_socks::tcp::Socks5Stream;

use super::happy_eyeballs;
use crate::{
    Error, Limits, Transport,
    error::ProxyError,
    proto::{
        handshake::WsUri,
        http::{HeadReader, ResponseHead},
    },
    stream::read_some,
};

/// Which proxies a client goes through.
///
/// `http://` and `https://` proxies are asked to `CONNECT`, with the user and password of their URL as Basic
/// authentication; `socks5://` ones are given an address, `socks5h://` ones the host's name.
///
/// ```
/// use sockeye::client::Proxy;
/// let proxy = Proxy::new("http://ann:secret@proxy.internal:3128")?;
/// let connecting = sockeye::connect("wss://example.com/").proxy(proxy);
/// # Ok::<(), sockeye::Error>(())
/// ```
#[derive(Clone)]
pub struct Proxy(Arc<Matcher>);

/// What a proxy's URL says.
struct Hop {
    kind: Kind,
    host: String,
    port: u16,
    /// For HTTP, as its header says it.
    basic_auth: Option<Vec<u8>>,
    /// For SOCKS5.
    user: Option<(String, String)>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Http,
    Https,
    Socks5,
    Socks5h,
}

impl Proxy {
    /// What the environment says: `HTTP_PROXY` for `ws://` and `HTTPS_PROXY` for `wss://`, `ALL_PROXY` for what has none
    /// of its own, and `NO_PROXY` for the hosts that need none; in lower case too. This is the default.
    pub fn environment() -> Self {
        Self(Arc::new(Matcher::from_env()))
    }

    /// None, whatever the environment says.
    pub fn none() -> Self {
        Self(Arc::new(Matcher::builder().build()))
    }

    /// This one for everything, whatever the environment says.
    ///
    /// # Errors
    ///
    /// [`ProxyError::Url`] if it is no URL of a proxy.
    pub fn new(url: &str) -> Result<Self, Error> {
        let invalid = || ProxyError::Url { url: url.rsplit_once('@').map_or(url, |(_, behind)| behind).to_owned() };
        let matcher = Matcher::builder().all(url).build();
        let proxy = matcher.intercept(&http::Uri::from_static("http://example.com/")).ok_or_else(invalid)?;
        Hop::new(&proxy).ok_or_else(invalid)?;
        Ok(Self(Arc::new(matcher)))
    }

    /// Connects to a host through the proxy that is for it; `None` if there is none.
    pub(super) async fn connect(&self, uri: &WsUri, limits: Limits) -> Result<Option<Transport>, Error> {
        let scheme = if uri.is_secure() { "https" } else { "http" };
        let target = format!("{scheme}://{}/", uri.host_header());
        // A host that is none for this parser is none for a proxy's rules either.
        let Some(proxy) = target.parse().ok().and_then(|target| self.0.intercept(&target)) else { return Ok(None) };
        let url = || ProxyError::Url { url: proxy.uri().to_string() };
        let hop = Hop::new(&proxy).ok_or_else(url)?;
        let tcp = happy_eyeballs::connect(&hop.host, hop.port).await;
        let io: Transport = tcp.map_err(|error| ProxyError::Unreachable { proxy: hop.name(), error })?.into();
        let tunnel = match hop.kind {
            Kind::Http => hop.http_connect(io, uri, limits).await?,
            Kind::Https => hop.http_connect(secured(io, &hop.host).await?, uri, limits).await?,
            Kind::Socks5 | Kind::Socks5h => hop.socks_connect(io, uri).await?,
        };
        Ok(Some(tunnel))
    }
}

/// TLS to the proxy itself, whom the platform has to trust.
#[cfg(any(feature = "rustls", feature = "native-tls"))]
async fn secured(io: Transport, host: &str) -> Result<Transport, Error> {
    super::dial::platform_tls().await?.connect(host, io).await
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
async fn secured(_io: Transport, _host: &str) -> Result<Transport, Error> {
    Err(Error::NoTls)
}

impl Hop {
    fn new(proxy: &Intercept) -> Option<Self> {
        let uri = proxy.uri();
        let (kind, default_port) = match uri.scheme_str()? {
            "http" => (Kind::Http, 80),
            "https" => (Kind::Https, 443),
            "socks5" => (Kind::Socks5, 1080),
            "socks5h" => (Kind::Socks5h, 1080),
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned();
        let user = proxy.raw_auth().map(|(user, password)| (user.to_owned(), password.to_owned()));
        let basic_auth = proxy.basic_auth().map(|value| value.as_bytes().to_vec());
        Some(Self { kind, host, port: uri.port_u16().unwrap_or(default_port), basic_auth, user })
    }

    /// For errors: without credentials.
    fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// RFC 9110 §9.3.6.
    async fn http_connect(&self, mut io: Transport, uri: &WsUri, limits: Limits) -> Result<Transport, Error> {
        let host = if uri.host().contains(':') { format!("[{}]", uri.host()) } else { uri.host().to_owned() };
        let target = format!("{host}:{}", uri.port());
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
        if let Some(value) = &self.basic_auth {
            request.extend_from_slice(b"Proxy-Authorization: ");
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        io.write_all(&request).await?;
        io.flush().await?;
        let malformed = |reason: String| ProxyError::Malformed { proxy: self.name(), reason };
        let (mut reader, mut buffer) = (HeadReader::response(limits), Vec::with_capacity(1024));
        let (consumed, head) = loop {
            buffer.clear();
            if read_some(&mut io, &mut buffer).await? == 0 {
                return Err(malformed("it ended the connection without a response".into()).into());
            }
            let received = reader.receive(&buffer).map_err(|error| malformed(error.to_string()))?;
            if let (consumed, Some(head)) = received {
                break (consumed, ResponseHead::parse(&head).map_err(|error| malformed(error.to_string()))?);
            }
        };
        if !(200..300).contains(&head.status) {
            return Err(ProxyError::Refused { proxy: self.name(), status: head.status, reason: head.reason }.into());
        }
        if consumed < buffer.len() {
            // Neither TLS nor an opening handshake begins with the server.
            return Err(malformed("bytes came before any were sent".into()).into());
        }
        Ok(io)
    }

    /// RFC 1928, with RFC 1929 if there are a user and a password.
    async fn socks_connect(&self, io: Transport, uri: &WsUri) -> Result<Transport, Error> {
        let failed = |error: tokio_socks::Error| ProxyError::Socks { proxy: self.name(), reason: error.to_string() };
        let (host, port) = (uri.host(), uri.port());
        let address = match self.kind {
            Kind::Socks5 => tokio::net::lookup_host((host, port)).await?.next(),
            _ => None,
        };
        let target = match address {
            Some(address) => tokio_socks::TargetAddr::Ip(address),
            None => tokio_socks::TargetAddr::Domain(host.into(), port),
        };
        let connected = match &self.user {
            Some((user, password)) => {
                Socks5Stream::connect_with_password_and_socket(io, target, user, password).await.map_err(failed)?
            }
            None => Socks5Stream::connect_with_socket(io, target).await.map_err(failed)?,
        };
        Ok(connected.into_inner())
    }
}

impl Default for Proxy {
    fn default() -> Self {
        Self::environment()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proxy").field(&self.0).finish()
    }
}
