//! The scripts of the client for browsers, as `socketio::Config::serve_client` serves them.
#![cfg(feature = "socketio")]
#![allow(clippy::unwrap_used)] // what fails here fails the test

mod io;

use std::{
    fs,
    path::{Path, PathBuf},
};

use io::unhung;
use sockeye::{
    engineio::Cors,
    socketio::{Config, Server},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

const SCRIPT: &str = "globalThis.io = () => 'Grüße';\n";

/// A directory with two scripts and a file that is nobody's business; it goes with the value.
struct Dist(PathBuf);

impl Dist {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sockeye-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("socket.io.js"), SCRIPT).unwrap();
        fs::write(path.join("socket.io.js.map"), r#"{"version":3}"#).unwrap();
        fs::write(path.join("secret.js"), "secret").unwrap();
        Self(path)
    }
}

impl Drop for Dist {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl AsRef<Path> for Dist {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// Asks for something, and gives the head of the response and its body.
async fn ask(config: Config, request: &str) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let io = Server::with_config(config);
    let server = tokio::spawn(async move { io.serve(listener).await });
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
    let headers = headers.lines().map(|line| format!("{line}\r\n")).collect::<String>();
    let head = format!("{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut response = String::new();
    unhung(tcp.read_to_string(&mut response)).await.unwrap();
    server.abort();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn serving(dist: &Dist) -> Config {
    Config::new().serve_client(dist).unwrap()
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.find_map(|(field, value)| field.eq_ignore_ascii_case(name).then_some(value))
}

/// The tag of the script.
async fn etag(dist: &Dist) -> String {
    let (head, _) = ask(serving(dist), "GET /socket.io/socket.io.js").await;
    header(&head, "etag").unwrap().to_owned()
}

#[tokio::test]
async fn a_script_is_served_with_what_browsers_want_to_know() {
    let dist = Dist::new("served");
    let (head, body) = ask(serving(&dist), "GET /socket.io/socket.io.js?t=1").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(header(&head, "content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(header(&head, "cache-control"), Some("public, max-age=0"));
    assert_eq!(header(&head, "content-length"), Some(&SCRIPT.len().to_string()[..]));
    assert_eq!(body, SCRIPT);
    let (head, body) = ask(serving(&dist), "GET /socket.io/socket.io.js.map").await;
    assert_eq!(header(&head, "content-type"), Some("application/json"));
    assert_eq!(body, r#"{"version":3}"#);
}

#[tokio::test]
async fn a_head_is_told_the_same_without_the_script() {
    let dist = Dist::new("head");
    let (head, body) = ask(serving(&dist), "HEAD /socket.io/socket.io.js").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(header(&head, "content-length"), Some(&SCRIPT.len().to_string()[..]));
    assert_eq!(body, "");
}

#[tokio::test]
async fn a_browser_that_has_it_is_not_sent_it_again() {
    let dist = Dist::new("known");
    let tag = etag(&dist).await;
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".into()] {
        let request = format!("GET /socket.io/socket.io.js\nIf-None-Match: {known}");
        let (head, body) = ask(serving(&dist), &request).await;
        assert!(head.starts_with("HTTP/1.1 304"), "{known}: {head}");
        assert_eq!(header(&head, "etag"), Some(&tag[..]));
        assert_eq!(body, "");
    }
    let (head, _) = ask(serving(&dist), "GET /socket.io/socket.io.js\nIf-None-Match: \"other\"").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    fs::write(dist.as_ref().join("socket.io.js"), "another version").unwrap();
    assert_ne!(etag(&dist).await, tag);
}

#[tokio::test]
async fn nothing_else_is_served() {
    let dist = Dist::new("others");
    for path in [
        "secret.js",
        "socket.io.min.js", // which is not there
        "../secret.js",
        "x/../socket.io.js",
        "..%2fsecret.js",
        "socket.io.js%00",
        "socket.io.js/",
        "",
    ] {
        let (head, body) = ask(serving(&dist), &format!("GET /socket.io/{path}")).await;
        assert!(head.starts_with("HTTP/1.1 400") || head.starts_with("HTTP/1.1 404"), "{path}: {head}");
        assert!(!body.contains("secret"), "{path}");
    }
    let (head, _) = ask(serving(&dist), "POST /socket.io/socket.io.js\nContent-Length: 0").await;
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    assert_eq!(header(&head, "allow"), Some("GET, HEAD"));
}

#[tokio::test]
async fn a_server_that_was_not_told_to_serves_none() {
    let (head, _) = ask(Config::new(), "GET /socket.io/socket.io.js").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
}

#[tokio::test]
async fn it_is_below_the_path_of_the_sessions_and_under_their_cors() {
    let dist = Dist::new("path");
    let config = serving(&dist).engine(|engine| engine.path("/live").cors(Cors::any()));
    let (head, body) = ask(config, "GET /live/socket.io.js").await;
    assert_eq!(header(&head, "access-control-allow-origin"), Some("*"));
    assert_eq!(body, SCRIPT);
}

#[test]
fn a_directory_without_scripts_is_an_error() {
    let error = Config::new().serve_client("/no such directory").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
