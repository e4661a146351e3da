//! `sockeye connect`: one connection, for a person or a script.

mod command;
mod frames;
mod input;
mod pings;
mod sending;
mod session;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use sockeye::{
    Error, Transport, WebSocket,
    proto::handshake::{HandshakeError, Response},
};
use tokio::{sync::mpsc, time::Instant};

use self::{
    frames::{Frames, Tap},
    input::Source,
    session::Session,
};
use crate::{
    args::ConnectArgs,
    connection,
    ending::Ending,
    exit::{Failure, Status},
    output::{BinaryForm, Event, Format, Output, Part, Printer, Style, Verbosity, say, words},
    prompt::{self, Listener},
};

/// Runs the command; what went wrong has been said when it returns.
pub(crate) async fn run(args: ConnectArgs, style: Style) -> io::Result<Status> {
    let output = Output::new(format(&args), verbosity(&args), style);
    let ending = Ending::listen(ENDING);
    match open_and_talk(&args, output, &ending).await {
        Ok(status) => Ok(status),
        Err(failure) => {
            // A terminal that is gone cannot be told so.
            let _ = say(style, Part::Fault, &format!("sockeye: {failure}"));
            Ok(ending.asked().unwrap_or(failure.status))
        }
    }
}

async fn open_and_talk(args: &ConnectArgs, mut output: Output, ending: &Ending) -> Result<Status, Failure> {
    if let Some(timeout) = args.ending.timeout {
        ending.ask_at(Instant::now() + timeout.0, Status::TimedOut);
    }
    let opened = tokio::select! {
        biased;
        status = ending.asked_for() => return Err(Failure::new(status, "it had to end before the connection was open")),
        opened = open(args) => opened,
    };
    let (ws, response, frames) = match opened {
        Ok(opened) => opened,
        Err(failure) => return Err(failure.explain(&mut output)),
    };
    let opened = Event::Opened {
        url: connection::url(&args.connection.url),
        response: Box::new(response),
        subprotocol: ws.subprotocol().map(str::to_owned),
        compressed: ws.is_compressed(),
    };
    output.show(&opened).map_err(unwritable)?;
    output.flush().map_err(unwritable)?;
    let (source, output) = source(args, output, ending);
    let printer = Printer::start(output);
    let (status, printer, last) = Session::new(args, ws, frames, printer, ending.clone()).run(source).await;
    let mut output = printer.finish().await.map_err(unwritable)?;
    output.leave_prompt().map_err(unwritable)?;
    for event in last {
        output.show(&event).map_err(unwritable)?;
    }
    // Who does not read to the end does not want the rest.
    let _ = output.flush();
    Ok(status)
}

/// Where what is sent comes from: the command line, a prompt, or the standard input.
fn source(args: &ConnectArgs, output: Output, ending: &Ending) -> (Source, Output) {
    if args.input.echo {
        return (Source::None, output);
    }
    if !args.input.messages.is_empty() {
        return (Source::Given(args.input.messages.clone()), output);
    }
    let is_for_a_person = io::stdin().is_terminal() && output.format == Format::Screen && !args.input.whole;
    if !is_for_a_person {
        return (Source::Stdin, output);
    }
    let (typed, lines) = mpsc::channel(16);
    let history = if args.input.no_history { None } else { prompt::history_file() };
    let ending = ending.clone();
    let listener = Listener { typed, interrupt: Box::new(move || ending.ask(Status::Interrupted)) };
    match prompt::start(history, command::NAMES, output.style.out, listener) {
        Ok(above) => (Source::Prompt(lines), output.above(above)),
        // A terminal that cannot be edited on has lines all the same.
        Err(_) => (Source::Stdin, output),
    }
}

async fn open(args: &ConnectArgs) -> Result<(WebSocket, Response, Option<Frames>), Unopened> {
    let connect = connection::connect(&args.connection)?;
    if !args.output.frames {
        let (ws, response) = connect.with_response().await?;
        return Ok((ws, response, None));
    }
    let (seen, frames) = mpsc::unbounded_channel();
    let io = connect.dial().await?;
    let (ws, response) = connect.over(Transport::new(Tap::new(io, seen))).await?;
    Ok((ws, response, Some(frames)))
}

/// Why there is no connection.
enum Unopened {
    Refused(Box<Response>),
    Other(Failure),
}

impl Unopened {
    /// Shows what the server says beside its refusal.
    fn explain(self, output: &mut Output) -> Failure {
        let response = match self {
            Self::Refused(response) => response,
            Self::Other(failure) => return failure,
        };
        let style = output.style;
        if output.verbosity == Verbosity::Verbose {
            for line in words::head(&response) {
                let _ = say(style, Part::Aside, &line);
            }
        }
        let status = format!("the server refused with status {} {}", response.status(), response.reason());
        let location = response.headers.get("Location").map(String::from_utf8_lossy);
        let location = location.map(|location| format!(", see {location} (--redirects follows)")).unwrap_or_default();
        for line in String::from_utf8_lossy(&response.body).lines() {
            let _ = say(style, Part::Aside, line);
        }
        Failure::new(Status::Refused, status + &location)
    }
}

impl From<Error> for Unopened {
    fn from(error: Error) -> Self {
        match error {
            Error::Handshake(error) => match *error {
                HandshakeError::Refused(response) => Self::Refused(response),
                other => Self::Other(Error::from(other).into()),
            },
            other => Self::Other(Failure::unopened(other)),
        }
    }
}

impl From<Failure> for Unopened {
    fn from(failure: Failure) -> Self {
        Self::Other(failure)
    }
}

fn unwritable(error: io::Error) -> Failure {
    Failure::new(Status::Usage, format!("the output cannot be written: {error}"))
}

fn format(args: &ConnectArgs) -> Format {
    if args.output.json {
        return Format::Json;
    }
    if io::stdout().is_terminal() {
        return Format::Screen;
    }
    let binary = match (args.input.binary, args.output.base64) {
        (true, _) => BinaryForm::Raw,
        (false, true) => BinaryForm::Base64,
        (false, false) => BinaryForm::AsText,
    };
    Format::Plain { text_end: if args.input.null { b"\0" } else { b"\n" }, binary }
}

fn verbosity(args: &ConnectArgs) -> Verbosity {
    match (args.output.quiet, args.output.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, true) => Verbosity::Verbose,
        (false, false) => Verbosity::Normal,
    }
}

/// How long a connection has to end once that is asked for, and its output to be written.
const ENDING: Duration = Duration::from_secs(3);
/// A long time, for a timer that is not to go off.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
