//! Draws the prompt: below everything else, over as many rows as it needs.

use std::{
    io::{self, Stdout, Write as _, stdout},
    ops::Range,
    sync::mpsc::sync_channel,
    thread,
    time::Duration,
};

use console::{AnsiCodeIterator, measure_text_width};
use crossterm::{
    QueueableCommand as _,
    cursor::{MoveTo, MoveToColumn, MoveUp},
    event::{DisableBracketedPaste, EnableBracketedPaste},
    style::Print,
    terminal::{Clear, ClearType, disable_raw_mode, enable_raw_mode, is_raw_mode_enabled, size},
};

use super::line::Line;
use crate::output::{Colours, Part, escape::escaped};

/// How long a terminal has to take a few bytes before the process ends without it.
const BRIEFLY: Duration = Duration::from_millis(300);

/// The terminal, in raw mode for as long as this is there.
pub(super) struct Screen {
    out: Stdout,
    colours: Colours,
    /// How many rows of the prompt are above the cursor.
    above: u16,
}

impl Screen {
    pub(super) fn take(colours: Colours) -> io::Result<Self> {
        enable_raw_mode()?;
        let mut screen = Self { out: stdout(), colours, above: 0 };
        screen.out.queue(EnableBracketedPaste)?.flush()?;
        Ok(screen)
    }

    /// Draws the prompt anew.
    pub(super) fn draw(&mut self, line: &Line) -> io::Result<()> {
        self.erase()?;
        self.queue(line)?;
        self.out.flush()
    }

    /// Prints whole lines where the prompt is, and the prompt below them.
    pub(super) fn print_above(&mut self, lines: &str, line: &Line) -> io::Result<()> {
        self.erase()?;
        for line in lines.lines() {
            self.out.queue(Print(line))?.queue(Print("\r\n"))?;
        }
        self.queue(line)?;
        self.out.flush()
    }

    /// Leaves a line that was entered where it is, and goes below it.
    pub(super) fn keep(&mut self, text: &str) -> io::Result<()> {
        self.erase()?;
        let mark = self.colours.paint(Part::Outgoing, ">");
        for (index, part) in text.split('\n').enumerate() {
            let mark = if index == 0 { &*mark } else { "|" };
            self.out.queue(Print(format!("{mark} {}\r\n", escaped(part))))?;
        }
        self.out.flush()
    }

    pub(super) fn clear(&mut self, line: &Line) -> io::Result<()> {
        self.out.queue(Clear(ClearType::All))?.queue(MoveTo(0, 0))?;
        self.above = 0;
        self.draw(line)
    }

    /// Takes the prompt away, and leaves the terminal as it was.
    pub(super) fn leave(mut self) -> io::Result<()> {
        self.erase()?;
        self.out.flush()
    }

    /// Goes to where the prompt begins, and erases everything from there.
    fn erase(&mut self) -> io::Result<()> {
        if self.above > 0 {
            self.out.queue(MoveUp(self.above))?;
        }
        self.above = 0;
        self.out.queue(MoveToColumn(0))?.queue(Clear(ClearType::FromCursorDown))?;
        Ok(())
    }

    /// Writes the prompt, and puts the cursor to its place.
    fn queue(&mut self, line: &Line) -> io::Result<()> {
        // Some terminals do not say how large they are; a wide character needs two columns.
        let (columns, height) = size().unwrap_or_default();
        let columns = if columns == 0 { 80 } else { usize::from(columns).max(2) };
        // tmux keeps what is cleared from the first row on, so that one is left alone.
        let height = if height == 0 { 24 } else { usize::from(height) }.saturating_sub(1).max(1);
        let (mark, text, cursor) = line.view();
        // A line end in the line has to be seen, and not to be obeyed.
        let visible = |text: &str| escaped(&text.replace('\n', "⏎")).into_owned();
        let before: String = text.chars().take(cursor).collect();
        let behind: String = text.chars().skip(cursor).collect();
        let mark = self.colours.paint(Part::Outgoing, &escaped(&mark));
        let before = format!("{mark}{}", visible(&before));
        let rows = wrapped(&format!("{before}{}", visible(&behind)), columns);
        let to_cursor = wrapped(&before, columns);
        let row = to_cursor.len() - 1;
        let column = to_cursor.last().map_or(0, |row| measure_text_width(row));
        let shown = around(row, rows.len(), height);
        self.out.queue(Print(rows[shown.clone()].join("\r\n")))?;
        let (row, below) = (row - shown.start, shown.end - 1 - row);
        if below > 0 {
            self.out.queue(MoveUp(narrow(below)))?;
        }
        self.out.queue(MoveToColumn(narrow(column.min(columns - 1))))?;
        self.above = narrow(row);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone does not mind.
        let _ = disable_raw_mode();
        let _ = self.out.queue(DisableBracketedPaste).and_then(|out| out.flush());
    }
}

/// Leaves the terminal as it was if it has a prompt, whatever the prompt's thread is doing; says whether it had one.
pub(crate) fn restore() -> bool {
    if !is_raw_mode_enabled().unwrap_or(false) {
        return false;
    }
    let _ = disable_raw_mode();
    let (written, wait) = sync_channel(1);
    // The terminal may take nothing, or that thread may be stuck in writing to it.
    thread::spawn(move || {
        let _ = stdout().queue(DisableBracketedPaste).and_then(|out| out.flush());
        written.send(())
    });
    let _ = wait.recv_timeout(BRIEFLY);
    true
}

/// As many rows as the screen has, of so many, with this one in the middle if it can be: what is above the screen could not
/// be erased.
fn around(row: usize, rows: usize, height: usize) -> Range<usize> {
    let height = height.min(rows);
    let start = row.saturating_sub(height / 2).min(rows - height);
    start..start + height
}

/// Cuts text into rows of so many columns; colours take no room.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let (mut rows, mut row, mut width) = (Vec::new(), String::new(), 0);
    for (piece, is_ansi) in AnsiCodeIterator::new(text) {
        if is_ansi {
            row.push_str(piece);
            continue;
        }
        for character in piece.chars() {
            let wide = measure_text_width(character.encode_utf8(&mut [0; 4]));
            if width + wide > columns {
                rows.push(std::mem::take(&mut row));
                width = 0;
            }
            row.push(character);
            width += wide;
        }
    }
    rows.push(row);
    rows
}

fn narrow(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::{around, wrapped};

    #[test]
    fn no_more_rows_are_drawn_than_the_screen_has() {
        assert_eq!(around(0, 1, 24), 0..1);
        assert_eq!(around(5, 6, 24), 0..6);
        assert_eq!(around(0, 100, 24), 0..24);
        assert_eq!(around(50, 100, 24), 38..62);
        assert_eq!(around(99, 100, 24), 76..100);
        assert_eq!(around(99, 100, 1), 99..100);
    }

    #[test]
    fn rows_are_as_wide_as_the_screen_and_colours_take_no_room() {
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("abcd", 4), ["abcd"]);
        assert_eq!(wrapped("\x1b[32mab\x1b[0mcde", 4), ["\x1b[32mab\x1b[0mcd", "e"]);
        assert_eq!(wrapped("a鮭鮭", 4), ["a鮭", "鮭"]);
    }
}
