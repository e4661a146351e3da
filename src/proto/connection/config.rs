use std::time::{Duration, Instant};

use crate::proto::extension::deflate::{DeflateAgreed, DeflateConfig};

/// Which end of the connection this is (RFC 6455 §1.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// The end that asked for the connection; it masks what it sends.
    Client,
    /// The end that accepted it.
    Server,
}

/// When to ask a silent peer whether it is still there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keepalive {
    /// After how long without a byte from the peer a Ping is sent.
    pub interval: Duration,
    /// How long the peer then has to send anything at all before the connection counts as lost.
    pub timeout: Duration,
}

impl Default for Keepalive {
    /// 30 s, which is below the 60 s after which many proxies drop a silent connection, and 20 s.
    fn default() -> Self {
        Self { interval: Duration::from_secs(30), timeout: Duration::from_secs(20) }
    }
}

/// The limits and habits of one connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// The largest message in bytes that is taken in whole, counted inflated. A larger one fails the connection with
    /// 1009 as soon as it shows: at the header that announces it, or at the byte that inflates beyond it.
    pub max_message: usize,
    /// How long the peer has to answer our Close before the connection ends without it (default: 10 s).
    pub close_timeout: Duration,
    /// Keepalive Pings (default: none).
    pub keepalive: Option<Keepalive>,
}

impl Config {
    /// 1 MiB: a server holds one such message for each of many strangers.
    pub const SERVER_MAX_MESSAGE: usize = 1 << 20;
    /// 64 MiB: a client chose its server, and has few connections.
    pub const CLIENT_MAX_MESSAGE: usize = 64 << 20;

    /// The defaults of a role.
    pub const fn new(role: Role) -> Self {
        Self {
            max_message: match role {
                Role::Server => Self::SERVER_MAX_MESSAGE,
                Role::Client => Self::CLIENT_MAX_MESSAGE,
            },
            close_timeout: Duration::from_secs(10),
            keepalive: None,
        }
    }

    /// Sets the largest message in bytes.
    #[must_use]
    pub const fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sets how long the peer has to answer our Close.
    #[must_use]
    pub const fn close_timeout(mut self, timeout: Duration) -> Self {
        self.close_timeout = timeout;
        self
    }

    /// Sets or unsets keepalive Pings.
    #[must_use]
    pub const fn keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive;
        self
    }
}

/// permessage-deflate as the handshake settled it (RFC 7692), with our own choices beside it.
#[derive(Clone, Debug)]
pub struct DeflateSettings {
    /// Level, memory and threshold of what we compress.
    pub config: DeflateConfig,
    /// What both ends agreed to.
    pub agreed: DeflateAgreed,
}

/// Whether one message is to be compressed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Compress {
    /// If permessage-deflate was agreed to and the message is not below the threshold.
    #[default]
    Auto,
    /// If permessage-deflate was agreed to, whatever the length.
    Always,
    /// Not at all: for what is compressed already, or mixes secrets with what an attacker chooses.
    Never,
}

/// `duration` behind `now`; what no clock can show is put 30 years off.
pub(crate) fn later(now: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    now.checked_add(duration).unwrap_or_else(|| now + FAR)
}
