//! What is shown: on a terminal, in a pipe, or as JSON.

pub(crate) mod escape;
mod event;
mod json;
mod printer;
mod style;
pub(crate) mod words;

use std::io::{self, Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sockeye::{
    Message,
    proto::connection::{End, Initiator},
};

use self::escape::{escaped, hex};
pub(crate) use self::{
    event::{Event, Way},
    printer::{Gone, Printer, Share},
    style::{Colours, Part, Style},
};
use crate::{exit::Status, prompt::Above};

/// How events are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// For a person: marks, colours, escapes.
    Screen,
    /// For a program: messages exactly as they came.
    Plain { text_end: &'static [u8], binary: BinaryForm },
    /// For a program: everything, a line each.
    Json,
}

/// What a binary message is in a pipe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BinaryForm {
    /// Its bytes, and what ends a text.
    AsText,
    /// Its bytes, and nothing else.
    Raw,
    /// Base64, and what ends a text.
    Base64,
}

/// How much is said beside the messages.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// Whether what is sent is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shown {
    /// What is sent was typed, and stands on the screen already.
    Typed,
    /// What is sent has to be shown.
    Sent,
}

/// Writes events.
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) verbosity: Verbosity,
    pub(crate) style: Style,
    pub(crate) shown: Shown,
    /// The prompt that everything is written above, if there is one.
    above: Option<Above>,
    /// What is to be written.
    pending: Vec<u8>,
}

impl Output {
    pub(crate) const fn new(format: Format, verbosity: Verbosity, style: Style) -> Self {
        Self { format, verbosity, style, shown: Shown::Sent, above: None, pending: Vec::new() }
    }

    /// Writes everything above a prompt, where the person sees what they typed.
    pub(crate) fn above(self, prompt: Above) -> Self {
        Self { above: Some(prompt), shown: Shown::Typed, ..self }
    }

    /// Takes an event; it is written by the next [`flush`](Self::flush), or sooner.
    pub(crate) fn show(&mut self, event: &Event) -> io::Result<()> {
        const MUCH: usize = 64 * 1024;
        match self.format {
            Format::Json => {
                writeln!(self.pending, "{}", json::line(event))?;
                // A program may keep only its own lines; a person wants to know why it failed.
                if let Event::Fault(text) = event {
                    self.say(Part::Fault, text)?;
                }
            }
            Format::Plain { text_end, binary } => match event {
                Event::Message { way: Way::In, message } => self.plain(message, text_end, binary),
                other => self.aside(other)?,
            },
            Format::Screen => match event {
                Event::Message { way, message } => self.message(*way, message),
                other => self.aside(other)?,
            },
        }
        if self.pending.len() >= MUCH { self.flush() } else { Ok(()) }
    }

    /// Writes what is pending.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        match &mut self.above {
            Some(prompt) => prompt.print(String::from_utf8_lossy(&self.pending).into_owned())?,
            None => {
                let mut out = io::stdout().lock();
                out.write_all(&self.pending)?;
                out.flush()?;
            }
        }
        self.pending.clear();
        Ok(())
    }

    /// Drops what is pending.
    pub(crate) fn discard(&mut self) {
        self.pending.clear();
    }

    /// Leaves the prompt, if there is one: what is said from now on stands below it.
    pub(crate) fn leave_prompt(&mut self) -> io::Result<()> {
        self.flush()?;
        self.above.take().map_or(Ok(()), Above::leave)
    }

    fn plain(&mut self, message: &Message, text_end: &[u8], binary: BinaryForm) {
        match (message, binary) {
            (Message::Binary(bytes), BinaryForm::Base64) => {
                self.pending.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            }
            (message, _) => self.pending.extend_from_slice(message.as_bytes()),
        }
        if binary != BinaryForm::Raw {
            self.pending.extend_from_slice(text_end);
        }
    }

    /// A message behind its mark; further lines of it have a mark of their own, so that none can pass for anything else.
    fn message(&mut self, way: Way, message: &Message) {
        let (mark, more, part) = match way {
            Way::In => ("<", "|", Part::Incoming),
            Way::Out if self.shown == Shown::Typed => return,
            Way::Out => (">", "|", Part::Outgoing),
        };
        match message {
            Message::Text(text) => {
                for (index, line) in text.split('\n').enumerate() {
                    let mark = self.style.out.paint(part, if index == 0 { mark } else { more });
                    self.line(&format!("{mark} {}", escaped(line)));
                }
            }
            Message::Binary(bytes) => {
                let len = bytes.len() as u64;
                let size = format!("binary, {len} {}", words::plural(len, "byte"));
                let size = self.style.out.paint(Part::Aside, &size);
                let mark = self.style.out.paint(part, mark);
                self.line(format!("{mark} {size} {}", hex(bytes)).trim_end());
            }
        }
    }

    /// What is no message: on the standard error, or above the prompt.
    fn aside(&mut self, event: &Event) -> io::Result<()> {
        let is_on_screen = self.format == Format::Screen;
        let verbosity = self.verbosity;
        match event {
            Event::Opened { url, response, subprotocol, compressed } => {
                if let Some(response) = response
                    && verbosity == Verbosity::Verbose
                {
                    for line in words::head(response) {
                        self.say(Part::Aside, &line)?;
                    }
                }
                // Where connections come and go, a script is told, too.
                let is_news = is_on_screen || response.is_none();
                if verbosity == Verbosity::Verbose || is_news && verbosity == Verbosity::Normal {
                    self.say(Part::Aside, &words::opened(url, subprotocol.as_deref(), *compressed))?;
                }
            }
            Event::Ping { way, payload } if verbosity == Verbosity::Verbose => {
                self.say(Part::Aside, &words::ping(*way, payload))?;
            }
            Event::Pong { way, payload, rtt } => {
                // One that was asked for is what somebody waits for.
                if verbosity == Verbosity::Verbose || rtt.is_some() && verbosity == Verbosity::Normal {
                    self.say(Part::Aside, &words::pong(*way, payload, *rtt))?;
                }
            }
            Event::Frame { way, header } => self.say(Part::Aside, &words::frame(*way, header))?,
            Event::Lost { loss, retry_in } => {
                let line = format!("{loss}; the next attempt is in {}", words::time(*retry_in));
                self.say(Part::Fault, &line)?;
            }
            Event::Closed(end) => self.closed(end)?,
            Event::Note(text) => {
                for line in text.lines() {
                    self.say(Part::Aside, line)?;
                }
            }
            Event::Fault(text) => self.say(Part::Fault, text)?,
            Event::Ping { .. } | Event::Message { .. } => {}
        }
        Ok(())
    }

    /// The end. A script is not told what it has asked for.
    fn closed(&mut self, end: &End) -> io::Result<()> {
        let is_ours = matches!(end, End::Closed { by: Initiator::Us, .. });
        let is_clean = Status::of_end(end) == Status::Clean;
        let needed = match (is_clean, is_ours && self.format != Format::Screen) {
            (false, _) => Verbosity::Quiet,
            (true, false) => Verbosity::Normal,
            (true, true) => Verbosity::Verbose,
        };
        let part = if is_clean { Part::Aside } else { Part::Fault };
        if self.verbosity >= needed { self.say(part, &words::closed(end)) } else { Ok(()) }
    }

    /// Says a line; where it goes to another place than messages, these go first.
    fn say(&mut self, part: Part, line: &str) -> io::Result<()> {
        if self.above.is_some() {
            let line = self.style.out.paint(part, &escaped(line));
            self.line(&line);
            return Ok(());
        }
        self.flush()?;
        say(self.style, part, line)
    }

    fn line(&mut self, line: &str) {
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
    }
}

/// Says a line on the standard error.
pub(crate) fn say(style: Style, part: Part, line: &str) -> io::Result<()> {
    writeln!(io::stderr(), "{}", style.err.paint(part, &escaped(line)))
}
