use crate::{
    Error,
    proto::{
        handshake::{ClientRequest, Response, WsUri},
        http::{Headers, is_secret},
    },
};

/// What a response redirects to, if it does (RFC 9110 §15.4).
pub(super) fn location(response: &Response) -> Option<&str> {
    matches!(response.status(), 301 | 302 | 303 | 307 | 308).then(|| response.headers.get_str("Location")).flatten()
}

/// Turns a request to where a response has redirected it.
///
/// RFC 6455 §4.1, and what it does not say: never from `wss` to `ws`, and no credentials for another origin.
pub(super) fn follow(request: &mut ClientRequest, location: &str) -> Result<(), Error> {
    let refused = |reason| Error::Redirect { location: location.into(), reason };
    let target = resolve(&request.uri, location).ok_or_else(|| refused("it is no URL of a WebSocket"))?;
    if request.uri.is_secure() && !target.is_secure() {
        return Err(refused("it leaves TLS"));
    }
    let is_same_origin = request.uri.is_same_origin(&target);
    if target.socket().is_some() && !is_same_origin {
        return Err(refused("it is a socket of this machine"));
    }
    if !is_same_origin {
        let mut kept = Headers::new();
        for (name, value) in request.headers.iter() {
            if !name.eq_ignore_ascii_case("Host") && !is_secret(name) {
                kept.push(name, value).map_err(|_| refused("a header cannot be sent again"))?;
            }
        }
        request.headers = kept;
    }
    request.uri = if is_same_origin { target.with_userinfo_of(&request.uri) } else { target };
    Ok(())
}

/// Resolves a reference against where it came from (RFC 3986 §5.2).
fn resolve(base: &WsUri, location: &str) -> Option<WsUri> {
    // §4.2.4 of RFC 9110 leaves fragments to the client; a WebSocket has none.
    let location = location.split('#').next().unwrap_or_default();
    let authority = |resource: &str| match base.socket() {
        Some(socket) => format!("{}+unix://{socket}:{resource}", base.scheme()),
        None => format!("{}://{}{resource}", base.scheme(), base.host_header()),
    };
    let (path, _) = base.resource().split_once('?').unwrap_or((base.resource(), ""));
    let absolute = if let Some(rest) = strip_scheme(location, "http") {
        format!("ws:{rest}")
    } else if let Some(rest) = strip_scheme(location, "https") {
        format!("wss:{rest}")
    } else if strip_scheme(location, "ws").or_else(|| strip_scheme(location, "wss")).is_some() {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{}:{location}", base.scheme())
    } else if location.starts_with('/') {
        authority(&without_dots(location))
    } else if location.starts_with('?') {
        authority(&format!("{path}{location}"))
    } else if location.is_empty() {
        authority(base.resource())
    } else if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        return None; // another scheme
    } else {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        authority(&without_dots(&format!("{directory}/{location}")))
    };
    absolute.parse().ok()
}

fn strip_scheme<'a>(location: &'a str, scheme: &str) -> Option<&'a str> {
    let (given, rest) = location.split_once(':')?;
    (given.eq_ignore_ascii_case(scheme) && rest.starts_with("//")).then_some(rest)
}

/// RFC 3986 §5.2.4.
fn without_dots(resource: &str) -> String {
    let (path, query) = resource.split_at(resource.find('?').unwrap_or(resource.len()));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn followed(from: &str, location: &str) -> Result<(String, usize), Error> {
        let mut request = ClientRequest::new(from.parse().expect("a URL"));
        for name in ["Authorization", "Cookie", "Host", "X"] {
            request.headers.push(name, "a").expect("valid");
        }
        follow(&mut request, location)?;
        Ok((request.uri.to_string(), request.headers.len()))
    }

    #[test]
    fn references_are_resolved_against_where_they_came_from() {
        for (location, target) in [
            ("/c?d", "ws://a.example:81/c?d"),
            ("c", "ws://a.example:81/x/c"),
            ("../c", "ws://a.example:81/c"),
            ("./../../c/.", "ws://a.example:81/c/"),
            ("?e", "ws://a.example:81/x/y?e"),
            ("", "ws://a.example:81/x/y?z"),
            ("#f", "ws://a.example:81/x/y?z"),
            ("http://a.example:81/c#f", "ws://a.example:81/c"),
        ] {
            let (uri, headers) = followed("ws://a.example:81/x/y?z", location).expect("followed");
            assert_eq!((uri.as_str(), headers), (target, 4), "{location}");
        }
    }

    #[test]
    fn credentials_stay_with_their_origin() {
        for location in ["//b.example/c", "ws://a.example/c", "https://a.example:81/c", "WSS://b.example"] {
            let (uri, headers) = followed("ws://a.example:81/x", location).expect("followed");
            assert_eq!(headers, 1, "to {uri}");
        }
    }

    #[test]
    fn a_unix_socket_is_an_origin_of_its_own() {
        for (location, target) in [("/c?d", "ws+unix:///run/a.sock:/c?d"), ("c", "ws+unix:///run/a.sock:/x/c")] {
            let (uri, headers) = followed("ws+unix:/run/a.sock:/x/y", location).expect("followed");
            assert_eq!((uri.as_str(), headers), (target, 4), "{location}");
        }
        for location in ["//localhost/c", "ws://localhost/c", "http://localhost"] {
            let (uri, headers) = followed("ws+unix:/run/a.sock:/x/y", location).expect("followed");
            assert_eq!(headers, 1, "to {uri}");
        }
    }

    #[test]
    fn nothing_leads_out_of_tls_or_elsewhere() {
        for location in ["ws://a.example/", "http://b.example/"] {
            let error = followed("wss://a.example/", location).expect_err("not followed");
            assert!(matches!(error, Error::Redirect { reason: "it leaves TLS", .. }), "{error}");
        }
        for location in ["ftp://a/", "javascript:x", "ws+unix:/a", "ws://", "/a b", "http:/a"] {
            assert!(followed("ws://a.example/", location).is_err(), "{location}");
        }
    }
}
