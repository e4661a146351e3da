//! `sockeye connect`: one connection, for a person or a script.

mod command;
mod frames;
mod input;
mod link;
mod pings;
mod sending;
mod session;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use sockeye::{
    CloseCode, Error, Keepalive, Transport, WebSocket,
    client::{Loss, Reconnecting, reconnecting},
    proto::{
        connection::End,
        handshake::{HandshakeError, Response},
    },
};
use tokio::{sync::mpsc, time::Instant};

use self::{
    frames::{Frames, Tap},
    input::Source,
    session::{Concluded, Session},
};
use crate::{
    args::ConnectArgs,
    connection::{self, Target},
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
    let target = target(args)?;
    let concluded = if args.ending.reconnect {
        let connections = again(target);
        let (source, output) = source(args, output, ending);
        Session::again(args, connections, Printer::start(output), ending.clone()).run(source).await
    } else {
        let opened = tokio::select! {
            biased;
            status = ending.asked_for() => {
                return Err(Failure::new(status, "it had to end before the connection was open"));
            }
            opened = open(args, &target) => opened,
        };
        let (ws, response, frames) = opened.map_err(|unopened| unopened.explain(&output))?;
        show_opened(args, &ws, response, &mut output).map_err(unwritable)?;
        let (source, output) = source(args, output, ending);
        Session::once(args, ws, frames, Printer::start(output), ending.clone()).run(source).await
    };
    let Concluded { status, printer, last, unopened } = concluded;
    let mut output = printer.finish().await.map_err(unwritable)?;
    output.leave_prompt().map_err(unwritable)?;
    if let Some(error) = unopened {
        return Err(Unopened::from(error).explain(&output));
    }
    for event in last {
        output.show(&event).map_err(unwritable)?;
    }
    // Who does not read to the end does not want the rest.
    let _ = output.flush();
    Ok(status)
}

fn target(args: &ConnectArgs) -> Result<Target, Failure> {
    let keepalive = args
        .output
        .ping_timeout
        .map(|timeout| Keepalive { interval: args.output.ping_interval.unwrap_or(timeout).0, timeout: timeout.0 });
    Ok(Target::new(&args.connection)?.keepalive(keepalive))
}

/// Makes the connection anew whenever it is lost, unless the server has no more to say, or wants nothing from us.
fn again(target: Target) -> Reconnecting {
    let is_worth_it = |loss: &Loss| match loss {
        Loss::Closed(Some(end @ End::Closed { .. })) => {
            end.close_frame().is_none_or(|frame| frame.code != CloseCode::NORMAL)
        }
        Loss::NotConnected(Error::Handshake(error)) => match &**error {
            HandshakeError::Refused(response) => response.status() >= 500,
            _ => true,
        },
        Loss::NotConnected(error) => !matches!(error, Error::Tls(_) | Error::Redirect { .. }) && !is_usage(error),
        _ => true,
    };
    reconnecting("").with(move |_| target.connect()).retry_if(is_worth_it)
}

fn is_usage(error: &Error) -> bool {
    Status::of_error(error) == Status::Usage
}

fn show_opened(args: &ConnectArgs, ws: &WebSocket, response: Response, output: &mut Output) -> io::Result<()> {
    output.show(&Event::Opened {
        url: connection::shown_url(&args.connection.url),
        response: Some(Box::new(response)),
        subprotocol: ws.subprotocol().map(str::to_owned),
        compressed: ws.is_compressed(),
    })?;
    output.flush()
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

async fn open(args: &ConnectArgs, target: &Target) -> Result<(WebSocket, Response, Option<Frames>), Unopened> {
    let connect = target.connect();
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
    fn explain(self, output: &Output) -> Failure {
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
