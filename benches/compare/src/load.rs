//! The load: a closed loop over many connections, on the thread that runs it.
//!
//! As many messages as have come back are sent again, by one write for all that one read brought.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    sample::Sample,
    script::{Replies, Requests, Shape, Takeover},
    server::Server,
    socketio::{self, Event},
    wire,
};

/// What a server is offered, and how its replies are judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// No WebSocket at all: the very bytes come back.
    Raw,
    Plain,
    Deflate {
        takeover: bool,
    },
    /// Events in the namespace `/`.
    SocketIo(Event),
    /// The very bytes of these events come back.
    RawSocketIo(Event),
}

/// Runs one round: a warm-up, then the time that counts.
///
/// # Errors
///
/// A server that answers wrongly, hangs up or stops answering.
pub fn echo(server: &Server, dialect: Dialect, shape: Shape, warm_up: Duration, time: Duration) -> io::Result<Sample> {
    let mut load = Load::open(server.address, dialect, shape)?;
    load.run_for(warm_up)?;
    load.latencies.reset();
    (load.messages, load.bytes) = (0, 0);
    let (cpu, began) = (server.process.cpu_time(), Instant::now());
    load.run_for(time)?;
    let (cpu, elapsed) = (server.process.cpu_time() - cpu, began.elapsed());
    let messages = load.counted();
    let percentile = |quantile| load.latencies.value_at_quantile(quantile) as f64 / 1e3;
    let sample = Sample {
        latencies: Some([percentile(0.5), percentile(0.99)]),
        reply_bytes: Some(load.bytes as f64 / messages),
        ..Sample::new(cpu, elapsed, messages)
    };
    load.finish()?;
    Ok(sample)
}

/// What is offered, in the words of RFC 7692 §7.1.
fn offer(takeover: bool) -> &'static str {
    if takeover {
        "permessage-deflate"
    } else {
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
    }
}

struct Load {
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    latencies: Histogram<u64>,
    messages: usize,
    bytes: usize,
    reply_len: Option<usize>,
}

struct Connection {
    io: TcpStream,
    requests: Requests,
    replies: Replies,
    /// The frame to be sent next, and how far in the requests' bytes the sending is.
    next: usize,
    at: usize,
    /// So many frames are to be sent, the one that is under way among them.
    owed: usize,
    /// When the sending of the frame that is under way has begun.
    began: Instant,
    /// When frames were sent that have not come back, and how many.
    outstanding: VecDeque<(Instant, usize)>,
    writable: bool,
}

impl Load {
    fn open(address: SocketAddr, dialect: Dialect, shape: Shape) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = vec![];
        for nth in 0..shape.connections {
            let (io, agreed) = dialect.connect(address)?;
            let (requests, replies) = dialect.script(shape, nth, agreed);
            io.set_nonblocking(true)?;
            let mut io = TcpStream::from_std(io);
            poll.registry().register(&mut io, Token(nth), Interest::READABLE | Interest::WRITABLE)?;
            connections.push(Connection {
                io,
                requests,
                replies,
                next: 0,
                at: 0,
                owed: shape.in_flight,
                began: Instant::now(),
                outstanding: VecDeque::new(),
                writable: true,
            });
        }
        let reply_len = match &connections[0].replies {
            Replies::Exact { reply_len, .. } => Some(*reply_len),
            Replies::Deflated(_) => None,
        };
        let latencies = Histogram::new_with_max(60_000_000_000, 3).expect("three digits of a minute can be had");
        let buffer = vec![0; 256 * 1024];
        Ok(Self {
            poll,
            events: Events::with_capacity(1024),
            connections,
            buffer,
            latencies,
            messages: 0,
            bytes: 0,
            reply_len,
        })
    }

    /// Keeps the load up for a while.
    fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        for connection in &mut self.connections {
            connection.send()?;
        }
        while Instant::now() < end {
            self.turn(true)?;
        }
        Ok(())
    }

    /// Waits for the answers to all that was sent, and hangs up.
    fn finish(mut self) -> io::Result<()> {
        for connection in &mut self.connections {
            connection.stop();
        }
        while !self.connections.iter().all(Connection::is_done) {
            self.turn(false)?;
        }
        Ok(())
    }

    /// Serves the connections that something has happened on.
    fn turn(&mut self, again: bool) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(wire::PATIENCE))?;
        if self.events.is_empty() {
            return Err(io::Error::new(ErrorKind::TimedOut, "the server has stopped answering"));
        }
        for event in &self.events {
            let connection = &mut self.connections[event.token().0];
            connection.writable |= event.is_writable();
            if event.is_readable() {
                let (bytes, messages) = connection.receive(&mut self.buffer, &mut self.latencies)?;
                self.bytes += bytes;
                self.messages += messages;
                if again {
                    connection.owed += messages;
                }
            }
            connection.send()?;
        }
        Ok(())
    }

    /// Where all replies are of one length, one that is half there counts as half a message.
    fn counted(&self) -> f64 {
        match self.reply_len {
            Some(reply_len) => self.bytes as f64 / reply_len as f64,
            None => self.messages as f64,
        }
    }
}

impl Dialect {
    /// What the floor is offered in its place.
    pub fn of_the_floor(self) -> Self {
        match self {
            Self::SocketIo(event) => Self::RawSocketIo(event),
            _ => Self::Raw,
        }
    }

    pub(crate) fn is_raw(self) -> bool {
        matches!(self, Self::Raw | Self::RawSocketIo(_))
    }

    /// Opens a connection; says what was agreed on, if this is WebSocket with compression.
    pub(crate) fn connect(self, address: SocketAddr) -> io::Result<(std::net::TcpStream, Option<Takeover>)> {
        let takeover = match self {
            Self::Raw | Self::RawSocketIo(_) => return Ok((wire::connect_raw(address)?, None)),
            Self::Plain => return Ok((wire::connect(address, None)?.0, None)),
            Self::SocketIo(_) => return Ok((socketio::connect(address)?, None)),
            Self::Deflate { takeover } => takeover,
        };
        let (io, agreed) = wire::connect(address, Some(offer(takeover)))?;
        let agreed = agreed.ok_or_else(|| io::Error::other("the server does not compress"))?;
        let takeover = Takeover {
            client: !agreed.contains("client_no_context_takeover"),
            server: !agreed.contains("server_no_context_takeover"),
        };
        Ok((io, Some(takeover)))
    }

    /// What connection `nth` sends, and what has to come back.
    pub(crate) fn script(self, shape: Shape, nth: usize, agreed: Option<Takeover>) -> (Requests, Replies) {
        match (agreed, self) {
            (Some(takeover), _) => shape.deflated(nth, takeover),
            (None, Self::SocketIo(event) | Self::RawSocketIo(event)) => shape.socketio(event, nth, self.is_raw()),
            (None, _) => shape.plain(nth, self.is_raw()),
        }
    }
}

impl Connection {
    /// Where the frame that is sent next, or is under way, begins.
    fn frame_start(&self) -> usize {
        self.next.checked_sub(1).map_or(0, |before| self.requests.ends[before])
    }

    /// Sends no more than what is under way.
    fn stop(&mut self) {
        self.owed = usize::from(self.at > self.frame_start());
    }

    fn is_done(&self) -> bool {
        self.owed == 0 && self.outstanding.is_empty()
    }

    /// Reads what is there, and says how many bytes and how many whole messages it was.
    fn receive(&mut self, buffer: &mut [u8], latencies: &mut Histogram<u64>) -> io::Result<(usize, usize)> {
        let (mut bytes, mut messages) = (0, 0);
        loop {
            let n = match self.io.read(buffer) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has hung up")),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            bytes += n;
            messages += self.replies.receive(&buffer[..n]).map_err(io::Error::other)?;
            // The next edge comes with the next bytes.
            if n < buffer.len() {
                break;
            }
        }
        let now = Instant::now();
        let mut answered = messages;
        while answered > 0 {
            let (since, sent) = self
                .outstanding
                .front_mut()
                .ok_or_else(|| io::Error::other("more replies came than were asked for"))?;
            let n = answered.min(*sent);
            latencies.saturating_record_n((now - *since).as_nanos() as u64, n as u64);
            (answered, *sent) = (answered - n, *sent - n);
            if *sent == 0 {
                self.outstanding.pop_front();
            }
        }
        Ok((bytes, messages))
    }

    /// Sends what is owed, as far as it goes.
    fn send(&mut self) -> io::Result<()> {
        while self.owed > 0 && self.writable {
            let ends = &self.requests.ends;
            let last = (self.next + self.owed).min(ends.len());
            if self.at == self.frame_start() {
                self.began = Instant::now();
            }
            match self.io.write(&self.requests.bytes[self.at..ends[last - 1]]) {
                Ok(n) => self.at += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(error),
            }
            let sent = ends[self.next..last].iter().take_while(|&&end| end <= self.at).count();
            if sent > 0 {
                self.outstanding.push_back((self.began, sent));
                self.next += sent;
                self.owed -= sent;
            }
            if self.next == ends.len() {
                self.next = self.requests.again_from;
                self.at = self.frame_start();
            }
        }
        Ok(())
    }
}
