use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Pings, SendHalf};
use crate::proto::{
    connection::{
        config::later,
        event::Event,
        keepalive::Due,
        state::{Input, State, Timeout},
    },
    frame::{CloseCode, CloseFrame, Opcode, ProtocolError},
};

/// How many bytes of Pongs may wait to be written. Beyond, only the newest is owed (RFC 6455 §5.5.3).
const MAX_PONG_BYTES: usize = 4096;

/// What the other half, the transport and the clock report, and what is answered.
impl SendHalf {
    /// Takes note of bytes from the peer.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Some(pulse) = &mut self.pulse {
            pulse.heard(now);
        }
    }

    /// Answers what the receiving half took in.
    ///
    /// # Errors
    ///
    /// If it is over a limit: the connection has failed then.
    pub(crate) fn react(&mut self, event: &Event, now: impl FnOnce() -> Instant) -> Result<(), ProtocolError> {
        match event {
            Event::Message(_) | Event::Chunk(_) => {}
            // §5.5.2: "an endpoint MUST send a Pong frame in response, unless it already received a Close frame".
            Event::Ping(payload) if self.is_open() => {
                if let Err(fault) = self.admit_ping(now) {
                    self.fail(fault);
                    return Err(fault);
                }
                self.owe_pong(payload);
            }
            Event::Ping(_) => {}
            Event::Pong(payload) => {
                if let Some(pulse) = &mut self.pulse
                    && let Some(rtt) = pulse.pong(payload, now())
                {
                    self.rtt = Some(rtt);
                }
            }
            Event::Close(theirs) => {
                self.encode_backlog(usize::MAX);
                self.step(Input::Closed { theirs: theirs.clone() });
            }
        }
        Ok(())
    }

    /// Counts a Ping. The clock is looked at once a second at the most, or once for as many as are allowed in it.
    fn admit_ping(&mut self, now: impl FnOnce() -> Instant) -> Result<(), ProtocolError> {
        let Some(limit) = self.limits.pings else { return Ok(()) };
        match &mut self.pings {
            Some(pings) if pings.count < limit => pings.count += 1,
            pings => {
                let now = now();
                let is_over = |pings: &Pings| now < later(pings.since, Duration::from_secs(1));
                if limit == 0 || pings.as_deref().is_some_and(is_over) {
                    return Err(ProtocolError::TooManyPings { limit });
                }
                *pings = Some(Box::new(Pings { since: now, count: 1 }));
            }
        }
        Ok(())
    }

    /// Fails the connection (RFC 6455 §7.1.7).
    pub(crate) fn fail(&mut self, fault: ProtocolError) {
        self.step(Input::Fault(fault));
    }

    /// Takes note that the transport gives no more bytes; it may still take some.
    pub(crate) fn received_eof(&mut self) {
        // Behind its end nothing is encoded, and what waits would for ever.
        self.encode_backlog(usize::MAX);
        self.step(Input::Eof);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Open => match (self.pulse.as_ref().map(|pulse| pulse.deadline()), self.write_deadline()) {
                (Some(pulse), Some(write)) => Some(pulse.min(write)),
                (pulse, write) => pulse.or(write),
            },
            State::CloseSent { deadline, .. } => Some(*deadline),
            State::Ended(_) => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.look_at_clock(now);
        self.handle_slow_reader(now);
        self.excuse_silence(now);
        match &self.state {
            State::Open => match self.pulse.as_mut().map_or(Due::Nothing, |pulse| pulse.due(now)) {
                Due::Nothing => {}
                Due::Ping(payload) => {
                    // Nothing has come for a while: what is to be sent next has little to do with what was.
                    if let Some(deflater) = &mut self.deflater {
                        deflater.forget();
                    }
                    self.frame(Opcode::Ping, &payload, true, false);
                }
                Due::Lost(timeout) => self.give_up(timeout),
                Due::Idle(limit) => self.fail(ProtocolError::Idle { limit }),
            },
            State::CloseSent { .. } | State::Ended(_) => {}
        }
        self.handle_close_timeout(now);
    }

    /// A peer that is busy reading what is queued need not say anything, nor would it see a Ping in time. If it reads
    /// nothing for as long as it may be silent, and no limit for that is about to end it, it is gone.
    fn excuse_silence(&mut self, now: Instant) {
        let ends_anyway = self.write_deadline().is_some();
        let (Some(since), Some(pulse)) = (self.blocked_since(), &mut self.pulse) else { return };
        if pulse.deadline() > now || !matches!(self.state, State::Open) {
            return;
        }
        match pulse.exhausted(now.saturating_duration_since(since)) {
            Some(Due::Lost(timeout)) if !ends_anyway => self.give_up(timeout),
            Some(Due::Idle(limit)) if !ends_anyway => self.fail(ProtocolError::Idle { limit }),
            _ => pulse.heard(now),
        }
    }

    pub(super) fn handle_close_timeout(&mut self, now: Instant) {
        if let State::CloseSent { deadline, .. } = &self.state
            && *deadline <= now
        {
            self.step(Input::TimedOut(Timeout::Close));
        }
    }

    /// Ends the connection without waiting for the peer, which does not answer, but tells it so if that is possible.
    fn give_up(&mut self, timeout: Duration) {
        let can_tell = self.output.is_empty();
        self.step(Input::TimedOut(Timeout::Keepalive));
        if can_tell {
            let reason = format!("nothing came for {timeout:?} after a ping");
            let mut payload = Vec::new();
            CloseFrame::new(CloseCode::POLICY_VIOLATION, reason).encode(&mut payload);
            self.frame(Opcode::Close, &Bytes::from(payload), true, false);
        }
    }

    pub(super) fn owe_pong(&mut self, payload: &Bytes) {
        if self.pong_bytes >= MAX_PONG_BYTES {
            self.owed_pong = Some(payload.clone());
            return;
        }
        let before = self.output.len();
        self.frame(Opcode::Pong, payload, true, false);
        self.pong_bytes += self.output.len() - before;
        self.pongs_until = self.output.written() + self.output.len() as u64;
    }
}
