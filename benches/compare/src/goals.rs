//! What sockeye is to reach, and what it and the best of its peers have reached.

use std::fmt::{self, Write};

use crate::{
    report::{Outcome, number},
    sample::Series,
};

/// What a case's ratio to the floor is to be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At most this.
    Ratio(f64),
    /// At most so many times sockeye's own ratio in another case.
    Times(f64, &'static str),
    /// At most so many bytes.
    Bytes(f64),
    /// Less than any peer's.
    Ahead,
    /// At most so many times the best peer's.
    OfBest(f64),
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(most) => write!(f, "≤ {most}"),
            Self::Times(most, name) => write!(f, "≤ {most} × {name}"),
            Self::Bytes(most) => write!(f, "≤ {most} B"),
            Self::Ahead => f.write_str("ahead of every peer"),
            Self::OfBest(most) => write!(f, "≤ {most} × the best peer"),
        }
    }
}

/// The table of the goals.
pub fn table(out: &mut String, outcomes: &[Outcome]) {
    let _ = writeln!(out, "## The goals\n");
    let _ = writeln!(
        out,
        "Ratios to `raw`; where the goal names another case, or the best peer, sockeye's ratio to that.\n"
    );
    let _ = writeln!(out, "| | goal | sockeye | | best peer |\n|---|---|---:|---|---|");
    for outcome in outcomes {
        let (goal, reached, best) = row(outcome, outcomes);
        let _ = writeln!(out, "| {} | {goal} | {reached} | {best} |", outcome.case.name);
    }
    let _ = writeln!(out);
}

fn row(outcome: &Outcome, outcomes: &[Outcome]) -> (String, String, String) {
    let bytes = matches!(outcome.case.goal, Goal::Bytes(_));
    let value = |series: &Series| if bytes { series.median(|sample| Some(sample.cost)) } else { outcome.ratio(series) };
    let ours = best(outcome, value, true);
    let peer = best(outcome, value, false);
    let (measured, most) = match outcome.case.goal {
        Goal::Ratio(most) | Goal::Bytes(most) => (ours, Some(most)),
        Goal::OfBest(most) => (ours.zip(peer).map(|((ours, value), (_, best))| (ours, value / best)), Some(most)),
        Goal::Ahead => (ours, peer.map(|(_, ratio)| ratio)),
        Goal::Times(most, name) => {
            let other = outcomes.iter().find(|other| other.case.name == name);
            let other = other.and_then(|other| best(other, |series| other.ratio(series), true));
            (ours.zip(other).map(|((peer, ours), (_, other))| (peer, ours / other)), Some(most))
        }
    };
    let verdict = match (measured, most) {
        (Some((_, measured)), Some(most)) if measured <= most => "reached",
        (Some((_, measured)), Some(most)) if measured <= most * 1.05 => "within 5 %",
        (Some(_), Some(_)) => "missed",
        _ => "–",
    };
    let peer = peer.map_or("–".into(), |(peer, value)| format!("{} {peer}", number(Some(value))));
    (outcome.case.goal.to_string(), format!("{} | {verdict}", number(measured.map(|(_, value)| value))), peer)
}

/// The least value of sockeye's forms, or of its peers'.
fn best(outcome: &Outcome, value: impl Fn(&Series) -> Option<f64>, ours: bool) -> Option<(&'static str, f64)> {
    let peers = outcome.series.iter().skip(1).filter(|series| series.peer.starts_with("sockeye") == ours);
    peers.filter_map(|series| Some((series.peer, value(series)?))).min_by(|(_, a), (_, b)| a.total_cmp(b))
}
