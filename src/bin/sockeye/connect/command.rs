//! The commands of the prompt.

use bytes::Bytes;
use sockeye::{CloseCode, Message};

use crate::args::close_code;

/// What a line at the prompt asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Command {
    Send(Message),
    /// Sends a file's content.
    SendFile {
        path: String,
        form: FileForm,
    },
    Ping(Bytes),
    Pong(Bytes),
    Close {
        code: Option<CloseCode>,
        reason: String,
    },
    Help,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FileForm {
    Text,
    Binary,
}

/// What is completed.
pub(super) const NAMES: &[&str] =
    &["/ping", "/pong", "/close", "/binary", "/file", "/textfile", "/text", "/help", "/quit"];

pub(super) const HELP: &str = "\
/ping [TEXT]            send a Ping, and show how long its Pong takes
/pong [TEXT]            send a Pong that nobody asked for
/close [CODE [REASON]]  close, with 1000 if nothing else is said
/binary HEX             send bytes
/file PATH              send a file's bytes
/textfile PATH          send a file as text
/text TEXT              send a text; so does //TEXT for one that begins with /
/help                   this
/quit, Ctrl-D           close
Tab completes, Up and Ctrl-R look into the history, Ctrl-C closes at once.";

/// Reads a line: a command if it begins with one slash, a text otherwise.
pub(super) fn parse(line: &str) -> Result<Command, String> {
    if let Some(text) = line.strip_prefix("//") {
        return Ok(Command::Send(format!("/{text}").into()));
    }
    if !line.starts_with('/') {
        return Ok(Command::Send(line.into()));
    }
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let argument = rest.trim();
    match name {
        "/ping" => control(argument).map(Command::Ping),
        "/pong" => control(argument).map(Command::Pong),
        "/close" => close(argument),
        "/quit" | "/exit" => Ok(Command::Close { code: None, reason: String::new() }),
        "/binary" => bytes_of_hex(argument).map(|bytes| Command::Send(bytes.into())),
        "/file" => file(argument, FileForm::Binary),
        "/textfile" => file(argument, FileForm::Text),
        "/text" => Ok(Command::Send(rest.into())),
        "/help" => Ok(Command::Help),
        _ => Err(format!("there is no command {name}; /help lists them, and //{} is a text", &line[1..])),
    }
}

fn control(text: &str) -> Result<Bytes, String> {
    match text.len() {
        0..=125 => Ok(Bytes::copy_from_slice(text.as_bytes())),
        len => Err(format!("{len} bytes, a control frame has room for 125")),
    }
}

fn close(argument: &str) -> Result<Command, String> {
    if argument.is_empty() {
        return Ok(Command::Close { code: None, reason: String::new() });
    }
    let (code, reason) = argument.split_once(' ').unwrap_or((argument, ""));
    Ok(Command::Close { code: Some(close_code(code)?), reason: reason.trim().to_owned() })
}

fn file(path: &str, form: FileForm) -> Result<Command, String> {
    match path {
        "" => Err("which file?".into()),
        path => Ok(Command::SendFile { path: path.to_owned(), form }),
    }
}

/// Reads pairs of hexadecimal digits, with spaces or colons between them as one likes.
fn bytes_of_hex(text: &str) -> Result<Vec<u8>, String> {
    let mut digits = Vec::with_capacity(text.len());
    for character in text.chars().filter(|character| !matches!(character, ' ' | ':')) {
        let digit = character.to_digit(16).ok_or_else(|| format!("{character:?} is no hexadecimal digit"))?;
        digits.push(u8::try_from(digit).expect("a digit is below 16"));
    }
    if digits.len() % 2 != 0 {
        return Err("an odd number of hexadecimal digits, a byte has two".into());
    }
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_unless_they_begin_with_one_slash() {
        assert_eq!(parse("hello /ping"), Ok(Command::Send("hello /ping".into())));
        assert_eq!(parse(""), Ok(Command::Send("".into())));
        assert_eq!(parse("//etc"), Ok(Command::Send("/etc".into())));
        assert_eq!(parse("/text  /a "), Ok(Command::Send(" /a ".into())));
        assert!(parse("/nonsense").is_err());
    }

    #[test]
    fn commands_take_arguments() {
        assert_eq!(parse("/ping"), Ok(Command::Ping(Bytes::new())));
        assert_eq!(parse("/pong a b"), Ok(Command::Pong("a b".into())));
        assert_eq!(parse("/binary 00 fF:0a"), Ok(Command::Send(vec![0, 255, 10].into())));
        let close = |code, reason: &str| Ok(Command::Close { code, reason: reason.into() });
        assert_eq!(parse("/close"), close(None, ""));
        assert_eq!(parse("/close 4000 that is all"), close(CloseCode::new(4000), "that is all"));
        for wrong in ["/close 1006", "/close soon", "/binary 0", "/binary xx", "/file"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&format!("/ping {}", "x".repeat(126))).is_err());
    }
}
