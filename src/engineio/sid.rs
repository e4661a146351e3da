use std::{
    fmt,
    hash::{BuildHasher, Hasher},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The id of a session: 20 characters of base64url, 120 bits that nobody can guess.
///
/// Whoever knows it can read and write the session, so it belongs into no log. 20 is the length that node's ids have, by
/// which its sharded Redis adapter tells a socket's own room from others.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sid([u8; Self::LEN]);

impl Sid {
    /// How many characters it has.
    pub const LEN: usize = 20;

    /// Makes another one, of the operating system's random numbers.
    ///
    /// # Panics
    ///
    /// If the operating system has none.
    pub fn random() -> Self {
        let mut bytes = [0; Self::LEN / 4 * 3];
        getrandom::fill(&mut bytes).expect("the operating system has random numbers");
        let mut text = [0; Self::LEN];
        let written = URL_SAFE_NO_PAD.encode_slice(bytes, &mut text).expect("15 bytes are 20 characters");
        debug_assert_eq!(written, Self::LEN);
        Self(text)
    }

    /// Reads one that a client sent; `None` if it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let is_ours = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let bytes: [u8; Self::LEN] = text.as_bytes().try_into().ok()?;
        bytes.iter().all(is_ours).then_some(Self(bytes))
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("they are ASCII")
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A secret: only its beginning is shown.
impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sid({}…)", &self.as_str()[..4])
    }
}

/// Hashes ids that were made here: they are random already, so that nobody can have them collide.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SidHasher;

#[derive(Debug)]
pub(crate) struct SidHash(u64);

impl BuildHasher for SidHasher {
    type Hasher = SidHash;

    fn build_hasher(&self) -> SidHash {
        SidHash(0)
    }
}

impl Hasher for SidHash {
    fn write(&mut self, bytes: &[u8]) {
        // Each character has six random bits, in different places; the product's upper half depends on all of them.
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..word.len()].copy_from_slice(word);
            let product = u128::from(self.0 ^ u64::from_le_bytes(padded)) * u128::from(ODD);
            #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
            let folded = (product >> 64) as u64 ^ product as u64;
            self.0 = folded;
        }
    }

    fn write_usize(&mut self, _len: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_read_as_it_is_written_and_is_not_another() {
        let sid = Sid::random();
        assert_eq!(Sid::parse(sid.as_str()), Some(sid));
        assert_ne!(sid, Sid::random());
        assert_eq!(sid.to_string().len(), 20);
    }

    #[test]
    fn what_cannot_be_one_is_none() {
        for text in ["", "short", "twenty characters!!!", "aaaaaaaaaaaaaaaaaaaaa", "éééééééééé"] {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
    }

    #[test]
    fn its_debug_form_does_not_give_it_away() {
        let sid = Sid::random();
        assert!(!format!("{sid:?}").contains(sid.as_str()));
    }
}
