use std::io;

/// Why there is no way through a proxy.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The caller's URL, or the environment's, is none of a proxy.
    #[error("{url:?} is no URL of a proxy: http://, https://, socks5:// or socks5h://, a host and a port")]
    Url {
        /// The URL, without a user and password.
        url: String,
    },
    /// The proxy cannot be reached.
    #[error("the proxy {proxy} cannot be reached: {error}")]
    Unreachable {
        /// The proxy's host and port.
        proxy: String,
        /// What the operating system says.
        #[source]
        error: io::Error,
    },
    /// The proxy answered `CONNECT` with another status than 2xx; 407 wants a user and password, or others.
    #[error("the proxy {proxy} refused to connect with {status} {reason}")]
    Refused {
        /// The proxy's host and port.
        proxy: String,
        /// The status.
        status: u16,
        /// The reason phrase.
        reason: String,
    },
    /// What the proxy says is not what HTTP or SOCKS5 allow.
    #[error("the proxy {proxy} does not do as it should: {reason}")]
    Malformed {
        /// The proxy's host and port.
        proxy: String,
        /// What is wrong.
        reason: String,
    },
    /// SOCKS5 has failed.
    #[error("the proxy {proxy} failed: {reason}")]
    Socks {
        /// The proxy's host and port.
        proxy: String,
        /// What it says.
        reason: String,
    },
}
