/// What of a request's query is for Engine.IO.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Query {
    pub(super) version: String,
    pub(super) transport: String,
    pub(super) sid: Option<String>,
    /// Whether the client cannot take binary.
    pub(super) base64: bool,
}

impl Query {
    /// Of several parameters of a name the first one counts.
    pub(super) fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "EIO" if parsed.version.is_empty() => parsed.version = value.into_owned(),
                "transport" if parsed.transport.is_empty() => parsed.transport = value.into_owned(),
                "sid" if parsed.sid.is_none() => parsed.sid = Some(value.into_owned()),
                "b64" => parsed.base64 = !value.is_empty() && value != "0" && value != "false",
                _ => {}
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_others_left_alone() {
        let parsed = Query::parse("EIO=4&transport=poll%69ng&t=x&sid=a&sid=b&b64=1");
        let expected = Query { version: "4".into(), transport: "polling".into(), sid: Some("a".into()), base64: true };
        assert_eq!(parsed, expected);
        assert_eq!(Query::parse(""), Query::default());
    }
}
