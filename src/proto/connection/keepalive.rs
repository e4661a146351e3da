use std::time::{Duration, Instant};

use bytes::Bytes;

use super::config::{Keepalive, later};

/// Whether the peer is still there, asked only when nothing else shows it, and how long it takes to answer.
#[derive(Debug)]
pub(super) struct Pulse {
    keepalive: Keepalive,
    /// When the last byte came.
    heard: Instant,
    /// The newest Ping, until its Pong comes: one is kept, whatever the peer does not answer.
    asked: Option<Asked>,
    /// Whether nothing at all has come since that Ping.
    silent: bool,
    /// Makes each payload different, so that a late Pong is told from a new one.
    count: u64,
}

#[derive(Debug)]
struct Asked {
    payload: [u8; 8],
    at: Instant,
}

/// What is due.
pub(super) enum Due {
    Nothing,
    Ping(Bytes),
    Lost,
}

impl Pulse {
    pub(super) const fn new(keepalive: Keepalive, now: Instant) -> Self {
        Self { keepalive, heard: now, asked: None, silent: false, count: 0 }
    }

    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.silent = false;
    }

    /// Takes a Pong; says the round trip if it answers our Ping.
    pub(super) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let asked = self.asked.take_if(|asked| asked.payload == payload)?;
        Some(now.saturating_duration_since(asked.at))
    }

    pub(super) fn deadline(&self) -> Instant {
        match &self.asked {
            Some(asked) if self.silent => later(asked.at, self.keepalive.timeout),
            _ => later(self.heard, self.keepalive.interval),
        }
    }

    pub(super) fn due(&mut self, now: Instant) -> Due {
        if now < self.deadline() {
            return Due::Nothing;
        }
        if self.silent {
            return Due::Lost;
        }
        let payload = self.count.to_be_bytes();
        self.count += 1;
        self.asked = Some(Asked { payload, at: now });
        self.silent = true;
        Due::Ping(Bytes::copy_from_slice(&payload))
    }
}
