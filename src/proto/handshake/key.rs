use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// RFC 6455 §1.3: what proves that the server has read the key as a WebSocket key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A `Sec-WebSocket-Key` (RFC 6455 §4.1): 16 bytes in base64.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key(String);

impl Key {
    /// Makes the key of a request. §4.1: "The nonce MUST be selected randomly for each connection."
    pub fn from_nonce(nonce: [u8; 16]) -> Self {
        Self(STANDARD.encode(nonce))
    }

    /// Takes a received key; `None` if it is not the base64 of 16 bytes.
    ///
    /// The four bits that the last digit has too many are not looked at: in the RFC's own example (§4.1) they are not
    /// zero.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let digits = value.strip_suffix(b"==")?;
        let is_digit = |&byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        if digits.len() != 22 || !digits.iter().all(is_digit) {
            return None;
        }
        std::str::from_utf8(value).ok().map(|key| Self(key.into()))
    }

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The `Sec-WebSocket-Accept` that answers it (§4.2.2, 5.4).
    pub fn accept(&self) -> String {
        STANDARD.encode(Sha1::new().chain_update(&self.0).chain_update(GUID).finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_section_1_3() {
        let key = Key::from_nonce(*b"the sample nonce");
        assert_eq!(key.as_str(), "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(key.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(Key::parse(key.as_str().as_bytes()), Some(key));
    }

    #[test]
    fn keys_that_are_none() {
        assert!(Key::parse(b"AQIDBAUGBwgJCgsMDQ4PEC==").is_some()); // §4.1, not canonical
        for key in [
            &b""[..],
            b"==",
            b"dGhlIHNhbXBsZSBub25jZQ",   // no padding
            b"dGhlIHNhbXBsZSBub25j",     // 15 bytes
            b"dGhlIHNhbXBsZSBub25jZWU=", // 17 bytes
            b"dGhlIHNhbXBsZSBub25jZWVl", // 18 bytes
            b"dGhlIHNhbXBsZSBub25jZ===",
            b"dGhlIHNhbXBsZSBub25j Q==",
            b"dGhlIHNhbXBsZSBub25j-_==", // the URL alphabet
            b"dGhlIHNhbXBsZSBub25j\xc3\xa9==",
            &[b'A'; 16_000],
        ] {
            assert_eq!(Key::parse(key), None, "{key:?}");
        }
    }
}
