use std::{fmt::Write, time::Duration};

use http::HeaderValue;

use crate::engineio::Sid;

/// A cookie with the session's id, by which a load balancer finds the server that has the session.
///
/// ```
/// use sockeye::engineio::Cookie;
/// let cookie = Cookie::new("io").secure();
/// ```
#[derive(Clone, Debug)]
pub struct Cookie {
    name: String,
    path: String,
    max_age: Option<Duration>,
    http_only: bool,
    secure: bool,
    same_site: SameSite,
}

/// Whether a browser sends the cookie with what other sites' pages ask for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Only where the user follows a link.
    #[default]
    Lax,
    /// Always; browsers want it to be [`secure`](Cookie::secure) then.
    None,
}

impl Cookie {
    /// A cookie of this name, as node makes it: `Path=/; HttpOnly; SameSite=Lax`, until the browser is closed.
    ///
    /// # Panics
    ///
    /// If the name is not a token (RFC 6265 §4.1.1).
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        let is_token = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
        assert!(!name.is_empty() && name.bytes().all(is_token), "{name:?} is no name for a cookie");
        Self { name, path: "/".into(), max_age: None, http_only: true, secure: false, same_site: SameSite::Lax }
    }

    /// Sets to which paths it is sent (default: to all).
    ///
    /// # Panics
    ///
    /// If a path cannot be so.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        let is_part = |byte: u8| (b' '..0x7f).contains(&byte) && byte != b';';
        assert!(self.path.bytes().all(is_part), "{:?} is no path for a cookie", self.path);
        self
    }

    /// Sets how long a browser keeps it (default: until it is closed).
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Lets scripts of the page read it.
    #[must_use]
    pub const fn readable_by_scripts(mut self) -> Self {
        self.http_only = false;
        self
    }

    /// Has it sent over TLS only.
    #[must_use]
    pub const fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// Sets whether it is sent with what other sites' pages ask for (default: [`SameSite::Lax`]).
    #[must_use]
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// The value of `Set-Cookie`.
    pub(in crate::engineio) fn with(&self, sid: Sid) -> HeaderValue {
        let mut text = format!("{}={sid}; Path={}", self.name, self.path);
        if let Some(age) = self.max_age {
            let _ = write!(text, "; Max-Age={}", age.as_secs());
        }
        text.push_str(if self.http_only { "; HttpOnly" } else { "" });
        text.push_str(if self.secure { "; Secure" } else { "" });
        text.push_str(match self.same_site {
            SameSite::Strict => "; SameSite=Strict",
            SameSite::Lax => "; SameSite=Lax",
            SameSite::None => "; SameSite=None",
        });
        HeaderValue::from_str(&text).expect("its parts were looked at")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_node_sends() {
        let sid = Sid::random();
        assert_eq!(Cookie::new("io").with(sid), format!("io={sid}; Path=/; HttpOnly; SameSite=Lax"));
        let all = Cookie::new("a").path("/x").max_age(Duration::from_secs(9)).readable_by_scripts().secure();
        let all = all.same_site(SameSite::None);
        assert_eq!(all.with(sid), format!("a={sid}; Path=/x; Max-Age=9; Secure; SameSite=None"));
    }

    #[test]
    #[should_panic(expected = "no path for a cookie")]
    fn a_path_adds_no_attribute() {
        let _ = Cookie::new("io").path("/; Domain=example.com");
    }
}
