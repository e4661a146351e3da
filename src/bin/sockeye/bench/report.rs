use std::{fmt::Write as _, time::Duration};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::chart;
use crate::output::{
    Colours, Part,
    escape::escaped,
    words::{plural, time},
};

/// The widest chart.
const WIDTH: usize = 40;

/// What a run has shown.
pub(super) struct Report {
    pub(super) url: String,
    pub(super) opened: u64,
    pub(super) asked_for: u64,
    /// In microseconds, as the latency is.
    pub(super) opening: Histogram<u64>,
    pub(super) size: u64,
    pub(super) load: Kind,
    pub(super) took: Duration,
    pub(super) latency: Histogram<u64>,
    pub(super) wrong: u64,
    pub(super) failed: u64,
    /// Replies a second, at times of equal distance.
    pub(super) over_time: Vec<f64>,
}

/// What kind of load it was.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// So many messages were under way on each connection.
    InFlight(u32),
    /// So many messages were sent a second.
    Rate(u64),
}

impl Report {
    pub(super) fn json(&self) -> Value {
        let latency = |quantile| self.latency.value_at_quantile(quantile);
        let (in_flight, rate) = match self.load {
            Kind::InFlight(in_flight) => (Some(in_flight), None),
            Kind::Rate(rate) => (None, Some(rate)),
        };
        json!({
            "url": self.url, "connections": self.opened, "asked_for": self.asked_for, "failed": self.failed,
            "size": self.size, "in_flight": in_flight, "rate": rate, "seconds": self.took.as_secs_f64(),
            "messages": self.latency.len(), "messages_per_second": self.rate(), "wrong": self.wrong,
            "opening_us": { "p50": self.opening.value_at_quantile(0.5), "max": self.opening.max() },
            "latency_us": {
                "min": self.latency.min(), "mean": self.latency.mean(), "p50": latency(0.5), "p90": latency(0.9),
                "p99": latency(0.99), "p99.9": latency(0.999), "max": self.latency.max(),
            },
        })
    }

    pub(super) fn text(&self, colours: Colours) -> String {
        let mut out = String::new();
        self.summary(&mut out).expect("a string can be written to");
        if !self.latency.is_empty() {
            self.distribution(&mut out, colours).expect("a string can be written to");
            self.course(&mut out, colours).expect("a string can be written to");
        }
        out
    }

    fn summary(&self, out: &mut String) -> std::fmt::Result {
        let messages = self.latency.len();
        let of = if self.opened < self.asked_for { format!(" of {}", self.asked_for) } else { String::new() };
        writeln!(out, "{}{of} {} to {}", self.opened, plural(self.opened, "connection"), escaped(&self.url))?;
        writeln!(
            out,
            "  opened     in {} (p50) to {}",
            micros(self.opening.value_at_quantile(0.5)),
            micros(self.opening.max())
        )?;
        writeln!(
            out,
            "  messages   {} of {} {} in {}, {}",
            grouped(messages),
            grouped(self.size),
            plural(self.size, "byte"),
            time(self.took),
            match self.load {
                Kind::InFlight(in_flight) => format!("{in_flight} under way on each"),
                Kind::Rate(rate) => format!("due at {} messages/s", grouped(rate)),
            }
        )?;
        let mebibytes = self.rate() * self.size as f64 / f64::from(1 << 20);
        writeln!(out, "  rate       {} messages/s, {mebibytes:.1} MiB/s each way", grouped(self.rate() as u64))?;
        if self.wrong > 0 {
            writeln!(out, "  wrong      {} replies were not what was sent", grouped(self.wrong))?;
        }
        if self.failed > 0 {
            writeln!(out, "  failed     {} {}", grouped(self.failed), plural(self.failed, "connection"))?;
        }
        if messages > 0 {
            let at = |quantile| micros(self.latency.value_at_quantile(quantile));
            let (p50, p90, p99, p999) = (at(0.5), at(0.9), at(0.99), at(0.999));
            let most = micros(self.latency.max());
            writeln!(out, "  latency    p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {most}")?;
        }
        Ok(())
    }

    /// How many replies took how long.
    fn distribution(&self, out: &mut String, colours: Colours) -> std::fmt::Result {
        writeln!(out, "\nreplies that took")?;
        let total = self.latency.len() as f64;
        let rows: Vec<_> = steps()
            .zip(steps().skip(1))
            .skip_while(|&(_, end)| end <= self.latency.min())
            .take_while(|&(start, _)| start <= self.latency.max())
            .map(|(start, end)| (end, self.latency.count_between(start, end - 1) as f64))
            .collect();
        let most = rows.iter().map(|&(_, count)| count).fold(1.0, f64::max);
        for (end, count) in rows {
            let bar = colours.paint(Part::Incoming, &chart::bar(count / most, WIDTH));
            writeln!(out, "  < {:>7}  {:>6.2} %  {bar}", step(end), count / total * 100.0)?;
        }
        Ok(())
    }

    /// The rate over time.
    fn course(&self, out: &mut String, colours: Colours) -> std::fmt::Result {
        if self.over_time.len() < 2 {
            return Ok(());
        }
        let line = colours.paint(Part::Outgoing, &chart::line(&self.over_time, WIDTH));
        let most = self.over_time.iter().copied().fold(0.0, f64::max);
        writeln!(out, "\nmessages/s over time, {} at the most\n  {line}", grouped(most as u64))
    }

    fn rate(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { self.latency.len() as f64 / seconds } else { 0.0 }
    }
}

/// 1, 2, 5, 10, 20 … in microseconds.
fn steps() -> impl Iterator<Item = u64> {
    (0..9).flat_map(|power| [1, 2, 5].map(|step| step * 10_u64.pow(power)))
}

/// A step, which has no fraction.
fn step(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..1_000_000 => format!("{} ms", micros / 1_000),
        _ => format!("{} s", micros / 1_000_000),
    }
}

fn micros(micros: u64) -> String {
    time(Duration::from_micros(micros))
}

/// A number with a mark between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_marked() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
