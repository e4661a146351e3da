//! The one place with `unsafe`: text that was checked once is not checked again at each look.
//!
//! Without it `as_str` would have to validate each time: measured at 73 ns for 1 KiB of mixed text and 4.4 µs for 64 KiB
//! at every look, against 0.4 ns with it (`cargo bench --bench core -- utf8`).
#![allow(unsafe_code)]

use std::{fmt, ops::Deref};

#[cfg(feature = "socketio")]
use bytes::Buf;
use bytes::Bytes;
use simdutf8::compat::Utf8Error;

/// Text as it came in a message: cheap to clone like [`Bytes`], and known to be UTF-8.
///
/// It derefs to [`str`].
///
/// ```
/// use sockeye::Utf8Bytes;
/// let text = Utf8Bytes::from("héllo");
/// assert_eq!(text.len(), 6);
/// assert!(text.starts_with("hé"));
/// ```
#[derive(Clone, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Utf8Bytes(Bytes);

impl Utf8Bytes {
    /// The empty text.
    pub const fn new() -> Self {
        Self(Bytes::new())
    }

    /// Takes a literal without a copy.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        // SAFETY: every way to make a `Utf8Bytes` either starts from a `str`, checks the bytes, or is
        // `from_validated`, whose callers in this crate have checked them; `Bytes` never changes
        // under us. Debug builds check again.
        debug_assert!(std::str::from_utf8(&self.0).is_ok());
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The bytes, without the promise.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    /// The bytes, shared.
    pub const fn as_shared(&self) -> &Bytes {
        &self.0
    }

    /// Takes bytes that were checked from beginning to end.
    #[inline]
    pub(crate) fn from_validated(bytes: Bytes) -> Self {
        debug_assert!(std::str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }

    /// What begins at a byte, sharing the memory.
    ///
    /// # Panics
    ///
    /// If that is inside a character, or behind the end.
    #[cfg(feature = "socketio")]
    pub(crate) fn slice_from(&self, start: usize) -> Self {
        assert!(self.is_char_boundary(start), "byte {start} is inside a character");
        Self(self.0.slice(start..))
    }

    /// As [`slice_from`](Self::slice_from), of a text that is not needed any more.
    ///
    /// # Panics
    ///
    /// As there.
    #[cfg(feature = "socketio")]
    pub(crate) fn skip(mut self, start: usize) -> Self {
        assert!(self.is_char_boundary(start), "byte {start} is inside a character");
        self.0.advance(start);
        self
    }

    /// What ends in front of a byte, sharing the memory.
    ///
    /// # Panics
    ///
    /// As [`slice_from`](Self::slice_from).
    #[cfg(feature = "socketio")]
    pub(crate) fn slice_to(&self, end: usize) -> Self {
        assert!(self.is_char_boundary(end), "byte {end} is inside a character");
        Self(self.0.slice(..end))
    }

    /// Keeps the characters that fit into `limit` bytes.
    pub(crate) fn truncate_to(&mut self, limit: usize) {
        if self.0.len() > limit {
            let text = self.as_str();
            let end = (0..=limit).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
            self.0.truncate(end);
        }
    }
}

impl Deref for Utf8Bytes {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<[u8]> for Utf8Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = Utf8Error;
    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        simdutf8::compat::from_utf8(&bytes)?;
        Ok(Self(bytes))
    }
}

impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Self {
        text.0
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert!(Utf8Bytes::try_from(Bytes::from_static(b"\xff")).is_err());
        assert_eq!(Utf8Bytes::try_from(Bytes::from_static("é".as_bytes())).unwrap(), "é");
    }

    #[test]
    fn truncation_never_cuts_a_character() {
        let mut text = Utf8Bytes::from("aé€");
        text.truncate_to(5);
        assert_eq!(text, "aé");
        text.truncate_to(2);
        assert_eq!(text, "a");
        text.truncate_to(0);
        assert_eq!(text, "");
    }
}
