//! The line that is edited: keys in, text and a cursor out.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::history::History;

/// The line, the history behind it, and what Tab completes.
#[derive(Debug)]
pub(super) struct Line {
    text: Vec<char>,
    cursor: usize,
    /// What was cut last.
    cut: Vec<char>,
    history: History,
    /// Which line of the history is shown, and what was typed before it.
    shown: Option<(usize, Vec<char>)>,
    search: Option<Search>,
    commands: &'static [&'static str],
}

/// A search through the history.
#[derive(Debug)]
struct Search {
    text: String,
    found: Option<usize>,
}

/// What a key has done.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Edit {
    Changed,
    /// The screen is to be cleared.
    Cleared,
    Entered(String),
    End,
    Interrupt,
}

impl Line {
    pub(super) fn new(commands: &'static [&'static str], history: History) -> Self {
        Self { text: Vec::new(), cursor: 0, cut: Vec::new(), history, shown: None, search: None, commands }
    }

    /// What stands in front of the text, the text, and where the cursor is in it.
    pub(super) fn view(&self) -> (String, String, usize) {
        match &self.search {
            None => ("> ".into(), self.text.iter().collect(), self.cursor),
            Some(Search { text, found }) => {
                let found = found.and_then(|index| self.history.line(index)).unwrap_or_default();
                (format!("(history: {text}) "), found.to_owned(), found.chars().count())
            }
        }
    }

    pub(super) fn paste(&mut self, text: &str) -> Edit {
        self.search = None;
        self.insert(text.replace("\r\n", "\n").replace('\r', "\n").chars());
        Edit::Changed
    }

    pub(super) fn key(&mut self, key: KeyEvent) -> Edit {
        if self.search.is_some() && self.search_key(key) {
            return Edit::Changed;
        }
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let is_alt = key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Char(letter) if is_ctrl => return self.control(letter),
            KeyCode::Char('b') if is_alt => self.cursor = self.word_before(),
            KeyCode::Char('f') if is_alt => self.cursor = self.word_behind(),
            KeyCode::Char('d') if is_alt => self.remove(self.cursor, self.word_behind()),
            KeyCode::Char(letter) => self.insert([letter]),
            KeyCode::Enter => return self.enter(),
            KeyCode::Tab => self.complete(),
            KeyCode::Backspace if is_alt => self.remove(self.word_before(), self.cursor),
            KeyCode::Backspace => self.remove_silently(self.cursor.saturating_sub(1), self.cursor),
            KeyCode::Delete => self.remove_silently(self.cursor, self.cursor + 1),
            KeyCode::Left if is_ctrl || is_alt => self.cursor = self.word_before(),
            KeyCode::Right if is_ctrl || is_alt => self.cursor = self.word_behind(),
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Up => self.older(),
            KeyCode::Down => self.newer(),
            _ => {}
        }
        Edit::Changed
    }

    /// The keys of readline and Emacs.
    fn control(&mut self, letter: char) -> Edit {
        match letter {
            'a' => self.cursor = 0,
            'b' => self.cursor = self.cursor.saturating_sub(1),
            'c' => return Edit::Interrupt,
            'd' if self.text.is_empty() => return Edit::End,
            'd' => self.remove_silently(self.cursor, self.cursor + 1),
            'e' => self.cursor = self.text.len(),
            'f' => self.cursor = (self.cursor + 1).min(self.text.len()),
            'h' => self.remove_silently(self.cursor.saturating_sub(1), self.cursor),
            'j' | 'm' => return self.enter(),
            'k' => self.remove(self.cursor, self.text.len()),
            'l' => return Edit::Cleared,
            'n' => self.newer(),
            'p' => self.older(),
            'r' => self.search = Some(Search { text: String::new(), found: None }),
            'u' => self.remove(0, self.cursor),
            'w' => self.remove(self.word_before(), self.cursor),
            'y' => self.insert(self.cut.clone()),
            _ => {}
        }
        Edit::Changed
    }

    /// Takes a key while the history is searched; says whether it is done with it.
    fn search_key(&mut self, key: KeyEvent) -> bool {
        let Some(search) = &mut self.search else { return false };
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let end = self.history.len();
        match key.code {
            KeyCode::Char('r') if is_ctrl => {
                let older = self.history.find(&search.text, search.found.unwrap_or(end));
                search.found = older.or(search.found);
            }
            KeyCode::Esc => self.search = None,
            KeyCode::Char('g' | 'c') if is_ctrl => self.search = None,
            KeyCode::Char(letter) if !is_ctrl => {
                search.text.push(letter);
                search.found = self.history.find(&search.text, search.found.map_or(end, |found| found + 1));
            }
            KeyCode::Backspace => {
                search.text.pop();
                search.found = self.history.find(&search.text, end);
            }
            // Any other key takes what was found, and then does what it does.
            _ => {
                let found = search.found.and_then(|index| self.history.line(index)).map(|line| line.chars().collect());
                self.search = None;
                if let Some(found) = found {
                    self.show(found);
                }
                return false;
            }
        }
        true
    }

    fn enter(&mut self) -> Edit {
        let text: String = std::mem::take(&mut self.text).into_iter().collect();
        self.cursor = 0;
        self.shown = None;
        self.history.add(&text);
        Edit::Entered(text)
    }

    fn insert(&mut self, characters: impl IntoIterator<Item = char>) {
        let behind = self.text.split_off(self.cursor);
        self.text.extend(characters);
        self.cursor = self.text.len();
        self.text.extend(behind);
    }

    /// Removes what Ctrl-Y brings back.
    fn remove(&mut self, start: usize, end: usize) {
        self.cut = self.text[start..end].to_vec();
        self.remove_silently(start, end);
    }

    fn remove_silently(&mut self, start: usize, end: usize) {
        self.text.drain(start..end.min(self.text.len()));
        self.cursor = start;
    }

    fn word_before(&self) -> usize {
        let before = &self.text[..self.cursor];
        let word = before.iter().rposition(|c| !c.is_whitespace()).map_or(0, |last| last + 1);
        before[..word].iter().rposition(|c| c.is_whitespace()).map_or(0, |space| space + 1)
    }

    fn word_behind(&self) -> usize {
        let behind = &self.text[self.cursor..];
        let word = behind.iter().position(|c| !c.is_whitespace()).unwrap_or(behind.len());
        let len = behind[word..].iter().position(|c| c.is_whitespace()).unwrap_or(behind.len() - word);
        self.cursor + word + len
    }

    fn older(&mut self) {
        let index = self.shown.as_ref().map_or(self.history.len(), |(index, _)| *index);
        let Some(line) = index.checked_sub(1).and_then(|older| self.history.line(older)) else { return };
        let line = line.chars().collect();
        let typed = self.shown.take().map_or_else(|| self.text.clone(), |(_, typed)| typed);
        self.show(line);
        self.shown = Some((index - 1, typed));
    }

    fn newer(&mut self) {
        let Some((index, typed)) = self.shown.take() else { return };
        match self.history.line(index + 1) {
            Some(line) => {
                let line = line.chars().collect();
                self.show(line);
                self.shown = Some((index + 1, typed));
            }
            None => self.show(typed),
        }
    }

    fn show(&mut self, text: Vec<char>) {
        self.cursor = text.len();
        self.text = text;
    }

    /// Completes a command as far as there is no choice.
    fn complete(&mut self) {
        let typed: String = self.text[..self.cursor].iter().collect();
        if !typed.starts_with('/') {
            return;
        }
        let matching: Vec<_> = self.commands.iter().filter(|command| command.starts_with(&typed)).collect();
        let Some(first) = matching.first() else { return };
        let is_common = |len: &usize| matching.iter().all(|command| command.starts_with(&first[..*len]));
        let common = (0..=first.len()).rev().find(is_common).unwrap_or_default();
        self.insert(first[typed.len()..common.max(typed.len())].chars());
        if matching.len() == 1 {
            self.insert([' ']);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: &[&str] = &["/ping", "/pong", "/close"];

    fn line(history: &[&str]) -> Line {
        let mut lines = History::default();
        history.iter().for_each(|line| lines.add(line));
        Line::new(COMMANDS, lines)
    }

    fn press(line: &mut Line, keys: &str) -> Edit {
        let mut edit = Edit::Changed;
        for key in keys.chars() {
            let (code, modifiers) = match key {
                '\n' => (KeyCode::Enter, KeyModifiers::NONE),
                '\t' => (KeyCode::Tab, KeyModifiers::NONE),
                '↑' => (KeyCode::Up, KeyModifiers::NONE),
                '↓' => (KeyCode::Down, KeyModifiers::NONE),
                '←' => (KeyCode::Left, KeyModifiers::NONE),
                '⌫' => (KeyCode::Backspace, KeyModifiers::NONE),
                control @ '\u{1}'..='\u{1a}' => {
                    (KeyCode::Char(char::from(control as u8 + b'a' - 1)), KeyModifiers::CONTROL)
                }
                letter => (KeyCode::Char(letter), KeyModifiers::NONE),
            };
            edit = line.key(KeyEvent::new(code, modifiers));
        }
        edit
    }

    fn typed(keys: &str) -> (String, usize) {
        let mut line = line(&[]);
        press(&mut line, keys);
        let (_, text, cursor) = line.view();
        (text, cursor)
    }

    #[test]
    fn keys_edit() {
        assert_eq!(typed("helo←l"), ("hello".into(), 4));
        assert_eq!(typed("héé⌫⌫llo"), ("hllo".into(), 4));
        assert_eq!(typed("one two\x17three"), ("one three".into(), 9));
        assert_eq!(typed("one two\x01\x0b\x19\x19"), ("one twoone two".into(), 14));
        assert_eq!(typed("abc\x15⌫\x04x"), ("x".into(), 1));
    }

    #[test]
    fn enter_gives_the_line_and_the_history_keeps_it() {
        let mut line = line(&[]);
        assert_eq!(press(&mut line, "one\n"), Edit::Entered("one".into()));
        assert_eq!(press(&mut line, "two\n"), Edit::Entered("two".into()));
        press(&mut line, "draft↑↑↑");
        assert_eq!(line.view().1, "one");
        press(&mut line, "↓↓↓");
        assert_eq!(line.view().1, "draft");
    }

    #[test]
    fn ctrl_r_searches() {
        let mut line = line(&["first ping", "second", "third ping"]);
        press(&mut line, "\x12ping\x12");
        assert_eq!(line.view().0, "(history: ping) ");
        assert_eq!(press(&mut line, "\n"), Edit::Entered("first ping".into()));
    }

    #[test]
    fn tab_completes_commands() {
        assert_eq!(typed("/p\ti\t"), ("/ping ".into(), 6));
        assert_eq!(typed("/p\t"), ("/p".into(), 2));
        assert_eq!(typed("/x\ta\t"), ("/xa".into(), 3));
    }

    #[test]
    fn ctrl_d_ends_on_an_empty_line_only() {
        let mut line = line(&[]);
        assert_eq!(press(&mut line, "a\x01\x04"), Edit::Changed);
        assert_eq!(press(&mut line, "\x04"), Edit::End);
        assert_eq!(press(&mut line, "\x03"), Edit::Interrupt);
    }

    #[test]
    fn pasted_line_ends_stay_in_the_line() {
        let mut line = line(&[]);
        line.paste("a\r\nb\rc");
        assert_eq!(press(&mut line, "\n"), Edit::Entered("a\nb\nc".into()));
    }
}
