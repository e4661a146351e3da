use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// How many lines are kept.
const KEPT: usize = 1000;

/// The lines that were entered, here and in earlier sessions.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: Vec<String>,
    file: Option<File>,
}

impl History {
    /// Reads what there is; a history that cannot be kept is no reason to stop.
    pub(super) fn load(file: Option<PathBuf>) -> Self {
        let Some(path) = file else { return Self::default() };
        let mut lines: Vec<_> = fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
        if lines.len() > KEPT {
            lines.drain(..lines.len() - KEPT);
            // What is older goes for good.
            let _ = fs::write(&path, lines.join("\n") + "\n");
        }
        Self { lines, file: open(&path).ok() }
    }

    /// Appends a line, unless it is the last one again.
    pub(super) fn add(&mut self, line: &str) {
        let is_new = self.lines.last().is_none_or(|last| last != line);
        // A file of lines has no room for one with line ends in it.
        if !is_new || line.is_empty() || line.contains('\n') {
            return;
        }
        self.lines.push(line.to_owned());
        if let Some(file) = &mut self.file {
            let _ = writeln!(file, "{line}");
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn line(&self, index: usize) -> Option<&str> {
        self.lines.get(index).map(String::as_str)
    }

    /// The newest line before `index` that has `text` in it.
    pub(super) fn find(&self, text: &str, index: usize) -> Option<usize> {
        self.lines[..index.min(self.lines.len())].iter().rposition(|line| line.contains(text))
    }
}

/// Where the history is kept: as the XDG base directories have it.
pub(crate) fn history_file() -> Option<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir()?.join(".local/state"),
    };
    Some(state.join("sockeye/history"))
}

/// Opens the file to append; it may hold secrets, so nobody else reads it.
fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
