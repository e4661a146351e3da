//! Standard error, where what has gone wrong is told without the feature `tracing`.

use std::{
    fmt,
    io::{self, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

use super::lock;

/// How many lines there are at most in each second: what goes wrong may be a client's doing, who is not to fill a disk with it.
const MAX_LINES: u32 = 10;

static ALLOWANCE: Mutex<Allowance> = Mutex::new(Allowance { since: None, lines: 0 });

/// Says a line, unless there were many of late. It is nobody's fault if nobody listens.
pub(super) fn say(line: fmt::Arguments<'_>) {
    let Some(left_out) = lock(&ALLOWANCE).take(Instant::now()) else { return };
    let mut stderr = io::stderr().lock();
    if left_out > 0 {
        let _ = writeln!(stderr, "sockeye: {left_out} lines like this were left out; on_error is told of each event");
    }
    let _ = writeln!(stderr, "sockeye: {line}");
}

/// What may still be said in the second that began at an instant.
struct Allowance {
    since: Option<Instant>,
    /// How many lines there were to say in it.
    lines: u32,
}

impl Allowance {
    /// How many lines were left out in front of this one, which may be said; or nothing, if it may not.
    fn take(&mut self, now: Instant) -> Option<u32> {
        let mut left_out = 0;
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            left_out = self.lines.saturating_sub(MAX_LINES);
            *self = Self { since: Some(now), lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        (self.lines <= MAX_LINES).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_cut_and_counted() {
        let mut allowance = Allowance { since: None, lines: 0 };
        let begin = Instant::now();
        let said = |allowance: &mut Allowance, millis| allowance.take(begin + Duration::from_millis(millis));
        for nth in 0..1000 {
            assert_eq!(said(&mut allowance, nth), (nth < 10).then_some(0));
        }
        assert_eq!(said(&mut allowance, 1000), Some(990));
        assert_eq!(said(&mut allowance, 1001), Some(0));
        assert_eq!(said(&mut allowance, 3000), Some(0));
    }
}
