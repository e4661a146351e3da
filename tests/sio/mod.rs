//! What the tests of Engine.IO and Socket.IO share: a client that is made by hand, request by request and packet by packet.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{net::SocketAddr, time::Duration};

use sockeye::{
    CloseFrame, Error, Message, WebSocket, connect,
    proto::{connection::End, handshake::HandshakeError},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{sleep, timeout},
};

/// The separator of a payload's packets.
pub(crate) const RS: char = '\u{1e}';

/// Fails a test that would otherwise hang.
pub(crate) async fn unhung<F: Future>(test: F) -> F::Output {
    timeout(Duration::from_secs(120), test).await.expect("the test hangs")
}

/// Waits until something holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    unhung(async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

/// A listener on a free port.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it listens");
    (listener, address)
}

/// An HTTP response, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The values of a header, with commas between them.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let values: Vec<&str> = values.map(|(_, value)| &**value).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body that is text")
    }

    /// The status and the body.
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status, self.text())
    }
}

/// A request whose response is still to be read.
pub(crate) struct Exchange(TcpStream);

impl Exchange {
    /// Sends a request on a connection of its own.
    pub(crate) async fn begin(
        address: SocketAddr,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let mut exchange = Self::begin_with_length(address, method, target, headers, body.len()).await;
        // A server may answer, and be gone, before it has read everything.
        let _ = exchange.0.write_all(body).await;
        exchange
    }

    /// Sends the head of a request alone.
    pub(crate) async fn begin_with_length(
        address: SocketAddr,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> Self {
        let mut tcp = TcpStream::connect(address).await.expect("the server listens");
        tcp.set_nodelay(true).expect("a socket");
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n");
        if method == "POST" || length > 0 {
            head.push_str(&format!("Content-Length: {length}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        tcp.write_all(head.as_bytes()).await.expect("the server reads");
        Self(tcp)
    }

    /// Sends more of the body.
    pub(crate) async fn send(&mut self, body: &[u8]) {
        self.0.write_all(body).await.expect("the server reads");
    }

    /// Reads the response. One without a length, as that of an upgrade, has no body here.
    pub(crate) async fn response(mut self) -> Response {
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            let count = unhung(self.0.read_buf(&mut read)).await.expect("the server answers");
            assert!(count > 0, "the server closed the connection behind {:?}", String::from_utf8_lossy(&read));
        };
        let head = String::from_utf8(read[..end].to_vec()).expect("a head is text");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let headers = lines.filter_map(|line| line.split_once(": ")).map(|(name, value)| (name.into(), value.into()));
        let mut response =
            Response { status: status.expect("a status"), headers: headers.collect(), body: read.split_off(end) };
        let length = response.header("content-length").map_or(0, |length| length.parse().expect("a length"));
        while response.body.len() < length {
            let count = unhung(self.0.read_buf(&mut response.body)).await.expect("the server answers");
            assert!(count > 0, "the server closed the connection inside a body");
        }
        assert!(response.status == 101 || response.body.len() == length, "no more than was announced");
        response
    }
}

impl From<TcpStream> for Exchange {
    fn from(tcp: TcpStream) -> Self {
        Self(tcp)
    }
}

/// One request and its response.
pub(crate) async fn request(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    Exchange::begin(address, method, target, headers, body).await.response().await
}

/// A client's session.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    path: &'static str,
    pub(crate) sid: String,
}

impl Client {
    /// Begins one by polling.
    pub(crate) async fn open(address: SocketAddr, path: &'static str) -> Self {
        let response = request(address, "GET", &format!("{path}?EIO=4&transport=polling"), &[], b"").await;
        assert_eq!(response.status, 200, "{}", response.text());
        Self { address, path, sid: sid(response.text()) }
    }

    pub(crate) fn target(&self, transport: &str) -> String {
        format!("{}?EIO=4&transport={transport}&sid={}", self.path, self.sid)
    }

    /// Begins a poll.
    pub(crate) async fn begin_get(&self) -> Exchange {
        Exchange::begin(self.address, "GET", &self.target("polling"), &[], b"").await
    }

    pub(crate) async fn get(&self) -> Response {
        self.begin_get().await.response().await
    }

    /// Polls in a task of its own.
    pub(crate) fn poll(&self) -> JoinHandle<Response> {
        let client = self.clone();
        tokio::spawn(async move { client.get().await })
    }

    pub(crate) async fn post(&self, body: impl AsRef<[u8]>) -> Response {
        let headers = [("Content-Type", "text/plain;charset=UTF-8")];
        request(self.address, "POST", &self.target("polling"), &headers, body.as_ref()).await
    }

    /// Posts what the server takes.
    pub(crate) async fn send(&self, body: &str) {
        assert_eq!(self.post(body).await.told(), (200, "ok"));
    }

    /// Opens a WebSocket for the session.
    pub(crate) async fn websocket(&self) -> WebSocket {
        let url = format!("ws://{}{}", self.address, self.target("websocket"));
        unhung(connect(url).into_future()).await.expect("a WebSocket")
    }

    /// Goes over to a WebSocket.
    pub(crate) async fn upgrade(&self) -> WebSocket {
        let mut ws = self.websocket().await;
        send(&mut ws, "2probe").await;
        assert_eq!(text(&mut ws).await, "3probe");
        send(&mut ws, "5").await;
        ws
    }
}

/// Begins a session with a WebSocket; gives it behind the server's first packet, which is the second value.
pub(crate) async fn open_websocket(address: SocketAddr, path: &str, more: &str) -> (WebSocket, String) {
    let url = format!("ws://{address}{path}?EIO=4&transport=websocket{more}");
    let mut ws = unhung(connect(url).into_future()).await.expect("a WebSocket");
    let open = text(&mut ws).await;
    assert!(open.starts_with("0{"), "{open}");
    (ws, open)
}

/// The status and the body with which a WebSocket is refused.
pub(crate) fn refused(result: Result<WebSocket, Error>) -> (u16, String) {
    match result {
        Err(Error::Handshake(error)) => match *error {
            HandshakeError::Refused(response) => {
                (response.status(), String::from_utf8(response.body.to_vec()).expect("text"))
            }
            other => panic!("{other}"),
        },
        other => panic!("{other:?}"),
    }
}

/// The `sid` in a packet.
pub(crate) fn sid(packet: &str) -> String {
    member(packet, "sid").unwrap_or_else(|| panic!("no sid in {packet}"))
}

/// A text in a packet's object.
pub(crate) fn member(packet: &str, name: &str) -> Option<String> {
    let json = &packet[packet.find('{')?..];
    let object: serde_json::Value = serde_json::from_str(json).ok()?;
    Some(object.get(name)?.as_str()?.into())
}

pub(crate) async fn send(ws: &mut WebSocket, message: impl Into<Message>) {
    ws.send(message).await.expect("the WebSocket is open");
}

/// The next message.
pub(crate) async fn message(ws: &mut WebSocket) -> Message {
    let message = unhung(ws.recv()).await.expect("the WebSocket is open");
    message.unwrap_or_else(|| panic!("the WebSocket has ended: {:?}", ws.end()))
}

/// The next message, which is text.
pub(crate) async fn text(ws: &mut WebSocket) -> String {
    let message = message(ws).await;
    message.as_text().unwrap_or_else(|| panic!("{message:?} is no text")).into()
}

/// The server's Close, which comes next; `None` if it has no code.
pub(crate) async fn closed(ws: &mut WebSocket) -> Option<CloseFrame> {
    match unhung(ws.recv()).await {
        Ok(Some(message)) => panic!("{message:?} came, and no Close"),
        Ok(None) => {}
        Err(error) => panic!("{error}, and no Close"),
    }
    match ws.end() {
        Some(End::Closed { theirs, .. }) => theirs.clone(),
        other => panic!("{other:?}"),
    }
}
