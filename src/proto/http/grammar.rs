//! The grammar inside header values (RFC 9110 §5.6). Each byte is looked at once: time is linear in the length.

use super::Malformed;

/// Whether `byte` may stand in a token (RFC 9110 §5.6.2, `tchar`).
pub(crate) const fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether `text` is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_tchar)
}

/// Whether `byte` may stand in a field value (RFC 9110 §5.5): anything but control characters, of which HTAB is
/// allowed.
pub(crate) const fn is_field_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Walks over one header value, never back.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    value: &'a [u8],
    offset: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(value: &'a [u8]) -> Self {
        Self { value, offset: 0 }
    }

    pub(crate) const fn malformed(&self) -> Malformed {
        Malformed { offset: self.offset }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.value.get(self.offset).copied()
    }

    /// Passes `byte` if it is the next one.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let next = self.peek() == Some(byte);
        self.offset += usize::from(next);
        next
    }

    /// Passes optional white space (RFC 9110 §5.6.3).
    pub(crate) fn skip_ows(&mut self) {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// Goes to the next element of a #list; `false` at the end.
    ///
    /// RFC 9110 §5.6.1.2: "A recipient MUST parse and ignore a reasonable number of empty list elements".
    pub(crate) fn next_element(&mut self) -> bool {
        self.skip_while(|byte| matches!(byte, b' ' | b'\t' | b','));
        self.peek().is_some()
    }

    /// Ends an element of a #list: what follows is a comma or the end.
    pub(crate) fn end_element(&mut self) -> Result<(), Malformed> {
        self.skip_ows();
        match self.peek() {
            None | Some(b',') => Ok(()),
            Some(_) => Err(self.malformed()),
        }
    }

    pub(crate) fn token(&mut self) -> Result<&'a str, Malformed> {
        let start = self.offset;
        self.skip_while(is_tchar);
        let token = self.value.get(start..self.offset).unwrap_or_default();
        match std::str::from_utf8(token) {
            Ok(token) if !token.is_empty() => Ok(token),
            _ => Err(self.malformed()),
        }
    }

    /// A quoted-string (RFC 9110 §5.6.4), its escapes resolved.
    pub(crate) fn quoted_string(&mut self) -> Result<Vec<u8>, Malformed> {
        if !self.eat(b'"') {
            return Err(self.malformed());
        }
        let mut text = Vec::new();
        while let Some(byte) = self.peek() {
            let literal = match byte {
                b'"' => {
                    self.offset += 1;
                    return Ok(text);
                }
                b'\\' => {
                    self.offset += 1;
                    self.peek()
                }
                byte => Some(byte),
            };
            match literal {
                Some(byte) if is_field_byte(byte) => text.push(byte),
                _ => break,
            }
            self.offset += 1;
        }
        Err(self.malformed())
    }

    fn skip_while(&mut self, belongs: impl Fn(u8) -> bool) {
        let rest = self.value.get(self.offset..).unwrap_or_default();
        self.offset += rest.iter().position(|&byte| !belongs(byte)).unwrap_or(rest.len());
    }
}

/// The elements of a `#token` value; ends behind the first error.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = Result<&str, Malformed>> {
    let mut cursor = Some(Cursor::new(value));
    std::iter::from_fn(move || {
        let at = cursor.as_mut()?;
        if !at.next_element() {
            return None;
        }
        let element = at.token().and_then(|token| at.end_element().map(|()| token));
        if element.is_err() {
            cursor = None;
        }
        Some(element)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(value: &str) -> Result<Vec<&str>, Malformed> {
        tokens(value.as_bytes()).collect()
    }

    #[test]
    fn token_lists() {
        assert_eq!(list(""), Ok(vec![]));
        assert_eq!(list("a"), Ok(vec!["a"]));
        assert_eq!(list(" a ,b,\t, c ,"), Ok(vec!["a", "b", "c"]));
        assert_eq!(list("a b"), Err(Malformed { offset: 2 }));
        assert_eq!(list("a, \"b\""), Err(Malformed { offset: 3 }));
        assert_eq!(list("é"), Err(Malformed { offset: 0 }));
    }

    #[test]
    fn quoted_strings() {
        let parse = |value: &'static str| Cursor::new(value.as_bytes()).quoted_string();
        assert_eq!(parse(r#""""#), Ok(vec![]));
        assert_eq!(parse(r#""10" rest"#), Ok(b"10".to_vec()));
        assert_eq!(parse(r#""a\"\\b""#), Ok(br#"a"\b"#.to_vec()));
        assert!(parse(r#""open"#).is_err());
        assert!(parse(r#""open\""#).is_err());
        assert!(parse("\"a\0\"").is_err());
        assert!(parse("bare").is_err());
    }
}
