//! A session by WebSocket.

use std::{io, net::SocketAddr, time::Duration};

use tokio::time::timeout;

use crate::{
    outcome::{Outcome, fault, is_reset},
    peer::{Frame, Peer},
    wire::{BINARY, CLOSE, PONG, TEXT},
};

/// What comes of a session.
#[derive(Debug, Eq, PartialEq)]
pub enum Packet {
    Text(String),
    Binary(Vec<u8>),
    /// The server's Close, and what it says.
    Close(u16),
    /// The end, or a reset.
    End,
}

/// What everybody in a room is told at any time, and so is left out.
pub const BROADCAST: &str = r#"42["bcast","#;

pub struct WebSocket {
    pub peer: Peer,
}

impl WebSocket {
    /// Begins a session.
    pub async fn open(server: SocketAddr, nth: usize) -> io::Result<Self> {
        let peer = Peer::connect(server, nth).await?;
        Self::open_on(peer, server).await
    }

    pub async fn open_on(peer: Peer, server: SocketAddr) -> io::Result<Self> {
        let mut this = Self::upgraded(peer, server, "/socket.io/?EIO=4&transport=websocket").await?;
        match this.packet().await? {
            Packet::Text(open) if open.starts_with(r#"0{"sid":""#) => Ok(this),
            other => Err(fault(format!("a session began with {other:?}"))),
        }
    }

    /// Has a session that polls try a WebSocket.
    pub async fn probing(server: SocketAddr, nth: usize, sid: &str) -> io::Result<Self> {
        let peer = Peer::connect(server, nth).await?;
        Self::upgraded(peer, server, &format!("/socket.io/?EIO=4&transport=websocket&sid={sid}")).await
    }

    async fn upgraded(mut peer: Peer, server: SocketAddr, target: &str) -> io::Result<Self> {
        peer.upgrade_at(server, target, None).await?;
        Ok(Self { peer })
    }

    /// Begins a session, and joins the main namespace.
    pub async fn joined(server: SocketAddr, nth: usize) -> io::Result<Self> {
        let opened = Self::open(server, nth).await;
        let mut this = opened.map_err(|error| io::Error::new(error.kind(), format!("while it opens: {error}")))?;
        this.join().await?;
        Ok(this)
    }

    pub async fn join(&mut self) -> io::Result<()> {
        self.send("40").await?;
        match self.packet().await? {
            Packet::Text(text) if text.starts_with(r#"40{"sid":""#) => Ok(()),
            other => Err(fault(format!("a client that joins got {other:?}"))),
        }
    }

    pub async fn send(&mut self, text: &str) -> io::Result<()> {
        let sent = self.peer.send(TEXT, text.as_bytes()).await;
        sent.map_err(|error| io::Error::new(error.kind(), format!("while {} is sent: {error}", brief(text))))
    }

    pub async fn send_binary(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.peer.send(BINARY, bytes).await
    }

    /// The next packet, pings answered and broadcasts left out.
    pub async fn packet(&mut self) -> io::Result<Packet> {
        loop {
            let packet = self.any_packet().await?;
            match &packet {
                Packet::Text(ping) if ping == "2" => self.send("3").await?,
                Packet::Text(text) if text.starts_with(BROADCAST) => {}
                _ => return Ok(packet),
            }
        }
    }

    /// The next packet, whatever it is.
    pub async fn any_packet(&mut self) -> io::Result<Packet> {
        match self.any_frame().await {
            Ok(Some((TEXT, text))) => {
                String::from_utf8(text).map(Packet::Text).map_err(|_| fault("a text that is no UTF-8"))
            }
            Ok(Some((BINARY, bytes))) => Ok(Packet::Binary(bytes)),
            Ok(Some((CLOSE, payload))) => {
                Ok(Packet::Close(payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code))))
            }
            Ok(Some((first, _))) => Err(fault(format!("a frame that begins with {first:#x}"))),
            Ok(None) => Ok(Packet::End),
            Err(error) if is_reset(&error) => Ok(Packet::End),
            Err(error) => Err(error),
        }
    }

    /// The next frame, Pongs left out.
    async fn any_frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            match self.peer.frame().await? {
                Some((PONG, _)) => {}
                frame => return Ok(frame),
            }
        }
    }

    pub async fn expect(&mut self, text: &str) -> io::Result<()> {
        match self.packet().await? {
            Packet::Text(packet) if packet == text => Ok(()),
            other => Err(fault(format!("for {} came {}", brief(text), brief(&format!("{other:?}"))))),
        }
    }

    pub async fn expect_binary(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.packet().await? {
            Packet::Binary(packet) if packet == bytes => Ok(()),
            other => Err(fault(format!("for {} bytes came {}", bytes.len(), brief(&format!("{other:?}"))))),
        }
    }

    /// Sends a text to itself by way of the server.
    pub async fn echo(&mut self, text: &str) -> io::Result<()> {
        let event = format!(r#"42["msg","{text}"]"#);
        self.send(&event).await?;
        self.expect(&event).await
    }

    /// How many sessions the server has, this one among them.
    pub async fn sessions(&mut self) -> io::Result<usize> {
        self.send(r#"420["sessions"]"#).await?;
        let answer = self.packet().await?;
        let Packet::Text(text) = &answer else { return Err(fault(format!("sessions were told as {answer:?}"))) };
        let number = text.strip_prefix("430[").and_then(|rest| rest.strip_suffix(']'));
        number.and_then(|number| number.parse().ok()).ok_or_else(|| fault(format!("there are {text} sessions")))
    }

    /// Answers pings; nothing else may come.
    pub async fn idle(&mut self, duration: Duration) -> io::Result<()> {
        match timeout(duration, self.packet()).await {
            Ok(packet) => Err(fault(format!("to an idle client came {:?}", packet?))),
            Err(_) => Ok(()),
        }
    }

    /// Closes the connection, and waits for its end.
    pub async fn close(mut self) -> io::Result<Outcome> {
        self.peer.send(CLOSE, &1000_u16.to_be_bytes()).await?;
        self.end_as(Outcome::Closed(1000)).await
    }

    /// The end, which is to be this one. What comes before it does not matter.
    pub async fn end_as(mut self, wanted: Outcome) -> io::Result<Outcome> {
        let end = self.end().await?;
        if end == wanted { Ok(end) } else { Err(fault(format!("for \"{wanted}\" came \"{end}\""))) }
    }

    pub async fn end(&mut self) -> io::Result<Outcome> {
        let mut outcome = Outcome::Ended;
        loop {
            match self.any_packet().await? {
                Packet::Text(_) | Packet::Binary(_) => {}
                Packet::Close(code) => {
                    outcome = Outcome::Closed(code);
                    // It may have ended its direction, or all of it.
                    let _ = self.peer.send(CLOSE, b"").await;
                }
                Packet::End => return Ok(outcome),
            }
        }
    }
}

/// The beginning of what may be long.
pub fn brief(text: &str) -> String {
    text.chars().take(120).collect()
}
