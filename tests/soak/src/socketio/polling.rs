//! A session by long-polling.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::websocket::{BROADCAST, brief};
use crate::{
    outcome::{Outcome, fault},
    peer::Peer,
    wire,
};

/// What is behind a request, with the status.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

/// For how long a connection without a request is used again: the server ends it somewhat later.
const KEPT: Duration = Duration::from_secs(5);
/// How long the server may take to notice that a client has gone.
const NOTICE: Duration = Duration::from_secs(20);

pub struct Polling {
    server: SocketAddr,
    nth: usize,
    pub sid: String,
    connection: Option<(Peer, Instant)>,
    packets: VecDeque<String>,
}

/// Sends a request.
pub async fn ask(peer: &mut Peer, method: &str, target: &str, body: Option<&str>) -> io::Result<()> {
    peer.write(request(method, target, body).as_bytes()).await
}

pub fn request(method: &str, target: &str, body: Option<&str>) -> String {
    let length = body.map(|body| format!("Content-Length: {}\r\n", body.len())).unwrap_or_default();
    let kind = if body.is_some() { "Content-Type: text/plain;charset=UTF-8\r\n" } else { "" };
    let body = body.unwrap_or_default();
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{kind}{length}\r\n{body}")
}

/// Reads a response.
pub async fn answer(peer: &mut Peer) -> io::Result<Response> {
    let head = peer.head().await?;
    let status = wire::status(&head).ok_or_else(|| fault(format!("a response that begins {}", brief(&head))))?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let len = fields.find_map(|(name, value)| name.eq_ignore_ascii_case("content-length").then(|| value.trim()));
    let len = len.and_then(|len| len.parse().ok()).ok_or_else(|| fault(format!("without a length: {head:?}")))?;
    let body = String::from_utf8(peer.body(len).await?).map_err(|_| fault("a body that is no text"))?;
    Ok(Response { status, body })
}

impl Polling {
    /// Begins a session.
    pub async fn open(server: SocketAddr, nth: usize) -> io::Result<Self> {
        let mut this = Self { server, nth, sid: String::new(), connection: None, packets: VecDeque::new() };
        let Response { status, body } = this.call("GET", "/socket.io/?EIO=4&transport=polling", None).await?;
        let sid = body.strip_prefix(r#"0{"sid":""#).and_then(|rest| rest.get(..20)).filter(|_| status == 200);
        this.sid = sid.ok_or_else(|| fault(format!("a session began with {status} {}", brief(&body))))?.into();
        Ok(this)
    }

    /// Begins a session, and joins the main namespace.
    pub async fn joined(server: SocketAddr, nth: usize) -> io::Result<Self> {
        let mut this = Self::open(server, nth).await?;
        this.post("40").await?;
        let packet = this.packet().await?;
        if packet.starts_with(r#"40{"sid":""#) {
            Ok(this)
        } else {
            Err(fault(format!("a client that joins got {}", brief(&packet))))
        }
    }

    pub fn target(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    /// Another connection, beside that of its requests.
    pub async fn connect(&self) -> io::Result<Peer> {
        Peer::connect(self.server, self.nth).await
    }

    /// The connection of its requests, made anew if the old one has done nothing for too long.
    async fn connection(&mut self) -> io::Result<Peer> {
        match self.connection.take() {
            Some((peer, at)) if at.elapsed() < KEPT => Ok(peer),
            _ => self.connect().await,
        }
    }

    pub async fn call(&mut self, method: &str, target: &str, body: Option<&str>) -> io::Result<Response> {
        let mut peer = self.connection().await?;
        ask(&mut peer, method, target, body).await?;
        let response = answer(&mut peer).await?;
        // Behind a refusal, the server need not go on.
        self.connection = (response.status == 200).then(|| (peer, Instant::now()));
        Ok(response)
    }

    pub async fn get(&mut self) -> io::Result<Response> {
        self.call("GET", &self.target(), None).await
    }

    /// Begins a poll, and does not wait for its answer.
    pub async fn park(&mut self) -> io::Result<Peer> {
        let mut peer = self.connection().await?;
        ask(&mut peer, "GET", &self.target(), None).await?;
        Ok(peer)
    }

    /// Sends packets, which the server is to take.
    pub async fn post(&mut self, body: &str) -> io::Result<()> {
        match self.try_post(body).await? {
            Response { status: 200, body } if body == "ok" => Ok(()),
            other => Err(fault(format!("POST {} was answered by {other:?}", brief(body)))),
        }
    }

    pub async fn try_post(&mut self, body: &str) -> io::Result<Response> {
        self.call("POST", &self.target(), Some(body)).await
    }

    /// The next packet, pings answered and broadcasts left out.
    pub async fn packet(&mut self) -> io::Result<String> {
        loop {
            match self.any_packet().await? {
                ping if ping == "2" => self.post("3").await?,
                packet if packet.starts_with(BROADCAST) => {}
                packet => return Ok(packet),
            }
        }
    }

    /// The next packet, whatever it is.
    pub async fn any_packet(&mut self) -> io::Result<String> {
        loop {
            if let Some(packet) = self.packets.pop_front() {
                return Ok(packet);
            }
            let Response { status, body } = self.get().await?;
            if status != 200 {
                return Err(fault(format!("a poll was answered by {status} {body}")));
            }
            self.packets.extend(body.split('\x1e').map(Into::into));
        }
    }

    pub async fn expect(&mut self, text: &str) -> io::Result<()> {
        let packet = self.packet().await?;
        if packet == text { Ok(()) } else { Err(fault(format!("for {} came {}", brief(text), brief(&packet)))) }
    }

    /// Sends a text to itself by way of the server.
    pub async fn echo(&mut self, text: &str) -> io::Result<()> {
        let event = format!(r#"42["msg","{text}"]"#);
        self.post(&event).await?;
        self.expect(&event).await
    }

    /// Ends the session as a client does.
    pub async fn close(mut self) -> io::Result<Outcome> {
        self.post("1").await?;
        self.forgotten().await?;
        Ok(Outcome::Served)
    }

    /// Waits until the server does not know the session any more.
    pub async fn forgotten(&mut self) -> io::Result<Outcome> {
        let began = Instant::now();
        loop {
            // A POST fetches nothing, and so puts no end off; what has ended takes none.
            match self.try_post("6").await? {
                Response { status: 400, body } if body.contains(r#""code":1"#) => return Ok(Outcome::Forgotten),
                _ if began.elapsed() > NOTICE => return Err(fault("a session is still known")),
                _ => sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// The end that the server makes: a poll says so, or there is nothing more to poll.
    pub async fn ended(&mut self) -> io::Result<Outcome> {
        loop {
            if self.packets.pop_front().is_some_and(|packet| packet == "1") {
                return Ok(Outcome::Ended);
            }
            if self.packets.is_empty() {
                match self.get().await? {
                    Response { status: 200, body } => self.packets.extend(body.split('\x1e').map(Into::into)),
                    Response { status: 400, body } if body.contains(r#""code":1"#) => return Ok(Outcome::Ended),
                    other => return Err(fault(format!("the end was told as {other:?}"))),
                }
            }
        }
    }
}
