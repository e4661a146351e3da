use std::fmt;

use super::{InvalidHeader, grammar};

/// Header fields in the order in which they came or will be sent (RFC 9110 §5).
///
/// Names are compared without case. A name may stand several times. What is in here can be sent: [`push`](Self::push)
/// lets no line break through.
///
/// ```
/// use sockeye::proto::http::Headers;
/// let mut headers = Headers::new();
/// headers.push("User-Agent", "sockeye")?;
/// assert_eq!(headers.get("user-agent"), Some(&b"sockeye"[..]));
/// assert!(headers.push("X", "a\r\nSet-Cookie: b").is_err());
/// # Ok::<(), sockeye::proto::http::InvalidHeader>(())
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Headers {
    /// All names and values, one behind the other, so that a head takes two allocations and not two for each line.
    text: Vec<u8>,
    fields: Vec<Field>,
}

/// Where a field's name and, behind it, its value stand in the text.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Field {
    start: usize,
    value: usize,
    end: usize,
}

impl Headers {
    /// Starts without any.
    pub const fn new() -> Self {
        Self { text: Vec::new(), fields: Vec::new() }
    }

    /// Appends a field; others of the same name stay.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if `name` is not a token, or `value` has a control character other than HTAB (CR, LF and NUL
    /// are such) or white space at its ends.
    pub fn push(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Result<(), InvalidHeader> {
        let (name, value) = (name.as_ref(), value.as_ref());
        if !grammar::is_token(name.as_bytes()) {
            return Err(InvalidHeader::Name { name: name.into() });
        }
        if let Some(&byte) = value.iter().find(|&&byte| !grammar::is_field_byte(byte)) {
            return Err(InvalidHeader::Value { name: name.into(), byte });
        }
        if value.trim_ascii().len() != value.len() {
            return Err(InvalidHeader::Padded { name: name.into() });
        }
        self.push_checked(name.as_bytes(), value);
        Ok(())
    }

    /// Appends the fields of another list.
    pub fn extend(&mut self, other: &Self) {
        other.pairs().for_each(|(name, value)| self.push_checked(name, value));
    }

    /// The value of the first field of this name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// The value of the first field of this name, if it is UTF-8.
    pub fn get_str(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The values of all fields of this name.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.pairs().filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Whether there is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Whether `token` is among the elements of the #list that all fields of this name make up (RFC 9110 §5.6.1), in
    /// any case.
    ///
    /// ```
    /// # let mut headers = sockeye::proto::http::Headers::new();
    /// headers.push("Connection", "keep-alive, Upgrade")?;
    /// assert!(headers.contains_token("connection", "upgrade"));
    /// # Ok::<(), sockeye::proto::http::InvalidHeader>(())
    /// ```
    pub fn contains_token(&self, name: &str, token: &str) -> bool {
        self.get_all(name).any(|value| {
            // Most lists have one element.
            value.eq_ignore_ascii_case(token.as_bytes())
                || grammar::tokens(value).map_while(Result::ok).any(|element| element.eq_ignore_ascii_case(token))
        })
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.pairs()
            .map(|(name, value)| (std::str::from_utf8(name).expect("a name is a token, and a token is ASCII"), value))
    }

    /// How many fields there are; each line counts.
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Starts with room for so many fields with so much text in all.
    pub(crate) fn with_capacity(fields: usize, text: usize) -> Self {
        Self { text: Vec::with_capacity(text), fields: Vec::with_capacity(fields) }
    }

    /// Appends what a parser has already checked.
    pub(super) fn push_checked(&mut self, name: &[u8], value: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.fields.push(Field { start, value: start + name.len(), end: self.text.len() });
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let text = &self.text;
        self.fields.iter().map(move |field| (&text[field.start..field.value], &text[field.value..field.end]))
    }

    /// Appends the fields as they go over the wire, each with its line end, but for those named in `left_out`.
    pub(crate) fn encode_without(&self, left_out: &[&str], out: &mut Vec<u8>) {
        for (name, value) in self.pairs() {
            if left_out.iter().any(|left_out| name.eq_ignore_ascii_case(left_out.as_bytes())) {
                continue;
            }
            for part in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
}

/// Whether a field of this name says who somebody is, to one origin and nobody else.
pub(crate) fn is_secret(name: &str) -> bool {
    const SECRET: [&str; 4] = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"];
    SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Credentials are not shown.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self
            .iter()
            .map(|(name, value)| (name, if is_secret(name) { "…".into() } else { String::from_utf8_lossy(value) }));
        f.debug_map().entries(fields).finish()
    }
}
