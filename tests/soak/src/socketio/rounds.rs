//! Everybody comes, again and again, and goes.

use std::{fmt::Write, io, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::{
    Check, greet, settled,
    visit::{Visit, kind},
};
use crate::{
    chance::Chance,
    outcome::{Outcome, Tally},
    report::{self, mib},
    server::{Holding, Server},
};

struct Round {
    tally: Arc<Tally>,
    /// The most that was seen.
    peak: Holding,
    after: Holding,
    /// How many sessions there were still, and for how long that was waited for.
    sessions: usize,
    aftermath: Duration,
}

impl Round {
    fn visits(&self) -> u64 {
        self.tally.counts().values().map(|count| count.visits()).sum()
    }
}

pub async fn run(server: &Server, connections: usize, time: Duration, number: u32) -> io::Result<(Vec<Check>, String)> {
    let fresh = server.holding()?;
    let mut rounds = Vec::new();
    for _ in 0..number {
        rounds.push(round(server, &fresh, connections, time / number.max(1)).await?);
    }
    let checks = checks(&fresh, &rounds, greet(server.address).await.is_ok(), &server.complaints());
    let mut out = String::new();
    report::faults(&mut out, rounds.iter().map(|round| &*round.tally));
    let _ = writeln!(out, "\n### What the server holds, of {connections} clients at once\n");
    let _ = writeln!(out, "| | memory, MiB | open files | sessions |\n|---|---:|---:|---:|");
    let _ = writeln!(out, "| fresh | {} | {} | 0 |", mib(fresh.resident), fresh.files);
    for (nth, Round { peak, after, sessions, aftermath, .. }) in (1..).zip(&rounds) {
        let _ = writeln!(out, "| round {nth}, at the most | {} | {} | |", mib(peak.resident), peak.files);
        let seconds = aftermath.as_secs_f64();
        let _ = writeln!(out, "| {seconds:.1} s behind it | {} | {} | {sessions} |", mib(after.resident), after.files);
    }
    let _ = writeln!(out, "\n### Who came, and how it ended");
    let mut visits = String::new();
    report::visits(&mut visits, rounds.iter().map(|round| &*round.tally));
    out.push_str(visits.split_once("ended\n").map_or("", |(_, table)| table));
    Ok((checks, out))
}

fn checks(fresh: &Holding, rounds: &[Round], is_greeted: bool, complaints: &str) -> Vec<Check> {
    let faults: u64 =
        rounds.iter().flat_map(|round| round.tally.counts().into_values()).map(|count| count.faults).sum();
    let visits: u64 = rounds.iter().map(Round::visits).sum();
    let mut checks = vec![
        (
            format!("each of {visits} clients of all sorts was treated as it is to be, and every echo was right"),
            faults == 0,
        ),
        ("behind each round, no session is left".into(), rounds.iter().all(|round| round.sessions == 0)),
        ("all files are closed behind each round".into(), rounds.iter().all(|round| round.after.files <= fresh.files)),
        ("a new client is served".into(), is_greeted),
        (format!("the server has written nothing to its standard error: {complaints:?}"), complaints.is_empty()),
    ];
    if let [earlier @ .., last] = rounds
        && !earlier.is_empty()
    {
        let before = earlier.iter().map(|round| round.after.resident).max().unwrap_or_default();
        // What an allocator keeps of a short round is anything up to the most that the round took.
        let margin = (8 << 20) + before / 20;
        let grown = last.after.resident as i64 - before as i64;
        let check = format!(
            "memory behind the last round is no more than {} MiB above that behind any round before: {:+.1} MiB, {:+.0} \
             bytes for each of {} clients",
            mib(margin),
            grown as f64 / f64::from(1 << 20),
            grown as f64 / last.visits() as f64,
            last.visits(),
        );
        checks.push((check, last.after.resident <= before + margin));
    }
    checks
}

async fn round(server: &Server, fresh: &Holding, connections: usize, time: Duration) -> io::Result<Round> {
    let stay = (time / 20).clamp(Duration::from_millis(100), Duration::from_secs(3));
    let tally = Arc::<Tally>::default();
    let end = Instant::now() + time;
    let mut visitors = JoinSet::new();
    for nth in 0..connections {
        visitors.spawn(visitor(nth, server.address, stay, Arc::clone(&tally), end));
    }
    let mut peak = Holding::default();
    while Instant::now() < end {
        sleep_until(end.min(Instant::now() + Duration::from_millis(250))).await;
        let Holding { resident, files, .. } = server.holding()?;
        (peak.resident, peak.files) = (peak.resident.max(resident), peak.files.max(files));
    }
    while let Some(visitor) = visitors.join_next().await {
        visitor.map_err(io::Error::other)?;
    }
    let (after, sessions, aftermath) = settled(server, fresh).await?;
    Ok(Round { tally, peak, after, sessions, aftermath })
}

/// Comes again and again, always for the same.
async fn visitor(nth: usize, server: std::net::SocketAddr, stay: Duration, tally: Arc<Tally>, end: Instant) {
    let (kind, name) = kind(nth);
    let mut chance = Chance::new(nth as u64);
    // Not all at once.
    sleep(chance.about(stay)).await;
    while Instant::now() < end {
        let mut visit = Visit { server, stay, nth, chance: &mut chance };
        let outcome = timeout_at(end, visit.run(kind)).await.unwrap_or(Ok(Outcome::CutOff));
        tally.count(name, outcome);
        sleep(chance.about(stay / 10)).await;
    }
}
