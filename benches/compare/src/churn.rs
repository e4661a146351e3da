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
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(AT_ONCE);
    let request = wire::request(server.address, None).into_bytes();
    let mut close = vec![];
    wire::put_masked(&mut close, 0x80, Opcode::Close, &1000u16.to_be_bytes(), [0x37, 0xfa, 0x21, 0x3d]);
    let script = Script { address: server.address, request, close, raw };
    let mut visits = (0..AT_ONCE).map(|nth| script.open(&poll, nth)).collect::<io::Result<Vec<_>>>()?;
    let mut run = |time: Duration| {
        let (began, mut count) = (Instant::now(), 0);
        while began.elapsed() < time {
            poll.poll(&mut events, Some(wire::PATIENCE))?;
            if events.is_empty() {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server has stopped answering"));
            }
            for event in &events {
                let nth = event.token().0;
                if visits[nth].turn(&script)? {
                    count += 1;
                    visits[nth] = script.open(&poll, nth)?;
                }
            }
        }
        Ok((count, began.elapsed()))
    };
    run(warm_up)?;
    let before = server.process.cpu_time();
    let (count, elapsed) = run(time)?;
    let cpu = server.process.cpu_time() - before;
    Ok(Sample::new(cpu, elapsed, count.into()))
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
        let mut io = TcpStream::connect(self.address)?;
        poll.registry().register(&mut io, Token(nth), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Visit { io, state: State::Connecting, input: Vec::with_capacity(1024) })
    }
}

impl Visit {
    /// Goes on as far as it can; true when the visit is over.
    fn turn(&mut self, script: &Script) -> io::Result<bool> {
        if self.state == State::Connecting {
            match self.io.peer_addr() {
                Ok(_) => self.io.set_nodelay(true)?,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
                Err(error) => return Err(error),
            }
            self.write(&script.request)?;
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
                self.write(&script.close)?;
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

    /// Writes what is so short that it always fits.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.io.write(bytes)? {
            n if n == bytes.len() => Ok(()),
            _ => Err(io::Error::other("a new connection takes less than a handshake")),
        }
    }
}
