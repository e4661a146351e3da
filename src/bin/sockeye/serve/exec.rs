use std::{
    collections::VecDeque,
    io, mem,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use sockeye::{CloseCode, Message, WebSocket, proto::handshake::Request};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    Fault,
    environment::{self, Scheme},
};
use crate::args::ServeArgs;

/// How long a command has to end once its input has.
const GRACE: Duration = Duration::from_secs(5);
/// The longest line of a command, which is held until its end.
const MAX_LINE: usize = 16 << 20;
/// The most that one read of raw output takes.
const CHUNK: usize = 64 * 1024;

/// A command that is run for each connection.
pub(super) struct Exec {
    command: String,
    form: Form,
    scheme: Scheme,
}

#[derive(Clone, Copy)]
enum Form {
    Lines,
    Raw,
}

impl Exec {
    pub(super) fn new(command: String, args: &ServeArgs) -> Self {
        let form = if args.binary { Form::Raw } else { Form::Lines };
        let scheme = if args.cert.is_some() { Scheme::Wss } else { Scheme::Ws };
        Self { command, form, scheme }
    }

    /// Runs the command for as long as the connection lasts, and the other way round.
    pub(super) async fn run(&self, ws: &mut WebSocket, request: &Request) -> Result<(), Fault> {
        let mut child = self.spawn(ws, request)?;
        let input = child.stdin.take().expect("it was asked for");
        let output = child.stdout.take().expect("it was asked for");
        self.talk(ws, input, output).await?;
        // Its output has ended, or the connection has; its input is closed.
        let status = match timeout(GRACE, child.wait()).await {
            Ok(status) => status?,
            Err(_) => {
                child.kill().await?;
                child.wait().await?
            }
        };
        let (code, reason) = ending(status);
        Ok(ws.close(code, reason).await?)
    }

    /// Starts it: nothing of the client's gets into the command, only into its environment.
    fn spawn(&self, ws: &WebSocket, request: &Request) -> io::Result<Child> {
        let mut command = shell(&self.command);
        command
            .envs(environment::of(ws, request, self.scheme))
            .env_remove("SOCKEYE_AUTH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command.spawn()
    }

    /// Passes messages on both ways, until one of them ends. While the command takes no input, the client is not read; its
    /// output is, as it may be what it waits for.
    async fn talk(&self, ws: &mut WebSocket, input: ChildStdin, output: ChildStdout) -> Result<(), Fault> {
        let mut input = Some(input);
        let mut pending = VecDeque::new();
        let mut output = Output { form: self.form, reader: BufReader::with_capacity(CHUNK, output), line: Vec::new() };
        loop {
            tokio::select! {
                written = write_some(&mut input, &pending), if !pending.is_empty() => match written {
                    Ok(written) => drop(pending.drain(..written)),
                    // It may read no more and still have something to say.
                    Err(_) => {
                        input = None;
                        pending.clear();
                    }
                },
                received = ws.recv(), if pending.is_empty() => {
                    let Some(message) = received? else { return Ok(()) };
                    if input.is_some() {
                        pending.extend(message.as_bytes());
                        pending.extend(self.form.end());
                    }
                }
                message = output.next() => match message? {
                    Some(message) => ws.send(message).await?,
                    None => return Ok(()),
                },
            }
        }
    }
}

impl Form {
    /// What stands behind a message.
    const fn end(self) -> &'static [u8] {
        match self {
            Self::Lines => b"\n",
            Self::Raw => b"",
        }
    }
}

/// Writes as much as is taken; cancelled, nothing is written.
async fn write_some(input: &mut Option<ChildStdin>, pending: &VecDeque<u8>) -> io::Result<usize> {
    match input {
        Some(input) => input.write(pending.as_slices().0).await,
        None => Ok(pending.len()),
    }
}

/// What the command writes.
struct Output {
    form: Form,
    reader: BufReader<ChildStdout>,
    /// The line that is not whole yet: kept here, so that nothing is lost when the wait for it is cancelled.
    line: Vec<u8>,
}

impl Output {
    /// The next message; a line that is not UTF-8 is a binary one.
    async fn next(&mut self) -> io::Result<Option<Message>> {
        match self.form {
            Form::Raw => {
                let mut chunk = Vec::with_capacity(CHUNK);
                let read = self.reader.read_buf(&mut chunk).await?;
                Ok((read > 0).then(|| chunk.into()))
            }
            Form::Lines => {
                let line = self.line().await?;
                Ok(line.map(|line| String::from_utf8(line).map_or_else(|raw| raw.into_bytes().into(), Message::from)))
            }
        }
    }

    /// The next line, without its end; cancelled, nothing is lost of it.
    async fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let read = self.reader.fill_buf().await?;
            if read.is_empty() {
                let rest = mem::take(&mut self.line);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            let end = read.iter().position(|&byte| byte == b'\n');
            let len = end.unwrap_or(read.len());
            if self.line.len() + len > MAX_LINE {
                return Err(io::Error::other(format!("it wrote a line of more than {MAX_LINE} bytes")));
            }
            self.line.extend_from_slice(&read[..len]);
            self.reader.consume(len + usize::from(end.is_some()));
            if end.is_some() {
                return Ok(Some(mem::take(&mut self.line)));
            }
        }
    }
}

fn ending(status: ExitStatus) -> (CloseCode, String) {
    if status.success() {
        (CloseCode::NORMAL, String::new())
    } else {
        (CloseCode::INTERNAL_ERROR, format!("the command failed: {status}"))
    }
}

#[cfg(unix)]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    shell
}

#[cfg(not(unix))]
fn shell(command: &str) -> Command {
    let mut shell = Command::new("cmd");
    shell.arg("/C").arg(command);
    shell
}
