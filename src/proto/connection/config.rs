use std::time::{Duration, Instant};

use crate::proto::{
    Limits,
    extension::deflate::{DeflateAgreed, DeflateConfig},
    frame::CloseCode,
};

/// Which end of the connection this is (RFC 6455 §1.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// The end that asked for the connection; it masks what it sends.
    Client,
    /// The end that accepted it.
    Server,
}

/// When to ask a silent peer whether it is still there.
///
/// A connection on tokio looks at the clock once an interval, so there it asks after one to two of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Keepalive {
    /// After how long without a byte from the peer a Ping is sent.
    pub interval: Duration,
    /// How long the peer then has to send anything at all before the connection counts as lost.
    pub timeout: Duration,
}

impl Default for Keepalive {
    /// 25 s, so that even two intervals are below the 60 s after which many proxies drop a silent connection, and 20 s.
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Keepalive {
    const DEFAULT: Self = Self { interval: Duration::from_secs(25), timeout: Duration::from_secs(20) };
}

/// What becomes of messages for a peer that does not read as fast as they are sent.
///
/// It is slow from [`Limits::max_queued`] bytes on, or when what is queued has waited for [`Limits::max_queued_age`].
/// Up to 64 KiB, and half of the queue at the most, are encoded ahead of the transport, and are sent whatever the policy
/// is; so are Pongs, Pings and Closes, and a message that is sent in parts. The policies that drop messages drop whole ones, before they are
/// compressed, and count them.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SlowReader {
    /// Senders wait until fewer bytes are queued. When the transport has taken nothing for `max_queued_age`, the connection
    /// ends with [`Timeout::Write`](super::Timeout::Write). The core by itself cannot wait: there the caller is to look
    /// at [`queued`](super::Connection::queued).
    #[default]
    Wait,
    /// The message that comes is dropped: what is queued is worth more, as in a log.
    DropNewest,
    /// The messages that have waited longest are dropped: what comes is worth more, as with positions or prices.
    DropOldest,
    /// The connection is closed with this code, and what waits unencoded is dropped. A peer that does not read the Close
    /// either is let go of after `close_timeout`.
    Close(CloseCode),
}

/// The limits and habits of one connection.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Config {
    /// What the connection may cost.
    pub limits: Limits,
    /// Keepalive Pings (default: a server's as [`Keepalive::default`] has it; a client sends none).
    pub keepalive: Option<Keepalive>,
    /// What becomes of messages for a peer that does not read (default: senders wait).
    pub slow_reader: SlowReader,
    /// Whether the Close that fails a connection says why in words (default: it does). The code says it in any case.
    pub explains_failures: bool,
}

impl Config {
    /// The defaults of a role: [`Limits::internet`] for a server, as anybody may connect, and [`Limits::trusted`] for a
    /// client, which chose its server.
    pub const fn new(role: Role) -> Self {
        let (limits, keepalive) = match role {
            Role::Server => (Limits::internet(), Some(Keepalive::DEFAULT)),
            Role::Client => (Limits::trusted(), None),
        };
        Self { limits, keepalive, slow_reader: SlowReader::Wait, explains_failures: true }
    }

    /// Sets the limits.
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the largest message in bytes: [`Limits::max_message`].
    #[must_use]
    pub const fn max_message(self, bytes: usize) -> Self {
        let limits = self.limits.max_message(bytes);
        self.limits(limits)
    }

    /// Sets or unsets keepalive Pings.
    #[must_use]
    pub const fn keepalive(mut self, keepalive: Option<Keepalive>) -> Self {
        self.keepalive = keepalive;
        self
    }

    /// Leaves the words out of the Close that fails a connection, for peers that want it so.
    #[must_use]
    pub const fn without_explanations(mut self) -> Self {
        self.explains_failures = false;
        self
    }

    /// Sets what becomes of messages for a peer that does not read.
    #[must_use]
    pub const fn slow_reader(mut self, policy: SlowReader) -> Self {
        self.slow_reader = policy;
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
