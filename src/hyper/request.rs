use http::{Method, request::Parts};
use hyper::ext::Protocol;

use crate::proto::{
    handshake::{ExtendedConnect, Refusal, Request},
    http::{HeadError, Headers, RequestHead, Version},
};

/// The version of HTTP, if WebSockets are known to it here.
pub(super) fn version(parts: &Parts) -> Option<Version> {
    match parts.version {
        http::Version::HTTP_10 => Some(Version::Http10),
        http::Version::HTTP_11 => Some(Version::Http11),
        http::Version::HTTP_2 => Some(Version::Http2),
        _ => None,
    }
}

/// Takes a request that hyper has read, as the opening handshake knows it.
pub(super) fn read(parts: &Parts) -> Result<Request, Refusal> {
    let version = version(parts).ok_or(HeadError::Version)?;
    let mut headers = Headers::new();
    for (name, value) in &parts.headers {
        // An HTTP/2 library may let through what RFC 9113 §8.2.1 forbids.
        headers.push(name, value).map_err(|_| HeadError::HeaderLine)?;
    }
    let uri = &parts.uri;
    match parts.extensions.get::<Protocol>() {
        Some(protocol) if parts.method == Method::CONNECT => {
            let connect = ExtendedConnect {
                protocol: protocol.as_str().into(),
                scheme: uri.scheme_str().unwrap_or_default().into(),
                authority: uri.authority().map(|authority| authority.as_str().into()).unwrap_or_default(),
                path: uri.path_and_query().map(|path| path.as_str().into()).unwrap_or_default(),
            };
            Request::from_extended_connect(connect, headers)
        }
        _ => {
            let (method, target) = (parts.method.as_str().into(), uri.to_string());
            Request::from_head(RequestHead { method, target, version, headers })
        }
    }
}
