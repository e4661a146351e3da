//! Files of one folder, for browsers.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sockeye::proto::handshake::{Request, Response};

/// The largest file that is served: it is held whole for each who asks for it.
const MAX_FILE: u64 = 64 << 20;

pub(super) struct Files {
    /// Absolute, and without symbolic links.
    root: PathBuf,
}

impl Files {
    pub(super) fn new(folder: &Path) -> io::Result<Self> {
        let root = folder.canonicalize()?;
        if !root.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { root })
    }

    /// Answers a request that is not for a WebSocket. What a `HEAD` gets is cut to its head by the server.
    pub(super) fn answer(&self, request: &Request) -> Response {
        if !matches!(request.method(), "GET" | "HEAD") {
            return with_header(text(405), "Allow", "GET, HEAD");
        }
        match self.find(request.path()) {
            Found::File(path) => serve(&path),
            // A page's relative links need the slash.
            Found::Folder => with_header(text(301), "Location", &format!("/{}/", request.path().trim_matches('/'))),
            Found::Nothing => text(404),
        }
    }

    /// The file behind a path. Whatever it is made of, it is inside the folder, links followed, or nothing.
    fn find(&self, path: &str) -> Found {
        let Some(relative) = relative(path) else { return Found::Nothing };
        let Ok(mut whole) = self.root.join(relative).canonicalize() else { return Found::Nothing };
        if !whole.starts_with(&self.root) {
            return Found::Nothing;
        }
        if whole.is_dir() {
            if !path.ends_with('/') {
                return Found::Folder;
            }
            // The index may be a link, too.
            let Ok(index) = whole.join("index.html").canonicalize() else { return Found::Nothing };
            whole = index;
        } else if path.ends_with('/') {
            return Found::Nothing;
        }
        if whole.starts_with(&self.root) && whole.is_file() { Found::File(whole) } else { Found::Nothing }
    }
}

enum Found {
    File(PathBuf),
    Folder,
    Nothing,
}

/// The names in a request's path, decoded: each is one name of a file and no way to anywhere else.
fn relative(path: &str) -> Option<PathBuf> {
    let mut relative = PathBuf::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name = decoded(segment)?;
        let is_name = !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0']);
        if !is_name {
            return None;
        }
        relative.push(name);
    }
    Some(relative)
}

/// Decodes `%41` and the like (RFC 3986 §2.1).
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        bytes.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(bytes).ok()
}

fn serve(path: &Path) -> Response {
    let Ok(body) = read(path) else { return text(403) };
    let Some(body) = body else { return text(413) };
    let mut response = Response::new(200).expect("200 is a status");
    response.body = body.into();
    let response = with_header(response, "Content-Type", content_type(path));
    with_header(response, "X-Content-Type-Options", "nosniff")
}

/// A file's content; `None` if it is too large.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let len = fs::metadata(path)?.len();
    if len > MAX_FILE {
        return Ok(None);
    }
    let mut content = Vec::new();
    // It may grow while it is read.
    File::open(path)?.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(Some(content))
}

fn text(status: u16) -> Response {
    let mut response = Response::new(status).expect("these are statuses");
    response.body = format!("{status} {}\n", response.reason()).into();
    with_header(response, "Content-Type", "text/plain; charset=utf-8")
}

fn with_header(mut response: Response, name: &str, value: &str) -> Response {
    match response.headers.push(name, value) {
        Ok(()) => response,
        // A path that cannot stand in a header is none that a browser asks for.
        Err(_) => text(400),
    }
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" | "md" | "log" => "text/plain; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_names_and_nothing_else() {
        assert_eq!(relative("/a/b%20c.html"), Some(PathBuf::from("a/b c.html")));
        assert_eq!(relative("//a//"), Some(PathBuf::from("a")));
        for path in
            ["/..", "/a/../b", "/%2e%2e/b", "/a%2fb", "/a%5cb", "/a%00", "/.git/config", "/%", "/%zz", "/%ff", "/c:/x"]
        {
            assert_eq!(relative(path), None, "{path}");
        }
    }
}
