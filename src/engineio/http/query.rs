use std::borrow::Cow;

use crate::engineio::Sid;

/// What of a request's query is for Engine.IO.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Query {
    /// The revision of the protocol; none is as good as an unknown one.
    pub(super) version: Option<Version>,
    /// By what the client wants to talk.
    pub(super) transport: Option<Transport>,
    /// The session's id, and `None` if no session can have it.
    pub(super) sid: Option<Option<Sid>>,
    /// Whether the client cannot take binary.
    pub(super) base64: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Version {
    V4,
    Other(String),
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Transport {
    Polling,
    WebSocket,
    Other(String),
}

impl Query {
    /// Of several parameters of a name the first one counts.
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name), decoded(value));
            match &*name {
                "EIO" if parsed.version.is_none() => parsed.version = Some(Version::new(&value)),
                "transport" if parsed.transport.is_none() => parsed.transport = Some(Transport::new(&value)),
                "sid" if parsed.sid.is_none() => parsed.sid = Some(Sid::parse(&value)),
                "b64" => parsed.base64 = !value.is_empty() && value != "0" && value != "false",
                _ => {}
            }
        }
        parsed
    }

    /// Whether it is the revision that is spoken here; if not, which one it is.
    pub(super) fn check_version(&self) -> Result<(), String> {
        match &self.version {
            Some(Version::V4) => Ok(()),
            Some(Version::Other(version)) => Err(version.clone()),
            None => Err(String::new()),
        }
    }
}

/// A name or a value, of which hardly one is encoded.
fn decoded(part: &str) -> Cow<'_, str> {
    if part.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        let mut names = form_urlencoded::parse(part.as_bytes()).map(|(name, _)| name);
        return names.next().unwrap_or_default();
    }
    Cow::Borrowed(part)
}

impl Version {
    fn new(version: &str) -> Self {
        if version == "4" { Self::V4 } else { Self::Other(version.into()) }
    }
}

impl Transport {
    fn new(transport: &str) -> Self {
        match transport {
            "polling" => Self::Polling,
            "websocket" => Self::WebSocket,
            other => Self::Other(other.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_others_left_alone() {
        let sid = Sid::random();
        let parsed = Query::parse(&format!("EIO=4&transport=poll%69ng&t=x+y&%73id={sid}&sid=b&b64=1"));
        let (version, transport) = (Some(Version::V4), Some(Transport::Polling));
        assert_eq!(parsed, Query { version, transport, sid: Some(Some(sid)), base64: true });
        assert_eq!(Query::parse(""), Query::default());
        assert_eq!(
            Query::parse("&=&a==&sid&EIO=4%3D"),
            Query { version: Some(Version::Other("4=".into())), sid: Some(None), ..Query::default() }
        );
        assert_eq!(Query::parse("transport=a%3Db+c").transport, Some(Transport::Other("a=b c".into())));
    }
}
