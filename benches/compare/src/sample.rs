//! What one round of one peer has shown, and what all rounds have.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// CPU time in µs for each message or connection, or bytes of memory for each connection.
    pub cost: f64,
    /// Messages or connections a second.
    pub rate: Option<f64>,
    /// The 50th and the 99th percentile in µs.
    pub latencies: Option<[f64; 2]>,
    /// Bytes of each reply on the wire.
    pub reply_bytes: Option<f64>,
}

impl Sample {
    pub fn new(cpu: Duration, elapsed: Duration, count: f64) -> Self {
        let (cost, rate) = (cpu.as_secs_f64() * 1e6 / count, count / elapsed.as_secs_f64());
        Self { cost, rate: Some(rate), latencies: None, reply_bytes: None }
    }

    pub fn of_memory(cost: f64) -> Self {
        Self { cost, rate: None, latencies: None, reply_bytes: None }
    }
}

/// The rounds of one peer in one case.
#[derive(Clone, Debug)]
pub struct Series {
    pub peer: &'static str,
    /// One for each round, in order, or why there is none.
    pub samples: Result<Vec<Sample>, String>,
}

impl Series {
    pub fn median(&self, value: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
        median(self.samples.as_ref().ok()?.iter().filter_map(value).collect())
    }

    /// The median of the ratios to the floor's sample of the same round.
    pub fn ratio(&self, floor: &Self) -> Option<f64> {
        let (ours, floor) = (self.samples.as_ref().ok()?, floor.samples.as_ref().ok()?);
        median(ours.iter().zip(floor).map(|(sample, floor)| sample.cost / floor.cost).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] + values[high]) / 2.0)
}
