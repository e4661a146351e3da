//! What was seen, in Markdown.

use std::{collections::BTreeMap, fmt::Write, fs, process::Command};

use crate::{
    outcome::{Count, Tally},
    round::Round,
    server::Holding,
};

pub struct Report<'a> {
    pub command: &'a str,
    pub fresh: Holding,
    pub rounds: &'a [Round],
    pub checks: &'a [(String, bool)],
}

impl Report<'_> {
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "Machine: {}.  \nCommand: `{}`.\n", machine(), self.command);
        let _ = writeln!(out, "| it is to hold that | |\n|---|---|");
        for (check, holds) in self.checks {
            let _ = writeln!(out, "| {check} | {} |", if *holds { "yes" } else { "**no**" });
        }
        self.faults(&mut out);
        self.memory(&mut out);
        self.intervals(&mut out);
        self.visits(&mut out);
        out
    }

    fn faults(&self, out: &mut String) {
        faults(out, self.rounds.iter().map(|round| &*round.tally));
    }

    fn memory(&self, out: &mut String) {
        let _ = writeln!(out, "\n## What the server holds\n\n| | memory, MiB | open files |\n|---|---:|---:|");
        let _ = writeln!(out, "| fresh | {} | {} |", mib(self.fresh.resident), self.fresh.files);
        for (nth, round) in (1..).zip(self.rounds) {
            let files = round.intervals.iter().map(|interval| interval.holding.files).max().unwrap_or_default();
            let _ = writeln!(out, "| round {nth}, at the most | {} | {files} |", mib(round.peak));
            let Holding { resident, files, .. } = round.after;
            let seconds = round.aftermath.as_secs_f64();
            let _ = writeln!(out, "| {seconds:.1} s behind it | {} | {files} |", mib(resident));
        }
    }

    fn intervals(&self, out: &mut String) {
        let _ = writeln!(out, "\n## While it went on\n");
        let _ =
            writeln!(out, "| | open files | memory, MiB | CPU, % of a core | honest round trips | the longest, ms |");
        let _ = writeln!(out, "|---|---:|---:|---:|---:|---:|");
        for (nth, round) in (1..).zip(self.rounds) {
            for (part, interval) in (1..).zip(&round.intervals) {
                let _ = writeln!(
                    out,
                    "| round {nth}, {part} | {} | {} | {:.0} | {} | {:.1} |",
                    interval.holding.files,
                    mib(interval.holding.resident),
                    interval.load * 100.0,
                    interval.round_trips,
                    interval.worst.as_secs_f64() * 1000.0,
                );
            }
        }
    }

    fn visits(&self, out: &mut String) {
        visits(out, self.rounds.iter().map(|round| &*round.tally));
    }
}

/// The first faults of several rounds, in words.
pub fn faults<'a>(out: &mut String, tallies: impl Iterator<Item = &'a Tally>) {
    let mut faults: Vec<_> = tallies.flat_map(Tally::faults).collect();
    faults.dedup();
    faults.truncate(10);
    if !faults.is_empty() {
        let _ = writeln!(out, "\nThe first faults:\n");
        faults.iter().for_each(|fault| {
            let _ = writeln!(out, "* {fault}");
        });
    }
}

/// Who came, and how it ended, in several rounds.
pub fn visits<'a>(out: &mut String, tallies: impl Iterator<Item = &'a Tally>) {
    let mut counts = BTreeMap::<_, Count>::new();
    for (name, count) in tallies.flat_map(Tally::counts) {
        let sum = counts.entry(name).or_default();
        sum.faults += count.faults;
        count.outcomes.into_iter().for_each(|(outcome, times)| *sum.outcomes.entry(outcome).or_default() += times);
    }
    let _ = writeln!(out, "\n## Who came, and how it ended\n");
    let _ = writeln!(out, "| | connections | outcomes | faults |\n|---|---:|---|---:|");
    for (name, count) in &counts {
        let outcomes: Vec<_> = count.outcomes.iter().map(|(outcome, times)| format!("{outcome}: {times}")).collect();
        let _ = writeln!(out, "| {name} | {} | {} | {} |", count.visits(), outcomes.join(", "), count.faults);
    }
    let sum: u64 = counts.values().map(Count::visits).sum();
    let _ = writeln!(out, "| all | {sum} | | {} |", counts.values().map(|count| count.faults).sum::<u64>());
}

pub fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

pub fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).unwrap_or_default().1;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = Command::new("uname").arg("-sr").output().map(|output| output.stdout).unwrap_or_default();
    format!("{name}, {cores} cores, {}", String::from_utf8_lossy(&kernel).trim())
}

/// Puts the report where `file` has the last one of this name, between two comments, and leaves what is around it.
pub fn put_into(file: &str, name: &str, report: &str) -> String {
    let marks = [format!("<!-- {name} -->"), format!("<!-- /{name} -->")];
    let around = file.split_once(&marks[0]).and_then(|(front, rest)| Some((front, rest.split_once(&marks[1])?.1)));
    let (front, behind) = around.unwrap_or((file, "\n"));
    format!("{front}{}\n\n{}\n\n{}{behind}", marks[0], report.trim(), marks[1])
}
