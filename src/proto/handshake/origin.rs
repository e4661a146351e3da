use std::{fmt, sync::Arc};

use super::{Refusal, Request, uri};

/// Which origins a server lets in (RFC 6454, RFC 6455 §10.2): browsers send the page's origin with every request, and let
/// any page connect to any server, with the visitor's cookies.
///
/// Without an `Origin` header the request is let in, as no browser sent it: this protects visitors of other pages, and
/// keeps nobody out who writes the request himself. A refused request is answered with 403.
///
/// ```
/// use sockeye::proto::handshake::Origin;
/// // The server's own pages, and those of another host.
/// let _ = Origin::same_host().allow(["https://app.example.com"])?;
/// // Those of all hosts below a domain, and no others.
/// let _ = Origin::none().allow_if(|origin, _request| {
///     origin.strip_prefix("https://").is_some_and(|host| host.ends_with(".example.com"))
/// });
/// # Ok::<(), sockeye::proto::handshake::InvalidOrigin>(())
/// ```
#[derive(Clone)]
pub struct Origin {
    base: Base,
    listed: Vec<Serialized>,
    rule: Option<Arc<Rule>>,
}

/// The caller's origin is none that a browser would send: a scheme, `://`, a host and perhaps a port.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{origin:?} is no origin: scheme://host or scheme://host:port, without a path")]
pub struct InvalidOrigin {
    /// What was given.
    pub origin: String,
}

type Rule = dyn Fn(&str, &Request) -> bool + Send + Sync;

#[derive(Clone, Copy, Debug)]
enum Base {
    None,
    SameHost,
    Any,
}

/// An origin as its header says it (RFC 6454 §6.2), made comparable: lower case, and without the default port.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Serialized {
    Null,
    Tuple { scheme: String, host: String, port: Option<u16> },
}

impl Origin {
    /// Those whose host and port are the ones that the request was sent to: the default.
    ///
    /// The scheme is not compared: whether TLS ended in front of this server is not to be seen here. Where the `Host`
    /// header has no port, the origin's default port is taken for it.
    pub const fn same_host() -> Self {
        Self::new(Base::SameHost)
    }

    /// None but those that are allowed besides.
    pub const fn none() -> Self {
        Self::new(Base::None)
    }

    /// Every one: for services that look at no cookie and at nothing else that a browser sends by itself.
    pub const fn any() -> Self {
        Self::new(Base::Any)
    }

    /// Allows these as well, such as `https://example.com:8443`, or `null` for pages without an origin.
    ///
    /// # Errors
    ///
    /// [`InvalidOrigin`] if one is no serialized origin, such as one with a path: it would never match.
    pub fn allow<'a>(mut self, origins: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidOrigin> {
        for origin in origins {
            let parsed = Serialized::parse(origin).ok_or_else(|| InvalidOrigin { origin: origin.into() })?;
            self.listed.push(parsed);
        }
        Ok(self)
    }

    /// Allows those as well for which `rule` says so, which is given the header's value as it came, malformed or not.
    #[must_use]
    pub fn allow_if(mut self, rule: impl Fn(&str, &Request) -> bool + Send + Sync + 'static) -> Self {
        self.rule = Some(match self.rule.take() {
            None => Arc::new(rule),
            Some(before) => Arc::new(move |origin, request| before(origin, request) || rule(origin, request)),
        });
        self
    }

    /// Judges a request.
    ///
    /// # Errors
    ///
    /// [`Refusal::Origin`] if it has an origin that is not let in.
    pub fn check(&self, request: &Request) -> Result<(), Refusal> {
        match request.origin() {
            Some(origin) if !self.admits(origin, request) => Err(Refusal::Origin),
            None | Some(_) => Ok(()),
        }
    }

    fn admits(&self, origin: &str, request: &Request) -> bool {
        let parsed = Serialized::parse(origin);
        let by_base = match self.base {
            Base::None => false,
            Base::SameHost => {
                let host = request.host().unwrap_or_default();
                parsed.as_ref().is_some_and(|origin| origin.is_at(host))
            }
            Base::Any => true,
        };
        by_base
            || parsed.is_some_and(|origin| self.listed.contains(&origin))
            || self.rule.as_ref().is_some_and(|rule| rule(origin, request))
    }

    const fn new(base: Base) -> Self {
        Self { base, listed: Vec::new(), rule: None }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self::same_host()
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("base", &self.base).field("listed", &self.listed).finish_non_exhaustive()
    }
}

impl Serialized {
    fn parse(origin: &str) -> Option<Self> {
        if origin == "null" {
            return Some(Self::Null);
        }
        let (scheme, authority) = origin.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        let (host, port) = uri::split_host_port(authority)?;
        if port.is_some_and(|port| !authority.ends_with(&format!(":{port}"))) {
            return None; // zeros in front of it
        }
        let port = port.filter(|port| Some(*port) != default_port(&scheme));
        is_scheme.then(|| Self::Tuple { scheme, host: host.to_ascii_lowercase(), port })
    }

    /// Whether it is a web page of the host and port that a `Host` header says.
    fn is_at(&self, host_header: &str) -> bool {
        let (Self::Tuple { scheme, host, port }, Some((here, here_port))) = (self, uri::split_host_port(host_header))
        else {
            return false;
        };
        let Some(default) = default_port(scheme) else { return false };
        host.eq_ignore_ascii_case(here) && port.unwrap_or(default) == here_port.unwrap_or(default)
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}
