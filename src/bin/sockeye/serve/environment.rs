//! A request as the environment of a command, as CGI has it (RFC 3875 §4.1).

use std::ffi::OsString;

use sockeye::{WebSocket, proto::handshake::Request};

/// The headers that a command is not given: secrets, which any process of its user could read, and one whose variable
/// means something else to most HTTP clients ("httpoxy", CVE-2016-5385).
const KEPT_BACK: [&str; 3] = ["Authorization", "Proxy-Authorization", "Proxy"];

/// What the command finds in its environment.
pub(super) fn of(ws: &WebSocket, request: &Request, scheme: Scheme) -> Vec<(String, OsString)> {
    let peer = ws.peer_addr();
    let mut variables: Vec<(String, OsString)> = [
        ("REQUEST_METHOD", request.method().to_owned()),
        ("REQUEST_URI", request.target().to_owned()),
        ("PATH_INFO", request.path().to_owned()),
        ("QUERY_STRING", request.query().unwrap_or_default().to_owned()),
        ("REMOTE_ADDR", peer.map(|peer| peer.ip().to_string()).unwrap_or_default()),
        ("REMOTE_PORT", peer.map(|peer| peer.port().to_string()).unwrap_or_default()),
        ("WS_SUBPROTOCOL", ws.subprotocol().unwrap_or_default().to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into()))
    .into();
    if scheme == Scheme::Wss {
        variables.push(("HTTPS".into(), "on".into()));
    }
    for (name, value) in request.headers().iter() {
        // `X_A` would have the variable of `X-A`.
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_plain || KEPT_BACK.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
            continue;
        }
        let name = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_"));
        let value = of_bytes(value);
        match variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => {
                values.push(", ");
                values.push(value);
            }
            None => variables.push((name, value)),
        }
    }
    variables
}

/// How clients reach the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheme {
    Ws,
    Wss,
}

#[cfg(unix)]
fn of_bytes(bytes: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

#[cfg(not(unix))]
fn of_bytes(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}
