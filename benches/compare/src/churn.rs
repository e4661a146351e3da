//! The opening and closing handshakes, over and over.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    sample::Sample,
    server::Server,
    wire::{self, Opcode},
};

/// So many connections are on their way at a time.
const AT_ONCE: usize = 16;

/// Connects, upgrades, closes and waits for the end, or, with `raw`, has the same bytes echoed.
///
/// # Errors
///
/// A server that answers wrongly or not at all.
pub fn handshakes(server: &Server, raw: bool, warm_up: Duration, time: Duration) -> io::Result<Sample> {
    let request = wire::request(server.address, None).into_bytes();
    let script = Script { address: server.address, request, close: close(), raw };
    sample(server, AT_ONCE, [warm_up, time], |poll, nth| script.open(poll, nth), |visit| visit.turn(&script))
}

/// Has so many visits under way, each of which is followed by another when it is over: a warm-up, then the time that counts.
pub(crate) fn sample<V>(
    server: &Server,
    at_once: usize,
    [warm_up, time]: [Duration; 2],
    open: impl Fn(&Poll, usize) -> io::Result<V>,
    turn: impl Fn(&mut V) -> io::Result<bool>,
) -> io::Result<Sample> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(at_once);
    let mut visits = (0..at_once).map(|nth| open(&poll, nth)).collect::<io::Result<Vec<_>>>()?;
    let mut run = |time: Duration| {
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < time {
            poll.poll(&mut events, Some(wire::PATIENCE))?;
            if events.is_empty() {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server has stopped answering"));
            }
            for event in &events {
                let nth = event.token().0;
                if turn(&mut visits[nth])? {
                    count += 1;
                    visits[nth] = open(&poll, nth)?;
                }
            }
        }
        Ok((count, began.elapsed()))
    };
    run(warm_up)?;
    let before = server.process.cpu_time();
    let (count, elapsed) = run(time)?;
    let cpu = server.process.cpu_time() - before;
    Ok(Sample::new(cpu, elapsed, f64::from(count)))
}

/// A Close with the code 1000.
pub(crate) fn close() -> Vec<u8> {
    let mut close = vec![];
    wire::put_masked(&mut close, 0x80, Opcode::Close, &1000u16.to_be_bytes(), [0x37, 0xfa, 0x21, 0x3d]);
    close
}

/// Begins to connect.
pub(crate) fn connect(address: SocketAddr, poll: &Poll, nth: usize) -> io::Result<TcpStream> {
    let mut io = TcpStream::connect(address)?;
    poll.registry().register(&mut io, Token(nth), Interest::READABLE | Interest::WRITABLE)?;
    Ok(io)
}

/// Whether the connection is there by now.
pub(crate) fn is_connected(io: &TcpStream) -> io::Result<bool> {
    match io.peer_addr() {
        Ok(_) => io.set_nodelay(true).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes what is so short that it always fits.
pub(crate) fn write(io: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    match io.write(bytes)? {
        n if n == bytes.len() => Ok(()),
        _ => Err(io::Error::other("a new connection takes less than a handshake")),
    }
}

struct Script {
    address: SocketAddr,
    request: Vec<u8>,
    close: Vec<u8>,
    raw: bool,
}

struct Visit {
    io: TcpStream,
    state: State,
    input: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Connecting,
    Upgrading,
    Closing,
}

impl Script {
    fn open(&self, poll: &Poll, nth: usize) -> io::Result<Visit> {
        Ok(Visit { io: connect(self.address, poll, nth)?, state: State::Connecting, input: Vec::with_capacity(1024) })
    }
}

impl Visit {
    /// Goes on as far as it can; true when the visit is over.
    fn turn(&mut self, script: &Script) -> io::Result<bool> {
        if self.state == State::Connecting {
            if !is_connected(&self.io)? {
                return Ok(false);
            }
            write(&mut self.io, &script.request)?;
            self.state = State::Upgrading;
        }
        let mut some = [0; 1024];
        loop {
            match self.io.read(&mut some) {
                Ok(0) if self.state == State::Closing => return self.end(),
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has hung up")),
                Ok(n) => self.input.extend(&some[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
            if self.state == State::Upgrading && script.raw && self.input.len() == script.request.len() {
                return Ok(self.input == script.request);
            }
            if self.state == State::Upgrading && !script.raw && wire::head_len(&self.input).is_some() {
                wire::check_response(&self.input).map_err(io::Error::other)?;
                self.input.clear();
                write(&mut self.io, &script.close)?;
                self.state = State::Closing;
            }
        }
    }

    /// §5.5.1: the Close is answered by one with the same code.
    fn end(&self) -> io::Result<bool> {
        match self.input.as_slice() {
            [0x88, _, 0x03, 0xe8, ..] => Ok(true),
            other => Err(io::Error::other(format!("the Close was answered by {other:02x?}"))),
        }
    }
}
