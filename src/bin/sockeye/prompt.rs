//! The prompt: a line that is edited at the bottom of the terminal while other lines come in above it.

use std::{
    io::{self, Write as _, stdout},
    path::{Path, PathBuf},
    thread,
};

use rustyline::{
    Config, Editor, ExternalPrinter, completion::Completer, error::ReadlineError, highlight::Highlighter, hint::Hinter,
    history::FileHistory, validate::Validator,
};
use tokio::sync::mpsc;

use crate::output::{Colours, Part};

/// How many lines of history are kept.
const HISTORY: usize = 1000;
const PROMPT: &str = "> ";

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
///
/// # Errors
///
/// If the terminal cannot do that.
pub(crate) fn start(
    history: Option<PathBuf>,
    commands: &'static [&'static str],
    colours: Colours,
    typed: mpsc::Sender<Typed>,
) -> io::Result<Above> {
    let before = Mode::now()?;
    let config = Config::builder()
        .max_history_size(HISTORY)
        .and_then(|config| config.history_ignore_dups(true))
        .map_err(io::Error::other)?
        .auto_add_history(true)
        .build();
    let mut editor = Editor::<Help, FileHistory>::with_config(config).map_err(io::Error::other)?;
    editor.set_helper(Some(Help { commands, colours }));
    let printer = editor.create_external_printer().map_err(io::Error::other)?;
    if let Some(history) = &history {
        // The first time there is none.
        let _ = editor.load_history(history);
    }
    thread::spawn(move || read_lines(editor, history.as_deref(), &typed));
    Ok(Above { printer: Box::new(printer), before })
}

/// Reads lines for as long as the process runs: what is printed needs somebody who draws the prompt below it.
fn read_lines(mut editor: Editor<Help, FileHistory>, history: Option<&Path>, typed: &mpsc::Sender<Typed>) {
    loop {
        let next = match editor.readline(PROMPT) {
            Ok(line) => {
                if let Some(history) = history {
                    // A history that cannot be written is no reason to stop.
                    let _ = editor.append_history(history);
                }
                Typed::Line(line)
            }
            Err(ReadlineError::Interrupted) => Typed::Interrupt,
            Err(_) => Typed::End,
        };
        if typed.blocking_send(next).is_err() {
            return;
        }
    }
}

/// Where the history is kept: as the XDG base directories have it.
pub(crate) fn history_file() -> Option<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()?.join(".local/state"),
    };
    let folder = state.join("sockeye");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}

/// Writes above the prompt.
pub(crate) struct Above {
    printer: Box<dyn ExternalPrinter + Send>,
    before: Mode,
}

impl Above {
    /// Writes whole lines.
    pub(crate) fn print(&mut self, lines: String) -> io::Result<()> {
        self.printer.print(lines).map_err(io::Error::other)
    }

    /// Takes the prompt away: the terminal is as it was, and what comes stands below what was printed.
    pub(crate) fn leave(mut self) -> io::Result<()> {
        // What is printed passes through a channel that holds one text. When it has taken two more, the last one that says
        // anything is on the screen. These go one line up and down again.
        for _ in 0..2 {
            self.print("\x1b[A\n".into())?;
        }
        self.before.restore()?;
        // The prompt's line is cleared, and pasted text is no longer marked as such.
        let mut out = stdout().lock();
        out.write_all(b"\r\x1b[J\x1b[?2004l")?;
        out.flush()
    }
}

/// How the terminal was set.
#[derive(Debug)]
struct Mode {
    #[cfg(unix)]
    termios: rustix::termios::Termios,
}

impl Mode {
    #[cfg(unix)]
    fn now() -> io::Result<Self> {
        Ok(Self { termios: rustix::termios::tcgetattr(io::stdin())? })
    }

    #[cfg(unix)]
    fn restore(&self) -> io::Result<()> {
        use rustix::termios::{OptionalActions, tcsetattr};
        Ok(tcsetattr(io::stdin(), OptionalActions::Flush, &self.termios)?)
    }

    #[cfg(not(unix))]
    fn now() -> io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    fn restore(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Completes the commands, and colours the prompt.
struct Help {
    commands: &'static [&'static str],
    colours: Colours,
}

impl Completer for Help {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _context: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..pos];
        let candidates = self.commands.iter().filter(|command| typed.starts_with('/') && command.starts_with(typed));
        Ok((0, candidates.map(|command| format!("{command} ")).collect()))
    }
}

impl Highlighter for Help {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _is_default: bool) -> std::borrow::Cow<'b, str> {
        self.colours.paint(Part::Outgoing, prompt).into()
    }
}

impl Hinter for Help {
    type Hint = String;
}

impl Validator for Help {}

impl rustyline::Helper for Help {}
