//! The limits and habits that an input may choose besides those of its setup; bytes of zeros choose none.

use std::time::Duration;

use arbitrary::Arbitrary;
use sockeye::{CloseCode, Config, Keepalive, Limits, SlowReader, proto::frame::ProtocolError, stream::MemoryBudget};

/// What a connection may cost, and what becomes of slow readers.
#[derive(Arbitrary, Clone, Copy, Debug, Default)]
pub struct Habits {
    /// Two bits each: the policy for slow readers, `max_queued`, `max_queued_age` and `idle_timeout`.
    pub waiting: u8,
    /// Two bits each: `max_frame`, `max_inflated`, `max_retained` and `max_pings`.
    pub sizes: u8,
    /// Bits 0 to 2: the budget; 3: whether a neighbour has a share in it; 4 and 5: the times of keepalive.
    pub shared: u8,
}

/// What a Close says that ends the connection with a slow reader.
const TOO_SLOW: u16 = 3008;

impl Habits {
    const fn pick(bits: u8, from: u32) -> usize {
        (bits >> from & 3) as usize
    }

    /// What becomes of messages for a peer that does not read.
    pub fn policy(self) -> SlowReader {
        match Self::pick(self.waiting, 0) {
            0 => SlowReader::Wait,
            1 => SlowReader::DropNewest,
            2 => SlowReader::DropOldest,
            _ => SlowReader::Close(CloseCode::new(TOO_SLOW).expect("it may be sent")),
        }
    }

    /// The code of the Close that a policy asks for.
    pub fn policy_code(self) -> Option<u16> {
        matches!(self.policy(), SlowReader::Close(_)).then_some(TOO_SLOW)
    }

    /// Whether messages may wait in front of control frames, and be dropped.
    pub fn may_drop(self) -> bool {
        self.policy() != SlowReader::Wait
    }

    pub const fn max_queued(self) -> usize {
        [64 * 1024, 1, 600, 5000][Self::pick(self.waiting, 2)]
    }

    pub fn max_queued_age(self) -> Option<Duration> {
        [None, Some(40), Some(1000), Some(7000)][Self::pick(self.waiting, 4)].map(Duration::from_millis)
    }

    pub fn idle_timeout(self) -> Option<Duration> {
        [None, Some(60), Some(2000), Some(9000)][Self::pick(self.waiting, 6)].map(Duration::from_millis)
    }

    pub const fn max_frame(self) -> u64 {
        [u64::MAX, 4, 125, 1000][Self::pick(self.sizes, 0)]
    }

    pub const fn max_inflated(self) -> usize {
        [usize::MAX, 0, 60, 3000][Self::pick(self.sizes, 2)]
    }

    /// `None` for what no message here needs.
    pub fn max_retained(self) -> Option<usize> {
        [None, Some(400), Some(2000), Some(40_000)][Self::pick(self.sizes, 4)]
    }

    pub fn max_pings(self) -> Option<u32> {
        [None, Some(0), Some(3), Some(20)][Self::pick(self.sizes, 6)]
    }

    /// Memory for this connection and its neighbour.
    pub fn budget(self) -> Option<MemoryBudget> {
        let limits = [None, Some(0), Some(900), Some(5000), Some(30_000), Some(100_000), Some(400_000), Some(1 << 20)];
        limits[usize::from(self.shared & 7)].map(MemoryBudget::new)
    }

    pub const fn has_neighbour(self) -> bool {
        self.shared & 8 != 0
    }

    pub const fn keepalive(self) -> Keepalive {
        let (interval, timeout) = [(5000, 3000), (50, 20), (1000, 7000), (7000, 50)][Self::pick(self.shared, 4)];
        Keepalive { interval: Duration::from_millis(interval), timeout: Duration::from_millis(timeout) }
    }

    /// A configuration with these.
    pub fn apply(self, config: Config) -> Config {
        let mut limits: Limits = config.limits;
        limits = limits
            .max_queued(self.max_queued())
            .max_queued_age(self.max_queued_age())
            .idle_timeout(self.idle_timeout())
            .max_frame(self.max_frame())
            .max_inflated(self.max_inflated())
            .max_pings(self.max_pings());
        if let Some(bytes) = self.max_retained() {
            limits = limits.max_retained(bytes);
        }
        config.limits(limits).slow_reader(self.policy())
    }

    /// Whether what the connection does depends on nothing but the peer's bytes.
    pub fn has_none_beyond_bytes(self) -> bool {
        !self.may_drop()
            && self.max_queued_age().is_none()
            && self.idle_timeout().is_none()
            && self.max_retained().is_none()
            && self.max_pings().is_none()
            && self.budget().is_none()
    }

    /// Whether a fault is a limit's that the reference does not meet: it depends on how the bytes were cut, on the
    /// clock, or on what else is held. So it is only asked whether it may have been passed, by `pings` Pings within a
    /// second, an unfinished message for which `retained` bytes are enough, or a silence of `silent`.
    pub fn may_fail(self, fault: ProtocolError, pings: usize, retained: usize, silent: Duration) -> bool {
        match fault {
            ProtocolError::TooManyPings { limit } => self.max_pings() == Some(limit) && pings > limit as usize,
            ProtocolError::RetainedTooMuch { limit } => self.max_retained() == Some(limit) && retained > limit,
            ProtocolError::Idle { limit } => self.idle_timeout() == Some(limit) && silent >= limit,
            _ => false,
        }
    }
}
