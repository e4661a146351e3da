use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::stream::after;

/// Asks now and then whether the client is there. The first ping comes an interval behind the handshake, and every other
/// one an interval behind the pong.
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    state: State,
    timer: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum State {
    /// It is not time to ask.
    Silent,
    /// The client is to answer; `heard` if it has sent something else since, which puts the deadline off once.
    Asked { heard: bool },
}

/// What is to be done.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Beat {
    /// A ping is to be sent.
    Ping,
    /// The client has not answered in time.
    TimedOut,
}

impl Heartbeat {
    pub(super) fn new(interval: Duration, timeout: Duration) -> Self {
        Self { interval, timeout, state: State::Silent, timer: Box::pin(sleep_until(after(interval))) }
    }

    /// Ready when something is to be done.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Beat> {
        ready!(self.timer.as_mut().poll(cx));
        if self.state != State::Silent {
            return Poll::Ready(Beat::TimedOut);
        }
        self.state = State::Asked { heard: false };
        self.restart(self.timeout);
        Poll::Ready(Beat::Ping)
    }

    /// A pong has come. One that nobody asked for is harmless.
    pub(super) fn pong(&mut self) {
        if self.state != State::Silent {
            self.state = State::Silent;
            self.restart(self.interval);
        }
    }

    /// Something else has come: the pong may be behind it.
    pub(super) fn heard(&mut self) {
        if self.state == (State::Asked { heard: false }) {
            self.state = State::Asked { heard: true };
            self.restart(self.timeout);
        }
    }

    fn restart(&mut self, duration: Duration) {
        let deadline: Instant = after(duration);
        self.timer.as_mut().reset(deadline);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What is due next, and after how many seconds; the clock stands still but for waiting.
    async fn next(heartbeat: &mut Heartbeat) -> (Beat, u64) {
        let began = Instant::now();
        let beat = poll_fn(|cx| heartbeat.poll(cx)).await;
        (beat, began.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_comes_an_interval_behind_the_pong() {
        let mut heartbeat = Heartbeat::new(25 * SECOND, 20 * SECOND);
        assert_eq!(next(&mut heartbeat).await, (Beat::Ping, 25));
        heartbeat.pong();
        heartbeat.pong();
        assert_eq!(next(&mut heartbeat).await, (Beat::Ping, 25));
        assert_eq!(next(&mut heartbeat).await, (Beat::TimedOut, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn other_packets_put_the_deadline_off_once() {
        let mut heartbeat = Heartbeat::new(25 * SECOND, 20 * SECOND);
        assert_eq!(next(&mut heartbeat).await.0, Beat::Ping);
        tokio::time::sleep(15 * SECOND).await;
        heartbeat.heard();
        tokio::time::sleep(15 * SECOND).await;
        heartbeat.heard();
        let (beat, seconds) = next(&mut heartbeat).await;
        assert_eq!(beat, Beat::TimedOut);
        assert!(seconds <= 6, "{seconds}");
    }
}
