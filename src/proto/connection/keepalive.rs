use std::time::{Duration, Instant};

use bytes::Bytes;

use super::config::{Keepalive, later};

/// How much later than it is due somebody looks who has been listening.
const LATE: Duration = Duration::from_secs(1);

/// Whether the peer is still there, asked only when nothing else shows it, and how long it takes to answer.
#[derive(Debug)]
pub(super) struct Pulse {
    keepalive: Option<Keepalive>,
    /// How long it may be silent.
    idle: Option<Duration>,
    /// When the last byte came, as far as it is known.
    heard: Instant,
    /// Whether bytes came since then, at a time that nobody looked at.
    fresh: bool,
    /// When the newest Ping was sent, until its Pong comes: one is kept, whatever the peer does not answer.
    asked: Option<Instant>,
    /// Whether nothing at all has come since that Ping.
    silent: bool,
    /// How many Pings were sent: the payload of the newest, so that a late Pong is told from a new one.
    count: u32,
}

/// What is due.
pub(super) enum Due {
    Nothing,
    Ping(Bytes),
    /// A Ping was not answered for so long.
    Lost(Duration),
    /// Nothing came for so long.
    Idle(Duration),
}

impl Pulse {
    pub(super) fn new(keepalive: Option<Keepalive>, idle: Option<Duration>, now: Instant) -> Option<Self> {
        let is_wanted = keepalive.is_some() || idle.is_some();
        is_wanted.then_some(Self { keepalive, idle, heard: now, fresh: false, asked: None, silent: false, count: 0 })
    }

    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.fresh = false;
        self.silent = false;
    }

    /// Takes note of bytes without looking at the clock: they count as of when something is due next.
    #[cfg(feature = "stream")]
    #[inline]
    pub(super) const fn heard_lately(&mut self) {
        self.fresh = true;
        self.silent = false;
    }

    /// Takes a Pong; says the round trip if it answers our Ping.
    pub(super) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let asked = self.asked.take_if(|_| payload == self.count.to_be_bytes())?;
        Some(now.saturating_duration_since(asked))
    }

    pub(super) fn deadline(&self) -> Instant {
        let asks = self.keepalive.map(|keepalive| match self.asked {
            Some(asked) if self.silent => later(asked, keepalive.timeout),
            _ => later(self.heard, keepalive.interval),
        });
        let idle = self.idle.map(|idle| later(self.heard, idle));
        match (asks, idle) {
            (Some(asks), Some(idle)) => asks.min(idle),
            (asks, idle) => asks.or(idle).expect("without either there is no pulse"),
        }
    }

    /// What a peer that reads nothing has let pass, if that has been so for `blocked`.
    pub(super) fn exhausted(&self, blocked: Duration) -> Option<Due> {
        let lost = |keepalive: Keepalive| keepalive.interval.saturating_add(keepalive.timeout);
        match (self.keepalive.map(lost), self.idle) {
            (Some(patience), _) if patience <= blocked => Some(Due::Lost(patience)),
            (None, Some(idle)) if idle <= blocked => Some(Due::Idle(idle)),
            _ => None,
        }
    }

    pub(super) fn due(&mut self, now: Instant) -> Due {
        if now < self.deadline() {
            return Due::Nothing;
        }
        // Where nobody has looked for a while, nobody has listened: then it begins anew.
        if self.fresh || now > later(self.deadline(), LATE) {
            self.heard(now);
            return Due::Nothing;
        }
        if let Some(idle) = self.idle
            && later(self.heard, idle) <= now
        {
            return Due::Idle(idle);
        }
        let Some(keepalive) = self.keepalive else { return Due::Nothing };
        if self.silent {
            return Due::Lost(keepalive.timeout);
        }
        self.count = self.count.wrapping_add(1);
        self.asked = Some(now);
        self.silent = true;
        Due::Ping(Bytes::copy_from_slice(&self.count.to_be_bytes()))
    }
}
