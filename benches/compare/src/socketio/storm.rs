//! Connections that come and go.

use std::{
    io::{self, ErrorKind, Read},
    time::Duration,
};

use mio::{Poll, net::TcpStream};

use super::{Entry, PATH, Step, join};
use crate::{churn, sample::Sample, server::Server, wire};

/// So many connections are on their way at a time.
const AT_ONCE: usize = 64;

/// Connects, upgrades, joins a namespace and closes, or, with `raw`, has the same bytes echoed.
///
/// # Errors
///
/// A server that answers wrongly or not at all.
pub fn connections(server: &Server, raw: bool, warm_up: Duration, time: Duration) -> io::Result<Sample> {
    let request = wire::request_to(&format!("{PATH}websocket"), server.address, None).into_bytes();
    let script = Script { server, request, close: churn::close(), raw };
    churn::sample(server, AT_ONCE, [warm_up, time], |poll, nth| script.open(poll, nth), |visit| visit.turn(&script))
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
        Ok(Visit {
            io: churn::connect(self.server.address, poll, nth)?,
            state: State::Connecting,
            entry: Entry::default(),
            echoed: 0,
        })
    }
}

impl Visit {
    /// Goes on as far as it can; true when the visit is over.
    fn turn(&mut self, script: &Script<'_>) -> io::Result<bool> {
        if self.state == State::Connecting {
            if !churn::is_connected(&self.io)? {
                return Ok(false);
            }
            churn::write(&mut self.io, &script.request)?;
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
                    Some(0) => churn::write(&mut self.io, &join())?,
                    Some(n) if n == join().len() => return Ok(true),
                    _ => {}
                }
            } else if self.state == State::Entering {
                match self.entry.receive(input).map_err(io::Error::other)? {
                    Step::Wait => {}
                    Step::Join => churn::write(&mut self.io, &join())?,
                    Step::Done => {
                        churn::write(&mut self.io, &script.close)?;
                        self.state = State::Closing;
                    }
                }
            }
        }
    }
}
