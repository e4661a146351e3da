//! The prompt: a line that is edited at the bottom of the terminal while other lines come in above it.

mod history;
mod line;
mod screen;

use std::{
    io,
    path::PathBuf,
    sync::mpsc::{self as sync, RecvTimeoutError, TryRecvError},
    thread,
    time::Duration,
};

use crossterm::event::{self, Event, KeyEventKind};
use tokio::sync::mpsc;

pub(crate) use self::history::history_file;
use self::{
    history::History,
    line::{Edit, Line},
    screen::Screen,
};
use crate::output::Colours;

/// How many texts may wait to be printed.
const WAITING: usize = 16;
/// How often the prompt looks for lines to print: a person sees no delay.
const LOOK: Duration = Duration::from_millis(15);

/// What a person does at the prompt.
#[derive(Debug)]
pub(crate) enum Typed {
    Line(String),
    /// Ctrl-D.
    End,
    /// Ctrl-C.
    Interrupt,
}

/// Starts to read lines; gives what writes above them.
pub(crate) fn start(
    history: Option<PathBuf>,
    commands: &'static [&'static str],
    colours: Colours,
    typed: mpsc::Sender<Typed>,
) -> io::Result<Above> {
    let screen = Screen::take(colours)?;
    let (lines, waiting) = sync::sync_channel(WAITING);
    let prompt = Prompt { screen, line: Line::new(commands, History::load(history)), waiting, typed };
    let thread = thread::spawn(move || prompt.run());
    Ok(Above { lines, thread })
}

/// Writes above the prompt.
pub(crate) struct Above {
    lines: sync::SyncSender<String>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Above {
    /// Writes whole lines.
    pub(crate) fn print(&mut self, lines: String) -> io::Result<()> {
        self.lines.send(lines).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Takes the prompt away: everything was printed, and the terminal is as it was.
    pub(crate) fn leave(self) -> io::Result<()> {
        drop(self.lines);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread of the prompt panicked")))
    }
}

/// What runs in the prompt's thread.
struct Prompt {
    screen: Screen,
    line: Line,
    waiting: sync::Receiver<String>,
    typed: mpsc::Sender<Typed>,
}

/// The prompt has to go.
struct Over;

impl Prompt {
    /// Edits and prints until nobody prints any more.
    fn run(mut self) -> io::Result<()> {
        self.screen.draw(&self.line)?;
        while self.print_waiting()?.is_ok() {
            if event::poll(LOOK)? {
                let event = event::read()?;
                self.handle(event)?;
            }
        }
        self.screen.leave()
    }

    fn print_waiting(&mut self) -> io::Result<Result<(), Over>> {
        loop {
            match self.waiting.try_recv() {
                Ok(lines) => self.screen.print_above(&lines, &self.line)?,
                Err(TryRecvError::Empty) => return Ok(Ok(())),
                Err(TryRecvError::Disconnected) => return Ok(Err(Over)),
            }
        }
    }

    fn handle(&mut self, event: Event) -> io::Result<()> {
        let edit = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.line.key(key),
            Event::Paste(text) => self.line.paste(&text),
            Event::Resize(..) => Edit::Changed,
            _ => return Ok(()),
        };
        match edit {
            Edit::Changed => self.screen.draw(&self.line),
            Edit::Cleared => self.screen.clear(&self.line),
            Edit::Entered(text) => {
                self.screen.keep(&text)?;
                self.tell(Typed::Line(text))?;
                self.screen.draw(&self.line)
            }
            Edit::End => self.tell(Typed::End),
            Edit::Interrupt => self.tell(Typed::Interrupt),
        }
    }

    /// Tells what was typed. While nobody listens, lines that wait are printed, as whoever should listen may wait for that.
    fn tell(&mut self, mut typed: Typed) -> io::Result<()> {
        while let Err(mpsc::error::TrySendError::Full(back)) = self.typed.try_send(typed) {
            typed = back;
            match self.waiting.recv_timeout(LOOK) {
                Ok(lines) => self.screen.print_above(&lines, &self.line)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
        Ok(())
    }
}
