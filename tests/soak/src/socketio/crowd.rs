//! Many at once, of which each is to be served.

use std::{
    fmt::Write,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::{
    sync::{Barrier, Semaphore},
    task::JoinSet,
};

use super::{Check, polling::Polling, settled, websocket::WebSocket};
use crate::{
    outcome::{Outcome, fault},
    report::mib,
    server::Server,
};

/// How many shake hands at a time.
const AT_A_TIME: usize = 200;

/// How far the crowd has come.
struct Crowd {
    server: std::net::SocketAddr,
    door: Semaphore,
    joined: AtomicUsize,
    served: AtomicUsize,
    /// All are in; it was looked how many there are; all are served.
    steps: [Barrier; 3],
}

pub async fn run(server: &Server, clients: usize) -> io::Result<(Vec<Check>, String)> {
    // The one who looks is an additional one.
    let steps = [(); 3].map(|()| Barrier::new(clients + 1));
    let crowd = Arc::new(Crowd {
        server: server.address,
        door: Semaphore::new(AT_A_TIME),
        joined: AtomicUsize::new(0),
        served: AtomicUsize::new(0),
        steps,
    });
    let fresh = server.holding()?;
    let began = Instant::now();
    let mut all = JoinSet::new();
    for nth in 0..clients {
        all.spawn(client(Arc::clone(&crowd), nth));
    }
    crowd.steps[0].wait().await;
    let came = began.elapsed();
    let (inside, joined) = (server.holding()?, crowd.joined.load(Ordering::Relaxed));
    let mut socket = WebSocket::joined(server.address, 0).await?;
    let sessions = socket.sessions().await? - 1;
    socket.close().await?;
    let began = Instant::now();
    crowd.steps[1].wait().await;
    crowd.steps[2].wait().await;
    let (took, served) = (began.elapsed(), crowd.served.load(Ordering::Relaxed));
    let mut faults = Vec::new();
    while let Some(client) = all.join_next().await {
        faults.extend(client.map_err(io::Error::other)?.err());
    }
    let (after, left, _) = settled(server, &fresh).await?;
    let bytes = inside.resident.saturating_sub(fresh.resident) / clients as u64;
    let complaints = server.complaints();
    let checks = vec![
        (
            format!("of {clients} clients at once, each joined ({joined}), and the server has them all ({sessions})"),
            joined == clients && sessions == clients,
        ),
        (
            format!("each of them was served its echo while all were there ({served}), and left in peace"),
            served == clients && faults.is_empty(),
        ),
        (format!("behind them, no session ({left}) and no open file is left"), left == 0 && after.files <= fresh.files),
        (
            format!("the server of the crowd has written nothing to its standard error: {complaints:?}"),
            complaints.is_empty(),
        ),
    ];
    let mut out = String::new();
    for fault in faults.iter().take(5) {
        let _ = writeln!(out, "* {fault}");
    }
    let _ = writeln!(out, "\n### {clients} at once\n\n| | memory, MiB | open files | |\n|---|---:|---:|---|");
    let _ = writeln!(out, "| fresh | {} | {} | |", mib(fresh.resident), fresh.files);
    let _ = writeln!(
        out,
        "| all are in | {} | {} | after {:.1} s; {bytes} bytes each |",
        mib(inside.resident),
        inside.files,
        came.as_secs_f64()
    );
    let _ = writeln!(
        out,
        "| all are gone | {} | {} | echoes took {:.1} s |",
        mib(after.resident),
        after.files,
        took.as_secs_f64()
    );
    Ok((checks, out))
}

/// Half of them poll.
async fn client(crowd: Arc<Crowd>, nth: usize) -> io::Result<Outcome> {
    if nth.is_multiple_of(2) { by_websocket(&crowd, nth).await } else { by_polling(&crowd, nth).await }
}

/// Waits until all have come so far, and goes on with something meanwhile.
async fn step<T>(barrier: &Barrier, meanwhile: impl Future<Output = io::Result<T>>) -> io::Result<()> {
    let mut wait = pin!(barrier.wait());
    tokio::select! {
        biased;
        _ = &mut wait => Ok(()),
        ended = meanwhile => {
            wait.await;
            Err(ended.err().unwrap_or_else(|| fault("a client of the crowd was told something")))
        }
    }
}

async fn by_websocket(crowd: &Crowd, nth: usize) -> io::Result<Outcome> {
    let mut socket = {
        let _inside = crowd.door.acquire().await.map_err(io::Error::other)?;
        WebSocket::joined(crowd.server, nth).await
    };
    let [all_in, counted, all_served] = &crowd.steps;
    if socket.is_ok() {
        crowd.joined.fetch_add(1, Ordering::Relaxed);
    }
    let mut outcome = Ok(());
    for (nth, barrier) in [all_in, counted, all_served].into_iter().enumerate() {
        if nth == 2
            && let Ok(socket) = &mut socket
        {
            outcome = outcome.and(socket.echo("is somebody there?").await);
            crowd.served.fetch_add(usize::from(outcome.is_ok()), Ordering::Relaxed);
        }
        match &mut socket {
            Ok(socket) => outcome = outcome.and(step(barrier, socket.packet()).await),
            Err(_) => {
                barrier.wait().await;
            }
        }
    }
    outcome?;
    socket?.close().await
}

async fn by_polling(crowd: &Crowd, nth: usize) -> io::Result<Outcome> {
    let mut session = {
        let _inside = crowd.door.acquire().await.map_err(io::Error::other)?;
        Polling::joined(crowd.server, nth).await
    };
    let [all_in, counted, all_served] = &crowd.steps;
    if session.is_ok() {
        crowd.joined.fetch_add(1, Ordering::Relaxed);
    }
    let mut outcome = Ok(());
    for (nth, barrier) in [all_in, counted, all_served].into_iter().enumerate() {
        if nth == 2
            && let Ok(session) = &mut session
        {
            outcome = outcome.and(session.echo("is somebody there?").await);
            crowd.served.fetch_add(usize::from(outcome.is_ok()), Ordering::Relaxed);
        }
        match &mut session {
            // A poll that is given up would end the session, so that each is seen to its end: a ping comes soon.
            Ok(session) => outcome = outcome.and(polled(barrier, session).await),
            Err(_) => {
                barrier.wait().await;
            }
        }
    }
    outcome?;
    session?.close().await
}

/// As [`step`], by polls that each end with a ping at the latest.
async fn polled(barrier: &Barrier, session: &mut Polling) -> io::Result<()> {
    let all_are_there = AtomicBool::new(false);
    let wait = async {
        barrier.wait().await;
        all_are_there.store(true, Ordering::Relaxed);
    };
    let polls = async {
        while !all_are_there.load(Ordering::Relaxed) {
            match session.any_packet().await?.as_str() {
                "2" => session.post("3").await?,
                packet => return Err(fault(format!("a client of the crowd was told {packet}"))),
            }
        }
        Ok(())
    };
    tokio::join!(wait, polls).1
}
