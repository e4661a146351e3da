//! The client's end of a connection, as bytes.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt, Interest},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    outcome::{Outcome, fault, is_reset},
    wire::{self, CLOSE, PING, PONG},
};

/// A server that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// What one read takes in at the most.
const READ: usize = 16 * 1024;

pub type Frame = (u8, Vec<u8>);

pub struct Peer {
    io: TcpStream,
    /// What was read and not taken apart yet.
    input: Vec<u8>,
}

impl Peer {
    /// Connects from the `nth` of this machine's addresses, so that there are ports for all.
    pub async fn connect(server: SocketAddr, nth: usize) -> io::Result<Self> {
        Self::connect_with(server, nth, None).await
    }

    /// Connects with so little room in each direction.
    pub async fn connect_with(server: SocketAddr, nth: usize, room: Option<u32>) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(room) = room {
            socket.set_recv_buffer_size(room)?;
            socket.set_send_buffer_size(room)?;
        }
        socket.bind(SocketAddr::from(([127, 0, 1, (nth % 250) as u8 + 1], 0)))?;
        let io = patient(socket.connect(server)).await?;
        io.set_nodelay(true)?;
        Ok(Self { io, input: Vec::new() })
    }

    /// Connects, and makes the opening handshake.
    pub async fn open(server: SocketAddr, nth: usize, offer: Option<&str>) -> io::Result<Self> {
        let mut peer = Self::connect(server, nth).await?;
        peer.upgrade(server, offer).await?;
        Ok(peer)
    }

    pub async fn upgrade(&mut self, server: SocketAddr, offer: Option<&str>) -> io::Result<()> {
        self.upgrade_at(server, "/", offer).await
    }

    pub async fn upgrade_at(&mut self, server: SocketAddr, target: &str, offer: Option<&str>) -> io::Result<()> {
        self.write(format!("{}\r\n", wire::request_for(server, target, offer)).as_bytes()).await?;
        let head = self.head().await?;
        if wire::is_upgrade(&head, offer) {
            Ok(())
        } else {
            Err(fault(format!("the upgrade was answered by {head:?}")))
        }
    }

    /// Writes, and takes in meanwhile what comes.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        // An end stays readable: waited for once more, it would keep this loop from waiting for anything else.
        let mut interest = Interest::READABLE | Interest::WRITABLE;
        while !bytes.is_empty() {
            let ready = patient(self.io.ready(interest)).await?;
            if ready.is_readable() && self.try_read()? == Some(0) {
                interest = Interest::WRITABLE;
            }
            if ready.is_writable() {
                match self.io.try_write(bytes) {
                    Ok(written) => bytes = &bytes[written..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Writes without reading, until the server has taken nothing for `patience`; says whether it took all.
    pub async fn write_only(&mut self, bytes: &[u8], patience: Duration) -> io::Result<bool> {
        match timeout(patience, self.io.write_all(bytes)).await {
            Ok(written) => written.map(|()| true),
            Err(_) => Ok(false),
        }
    }

    pub async fn send(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        self.write(&wire::frame(first, payload)).await
    }

    /// The next frame, Pings answered and left out; `None` at the end.
    pub async fn frame(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some((first, payload, len)) = wire::parse(&self.input) {
                let frame = (first, payload.to_vec());
                self.input.drain(..len);
                if self.input.is_empty() {
                    self.input = Vec::new();
                }
                if frame.0 != PING {
                    return Ok(Some(frame));
                }
                self.send(PONG, &frame.1).await?;
            } else if !self.read().await? {
                return if self.input.is_empty() { Ok(None) } else { Err(fault("the end is inside a frame")) };
            }
        }
    }

    /// The next frame, which is to be this one.
    pub async fn expect(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        match self.frame().await? {
            Some(frame) if frame.0 == first && frame.1 == payload => Ok(()),
            frame => Err(fault(format!("for {first:#x} with {} bytes came {}", payload.len(), describe(frame)))),
        }
    }

    /// Answers Pings; nothing else may come.
    pub async fn idle(&mut self, duration: Duration) -> io::Result<()> {
        match timeout(duration, self.frame_of_the_idle()).await {
            Ok(frame) => Err(fault(format!("to an idle client came {}", describe(frame?)))),
            Err(_) => Ok(()),
        }
    }

    async fn frame_of_the_idle(&mut self) -> io::Result<Option<Frame>> {
        loop {
            self.io.readable().await?;
            self.try_read()?;
            match self.frame().await? {
                Some((PONG, _)) => {}
                other => return Ok(other),
            }
        }
    }

    /// Closes with a code, and waits for the answer and the end.
    pub async fn close(mut self, code: u16) -> io::Result<Outcome> {
        self.send(CLOSE, &code.to_be_bytes()).await?;
        self.end_as(Outcome::Closed(code)).await
    }

    /// The end, which is to be this one. What comes before it does not matter.
    pub async fn end_as(mut self, wanted: Outcome) -> io::Result<Outcome> {
        let end = self.end().await?;
        if end == wanted { Ok(end) } else { Err(fault(format!("for \"{wanted}\" came \"{end}\""))) }
    }

    pub async fn end(&mut self) -> io::Result<Outcome> {
        let mut outcome = Outcome::Ended;
        loop {
            match self.frame().await {
                Ok(Some((CLOSE, payload))) => {
                    outcome = Outcome::Closed(payload.first_chunk().map_or(1005, |&code| u16::from_be_bytes(code)));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(outcome),
                // Behind the server's Close, it is of no interest.
                Err(error) if is_reset(&error) => {
                    return Ok(if outcome == Outcome::Ended { Outcome::Reset } else { outcome });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A response's head, with its last line's end.
    pub async fn head(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.input.windows(4).position(|end| end == b"\r\n\r\n") {
                let head: Vec<_> = self.input.drain(..end + 4).collect();
                return String::from_utf8(head).map_err(|_| fault("a head that is no text"));
            }
            if !self.read().await? {
                return Err(fault(format!("the end is {} bytes into a head", self.input.len())));
            }
        }
    }

    /// A response's body of this length.
    pub async fn body(&mut self, len: usize) -> io::Result<Vec<u8>> {
        while self.input.len() < len {
            if !self.read().await? {
                return Err(fault(format!("the end is {} bytes into a body of {len}", self.input.len())));
            }
        }
        let rest = self.input.split_off(len);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    /// Reads what is behind a response to its end.
    pub async fn discard(&mut self) -> io::Result<()> {
        while self.read().await? {
            self.input.clear();
        }
        Ok(())
    }

    /// Ends our direction.
    pub async fn shut_down(&mut self) -> io::Result<()> {
        self.io.shutdown().await
    }

    /// Is gone at once, by a reset or by an end.
    pub fn leave(self, by_reset: bool) -> io::Result<Outcome> {
        if by_reset {
            self.io.set_zero_linger()?;
        }
        Ok(Outcome::Left)
    }

    /// Waits for bytes; says whether there were any before the end.
    async fn read(&mut self) -> io::Result<bool> {
        loop {
            patient(self.io.readable()).await?;
            if let Some(len) = self.try_read()? {
                return Ok(len > 0);
            }
        }
    }

    /// Takes in what is there; `None` if nothing is.
    fn try_read(&mut self) -> io::Result<Option<usize>> {
        self.input.reserve(READ);
        match self.io.try_read_buf(&mut self.input) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

async fn patient<T>(call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(PATIENCE, call).await.map_err(|_| fault(format!("silence for {PATIENCE:?}")))?
}

fn describe(frame: Option<Frame>) -> String {
    match frame {
        None => "the end".into(),
        Some((CLOSE, payload)) => format!("a Close with {:?}", String::from_utf8_lossy(&payload)),
        Some((first, payload)) => format!("{first:#x} with {} bytes", payload.len()),
    }
}
