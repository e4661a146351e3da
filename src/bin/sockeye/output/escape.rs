//! Text of a stranger, for a terminal.

use std::{borrow::Cow, fmt::Write as _};

/// Writes characters that a terminal would obey, or that reorder what a person reads, as escapes; a line end too.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            dangerous if is_dangerous(dangerous) => {
                let code = u32::from(dangerous);
                let escape = if code < 0x100 { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{{{code:x}}}") };
                escape.expect("a string can be written to");
            }
            harmless => out.push(harmless),
        }
    }
    out.into()
}

/// The same for a line of JSON, which stays the same value.
pub(crate) fn escaped_as_json(json: String) -> String {
    if !json.contains(is_dangerous) {
        return json;
    }
    let mut out = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if is_dangerous(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a string can be written to");
            }
        } else {
            out.push(character);
        }
    }
    out
}

/// Bytes of a stranger: what of them is text, escaped.
pub(crate) fn escaped_bytes(bytes: &[u8]) -> String {
    escaped(&String::from_utf8_lossy(bytes)).into_owned()
}

/// The first bytes in hexadecimal digits, and how many there are.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const SHOWN: usize = 32;
    let mut out = String::with_capacity(2 * SHOWN + 1);
    for byte in bytes.iter().take(SHOWN) {
        write!(out, "{byte:02x}").expect("a string can be written to");
    }
    if bytes.len() > SHOWN {
        out.push('…');
    }
    out
}

/// Control characters, C0 and C1, and what changes the direction of text or ends its lines.
fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
        || matches!(character, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_escaped() {
        assert_eq!(escaped("\x1b]0;owned\x07"), "\\x1b]0;owned\\x07");
        assert_eq!(escaped("a\r\n\tb\x7f\u{9b}31m"), "a\\r\\n\\tb\\x7f\\x9b31m");
        assert_eq!(escaped("\u{202e}txt.exe"), "\\u{202e}txt.exe");
    }

    #[test]
    fn json_is_the_same_value_without_what_a_terminal_obeys() {
        let text = "\u{9b}31m\x7f\u{202e}\u{e0041}é\"\n";
        let json = escaped_as_json(serde_json::json!(text).to_string());
        assert_eq!(json, r#""\u009b31m\u007f\u202e\udb40\udc41é\"\n""#);
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn other_text_is_left_alone() {
        assert!(matches!(escaped("héllo, wörld 👋 ‘quoted’"), Cow::Borrowed(_)));
    }

    #[test]
    fn long_bytes_are_cut() {
        assert_eq!(hex(b"\x00\xff"), "00ff");
        assert_eq!(hex(&[1; 33]), "01".repeat(32) + "…");
    }
}
