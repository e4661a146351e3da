use http::{Extensions, HeaderMap, Method, Request as HttpRequest, Uri, request::Parts};
use hyper::ext::Protocol;

use crate::proto::{
    handshake::{ExtendedConnect, Refusal, Request},
    http::{HeadError, Headers, RequestHead, Version},
};

/// What is looked at of a request that hyper has read.
pub(super) struct Head<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: http::Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> From<&'a Parts> for Head<'a> {
    fn from(parts: &'a Parts) -> Self {
        let Parts { method, uri, version, headers, extensions, .. } = parts;
        Self { method, uri, version: *version, headers, extensions }
    }
}

impl<'a, B> From<&'a HttpRequest<B>> for Head<'a> {
    fn from(request: &'a HttpRequest<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }
}

/// A request without its body, as the opening handshake knows it.
#[cfg(feature = "socketio")]
pub(crate) fn read_head(parts: &Parts) -> Result<Request, Refusal> {
    Head::from(parts).read()
}

impl Head<'_> {
    /// The version of HTTP, if WebSockets are known to it here.
    pub(super) const fn version(&self) -> Option<Version> {
        match self.version {
            http::Version::HTTP_10 => Some(Version::Http10),
            http::Version::HTTP_11 => Some(Version::Http11),
            http::Version::HTTP_2 => Some(Version::Http2),
            _ => None,
        }
    }

    /// The request as the opening handshake knows it.
    pub(super) fn read(&self) -> Result<Request, Refusal> {
        let version = self.version().ok_or(HeadError::Version)?;
        let text = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let mut headers = Headers::with_capacity(self.headers.len(), text);
        for (name, value) in self.headers {
            // An HTTP/2 library may let through what RFC 9113 §8.2.1 forbids.
            headers.push(name, value).map_err(|_| HeadError::HeaderLine)?;
        }
        let uri = self.uri;
        match self.extensions.get::<Protocol>() {
            Some(protocol) if self.method == Method::CONNECT => {
                let connect = ExtendedConnect {
                    protocol: protocol.as_str().into(),
                    scheme: uri.scheme_str().unwrap_or_default().into(),
                    authority: uri.authority().map(|authority| authority.as_str().into()).unwrap_or_default(),
                    path: uri.path_and_query().map(|path| path.as_str().into()).unwrap_or_default(),
                };
                Request::from_extended_connect(connect, headers)
            }
            _ => {
                let target = match uri.path_and_query() {
                    // Nearly all, and written out faster than in parts.
                    Some(path) if uri.authority().is_none() => path.as_str().into(),
                    _ => uri.to_string(),
                };
                Request::from_head(RequestHead { method: self.method.as_str().into(), target, version, headers })
            }
        }
    }
}
