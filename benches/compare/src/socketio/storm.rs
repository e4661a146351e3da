//! Connections that come and go.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{Entry, PATH, Step, join};
use crate::{
    sample::Sample,
    server::Server,
    wire::{self, Opcode},
};

/// So many connections are on their way at a time.
const AT_ONCE: usize = 64;

/// Connects, upgrades, joins a namespace and closes, or, with `raw`, has the same bytes echoed.
///
/// # Errors
///
/// A server that answers wrongly or not at all.
pub fn connections(server: &Server, raw: bool, warm_up: Duration, time: Duration) -> io::Result<Sample> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(AT_ONCE);
    let mut close = vec![];
    wire::put_masked(&mut close, 0x80, Opcode::Close, &1000u16.to_be_bytes(), [0x37, 0xfa, 0x21, 0x3d]);
    let request = wire::request_to(&format!("{PATH}websocket"), server.address, None).into_bytes();
    let script = Script { server, request, close, raw };
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
    Ok(Sample::new(cpu, elapsed, f64::from(count)))
}

struct Script<'a> {
    server: &'a Server,
    request: Vec<u8>,
    close: Vec<u8>,
    raw: bool,
}

struct Visit {
    io: TcpStream,
    state: State,
    entry: Entry,
    /// What has come from a server that sends back what it gets.
    echoed: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Connecting,
    Entering,
    Closing,
}

impl Script<'_> {
    fn open(&self, poll: &Poll, nth: usize) -> io::Result<Visit> {
        let mut io = TcpStream::connect(self.server.address)?;
        poll.registry().register(&mut io, Token(nth), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Visit { io, state: State::Connecting, entry: Entry::default(), echoed: 0 })
    }
}

impl Visit {
    /// Goes on as far as it can; true when the visit is over.
    fn turn(&mut self, script: &Script<'_>) -> io::Result<bool> {
        if self.state == State::Connecting {
            match self.io.peer_addr() {
                Ok(_) => self.io.set_nodelay(true)?,
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
                Err(error) => return Err(error),
            }
            self.write(&script.request)?;
            self.state = State::Entering;
        }
        let mut some = [0; 1024];
        loop {
            let input = match self.io.read(&mut some) {
                // The Close has been answered, or the connection is ended for it.
                Ok(0) if self.state == State::Closing => return Ok(true),
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has hung up")),
                Ok(n) => &some[..n],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            if script.raw {
                self.echoed += input.len();
                match self.echoed.checked_sub(script.request.len()) {
                    Some(0) => self.write(&join())?,
                    Some(n) if n == join().len() => return Ok(true),
                    _ => {}
                }
            } else if self.state == State::Entering {
                match self.entry.receive(input).map_err(io::Error::other)? {
                    Step::Wait => {}
                    Step::Join => self.write(&join())?,
                    Step::Done => {
                        self.write(&script.close)?;
                        self.state = State::Closing;
                    }
                }
            }
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
