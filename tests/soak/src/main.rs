//! Plays everything that clients do against the echo server, for a long time: `tests/soak/run --help`.

mod attack;
mod chance;
mod deflate;
mod handshake;
mod honest;
mod outcome;
mod peer;
mod report;
mod round;
mod server;
mod socketio;
mod visit;
mod wire;

use std::{error::Error, io, net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use outcome::{Outcome, fault};
use peer::Peer;
use report::{Report, mib};
use round::Round;
use server::{Holding, Server};
use wire::{OFFER, TEXT};

const USAGE: &str = "usage: tests/soak/run [--connections 10000] [--minutes 10] [--record FILE.md]
       tests/soak/run socketio [options]   (--help says which)

Has so many clients of all sorts at once at the echo server, each of which comes again and again: honest, idle, broken
and hostile ones. Then they go, and it is looked what stays. All of that happens four times, in a quarter of the time
each: what an allocator keeps comes and goes from round to round, and what leaks is more behind each.
--record writes the report to FILE.md.
";

const ROUNDS: u32 = 4;

struct Options {
    connections: usize,
    time: Duration,
    record: Option<PathBuf>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    if std::env::args().nth(1).is_some_and(|part| part == "socketio") {
        return socketio::run(std::env::args().skip(2));
    }
    let Some(options) = options()? else {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let server = Server::start(&std::env::var("ECHO_SERVER")?, &["--listen", "127.0.0.1:0"])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(soak(&server, &options))
}

async fn soak(server: &Server, options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let fresh = server.holding()?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(Round::run(server, &fresh, options.connections, options.time / ROUNDS).await?);
    }
    let greeting = greet(server.address).await;
    let checks = checks(&fresh, &rounds, &greeting, &server.complaints());
    let args = std::env::args().skip(1);
    let command = ["tests/soak/run".into()].into_iter().chain(args).collect::<Vec<_>>().join(" ");
    let markdown = Report { command: &command, fresh, rounds: &rounds, checks: &checks }.markdown();
    println!("{markdown}");
    checks.iter().filter(|(_, holds)| !holds).for_each(|(check, _)| eprintln!("does not hold: {check}"));
    if let Some(path) = &options.record {
        let before = std::fs::read_to_string(path).unwrap_or_default();
        std::fs::write(path, report::put_into(&before, "measured", &markdown))?;
    }
    Ok(if checks.iter().all(|(_, holds)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is to hold, and whether it does.
fn checks(fresh: &Holding, rounds: &[Round], greeting: &io::Result<Outcome>, complaints: &str) -> Vec<(String, bool)> {
    let faults: u64 =
        rounds.iter().flat_map(|round| round.tally.counts().into_values()).map(|count| count.faults).sum();
    let all_closed = rounds.iter().all(|round| round.after.files <= fresh.files);
    let mut checks = vec![
        ("every client was treated as RFC 6455 asks for, and every echo was right".into(), faults == 0),
        ("all files are closed behind each round".into(), all_closed),
        ("a new client is served".into(), greeting.is_ok()),
        (format!("the server has written nothing to its standard error: {complaints:?}"), complaints.is_empty()),
    ];
    let behind: Vec<_> = rounds.iter().map(|round| round.after.resident).collect();
    let most: Vec<_> = rounds.iter().map(|round| round.peak).collect();
    for (when, memory) in [("behind the last round", behind), ("at the most", most)] {
        let [earlier @ .., last] = &memory[..] else { continue };
        let before = earlier.iter().copied().max().unwrap_or_default();
        // An allocator's heap does not come to rest at the same byte each time: what it keeps of a short round is
        // anything up to the most that the round took.
        let margin = (8 << 20) + before / 20;
        let grown = *last as i64 - before as i64;
        let visits = rounds.last().map_or(0, Round::visits);
        let check = format!(
            "memory {when} is no more than {} MiB above that of any round before: {:+.1} MiB, {:+.0} bytes for each of \
             {visits} connections",
            mib(margin),
            grown as f64 / f64::from(1 << 20),
            grown as f64 / visits as f64,
        );
        checks.push((check, *last <= before + margin));
    }
    checks
}

/// Whether a client that comes now is served.
async fn greet(server: SocketAddr) -> io::Result<Outcome> {
    let mut outcome = Err(fault("nobody greets"));
    for offer in [None, Some(OFFER)] {
        let mut peer = Peer::open(server, 0, offer).await?;
        peer.send(TEXT, b"hello").await?;
        peer.expect(TEXT, b"hello").await?;
        outcome = Ok(peer.close(1000).await?);
    }
    outcome
}

/// What the command line asks for; `None` for help.
fn options() -> Result<Option<Options>, String> {
    let mut options = Options { connections: 10_000, time: Duration::from_secs(600), record: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        let number = |text: String| text.parse().map_err(|error| format!("{text}: {error}"));
        match arg.as_str() {
            "--connections" => options.connections = number(value()?)?,
            "--minutes" => {
                let minutes: f64 = value()?.parse().map_err(|error| format!("--minutes: {error}"))?;
                options.time = Duration::try_from_secs_f64(minutes * 60.0).map_err(|error| error.to_string())?;
            }
            "--record" => options.record = Some(value()?.into()),
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown option {other}; see --help")),
        }
    }
    Ok(Some(options))
}
