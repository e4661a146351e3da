use std::{fmt, str::FromStr};

use base64::Engine as _;

/// The URI of a WebSocket (RFC 6455 §3): `ws://host[:port][/path][?query]`, or `wss:` for one over TLS.
///
/// A user and password in front of the host are kept apart, and are shown neither by `Debug` nor by `Display`; a client
/// sends them as Basic authentication.
///
/// `ws+unix:/run/chat.sock:/path?query` is one over a Unix socket, as Node's `ws` writes it; its host is `localhost`.
///
/// ```
/// use sockeye::proto::handshake::{Scheme, WsUri};
/// let uri: WsUri = "ws://Example.com:80?room=1".parse()?;
/// assert_eq!(uri.scheme(), Scheme::Ws);
/// assert_eq!((uri.host(), uri.port()), ("example.com", 80));
/// assert_eq!((uri.host_header(), uri.resource()), ("example.com".into(), "/?room=1"));
/// # Ok::<(), sockeye::proto::handshake::InvalidUri>(())
/// ```
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct WsUri {
    scheme: Scheme,
    socket: Option<String>,
    userinfo: Option<String>,
    host: String,
    port: u16,
    resource: String,
}

/// The scheme of a [`WsUri`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Scheme {
    /// `ws`: plain, port 80 unless said otherwise.
    Ws,
    /// `wss`: over TLS, port 443 unless said otherwise.
    Wss,
}

impl Scheme {
    /// The port that a URI without one means.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// Whether it asks for TLS.
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Wss)
    }

    /// The scheme in lower case, without the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The caller's URI is no WebSocket URI (RFC 6455 §3).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidUri {
    /// There is no `://`.
    #[error("no scheme, a WebSocket URI starts with ws:// or wss://")]
    MissingScheme,
    /// The scheme is neither `ws` nor `wss`.
    #[error("scheme {scheme:?}, only ws and wss are WebSocket URIs")]
    Scheme {
        /// The scheme that was given.
        scheme: String,
    },
    /// Characters outside ASCII are percent-encoded in a path, and in Punycode in a host.
    #[error("{character:?} in a URI, it has to be percent-encoded (in a host: Punycode)")]
    NonAscii {
        /// The first such character.
        character: char,
    },
    /// A character that a URI cannot have at this place: a space, a control character, `<` …
    #[error("{character:?} in a URI, it has to be percent-encoded")]
    Character {
        /// The first such character.
        character: char,
    },
    /// "Fragment identifiers are meaningless in the context of WebSocket URIs and MUST NOT be used on these URIs."
    #[error("a WebSocket URI has no fragment, a # in it has to be written %23")]
    Fragment,
    /// The host is empty, or neither a name nor an address.
    #[error("host {host:?} is neither a name nor an IP address")]
    Host {
        /// The host that was given.
        host: String,
    },
    /// The path of a Unix socket is absolute.
    #[error("{path:?} is no absolute path of a Unix socket, as in ws+unix:/run/chat.sock:/path")]
    Socket {
        /// The path that was given.
        path: String,
    },
    /// The port is no number from 1 to 65535.
    #[error("port {port:?} is no number from 1 to 65535")]
    Port {
        /// The port that was given.
        port: String,
    },
}

impl WsUri {
    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether it asks for TLS.
    pub const fn is_secure(&self) -> bool {
        self.scheme.is_secure()
    }

    /// The path of the Unix socket that it is reached by, if it is.
    pub fn socket(&self) -> Option<&str> {
        self.socket.as_deref()
    }

    /// The host in lower case: a name or an address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The port, the scheme's default if the URI has none.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The user and password in front of the host, `user:password`, as they were written: percent-encoded.
    pub fn userinfo(&self) -> Option<&str> {
        self.userinfo.as_deref()
    }

    /// The user and password as a value of `Authorization` (RFC 7617), percent-decoded.
    pub(crate) fn basic_auth(&self) -> Option<String> {
        let userinfo = self.userinfo.as_ref()?;
        let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
        let credentials = [&percent_decoded(user)[..], b":", &percent_decoded(password)].concat();
        Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(credentials)))
    }

    /// Takes over the user and password of another URI, unless it has its own.
    #[cfg(feature = "client")]
    pub(crate) fn with_userinfo_of(mut self, other: &Self) -> Self {
        self.userinfo = self.userinfo.or_else(|| other.userinfo.clone());
        self
    }

    /// Whether both are of one origin (RFC 6454 §4), where a Unix socket is one of its own.
    #[cfg(feature = "client")]
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        let origin = |uri: &Self| (uri.scheme, uri.port, uri.socket.clone());
        self.host == other.host && origin(self) == origin(other)
    }

    /// The resource name (§3): the path, `/` if there is none, and the query.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The value of the `Host` header (§4.1, 4): the port only stands in it if it is not the default.
    pub fn host_header(&self) -> String {
        if self.port == self.scheme.default_port() { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl WsUri {
    /// A URI of a Unix socket: its path, and behind a colon the resource name.
    fn of_socket(scheme: Scheme, rest: &str) -> Result<Self, InvalidUri> {
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (socket, resource) = rest.split_once(':').unwrap_or((rest, "/"));
        if !socket.starts_with('/') {
            return Err(InvalidUri::Socket { path: socket.into() });
        }
        let resource = if resource.starts_with('/') { resource.into() } else { format!("/{resource}") };
        let (host, port) = ("localhost".into(), scheme.default_port());
        Ok(Self { scheme, socket: Some(socket.into()), userinfo: None, host, port, resource })
    }
}

impl FromStr for WsUri {
    type Err = InvalidUri;

    fn from_str(uri: &str) -> Result<Self, InvalidUri> {
        check_characters(uri)?;
        if let Some((scheme, rest)) = uri.split_once("+unix:") {
            return Self::of_socket(parse_scheme(scheme)?, rest);
        }
        let (scheme, rest) = uri.split_once("://").ok_or(InvalidUri::MissingScheme)?;
        let scheme = parse_scheme(scheme)?;
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if let Some(character) = resource.chars().find(|character| matches!(character, '[' | ']')) {
            return Err(InvalidUri::Character { character });
        }
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo.to_owned()), host_port),
            None => (None, authority),
        };
        let (host, port) = split_port(host_port);
        if !is_host(host) {
            return Err(InvalidUri::Host { host: host.into() });
        }
        let port = match port {
            // RFC 3986 §3.2.3: an empty port means the default.
            None | Some("") => scheme.default_port(),
            Some(port) => parse_port(port).ok_or_else(|| InvalidUri::Port { port: port.into() })?,
        };
        let resource = if resource.starts_with('/') { resource.into() } else { format!("/{resource}") };
        Ok(Self { scheme, socket: None, userinfo, host: host.to_ascii_lowercase(), port, resource })
    }
}

impl TryFrom<&str> for WsUri {
    type Error = InvalidUri;

    fn try_from(uri: &str) -> Result<Self, InvalidUri> {
        uri.parse()
    }
}

impl TryFrom<String> for WsUri {
    type Error = InvalidUri;

    fn try_from(uri: String) -> Result<Self, InvalidUri> {
        uri.parse()
    }
}

impl fmt::Display for WsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "{}+unix://{socket}:{}", self.scheme, self.resource),
            None => write!(f, "{}://{}{}", self.scheme, self.host_header(), self.resource),
        }
    }
}

impl fmt::Debug for WsUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WsUri({self})")
    }
}

/// Percent-decodes what [`check_characters`] has let through.
fn percent_decoded(text: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((&byte, behind)) = rest.split_first() {
        let digits = behind.first_chunk::<2>().filter(|_| byte == b'%');
        let value = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(value.unwrap_or(byte));
        rest = if value.is_some() { &behind[2..] } else { behind };
    }
    decoded
}

fn parse_scheme(scheme: &str) -> Result<Scheme, InvalidUri> {
    match scheme.to_ascii_lowercase().as_str() {
        "ws" => Ok(Scheme::Ws),
        "wss" => Ok(Scheme::Wss),
        _ => Err(InvalidUri::Scheme { scheme: scheme.into() }),
    }
}

/// Whether `authority` is what a `Host` header can say (RFC 9112 §3.2): a host and perhaps a port.
pub(super) fn is_host_header(authority: &str) -> bool {
    split_host_port(authority).is_some()
}

/// Splits what a `Host` header can say; an empty port is none.
pub(super) fn split_host_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = split_port(authority);
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(parse_port(port)?),
    };
    is_host(host).then_some((host, port))
}

/// Refuses what RFC 3986 has in no URI: the characters themselves, and a `%` without two digits behind it.
fn check_characters(uri: &str) -> Result<(), InvalidUri> {
    for (index, character) in uri.char_indices() {
        match character {
            '#' => return Err(InvalidUri::Fragment),
            '%' => {
                let digits = uri.as_bytes().get(index + 1..index + 3).unwrap_or_default();
                if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(InvalidUri::Character { character });
                }
            }
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' | '~' => {}
            '!' | '$' | '&' | '\'' | '(' | ')' | '*' | '+' | ',' | ';' | '=' | ':' | '@' | '/' | '?' | '[' | ']' => {}
            character if character.is_ascii() => return Err(InvalidUri::Character { character }),
            character => return Err(InvalidUri::NonAscii { character }),
        }
    }
    Ok(())
}

/// Splits a port off; the colons of an IPv6 address are inside its brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn parse_port(port: &str) -> Option<u16> {
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    port.parse().ok().filter(|&port| port != 0)
}

/// Whether `host` is a name (RFC 3986 §3.2.2, without percent-encoding, which DNS does not have), or an address.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        // The grammar of an address only: nothing here opens a socket.
        return address.strip_suffix(']').is_some_and(|address| address.parse::<core::net::Ipv6Addr>().is_ok());
    }
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    !host.is_empty() && host.bytes().all(is_name_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> Result<(bool, String, u16, String, String), InvalidUri> {
        let uri: WsUri = uri.parse()?;
        Ok((uri.is_secure(), uri.host().into(), uri.port(), uri.host_header(), uri.resource().into()))
    }

    #[test]
    fn uris_of_section_3() {
        let of = |secure, host: &str, port, header: &str, resource: &str| {
            Ok((secure, host.to_owned(), port, header.to_owned(), resource.to_owned()))
        };
        assert_eq!(parse("ws://a"), of(false, "a", 80, "a", "/"));
        assert_eq!(parse("WSS://A.example/"), of(true, "a.example", 443, "a.example", "/"));
        assert_eq!(parse("wss://a:80/x?y=/?"), of(true, "a", 80, "a:80", "/x?y=/?"));
        assert_eq!(parse("ws://a:/"), of(false, "a", 80, "a", "/"));
        assert_eq!(parse("ws://127.0.0.1:9001?q"), of(false, "127.0.0.1", 9001, "127.0.0.1:9001", "/?q"));
        assert_eq!(parse("ws://[::1]:9001/a%20b"), of(false, "::1", 9001, "[::1]:9001", "/a%20b"));
        assert_eq!(parse("ws://[2001:DB8::1]"), of(false, "2001:db8::1", 80, "[2001:db8::1]", "/"));
    }

    #[test]
    fn unix_sockets() {
        for (uri, socket, resource, shown) in [
            ("ws+unix:/run/a.sock", "/run/a.sock", "/", "ws+unix:///run/a.sock:/"),
            ("ws+unix:///run/a.sock:/x?y", "/run/a.sock", "/x?y", "ws+unix:///run/a.sock:/x?y"),
            ("ws+unix:////a", "//a", "/", "ws+unix:////a:/"), // found by the fuzz target `uri`
            ("wss+unix:/a:?y", "/a", "/?y", "wss+unix:///a:/?y"),
        ] {
            let parsed: WsUri = uri.parse().expect("valid");
            assert_eq!((parsed.socket(), parsed.resource(), parsed.host()), (Some(socket), resource, "localhost"));
            assert_eq!(parsed.to_string(), shown);
        }
        assert_eq!(parse("ws+unix:a.sock"), Err(InvalidUri::Socket { path: "a.sock".into() }));
        assert_eq!(parse("http+unix:/a"), Err(InvalidUri::Scheme { scheme: "http".into() }));
    }

    #[test]
    fn userinfo_is_kept_and_not_shown() {
        let uri: WsUri = "ws://me:secret@a/x".parse().expect("valid");
        assert_eq!(uri.userinfo(), Some("me:secret"));
        assert_eq!(uri.basic_auth().as_deref(), Some("Basic bWU6c2VjcmV0"));
        let uri_of = |userinfo: &str| format!("ws://{userinfo}@a/").parse::<WsUri>().expect("valid").basic_auth();
        assert_eq!(uri_of("a%3Ab:c%40%c3%a9"), Some("Basic YTpiOmNAw6k=".into()));
        assert_eq!(uri_of("me"), Some("Basic bWU6".into()));
        assert_eq!(format!("{uri} {uri:?}"), "ws://a/x WsUri(ws://a/x)");
        assert_eq!(uri.host_header(), "a");
    }

    #[test]
    fn uris_that_are_none() {
        assert_eq!(parse("a.example/x"), Err(InvalidUri::MissingScheme));
        assert_eq!(parse("http://a"), Err(InvalidUri::Scheme { scheme: "http".into() }));
        assert_eq!(parse("ws://a/#x"), Err(InvalidUri::Fragment));
        assert_eq!(parse("ws://a/é"), Err(InvalidUri::NonAscii { character: 'é' }));
        for (uri, character) in
            [("ws://a/b c", ' '), (" ws://a", ' '), ("ws://a/\r\nX: y", '\r'), ("ws://a/\0", '\0'), ("ws://a/%2", '%')]
        {
            assert_eq!(parse(uri), Err(InvalidUri::Character { character }), "{uri:?}");
        }
        for host in ["", "[::1", "::1", "[1.2.3.4]", "a%20b", "[fe80::1%25eth0]"] {
            assert!(matches!(parse(&format!("ws://{host}/")), Err(InvalidUri::Host { .. })), "{host:?}");
        }
        for port in ["0", "65536", "x", "-1", "+1", " 1"] {
            assert!(parse(&format!("ws://a:{port}/")).is_err(), "{port:?}");
        }
    }
}
