use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::available_parallelism,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use sockeye::{CloseCode, Error, Message, WebSocket};
use tokio::time::timeout;

use super::{pace::Due, paced};
use crate::{
    args::BenchArgs,
    exit::{Failure, Status},
};

/// How long a reply may take before it counts as lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What all connections do, and what comes of it.
pub(super) struct Load {
    message: Message,
    in_flight: usize,
    amount: Amount,
    sent: AtomicU64,
    replies: AtomicU64,
    /// Latencies in microseconds. One for each thread is enough to keep them out of each other's way, and far less than one
    /// for each connection.
    latencies: Box<[Mutex<Histogram<u64>>]>,
}

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Amount {
    Until(Instant),
    Messages(u64),
}

/// What came of one connection.
pub(super) struct Outcome {
    pub(super) wrong: u64,
    pub(super) last_reply: Instant,
    pub(super) failure: Option<Failure>,
}

impl Outcome {
    pub(super) fn failed(failure: Failure) -> Self {
        Self { wrong: 0, last_reply: Instant::now(), failure: Some(failure) }
    }
}

impl Load {
    pub(super) fn new(args: &BenchArgs) -> Self {
        let threads = available_parallelism().map_or(1, usize::from);
        let amount = match args.messages {
            Some(messages) => Amount::Messages(messages.0),
            None => Amount::Until(Instant::now() + args.duration.0),
        };
        let text = noise(args.size.as_usize());
        Self {
            message: if args.binary { text.into_bytes().into() } else { text.into() },
            in_flight: args.in_flight as usize,
            amount,
            sent: AtomicU64::new(0),
            replies: AtomicU64::new(0),
            latencies: (0..threads).map(|_| Mutex::new(histogram())).collect(),
        }
    }

    pub(super) const fn amount(&self) -> Amount {
        self.amount
    }

    pub(super) fn replies(&self) -> u64 {
        self.replies.load(Ordering::Relaxed)
    }

    /// All latencies so far.
    pub(super) fn latency(&self) -> Histogram<u64> {
        let mut all = histogram();
        for one in &self.latencies {
            all += &*lock(one);
        }
        all
    }

    pub(super) const fn message(&self) -> &Message {
        &self.message
    }

    /// Sends messages on a connection until there are enough, and waits for the last replies.
    pub(super) async fn put_on(&self, ws: WebSocket, index: usize, due: Option<Due>) -> Outcome {
        let mut outcome = Outcome { wrong: 0, last_reply: Instant::now(), failure: None };
        let talked = match due {
            Some(due) => paced::talk(self, ws, index, due, &mut outcome).await,
            None => self.talk(ws, index, &mut outcome).await,
        };
        outcome.failure = talked.err();
        outcome
    }

    /// Keeps messages under way.
    async fn talk(&self, mut ws: WebSocket, index: usize, outcome: &mut Outcome) -> Result<(), Failure> {
        let mut under_way = VecDeque::with_capacity(self.in_flight);
        loop {
            while under_way.len() < self.in_flight && self.wants_more() {
                under_way.push_back(Instant::now());
                ws.feed(self.message.clone()).await?;
            }
            let Some(&sent) = under_way.front() else { return Ok(ws.close(CloseCode::NORMAL, "").await?) };
            ws.flush().await?;
            let Ok(reply) = timeout(PATIENCE, ws.recv()).await else { return Err(unanswered()) };
            let reply = reply?.ok_or(Error::Closed)?;
            under_way.pop_front();
            self.count(index, sent, &reply, outcome);
        }
    }

    /// Takes note of a reply to what was sent then.
    pub(super) fn count(&self, index: usize, sent: Instant, reply: &Message, outcome: &mut Outcome) {
        outcome.last_reply = Instant::now();
        if *reply != self.message {
            outcome.wrong += 1;
        }
        record(&mut lock(&self.latencies[index % self.latencies.len()]), outcome.last_reply - sent);
        self.replies.fetch_add(1, Ordering::Relaxed);
    }

    fn wants_more(&self) -> bool {
        match self.amount {
            Amount::Until(end) => Instant::now() < end,
            Amount::Messages(messages) => self.sent.fetch_add(1, Ordering::Relaxed) < messages,
        }
    }
}

/// The server's fault, most likely.
pub(super) fn unanswered() -> Failure {
    Failure::new(Status::TimedOut, format!("no reply within {} s", PATIENCE.as_secs()))
}

/// Holds times from a microsecond to minutes, to a thousandth.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 600_000_000, 3).expect("these bounds are valid")
}

pub(super) fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
}

/// Text that does not compress to nothing, and is the same each time.
fn noise(len: usize) -> String {
    const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .";
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let letter = |_| {
        // xorshift64, Marsaglia 2003.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(LETTERS[(state >> 58) as usize])
    };
    (0..len).map(letter).collect()
}

fn lock(histogram: &Mutex<Histogram<u64>>) -> MutexGuard<'_, Histogram<u64>> {
    histogram.lock().unwrap_or_else(PoisonError::into_inner)
}
