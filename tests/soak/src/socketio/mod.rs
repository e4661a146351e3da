//! Plays everything that clients do against the echo server of Socket.IO: `tests/soak/run socketio --help`.

mod attack;
mod churn;
mod crowd;
mod polling;
mod report;
mod rounds;
mod visit;
mod websocket;

use std::{
    error::Error,
    io,
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use self::{polling::Polling, websocket::WebSocket};
use crate::{
    outcome::{Outcome, fault},
    server::{Holding, Server},
};

const USAGE: &str = "usage: tests/soak/run socketio [--connections 3000] [--minutes 4] [--rounds 4] [--crowd 10000]
                               [--sessions 100000] [--record FILE.md]

Has clients of all sorts at the echo server of Socket.IO, by WebSocket and by long-polling: idle and busy ones, ones that
never finish an upgrade, never join a namespace or vanish, broken and hostile ones. Three servers, one behind the other:

--connections so many clients at once, for --minutes, each of which comes again and again, in --rounds; between two of them
              it is looked what stays: no session, no open file, no memory
--crowd       so many clients at once, of which each is to be served; as many polls and WebSockets
--sessions    so many sessions, a few hundred at a time, that connect and go; what stays is looked at ten times

0 leaves a part out. --record writes the report to FILE.md.
";

struct Options {
    connections: usize,
    time: Duration,
    rounds: u32,
    crowd: usize,
    sessions: usize,
    record: Option<PathBuf>,
}

/// What is to hold, and whether it does.
pub type Check = (String, bool);

pub fn run(args: impl Iterator<Item = String>) -> Result<ExitCode, Box<dyn Error>> {
    let Some(options) = options(args)? else {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut checks, mut sections) = (Vec::new(), Vec::new());
    let mut add = |(more, section): (Vec<Check>, String)| {
        checks.extend(more);
        sections.push(section);
    };
    let start = || {
        Server::start(&std::env::var("SOCKETIO_ECHO")?, &["--port", "0", "--impatient"]).map_err(Box::<dyn Error>::from)
    };
    if options.connections > 0 {
        let server = start()?;
        add(runtime.block_on(rounds::run(&server, options.connections, options.time, options.rounds))?);
    }
    if options.crowd > 0 {
        let server = start()?;
        add(runtime.block_on(crowd::run(&server, options.crowd))?);
    }
    if options.sessions > 0 {
        let server = start()?;
        add(runtime.block_on(churn::run(&server, options.sessions))?);
    }
    report::finish(&checks, &sections, options.record.as_deref())
}

/// What the server holds when it has no session but the one that asks, and no more open files than a fresh one.
pub async fn settled(server: &Server, fresh: &Holding) -> io::Result<(Holding, usize, Duration)> {
    /// How long the server has to let go of everything when everybody is gone.
    const AFTERMATH: Duration = Duration::from_secs(60);
    let gone = Instant::now();
    loop {
        let mut socket = WebSocket::joined(server.address, 0).await?;
        // All but the one that asks.
        let sessions = socket.sessions().await? - 1;
        socket.close().await?;
        sleep(Duration::from_millis(100)).await;
        let holding = server.holding()?;
        if (sessions == 0 && holding.files <= fresh.files) || gone.elapsed() > AFTERMATH {
            let aftermath = gone.elapsed();
            sleep(Duration::from_millis(500)).await;
            return Ok((server.holding()?, sessions, aftermath));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// Whether a client that comes now is served, by each transport.
pub async fn greet(server: SocketAddr) -> io::Result<Outcome> {
    let mut socket = WebSocket::joined(server, 0).await?;
    socket.echo("hello").await?;
    socket.close().await?;
    let mut session = Polling::joined(server, 0).await?;
    session.echo("hello").await?;
    match session.close().await? {
        Outcome::Served => Ok(Outcome::Served),
        end => Err(fault(format!("a greeting ended with \"{end}\""))),
    }
}

/// What the command line asks for; `None` for help.
fn options(mut args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        connections: 3000,
        time: Duration::from_secs(240),
        rounds: 4,
        crowd: 10_000,
        sessions: 100_000,
        record: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse().map_err(|error| format!("{text}: {error}"));
        match arg.as_str() {
            "--connections" => options.connections = number(value()?)?,
            "--minutes" => {
                let minutes: f64 = value()?.parse().map_err(|error| format!("--minutes: {error}"))?;
                options.time = Duration::try_from_secs_f64(minutes * 60.0).map_err(|error| error.to_string())?;
            }
            "--rounds" => options.rounds = value()?.parse().map_err(|error| format!("--rounds: {error}"))?,
            "--crowd" => options.crowd = number(value()?)?,
            "--sessions" => options.sessions = number(value()?)?,
            "--record" => options.record = Some(value()?.into()),
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown option {other}; see --help")),
        }
    }
    Ok(Some(options))
}
