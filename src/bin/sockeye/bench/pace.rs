//! A fixed rate: when each message is to be sent, whatever the server does.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::load::Amount;

/// When messages are due, for one connection.
pub(super) type Due = UnboundedReceiver<Instant>;

/// Starts to say when messages are due, at so many a second in all, to so many connections in turn.
///
/// A thread does that, as it wakes within some 60 µs where the runtime's timers round up to a millisecond, which would be a
/// part of each latency. What a connection does not take waits as a time of 16 bytes, for as long as it has for a reply.
pub(super) fn start(per_second: u64, amount: Amount, connections: usize) -> Vec<Due> {
    let (lanes, due): (Vec<_>, Vec<_>) = (0..connections).map(|_| unbounded_channel()).unzip();
    thread::spawn(move || run(per_second, amount, &lanes));
    due
}

fn run(per_second: u64, amount: Amount, lanes: &[UnboundedSender<Instant>]) {
    let began = Instant::now();
    for number in 0.. {
        let due = began + offset(number, per_second);
        let is_over = match amount {
            Amount::Until(end) => due >= end,
            Amount::Messages(messages) => number >= messages,
        };
        if is_over || lanes.iter().all(UnboundedSender::is_closed) {
            return;
        }
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let lane = usize::try_from(number % lanes.len() as u64).expect("there are no more than that");
        // A connection that has failed has said so.
        let _ = lanes[lane].send(due);
    }
}

/// How far behind the beginning a message is due: computed anew for each, so that nothing adds up.
fn offset(number: u64, per_second: u64) -> Duration {
    let nanos = u128::from(number % per_second) * 1_000_000_000 / u128::from(per_second);
    Duration::new(number / per_second, u32::try_from(nanos).expect("it is less than a second"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_equal_distances() {
        assert_eq!(offset(0, 3), Duration::ZERO);
        assert_eq!(offset(1, 3), Duration::from_nanos(333_333_333));
        assert_eq!(offset(3_000_001, 1_000_000), Duration::from_micros(3_000_001));
    }
}
