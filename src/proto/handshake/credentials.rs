use base64::{Engine, engine::general_purpose::STANDARD};
use subtle::{Choice, ConstantTimeEq};

use super::Request;

/// A user's name and password, as a client gave them (RFC 7617).
#[derive(Clone, Eq, PartialEq)]
pub struct BasicAuth {
    /// The name; it has no colon.
    pub user: String,
    /// The password; compare it with [`same_secret`].
    pub password: String,
}

impl std::fmt::Debug for BasicAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BasicAuth").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What a client shows to be let in. Nothing here is checked but its form.
impl Request {
    /// The token of `Authorization: Bearer` (RFC 6750 §2.1).
    ///
    /// Browsers cannot set this header for a WebSocket: they send cookies by themselves, or a token in a subprotocol or
    /// in the first message.
    pub fn bearer_token(&self) -> Option<&str> {
        self.authorization("Bearer").filter(|token| !token.is_empty() && !token.contains([' ', ',']))
    }

    /// The name and password of `Authorization: Basic` (RFC 7617), if they are UTF-8.
    pub fn basic_auth(&self) -> Option<BasicAuth> {
        let decoded = STANDARD.decode(self.authorization("Basic")?).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some(BasicAuth { user: user.into(), password: password.into() })
    }

    /// The first cookie of this name (RFC 6265 §4.2), as it came, without the quotes around it.
    ///
    /// A browser sends its user's cookies whichever page connects: let in only origins that you know
    /// ([`Origin`](super::Origin)).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers().get_all("Cookie").filter_map(|line| std::str::from_utf8(line).ok());
        let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
        // No other white space: taken off in front of "__Host-", it would let any page set a cookie that looks like one.
        const BLANKS: [char; 2] = [' ', '\t'];
        let mut found = pairs.filter(|(found, _)| found.trim_matches(BLANKS) == name);
        let value = found.next().map(|(_, value)| value.trim_matches(BLANKS))?;
        Some(value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value))
    }

    /// What follows the scheme in the only `Authorization` header.
    fn authorization(&self, scheme: &str) -> Option<&str> {
        let mut lines = self.headers().get_all("Authorization");
        let (Some(line), None) = (lines.next(), lines.next()) else { return None };
        let (given, rest) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        given.eq_ignore_ascii_case(scheme).then(|| rest.trim_start())
    }
}

/// Whether what a client gave is the secret that was expected, in a time that does not depend on where they differ, nor
/// on the secret's length: it depends on the length of what was given alone.
///
/// ```
/// use sockeye::proto::handshake::same_secret;
/// assert!(same_secret("open sesame", "open sesame"));
/// assert!(!same_secret("open says me", "open sesame"));
/// ```
pub fn same_secret(given: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) -> bool {
    let (given, expected) = (given.as_ref(), expected.as_ref());
    let same_length = (given.len() as u64).ct_eq(&(expected.len() as u64));
    // Behind its end the secret begins again, so that every byte that was given is looked at once.
    let pad: &[u8] = if expected.is_empty() { &[0] } else { expected };
    let pairs = given.iter().zip(pad.iter().cycle());
    pairs.fold(same_length, |same: Choice, (given, expected)| same & given.ct_eq(expected)).into()
}

#[cfg(test)]
mod tests {
    use super::same_secret;

    #[test]
    fn only_the_same_is_the_same() {
        let secret = "s3cret";
        assert!(same_secret(secret, secret));
        for other in ["", "s", "s3cre", "s3creT", "S3cret", "s3crets", "s3crets3cret", "\0\0\0\0\0\0"] {
            assert!(!same_secret(other, secret), "{other:?}");
            assert!(!same_secret(secret, other), "{other:?}");
        }
        assert!(same_secret("", ""));
        assert!(!same_secret("\0", ""));
    }
}
