//! `sockeye serve`: echo, broadcast or a command for each connection, and files.

mod broadcast;
mod environment;
mod exec;
mod files;

use std::{
    fmt, fs, io,
    io::Write as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sockeye::{
    Config, DeflateConfig, Error, Role, Server, WebSocket,
    proto::handshake::{Accept, Origin, Request, Response, same_secret},
    tls::ServerTls,
};

use self::{broadcast::Room, exec::Exec, files::Files};
use crate::{
    args::{Handling, ServeArgs},
    ending::Ending,
    exit::{Failure, Status},
    output::{Part, Style, Verbosity, escape::escaped, say, words},
};

/// How long connections have to end once an end is asked for.
const DRAIN: Duration = Duration::from_secs(10);

/// Runs the command until somebody asks for its end.
pub(crate) async fn run(args: ServeArgs, style: Style) -> io::Result<Status> {
    match serve(&args, style).await {
        Ok(()) => Ok(Status::Clean),
        Err(failure) => {
            say(style, Part::Fault, &format!("sockeye: {failure}"))?;
            Ok(failure.status)
        }
    }
}

async fn serve(args: &ServeArgs, style: Style) -> Result<(), Failure> {
    let server = server(args).await?.drain_timeout(DRAIN);
    // What does not end in order by then, such as a log that nobody reads, ends all the same.
    let ending = Ending::listen(DRAIN + Duration::from_secs(2));
    let address = server.local_addr().map_err(|error| Failure::new(Status::Network, error.to_string()))?;
    let (scheme, page) = if args.cert.is_some() { ("wss", "https") } else { ("ws", "http") };
    let mut announcement = format!("listening on {scheme}://{address}\n");
    if args.files.is_some() {
        announcement += &format!("files on {page}://{address}\n");
    }
    // Whoever started it does not have to read it.
    let _ = io::stdout().write_all(announcement.as_bytes());
    let verbosity = if args.quiet { Verbosity::Quiet } else { Verbosity::Normal };
    let log = Arc::new(Log { style, verbosity, count: AtomicU64::new(0) });
    let handler = Arc::new(match args.handling() {
        Handling::Echo => Handler::Echo,
        Handling::Broadcast => Handler::Broadcast(Room::default()),
        Handling::Exec { command } => Handler::Exec(Exec::new(command, args)),
    });
    let served = server.serve_until(
        move |ws, request| {
            let (log, handler) = (Arc::clone(&log), Arc::clone(&handler));
            async move { log.around(ws, request, &handler).await }
        },
        async {
            ending.asked_for().await;
        },
    );
    served.await.map_err(|error| Failure::new(Status::Network, error.to_string()))
}

async fn server(args: &ServeArgs) -> Result<Server, Failure> {
    let bound = Server::bind(&*args.address).await;
    let cannot = |error| Failure::new(Status::Network, format!("cannot listen on {}: {error}", args.address));
    let mut server = bound
        .map_err(cannot)?
        .config(Config::new(Role::Server).max_message(args.max_message.as_usize()))
        .max_connections(args.max_connections)
        .origin(origin(&args.origins)?);
    if args.compress {
        server = server.deflate(DeflateConfig::default());
    }
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        let (chain, key) = (read(cert)?, read(key)?);
        server = server.tls(ServerTls::from_pem(&chain, &key).map_err(|error| Failure::usage(error.to_string()))?);
    }
    if let Some(folder) = &args.files {
        let files =
            Files::new(folder).map_err(|error| Failure::usage(format!("--static {}: {error}", folder.display())))?;
        server = server.fallback(move |request| files.answer(request));
    }
    Ok(judged(server, args))
}

/// Looks at who comes, and agrees to a subprotocol.
fn judged(server: Server, args: &ServeArgs) -> Server {
    let expected = args.auth.as_ref().map(|auth| format!("Basic {}", STANDARD.encode(auth)));
    let subprotocols: Arc<[String]> = args.subprotocols.clone().into();
    let expected: Arc<Option<String>> = expected.into();
    server.judge(move |request, _peer| {
        let (expected, subprotocols) = (Arc::clone(&expected), Arc::clone(&subprotocols));
        async move {
            if let Some(expected) = &*expected
                && !request.header("Authorization").is_some_and(|given| same_secret(given, expected))
            {
                return Err(Response::unauthorized("Basic realm=\"sockeye\"").expect("a constant challenge is valid"));
            }
            let subprotocol = request.choose_subprotocol(subprotocols.iter().map(String::as_str)).map(str::to_owned);
            Ok(Accept { subprotocol, ..Accept::default() })
        }
    })
}

fn origin(allowed: &[String]) -> Result<Origin, Failure> {
    if allowed.iter().any(|origin| origin == "any") {
        return Ok(Origin::any());
    }
    let allowed = Origin::same_host().allow(allowed.iter().map(String::as_str));
    allowed.map_err(|error| Failure::usage(error.to_string()))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// What is done with the messages of a connection.
enum Handler {
    Echo,
    Broadcast(Room),
    Exec(Exec),
}

impl Handler {
    async fn handle(&self, ws: &mut WebSocket, request: &Request) -> Result<(), Fault> {
        match self {
            Self::Echo => echo(ws).await.map_err(Fault::from),
            Self::Broadcast(room) => room.join(ws).await.map_err(Fault::from),
            Self::Exec(exec) => exec.run(ws, request).await,
        }
    }
}

async fn echo(ws: &mut WebSocket) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// Why a connection was not served to its end.
#[derive(Debug)]
enum Fault {
    Connection(Error),
    Command(io::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Connection(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Command(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection(error) => error.fmt(f),
            Self::Command(error) => write!(f, "the command failed: {error}"),
        }
    }
}

/// Says who comes and goes.
struct Log {
    style: Style,
    verbosity: Verbosity,
    count: AtomicU64,
}

impl Log {
    async fn around(&self, mut ws: WebSocket, request: Request, handler: &Handler) -> Result<(), Fault> {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        self.say(Part::Aside, &format!("#{number} connected to {}", escaped(request.target())));
        let handled = handler.handle(&mut ws, &request).await;
        match (&handled, ws.end()) {
            (_, Some(end)) if end.is_clean() => {
                self.say(Part::Aside, &format!("#{number} {}", words::closed_by_client(&end)));
            }
            (Err(fault), _) => self.say(Part::Fault, &format!("#{number} {fault}")),
            (Ok(()), _) => self.say(Part::Aside, &format!("#{number} done")),
        }
        handled
    }

    fn say(&self, part: Part, line: &str) {
        if self.verbosity > Verbosity::Quiet {
            // A log that cannot be written is no reason to stop.
            let _ = say(self.style, part, line);
        }
    }
}
