use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::proto::{
    Limits,
    connection::{
        config::{Compress, SlowReader, later},
        message::Message,
        prepared::PreparedMessage,
    },
    frame::CloseFrame,
};

/// What a waiting message costs besides its payload.
const BOOKKEEPING: usize = 64;

/// Messages for a slow reader. They wait unencoded, so that any of them can be dropped without the peer's noticing: what
/// is compressed or begun cannot be taken back.
#[derive(Debug)]
pub(super) struct Backlog {
    policy: SlowReader,
    max_bytes: usize,
    max_age: Option<Duration>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    dropped: u64,
    /// As late as it is known.
    now: Instant,
}

/// A message on its way into the queue.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Message(Message, Compress),
    Prepared(PreparedMessage),
}

#[derive(Debug)]
struct Waiting {
    item: Item,
    since: Instant,
}

impl Item {
    fn cost(&self) -> usize {
        let message = match self {
            Self::Message(message, _) => message,
            Self::Prepared(prepared) => prepared.message(),
        };
        message.len().saturating_add(BOOKKEEPING)
    }
}

impl Backlog {
    /// `None` if messages never wait here, but their senders do.
    pub(super) fn new(policy: SlowReader, limits: &Limits, now: Instant) -> Option<Self> {
        (policy != SlowReader::Wait).then(|| Self {
            policy,
            max_bytes: limits.max_queued,
            max_age: limits.max_queued_age,
            waiting: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            now,
        })
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) const fn now(&self) -> Instant {
        self.now
    }

    pub(super) const fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes a message in, or does what the policy wants, with `encoded` bytes in front of it of which the transport has
    /// taken none since `blocked`. Gives the Close that the policy asks for.
    pub(super) fn push(&mut self, item: Item, encoded: usize, blocked: Option<Instant>) -> Option<CloseFrame> {
        let cost = item.cost();
        let is_over = encoded.saturating_add(self.bytes) >= self.max_bytes;
        match self.policy {
            SlowReader::DropNewest if is_over || self.is_old(blocked) => self.dropped += 1,
            SlowReader::Close(_) if is_over => {
                return self.close(format_args!("more than {} bytes wait to be read", self.max_bytes));
            }
            SlowReader::Wait | SlowReader::DropNewest | SlowReader::DropOldest | SlowReader::Close(_) => {
                while self.policy == SlowReader::DropOldest
                    && encoded.saturating_add(self.bytes).saturating_add(cost) > self.max_bytes
                    && self.pop().is_some()
                {
                    self.dropped += 1;
                }
                self.bytes = self.bytes.saturating_add(cost);
                self.waiting.push_back(Waiting { item, since: self.now });
            }
        }
        None
    }

    /// Takes out the message that has waited longest.
    pub(super) fn pop(&mut self) -> Option<Item> {
        let Waiting { item, .. } = self.waiting.pop_front()?;
        self.bytes = if self.waiting.is_empty() { 0 } else { self.bytes.saturating_sub(item.cost()) };
        if self.waiting.is_empty() {
            self.waiting.shrink_to(16);
        }
        Some(item)
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.bytes = 0;
        self.dropped += std::mem::take(&mut self.waiting).len() as u64;
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn deadline(&self, blocked: Option<Instant>) -> Option<Instant> {
        let age = self.max_age?;
        let oldest = match self.policy {
            SlowReader::DropOldest => self.waiting.front().map(|oldest| oldest.since),
            SlowReader::Close(_) => self.since(blocked),
            // It looks at the age when a message comes.
            SlowReader::DropNewest | SlowReader::Wait => None,
        };
        oldest.map(|oldest| later(oldest, age))
    }

    /// Does what is due; gives the Close that the policy asks for.
    pub(super) fn handle_timeout(&mut self, blocked: Option<Instant>) -> Option<CloseFrame> {
        let age = self.max_age?;
        while self.deadline(blocked).is_some_and(|deadline| deadline <= self.now) {
            if let SlowReader::Close(_) = self.policy {
                return self.close(format_args!("what was sent has not been read for {age:?}"));
            }
            self.pop()?;
            self.dropped += 1;
        }
        None
    }

    fn close(&self, reason: std::fmt::Arguments<'_>) -> Option<CloseFrame> {
        match self.policy {
            SlowReader::Close(code) => Some(CloseFrame::new(code, reason.to_string())),
            SlowReader::Wait | SlowReader::DropNewest | SlowReader::DropOldest => None,
        }
    }

    fn is_old(&self, blocked: Option<Instant>) -> bool {
        let since = self.since(blocked);
        self.max_age.zip(since).is_some_and(|(age, since)| later(since, age) <= self.now)
    }

    /// Since when something has waited.
    fn since(&self, blocked: Option<Instant>) -> Option<Instant> {
        blocked.into_iter().chain(self.waiting.front().map(|oldest| oldest.since)).min()
    }
}
