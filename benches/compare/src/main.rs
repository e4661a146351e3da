//! Runs the comparison: `benches/compare/run --help`.

use std::{
    collections::{HashMap, hash_map::Entry},
    error::Error,
    io::{self, IsTerminal},
    path::PathBuf,
    time::Duration,
};

use compare::{
    cases::{CASES, Case, VALUE, What},
    chart, churn,
    fan_out::FanOut,
    idle,
    load::{self, Dialect},
    peers,
    report::{self, Outcome},
    sample::{Sample, Series},
    script::Shape,
    server::{self, Server},
    sink,
    socketio::{polling, storm},
};
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const USAGE: &str = "usage: benches/compare/run [--quick] [--peers NAMES] [--record FILE.md] [CASES…]

Measures sockeye beside its peers: the CPU time of the server for each message, as a ratio to a raw TCP echo.
CASES are names, or the beginnings of names, of what is listed below; without them all are run.
--peers leaves out those whose names do not begin with one of NAMES, which commas separate; raw always stays.
--record writes the tables to FILE.md, and the chart beside it, to FILE.svg.
";

/// How long each thing is looked at.
struct Pace {
    rounds: usize,
    warm_up: Duration,
    time: Duration,
}

const FULL: Pace = Pace { rounds: 5, warm_up: Duration::from_millis(50), time: Duration::from_millis(200) };
const QUICK: Pace = Pace { rounds: 3, warm_up: Duration::from_millis(15), time: Duration::from_millis(50) };

struct Options {
    quick: bool,
    peers: Option<String>,
    record: Option<PathBuf>,
    cases: Vec<&'static Case>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(options) = options()? else {
        let names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        println!("{USAGE}\n{}", names.join("\n"));
        return Ok(());
    };
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let two_cores = server::has_two_cores();
    if !two_cores {
        println!("There is one core only, which the server and the load share: do not take these numbers for more.");
    }
    let load_average = report::load_average();
    let pace = if options.quick { QUICK } else { FULL };
    let progress = progress(&options);
    let (servers, fan_outs) = (HashMap::new(), HashMap::new());
    let mut bench = Bench { pace, two_cores, servers, fan_outs, peers: options.peers.clone(), progress };
    let outcomes: Vec<_> = options.cases.iter().map(|case| bench.run(case)).collect();
    bench.progress.finish_and_clear();
    let command = ["benches/compare/run".into()].into_iter().chain(std::env::args().skip(1)).collect::<Vec<_>>();
    let markdown = report::markdown(&outcomes, &command.join(" "), bench.pace.rounds, &load_average);
    println!("{markdown}");
    if let Some(path) = options.record {
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        std::fs::write(&path, report::put_into(&before, &markdown))?;
        chart::draw(&outcomes, &path.with_extension("svg"))?;
    }
    Ok(())
}

/// What the command line asks for; `None` for help.
fn options() -> Result<Option<Options>, String> {
    let mut options = Options { quick: false, peers: None, record: None, cases: vec![] };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" => options.quick = true,
            "--peers" => options.peers = Some(args.next().ok_or("--peers needs names")?),
            "--record" => options.record = Some(args.next().ok_or("--record needs a file")?.into()),
            "--help" | "-h" => return Ok(None),
            name => {
                let before = options.cases.len();
                options.cases.extend(CASES.iter().filter(|case| case.name.starts_with(name)));
                if options.cases.len() == before {
                    return Err(format!("no case begins with {name:?}; see --help"));
                }
            }
        }
    }
    if options.cases.is_empty() {
        options.cases.extend(CASES);
    }
    Ok(Some(options))
}

fn progress(options: &Options) -> ProgressBar {
    let rounds = if options.quick { QUICK.rounds } else { FULL.rounds };
    let peers = options.peers.as_deref();
    let steps: usize = options.cases.iter().map(|case| peers_of(case, peers).count() * rounds_of(case, rounds)).sum();
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {eta:>5} left  {msg}").expect("it is right");
    // Without a terminal, indicatif shows nothing.
    if !io::stderr().is_terminal() {
        eprintln!("{steps} measurements");
    }
    ProgressBar::new(steps as u64).with_style(style)
}

/// Those that a case measures, the floor first.
fn peers_of(case: &Case, only: Option<&str>) -> impl Iterator<Item = &'static str> {
    let peers = match case.what {
        _ if case.name == VALUE => peers::SOCKETIO_VALUE,
        _ if case.is_socketio() => peers::SOCKETIO,
        What::Echo(_, Dialect::Deflate { .. }) => peers::DEFLATING,
        What::Echo(..) => peers::SERVERS,
        What::FanOut(_, Dialect::Deflate { .. }) => peers::FAN_OUT_DEFLATING,
        What::FanOut(..) => peers::FAN_OUT,
        What::Idle(_, Dialect::Deflate { .. }) => peers::IDLE_DEFLATING,
        What::Handshakes | What::Idle(..) => peers::CONNECTIONS,
        What::Sends(_) => peers::CLIENTS,
        What::Polling(_) | What::Storm => peers::SOCKETIO,
    };
    let wanted = move |peer: &str| only.is_none_or(|names| names.split(',').any(|name| peer.starts_with(name)));
    peers.iter().copied().filter(move |&peer| peer == peers::FLOOR || wanted(peer))
}

/// Memory does not vary, and a server that has had many connections no longer shows what they take.
fn rounds_of(case: &Case, rounds: usize) -> usize {
    if matches!(case.what, What::Idle(..)) { 1 } else { rounds }
}

/// What a server is.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
enum Kind {
    Plain,
    Deflate,
    SocketIo,
}

impl Kind {
    fn of(case: &Case) -> Self {
        match case.what {
            _ if case.is_socketio() => Self::SocketIo,
            What::Echo(_, Dialect::Deflate { .. }) | What::Idle(_, Dialect::Deflate { .. }) => Self::Deflate,
            _ => Self::Plain,
        }
    }
}

fn not_installed() -> io::Error {
    io::Error::other("not installed")
}

struct Bench {
    pace: Pace,
    two_cores: bool,
    /// Those that have been started, by name and by what they are.
    servers: HashMap<(&'static str, Kind), Server>,
    /// The same, of those that send each message to all.
    fan_outs: HashMap<(&'static str, bool), FanOut>,
    /// The beginnings of the names of those that are measured; without it all are.
    peers: Option<String>,
    progress: ProgressBar,
}

impl Bench {
    /// Measures all peers in turn, over and over.
    fn run(&mut self, case: &'static Case) -> Outcome {
        let mut series: Vec<_> =
            peers_of(case, self.peers.as_deref()).map(|peer| Series { peer, samples: Ok(vec![]) }).collect();
        if case.is_socketio() && !matches!(case.what, What::Idle(..)) {
            self.get_ready(case, &mut series);
        }
        for _ in 0..rounds_of(case, self.pace.rounds) {
            for one in &mut series {
                self.progress.set_message(format!("{} {}", case.name, one.peer));
                if let Ok(samples) = &mut one.samples {
                    match self.sample(case, one.peer) {
                        Ok(sample) => samples.push(sample),
                        Err(error) => one.samples = Err(error.to_string()),
                    }
                }
                self.progress.inc(1);
            }
        }
        Outcome { case, series }
    }

    /// Has all of them do it for a while, so that what compiles itself as it runs has done so.
    fn get_ready(&mut self, case: &'static Case, series: &mut [Series]) {
        let Pace { warm_up, time, .. } = self.pace;
        self.pace.warm_up = 10 * time;
        for one in series {
            if let Err(error) = self.sample(case, one.peer) {
                one.samples = Err(error.to_string());
            }
        }
        self.pace.warm_up = warm_up;
    }

    fn sample(&mut self, case: &Case, peer: &'static str) -> io::Result<Sample> {
        let raw = peer == peers::FLOOR;
        let of = |dialect: Dialect| if raw { dialect.of_the_floor() } else { dialect };
        let kind = Kind::of(case);
        let Pace { warm_up, time, .. } = self.pace;
        match case.what {
            What::Echo(shape, dialect) => load::echo(self.server(peer, kind)?, of(dialect), shape, warm_up, time),
            What::FanOut(shape, dialect @ Dialect::SocketIo(_)) => {
                // Anew each time, so that no heartbeat falls into it.
                let mut command = peers::socketio(peer, true).ok_or_else(not_installed)?;
                let server = Server::start(&mut command, self.two_cores)?;
                FanOut::open(server, shape, of(dialect))?.sample(warm_up, time)
            }
            What::FanOut(shape, dialect) => self.fan_out(peer, shape, of(dialect))?.sample(warm_up, time),
            What::Handshakes => churn::handshakes(self.server(peer, kind)?, raw, warm_up, time),
            What::Idle(count, dialect) => idle::memory(&self.start(peer, kind)?, of(dialect), count),
            What::Polling(shape) => polling::echo(self.server(peer, kind)?, raw, shape, warm_up, time),
            What::Storm => storm::connections(self.server(peer, kind)?, raw, warm_up, time),
            What::Sends(payload) => sink::masked_sends(
                |address| peers::client(peer, address, payload),
                self.two_cores,
                payload,
                warm_up,
                time,
            ),
        }
    }

    /// The server that is running already, or a new one.
    fn server(&mut self, peer: &'static str, kind: Kind) -> io::Result<&Server> {
        if !self.servers.contains_key(&(peer, kind)) {
            let server = self.start(peer, kind)?;
            self.servers.insert((peer, kind), server);
        }
        Ok(&self.servers[&(peer, kind)])
    }

    /// The server that has its connections already, or a new one.
    fn fan_out(&mut self, peer: &'static str, shape: Shape, dialect: Dialect) -> io::Result<&mut FanOut> {
        let deflate = matches!(dialect, Dialect::Deflate { .. });
        match self.fan_outs.entry((peer, deflate)) {
            Entry::Occupied(running) => Ok(running.into_mut()),
            Entry::Vacant(none) => {
                let mut command = peers::fan_out(peer, deflate).ok_or_else(not_installed)?;
                let server = Server::start(&mut command, self.two_cores)?;
                Ok(none.insert(FanOut::open(server, shape, dialect)?))
            }
        }
    }

    fn start(&self, peer: &str, kind: Kind) -> io::Result<Server> {
        let command = match kind {
            Kind::SocketIo => peers::socketio(peer, false),
            Kind::Plain | Kind::Deflate => peers::server(peer, kind == Kind::Deflate),
        };
        let mut command = command.ok_or_else(not_installed)?;
        Server::start(&mut command, self.two_cores)
    }
}
