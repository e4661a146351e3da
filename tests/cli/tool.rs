//! Runs the tool, and servers for it to talk to.

use std::{path::PathBuf, process::Stdio, time::Duration};

use sockeye::{Error, Server, WebSocket, proto::handshake::Request};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStderr, ChildStdout, Command},
    time::timeout,
};

/// What a run has come to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Ran {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// Each line of the output as JSON.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sockeye"));
    for name in
        ["SOCKEYE_AUTH", "HTTPS", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs the tool to its end with this on its standard input.
pub(crate) async fn run(args: &[&str], input: impl Into<Vec<u8>>) -> Ran {
    finish(command(args).spawn().unwrap(), input).await
}

pub(crate) async fn finish(mut child: Child, input: impl Into<Vec<u8>>) -> Ran {
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.into());
    tokio::spawn(async move {
        // It may end before it has read everything.
        let _ = stdin.write_all(&input).await;
    });
    let output = timeout(Duration::from_secs(120), child.wait_with_output()).await.expect("it ends").unwrap();
    Ran {
        status: output.status.code().unwrap_or(-1),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Waits for something that comes soon, on the busiest of machines too, unless it never comes.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(120), future).await.unwrap_or_else(|_| panic!("{what} does not come"))
}

/// Sends a signal: `-TERM`.
pub(crate) fn send(signal: &str, child: &Child) {
    let number = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args([signal, &number]).status().unwrap().success());
}

/// A server in this process; gives its URL.
pub(crate) async fn server<F>(handler: impl Fn(WebSocket, Request) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    start(Server::bind("127.0.0.1:0").await.unwrap(), handler)
}

pub(crate) fn start<F>(server: Server, handler: impl Fn(WebSocket, Request) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let url = format!("ws://{}", server.local_addr().unwrap());
    tokio::spawn(server.serve(handler));
    url
}

/// A server that opens WebSockets, and then does what it likes.
pub(crate) async fn raw_server<F>(then: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tcp.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let accept = sockeye::proto::handshake::Key::parse(key.as_bytes()).unwrap().accept();
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            tcp.write_all(answer.as_bytes()).await.unwrap();
            tokio::spawn(then(tcp));
        }
    });
    url
}

/// A server that sends every message back.
pub(crate) async fn echo_server() -> String {
    server(echo).await
}

pub(crate) async fn echo(mut ws: WebSocket, _request: Request) -> Result<(), Error> {
    while let Some(message) = ws.recv().await? {
        ws.send(message).await?;
    }
    Ok(())
}

/// `sockeye serve` in a process of its own.
pub(crate) struct Serving {
    pub(crate) url: String,
    pub(crate) child: Child,
    pub(crate) err: Lines<BufReader<ChildStderr>>,
    _out: Lines<BufReader<ChildStdout>>,
}

impl Serving {
    pub(crate) async fn start(args: &[&str]) -> Self {
        let mut child = command(&[&["serve", ":0"], args].concat()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        let err = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = out.next_line().await.unwrap().expect("it says where it listens");
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { url, child, err, _out: out }
    }

    /// Waits until it has ended; gives its status.
    pub(crate) async fn ends(mut self) -> i32 {
        let ended = timeout(Duration::from_secs(120), self.child.wait()).await.expect("it ends");
        ended.unwrap().code().expect("it is no signal that ends it")
    }

    /// HOST:PORT.
    pub(crate) fn address(&self) -> &str {
        self.url.split_once("://").unwrap().1
    }
}

/// A folder that goes with the test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        // One of an earlier process of this number.
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
