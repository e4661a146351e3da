//! `sockeye bench`: load on an echo server.

mod chart;
mod load;
mod pace;
mod paced;
mod progress;
mod report;

use std::{
    io::{self, Write as _, stdout},
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use sockeye::{Error, WebSocket};
use tokio::task::JoinSet;

use self::{
    load::{Load, Outcome},
    progress::Progress,
    report::{Kind, Report},
};
use crate::{
    args::BenchArgs,
    connection::{self, Target},
    exit::{Failure, Status},
    output::{Part, Style, say},
};

/// How many connections are opened at once.
const OPENING: usize = 64;

/// Runs the command; what went wrong has been said when it returns.
pub(crate) async fn run(args: BenchArgs, style: Style) -> io::Result<Status> {
    let (report, failures) = match bench(&args).await {
        Ok(done) => done,
        Err(failure) => {
            say(style, Part::Fault, &format!("sockeye: {failure}"))?;
            return Ok(failure.status);
        }
    };
    let text = if args.json { format!("{:#}\n", report.json()) } else { report.text(style.out) };
    stdout().write_all(text.as_bytes())?;
    for failure in failures.iter().take(3) {
        say(style, Part::Fault, &format!("sockeye: {failure}"))?;
    }
    if failures.len() > 3 {
        say(style, Part::Fault, &format!("sockeye: and {} more failures", failures.len() - 3))?;
    }
    let first = failures.first().map_or(Status::Clean, |failure| failure.status);
    Ok(if report.wrong > 0 && first == Status::Clean { Status::Unclean } else { first })
}

async fn bench(args: &BenchArgs) -> Result<(Report, Vec<Failure>), Failure> {
    if args.size.0 > args.connection.max_message.0 {
        return Err(Failure::usage("--size is more than --max-message, so no reply could be taken"));
    }
    let (connections, opening, mut failures) = open(args).await?;
    let opened = connections.len() as u64;
    if connections.is_empty() {
        return Err(failures.swap_remove(0));
    }
    let load = Arc::new(Load::new(args));
    let progress = Progress::start(args, Arc::clone(&load));
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    let mut due = args.rate.map(|rate| pace::start(rate.0, load.amount(), connections.len()).into_iter());
    for (index, ws) in connections.into_iter().enumerate() {
        let (load, due) = (Arc::clone(&load), due.as_mut().and_then(Iterator::next));
        tasks.spawn(async move { load.put_on(ws, index, due).await });
    }
    let mut wrong = 0;
    let mut ended = began;
    while let Some(outcome) = tasks.join_next().await {
        let outcome = outcome.unwrap_or_else(|error| Outcome::failed(Failure::new(Status::Unclean, error.to_string())));
        wrong += outcome.wrong;
        ended = ended.max(outcome.last_reply);
        failures.extend(outcome.failure);
    }
    let over_time = progress.finish().await;
    let report = Report {
        url: connection::shown_url(&args.connection.url),
        opened,
        asked_for: u64::from(args.connections),
        opening,
        size: args.size.0,
        load: args.rate.map_or(Kind::InFlight(args.in_flight), |rate| Kind::Rate(rate.0)),
        took: ended - began,
        latency: load.latency(),
        wrong,
        failed: failures.len() as u64,
        over_time,
    };
    Ok((report, failures))
}

/// Opens all connections, and says how long each took.
async fn open(args: &BenchArgs) -> Result<(Vec<WebSocket>, Histogram<u64>, Vec<Failure>), Failure> {
    let (mut connections, mut failures, mut opening) = (Vec::new(), Vec::new(), load::histogram());
    let target = Target::new(&args.connection)?;
    let mut tasks = JoinSet::new();
    let mut left = args.connections;
    while left > 0 || !tasks.is_empty() {
        while left > 0 && tasks.len() < OPENING {
            left -= 1;
            let connect = target.connect();
            tasks.spawn(async move {
                let began = Instant::now();
                Ok::<(WebSocket, Duration), Error>((connect.await?, began.elapsed()))
            });
        }
        match tasks.join_next().await {
            Some(Ok(Ok((ws, took)))) => {
                load::record(&mut opening, took);
                connections.push(ws);
            }
            Some(Ok(Err(error))) => failures.push(Failure::unopened(error)),
            Some(Err(error)) => failures.push(Failure::new(Status::Unclean, error.to_string())),
            None => {}
        }
        // Where nothing can be opened, so many attempts say enough.
        if connections.is_empty() && failures.len() >= OPENING {
            break;
        }
    }
    Ok((connections, opening, failures))
}
