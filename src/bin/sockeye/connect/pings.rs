use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

/// How many unanswered Pings are remembered.
const REMEMBERED: usize = 1000;

/// The Pings that were sent, to tell how long their Pongs take.
#[derive(Debug, Default)]
pub(super) struct Pings {
    waiting: VecDeque<(Bytes, Instant)>,
    count: u64,
}

impl Pings {
    /// A payload that no Ping has had.
    pub(super) fn fresh(&mut self) -> Bytes {
        self.count += 1;
        self.count.to_string().into()
    }

    pub(super) fn sent(&mut self, payload: Bytes) {
        if self.waiting.len() == REMEMBERED {
            self.waiting.pop_front();
        }
        self.waiting.push_back((payload, Instant::now()));
    }

    /// The round trip that a Pong ends; `None` for one that nobody asked for.
    ///
    /// §5.5.3: a peer may answer the newest of several Pings only, so the older ones are settled with it.
    pub(super) fn answered(&mut self, payload: &Bytes) -> Option<Duration> {
        let index = self.waiting.iter().position(|(sent, _)| sent == payload)?;
        let (_, at) = self.waiting.drain(..=index).next_back()?;
        Some(at.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_settles_its_ping_and_those_before_it() {
        let mut pings = Pings::default();
        for payload in ["1", "2", "3"] {
            pings.sent(payload.into());
        }
        assert!(pings.answered(&"2".into()).is_some());
        assert!(pings.answered(&"1".into()).is_none());
        assert!(pings.answered(&"3".into()).is_some());
        assert!(pings.answered(&"3".into()).is_none());
    }
}
