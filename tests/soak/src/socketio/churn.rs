//! Very many sessions that come and go.

use std::{
    fmt::Write,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{Check, polling::Polling, settled, websocket::WebSocket};
use crate::{
    chance::Chance,
    outcome::{Outcome, Tally},
    report::{self, mib},
    server::{Holding, Server},
};

/// How many come at a time.
const AT_A_TIME: usize = 300;
const MARKS: usize = 10;

struct Mark {
    peak: u64,
    after: Holding,
    left: usize,
    took: Duration,
}

pub async fn run(server: &Server, sessions: usize) -> io::Result<(Vec<Check>, String)> {
    let fresh = server.holding()?;
    let tally = Arc::<Tally>::default();
    let mut marks = Vec::new();
    for mark in 0..MARKS {
        let (began, mut peak) = (Instant::now(), 0);
        let next = Arc::new(AtomicUsize::new(sessions * mark / MARKS));
        let end = sessions * (mark + 1) / MARKS;
        let mut clients = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (next, tally, server) = (Arc::clone(&next), Arc::clone(&tally), server.address);
            clients.spawn(async move {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= end {
                        return;
                    }
                    let (name, outcome) = session(server, nth).await;
                    tally.count(name, outcome);
                }
            });
        }
        while !clients.is_empty() {
            tokio::select! {
                client = clients.join_next() => client.transpose().map(drop).map_err(io::Error::other)?,
                () = sleep(Duration::from_millis(100)) => peak = peak.max(server.holding()?.resident),
            }
        }
        let took = began.elapsed();
        let (after, left, _) = settled(server, &fresh).await?;
        marks.push(Mark { peak, after, left, took });
    }
    let mut out = String::new();
    report::faults(&mut out, std::iter::once(&*tally));
    let _ = writeln!(out, "\n### {sessions} sessions, {AT_A_TIME} at a time\n");
    let _ =
        writeln!(out, "| sessions so far | memory, at the most, MiB | when all are gone | open files | sessions | s |");
    let _ = writeln!(out, "|---:|---:|---:|---:|---:|---:|");
    let _ = writeln!(out, "| 0 | | {} | {} | 0 | |", mib(fresh.resident), fresh.files);
    for (nth, Mark { peak, after, left, took }) in (1..).zip(&marks) {
        let (peak, resident, took) = (mib(*peak), mib(after.resident), took.as_secs_f64());
        let so_far = sessions * nth / MARKS;
        let _ = writeln!(out, "| {so_far} | {peak} | {resident} | {} | {left} | {took:.1} |", after.files);
    }
    let mut visits = String::new();
    report::visits(&mut visits, std::iter::once(&*tally));
    out.push_str(visits.split_once("ended\n").map_or("", |(_, table)| table));
    Ok((checks(&fresh, &marks, &tally, sessions, &server.complaints()), out))
}

fn checks(fresh: &Holding, marks: &[Mark], tally: &Tally, sessions: usize, complaints: &str) -> Vec<Check> {
    let faults: u64 = tally.counts().values().map(|count| count.faults).sum();
    let mut checks = vec![
        (format!("each of {sessions} sessions was served"), faults == 0),
        ("behind each tenth of them, no session is left".into(), marks.iter().all(|mark| mark.left == 0)),
        ("behind each tenth, all files are closed".into(), marks.iter().all(|mark| mark.after.files <= fresh.files)),
        (
            format!("the server of all these sessions has written nothing to its standard error: {complaints:?}"),
            complaints.is_empty(),
        ),
    ];
    // The first half is for the allocator, to come to rest.
    if let ([.., middle], [.., last]) = marks.split_at(marks.len() / 2) {
        let grown = last.after.resident as i64 - middle.after.resident as i64;
        let between = (sessions / 2).max(1);
        let margin = 2 << 20;
        let check = format!(
            "memory behind the last of them is no more than {} MiB above that behind half of them: {:+.2} MiB, {:+.1} bytes \
             for each of {between} sessions",
            mib(margin),
            grown as f64 / f64::from(1 << 20),
            grown as f64 / between as f64,
        );
        checks.push((check, grown <= margin as i64));
    }
    checks
}

/// One session that joins, has an echo, and goes in one of many ways.
async fn session(server: std::net::SocketAddr, nth: usize) -> (&'static str, io::Result<Outcome>) {
    let mut chance = Chance::new(nth as u64);
    match nth % 10 {
        0..4 => ("WebSocket, closed", by_websocket(server, nth, |socket| socket.close()).await),
        4 => (
            "WebSocket, session closed",
            by_websocket(server, nth, async |mut socket| {
                socket.send("41").await?;
                socket.send("1").await?;
                socket.end_as(Outcome::Closed(1005)).await
            })
            .await,
        ),
        5 => {
            let by_reset = chance.one_in(2);
            ("WebSocket, vanished", by_websocket(server, nth, async |socket| socket.peer.leave(by_reset)).await)
        }
        6..9 => ("polling, closed", by_polling(server, nth, false).await),
        // Few, as each takes the server until it is found out.
        _ => ("polling, vanished", by_polling(server, nth, true).await),
    }
}

async fn by_websocket<F: Future<Output = io::Result<Outcome>>>(
    server: std::net::SocketAddr,
    nth: usize,
    leave: impl FnOnce(WebSocket) -> F,
) -> io::Result<Outcome> {
    let mut socket = WebSocket::joined(server, nth).await?;
    socket.echo("hello").await?;
    leave(socket).await
}

async fn by_polling(server: std::net::SocketAddr, nth: usize, vanishes: bool) -> io::Result<Outcome> {
    let mut session = Polling::joined(server, nth).await?;
    session.echo("hello").await?;
    if vanishes {
        return Ok(Outcome::Left);
    }
    session.post("1").await?;
    Ok(Outcome::Served)
}
