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
        let mut rest = query;
        while !rest.is_empty() {
            let (pair, behind) = cut(rest, b'&');
            let (name, value) = cut(pair, b'=');
            parsed.take(&decoded(name), value);
            rest = behind;
        }
        parsed
    }

    fn take(&mut self, name: &str, value: &str) {
        match name {
            "EIO" if self.version.is_none() => self.version = Some(Version::new(&decoded(value))),
            "transport" if self.transport.is_none() => self.transport = Some(Transport::new(&decoded(value))),
            "sid" if self.sid.is_none() => self.sid = Some(Sid::parse(&decoded(value))),
            "b64" => self.base64 = !matches!(&*decoded(value), "" | "0" | "false"),
            _ => {}
        }
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

/// What is in front of a byte, and what is behind it. It is short, so that a loop is faster than a search.
fn cut(text: &str, byte: u8) -> (&str, &str) {
    match text.bytes().position(|other| other == byte) {
        Some(place) => (&text[..place], &text[place + 1..]),
        None => (text, ""),
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
