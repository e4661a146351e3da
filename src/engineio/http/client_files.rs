//! The scripts of a client for browsers, for pages that have no other place for them.

use std::{fmt, fs, io, path::Path, sync::Arc};

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use sha1::{Digest, Sha1};

/// The files that npm's `socket.io-client` has in `dist`, and nothing else that may be there.
const NAMES: [&str; 8] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];

/// Files that are held as they were when they were read.
#[derive(Clone)]
pub(crate) struct ClientFiles(Arc<[File]>);

struct File {
    name: &'static str,
    content: Bytes,
    /// Of the content, so that it is another one for another version.
    etag: HeaderValue,
}

impl ClientFiles {
    /// Reads those that there are in a directory.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for name in NAMES {
            match fs::read(directory.join(name)) {
                Ok(content) => files.push(File::new(name, content.into())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if files.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "none of socket.io-client's scripts is there"));
        }
        Ok(Self(files.into()))
    }

    /// The answer to a request for what is behind the path of the server, if that is one of them.
    pub(super) fn answer(&self, method: &Method, rest: &str, request: &HeaderMap) -> Option<Response<Bytes>> {
        let name = rest.strip_prefix('/').unwrap_or(rest);
        let file = self.0.iter().find(|file| file.name == name)?;
        Some(file.answer(method, request))
    }
}

impl File {
    fn new(name: &'static str, content: Bytes) -> Self {
        let digest = BASE64_STANDARD_NO_PAD.encode(Sha1::digest(&content));
        let etag = HeaderValue::from_str(&format!("\"{digest}\"")).expect("Base64 is visible ASCII");
        Self { name, content, etag }
    }

    fn answer(&self, method: &Method, request: &HeaderMap) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        if method != Method::GET && method != Method::HEAD {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(ETAG, self.etag.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0"));
        if self.is_known(request) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let kind = if self.name.ends_with(".map") { "application/json" } else { "text/javascript; charset=utf-8" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        // RFC 9110 §9.3.2: a HEAD is told what a GET would be.
        headers.insert(CONTENT_LENGTH, self.content.len().into());
        if method == Method::GET {
            *response.body_mut() = self.content.clone();
        }
        response
    }

    /// Whether the client has it (RFC 9110 §13.1.2, which wants weak comparison).
    fn is_known(&self, request: &HeaderMap) -> bool {
        let lists = request.get_all(IF_NONE_MATCH).iter().filter_map(|list| list.to_str().ok());
        // A tag may hold a comma; ours do not, and a part of another is none of ours.
        lists.flat_map(|list| list.split(',')).map(str::trim).any(|tag| {
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag == "*" || self.etag == tag
        })
    }
}

impl fmt::Debug for ClientFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|file| file.name)).finish()
    }
}
