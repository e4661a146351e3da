//! The tables, in Markdown.

use std::{fmt::Write, fs, process::Command};

use crate::{
    cases::{Case, What},
    goals,
    load::Dialect,
    sample::{Sample, Series},
};

/// What one case has shown; the floor comes first.
pub struct Outcome {
    pub case: &'static Case,
    pub series: Vec<Series>,
}

impl Outcome {
    pub fn ratio(&self, series: &Series) -> Option<f64> {
        series.ratio(&self.series[0])
    }
}

/// All of it.
pub fn markdown(outcomes: &[Outcome], command: &str, rounds: usize, load_average: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "Machine: {}; its load average before the run was {load_average}.  ", machine());
    let _ = writeln!(
        out,
        "Command: `{command}`, medians of {rounds} rounds; `×` is the ratio to `raw` in the same round.\n"
    );
    let _ = writeln!(out, "Versions: {}.\n", versions());
    goals::table(&mut out, outcomes);
    summary(&mut out, outcomes);
    for outcome in outcomes {
        table(&mut out, outcome);
    }
    out
}

/// The ratios of the echo cases at a glance.
fn summary(out: &mut String, outcomes: &[Outcome]) {
    let echoes: Vec<_> = outcomes.iter().filter(|outcome| is_plain_echo(outcome.case)).collect();
    let Some(first) = echoes.first() else { return };
    let names: Vec<_> = echoes.iter().map(|outcome| outcome.case.name).collect();
    let goals: Vec<_> = echoes.iter().map(|outcome| outcome.case.goal.to_string()).collect();
    let _ = writeln!(out, "## Echo, CPU time of the server for each message, as a ratio to `raw`\n");
    let _ = writeln!(out, "| | {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
    let _ = writeln!(out, "| *goal* | {} |", goals.join(" | "));
    for (at, series) in first.series.iter().enumerate() {
        let ratios: Vec<_> = echoes.iter().map(|outcome| number(outcome.ratio(&outcome.series[at]))).collect();
        let _ = writeln!(out, "| {} | {} |", series.peer, ratios.join(" | "));
    }
    let _ = writeln!(out);
}

pub fn is_plain_echo(case: &Case) -> bool {
    matches!(case.what, What::Echo(_, Dialect::Plain))
}

fn table(out: &mut String, outcome: &Outcome) {
    let (cost, rate) = match outcome.case.what {
        What::Echo(..) | What::Sends(_) | What::Polling(_) => ("CPU µs/message", "messages/s"),
        What::FanOut(..) => ("CPU µs/receiver", "receivers/s"),
        What::Handshakes | What::Storm => ("CPU µs/connection", "connections/s"),
        What::Idle(..) => ("bytes/connection", "–"),
    };
    let has_reply_bytes = matches!(outcome.case.what, What::Echo(_, Dialect::Deflate { .. }) | What::FanOut(..));
    let _ = writeln!(out, "## {}\n", outcome.case.name);
    let _ = writeln!(
        out,
        "| | × | {cost} | {rate} | p50 µs | p99 µs |{}",
        if has_reply_bytes { " reply bytes |" } else { "" }
    );
    let _ = writeln!(out, "|---|---:|---:|---:|---:|---:|{}", if has_reply_bytes { "---:|" } else { "" });
    for series in &outcome.series {
        let median = |value: fn(&Sample) -> Option<f64>| number(series.median(value));
        let _ = write!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            series.peer,
            number(outcome.ratio(series)),
            median(|sample| Some(sample.cost)),
            median(|sample| sample.rate),
            median(|sample| sample.latencies.map(|[p50, _]| p50)),
            median(|sample| sample.latencies.map(|[_, p99]| p99)),
        );
        let _ = writeln!(
            out,
            "{}",
            if has_reply_bytes { format!(" {} |", median(|sample| sample.reply_bytes)) } else { String::new() }
        );
    }
    let _ = writeln!(out);
    for series in &outcome.series {
        if let Err(why) = &series.samples {
            let _ = writeln!(out, "{}: {why}\n", series.peer);
        }
    }
}

/// Three digits, as more of them would be noise.
pub fn number(value: Option<f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

fn machine() -> String {
    let line = |file: &str, name: &str| {
        let text = fs::read_to_string(file).ok()?;
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let cpu = line("/proc/cpuinfo", "model name").unwrap_or_default();
    let cores = line("/proc/cpuinfo", "siblings").unwrap_or_default();
    let kernel = said("uname", &["-sr"]).unwrap_or_default();
    let rustc = said("rustc", &["--version"]).unwrap_or_default();
    let node = said("node", &["--version"]).unwrap_or_else(|| "none".into());
    format!("{cpu}, {cores} cores, {kernel}, {rustc}, node {node}")
}

/// The peers' versions, as they are locked.
fn versions() -> String {
    const CRATES: [&str; 6] =
        ["tokio-tungstenite", "fastwebsockets", "tokio-websockets", "yawc", "sockudo-ws", "socketioxide"];
    let crates = CRATES.iter().filter_map(|name| {
        let (_, behind) = include_str!("../Cargo.lock").split_once(&format!("name = \"{name}\"\nversion = \""))?;
        Some(format!("{name} {}", behind.split('"').next()?))
    });
    let scripts = ["bun", "ws", "socket.io", "@socket.io/bun-engine"].iter().filter_map(|name| {
        let (_, behind) = include_str!("../package.json").split_once(&format!("\"{name}\": \""))?;
        Some(format!("{name} {}", behind.split('"').next()?))
    });
    crates.chain(scripts).collect::<Vec<_>>().join(", ")
}

/// Puts the tables where `file` has the last ones, between two comments, and leaves what is around them.
pub fn put_into(file: &str, tables: &str) -> String {
    const MARKS: [&str; 2] = ["<!-- measured -->", "<!-- /measured -->"];
    let around = file.split_once(MARKS[0]).and_then(|(front, rest)| Some((front, rest.split_once(MARKS[1])?.1)));
    let (front, behind) = around.unwrap_or(("", "\n"));
    format!("{front}{}\n\n{}\n\n{}{behind}", MARKS[0], tables.trim(), MARKS[1])
}

/// How busy the machine is before anything is measured; a figure near 0 is what it should be.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
