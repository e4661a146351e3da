//! Where what is sent comes from.

use std::{
    io::{BufRead as _, BufReader, Read, stdin},
    thread,
};

use sockeye::Message;
use tokio::sync::mpsc;

use super::command::{self, Command};
use crate::{args::InputArgs, exit::Failure, prompt::Typed};

/// How many messages are read ahead.
const AHEAD: usize = 64;

/// What sends.
pub(super) enum Source {
    /// Nobody.
    None,
    /// The command line.
    Given(Vec<String>),
    /// A pipe, a file, or a terminal that cannot edit.
    Stdin,
    /// A person.
    Prompt(mpsc::Receiver<Typed>),
}

/// What comes from a source.
#[derive(Debug)]
pub(super) enum Input {
    Command(Command),
    /// A line at the prompt that asks for nothing that there is.
    Misspelt(String),
    /// Nothing more comes.
    End(EndOfInput),
    /// What comes cannot be sent.
    Fault(Failure),
}

/// How the input ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EndOfInput {
    /// It was read, or sent, to its end.
    Read,
    /// A person is done.
    Done,
}

impl Source {
    /// Starts to read; `None` if there is nothing to read, ever.
    pub(super) fn start(self, args: &InputArgs) -> Option<mpsc::Receiver<Input>> {
        let (inputs, receiver) = mpsc::channel(AHEAD);
        match self {
            Self::None => return None,
            Self::Given(messages) => {
                tokio::spawn(async move {
                    let messages = messages.into_iter().map(|text| Input::Command(Command::Send(text.into())));
                    for input in messages.chain([Input::End(EndOfInput::Read)]) {
                        if inputs.send(input).await.is_err() {
                            return;
                        }
                    }
                });
            }
            Self::Stdin => {
                let reader = Reader::new(args, inputs);
                thread::spawn(move || reader.run());
            }
            Self::Prompt(typed) => {
                tokio::spawn(translate(typed, inputs));
            }
        }
        Some(receiver)
    }
}

async fn translate(mut typed: mpsc::Receiver<Typed>, inputs: mpsc::Sender<Input>) {
    while let Some(typed) = typed.recv().await {
        let input = match typed {
            Typed::Line(line) => command::parse(&line).map_or_else(Input::Misspelt, Input::Command),
            Typed::End => Input::End(EndOfInput::Done),
        };
        if inputs.send(input).await.is_err() {
            return;
        }
    }
}

/// How the standard input is cut into messages.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Behind each such byte.
    Behind(u8),
    /// As it comes, in pieces of so many bytes at the most.
    Chunks(usize),
    /// Not at all.
    Whole,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Lines {
    Text,
    Binary,
    Commands,
}

/// Reads the standard input in a thread of its own.
struct Reader {
    cut: Cut,
    lines: Lines,
    inputs: mpsc::Sender<Input>,
}

/// Nobody wants more of the input.
struct Unwanted;

impl Reader {
    fn new(args: &InputArgs, inputs: mpsc::Sender<Input>) -> Self {
        let cut = match (args.whole, args.binary, args.null) {
            (true, ..) => Cut::Whole,
            (_, true, _) => Cut::Chunks(args.chunk.as_usize().max(1)),
            (.., true) => Cut::Behind(0),
            _ => Cut::Behind(b'\n'),
        };
        let lines = match (args.binary, args.slash) {
            (true, _) => Lines::Binary,
            (false, true) => Lines::Commands,
            (false, false) => Lines::Text,
        };
        Self { cut, lines, inputs }
    }

    fn run(self) {
        let read = match self.cut {
            Cut::Behind(end) => self.messages_behind(end),
            Cut::Chunks(size) => self.chunks(size),
            Cut::Whole => self.whole(),
        };
        if read.is_ok() {
            // Whoever is gone does not want to know.
            let _ = self.put(Input::End(EndOfInput::Read));
        }
    }

    fn messages_behind(&self, end: u8) -> Result<(), Unwanted> {
        let mut input = BufReader::with_capacity(64 * 1024, stdin().lock());
        for number in 1.. {
            let mut line = Vec::new();
            if self.checked(input.read_until(end, &mut line))? == 0 {
                break;
            }
            if line.last() == Some(&end) {
                line.pop();
            }
            self.message(line, || format!("message {number} of the input"))?;
        }
        Ok(())
    }

    fn chunks(&self, size: usize) -> Result<(), Unwanted> {
        let mut input = stdin().lock();
        let mut buffer = vec![0; size];
        loop {
            match self.checked(input.read(&mut buffer))? {
                0 => return Ok(()),
                read => self.message(buffer[..read].to_vec(), String::new)?,
            }
        }
    }

    fn whole(&self) -> Result<(), Unwanted> {
        let mut all = Vec::new();
        self.checked(stdin().lock().read_to_end(&mut all))?;
        self.message(all, || "the input".into())
    }

    fn message(&self, bytes: Vec<u8>, what: impl FnOnce() -> String) -> Result<(), Unwanted> {
        if self.lines == Lines::Binary {
            return self.put(Input::Command(Command::Send(bytes.into())));
        }
        let Ok(text) = String::from_utf8(bytes) else {
            let message = format!("{} is not UTF-8, as text has to be; --binary sends any bytes", what());
            return self.fail(message);
        };
        if self.lines == Lines::Text {
            return self.put(Input::Command(Command::Send(Message::from(text))));
        }
        match command::parse(&text) {
            Ok(command) => self.put(Input::Command(command)),
            Err(error) => self.fail(format!("{}: {error}", what())),
        }
    }

    fn checked<T>(&self, read: std::io::Result<T>) -> Result<T, Unwanted> {
        match read {
            Ok(read) => Ok(read),
            Err(error) => Err(match self.fail(format!("the input cannot be read: {error}")) {
                Ok(()) | Err(Unwanted) => Unwanted,
            }),
        }
    }

    fn fail<T>(&self, message: String) -> Result<T, Unwanted> {
        self.put(Input::Fault(Failure::usage(message)))?;
        Err(Unwanted)
    }

    fn put(&self, input: Input) -> Result<(), Unwanted> {
        self.inputs.blocking_send(input).map_err(|_| Unwanted)
    }
}
