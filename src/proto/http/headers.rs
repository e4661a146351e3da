use std::fmt;

use bytes::Bytes;

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
    fields: Vec<(Bytes, Bytes)>,
}

impl Headers {
    /// Starts without any.
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
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
        self.push_checked(Bytes::copy_from_slice(name.as_bytes()), Bytes::copy_from_slice(value));
        Ok(())
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
        self.fields
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| &**value)
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
            grammar::tokens(value).map_while(Result::ok).any(|element| element.eq_ignore_ascii_case(token))
        })
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| {
            (std::str::from_utf8(name).expect("a name is a token, and a token is ASCII"), &**value)
        })
    }

    /// How many fields there are; each line counts.
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(super) fn with_capacity(len: usize) -> Self {
        Self { fields: Vec::with_capacity(len) }
    }

    /// Appends what a parser has already checked.
    pub(super) fn push_checked(&mut self, name: Bytes, value: Bytes) {
        self.fields.push((name, value));
    }

    /// Appends the fields as they go over the wire, each with its line end, but for those named in `left_out`.
    pub(crate) fn encode_without(&self, left_out: &[&str], out: &mut Vec<u8>) {
        for (name, value) in &self.fields {
            if left_out.iter().any(|left_out| name.eq_ignore_ascii_case(left_out.as_bytes())) {
                continue;
            }
            for part in [&**name, b": ", &**value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
}

/// Credentials are not shown.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SECRET: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];
        let fields = self.iter().map(|(name, value)| {
            let secret = SECRET.iter().any(|secret| name.eq_ignore_ascii_case(secret));
            (name, if secret { "…".into() } else { String::from_utf8_lossy(value) })
        });
        f.debug_map().entries(fields).finish()
    }
}
