//! The prompt: a line that is edited at the bottom of the terminal while other lines come in above it.

mod history;
mod keys;
mod line;
mod screen;

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::mpsc::{self as sync, RecvTimeoutError},
    thread,
    time::Duration,
};

use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::sync::mpsc;

use self::{
    history::History,
    keys::Permits,
    line::{Edit, Line},
    screen::Screen,
};
pub(crate) use self::{history::history_file, screen::restore};
use crate::output::Colours;

/// How many texts may wait to be printed.
const WAITING: usize = 16;
/// How often it looks whether somebody takes what was typed, while nobody does.
const LOOK: Duration = Duration::from_millis(15);
/// How many keys are kept meanwhile.
const LATE: usize = 4096;

/// What a person does at the prompt.
#[derive(Debug)]
pub(crate) enum Typed {
    Line(String),
    /// Ctrl-D.
    End,
}

/// Where what is typed goes.
pub(crate) struct Listener {
    pub(crate) typed: mpsc::Sender<Typed>,
    /// Called at Ctrl-C, which does not wait behind lines that nobody takes.
    pub(crate) interrupt: Box<dyn Fn() + Send>,
}

/// Starts to read lines; gives what writes above them.
pub(crate) fn start(
    history: Option<PathBuf>,
    commands: &'static [&'static str],
    colours: Colours,
    listener: Listener,
) -> io::Result<Above> {
    let screen = Screen::take(colours)?;
    let (jobs, waiting) = sync::sync_channel(WAITING);
    let prompt = Prompt {
        screen,
        line: Line::new(commands, History::load(history)),
        waiting,
        permits: keys::start(jobs.clone()),
        listener,
        owed: None,
        late: VecDeque::new(),
    };
    let thread = thread::spawn(move || prompt.run());
    Ok(Above { jobs, thread })
}

/// Writes above the prompt.
pub(crate) struct Above {
    jobs: sync::SyncSender<Job>,
    thread: thread::JoinHandle<io::Result<()>>,
}

impl Above {
    /// Writes whole lines.
    pub(crate) fn print(&mut self, lines: String) -> io::Result<()> {
        self.jobs.send(Job::Print(lines)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Takes the prompt away: everything was printed, and the terminal is as it was.
    pub(crate) fn leave(self) -> io::Result<()> {
        // It may have left by itself, and says why.
        let _ = self.jobs.send(Job::Leave);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread of the prompt panicked")))
    }
}

/// What the thread of the prompt does next.
enum Job {
    Print(String),
    Key(Event),
    /// No more keys come: the terminal is gone.
    NoKeys,
    Leave,
}

/// What runs in the prompt's thread.
struct Prompt {
    screen: Screen,
    line: Line,
    waiting: sync::Receiver<Job>,
    permits: Permits,
    listener: Listener,
    /// What was typed, while nobody takes it.
    owed: Option<Typed>,
    /// The keys behind it.
    late: VecDeque<Event>,
}

impl Prompt {
    /// Edits and prints until it is told to leave.
    fn run(mut self) -> io::Result<()> {
        self.screen.draw(&self.line)?;
        loop {
            self.catch_up()?;
            match self.next() {
                Some(Job::Print(lines)) => self.screen.print_above(&lines, &self.line)?,
                Some(Job::Key(event)) => self.take(event),
                Some(Job::NoKeys) => self.tell(Typed::End),
                Some(Job::Leave) => return self.screen.leave(),
                None => {}
            }
        }
    }

    /// What is to be done next; nothing if somebody may take by now what is owed.
    fn next(&self) -> Option<Job> {
        if self.owed.is_none() {
            return Some(self.waiting.recv().unwrap_or(Job::Leave));
        }
        match self.waiting.recv_timeout(LOOK) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Job::Leave),
        }
    }

    /// Takes a key, and lets the next one come unless too many wait.
    fn take(&mut self, event: Event) {
        if self.owed.is_some() && is_ctrl_c(&event) {
            (self.listener.interrupt)();
        } else {
            self.late.push_back(event);
        }
        if self.late.len() < LATE {
            self.permits.give();
        }
    }

    /// Hands over what is owed, and does what the keys behind it say.
    fn catch_up(&mut self) -> io::Result<()> {
        let was_full = self.late.len() >= LATE;
        if let Some(owed) = self.owed.take() {
            self.tell(owed);
        }
        while self.owed.is_none()
            && let Some(event) = self.late.pop_front()
        {
            self.handle(event)?;
        }
        if was_full && self.late.len() < LATE {
            self.permits.give();
        }
        Ok(())
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
                self.tell(Typed::Line(text));
                self.screen.draw(&self.line)
            }
            Edit::End => {
                self.tell(Typed::End);
                Ok(())
            }
            Edit::Interrupt => {
                (self.listener.interrupt)();
                Ok(())
            }
        }
    }

    /// Tells what was typed, now or as soon as somebody takes it. Meanwhile lines are printed, as that may be what whoever
    /// should take it waits for.
    fn tell(&mut self, typed: Typed) {
        if let Err(mpsc::error::TrySendError::Full(typed)) = self.listener.typed.try_send(typed) {
            self.owed = Some(typed);
        }
    }
}

fn is_ctrl_c(event: &Event) -> bool {
    event
        .as_key_press_event()
        .is_some_and(|key| key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL))
}
