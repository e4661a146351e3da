//! Messages to all connections, over and over: a round ends when each of them has had all.

use std::{
    io::{self, ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use crate::{
    load::Dialect,
    sample::Sample,
    script::{Replies, Requests, Shape},
    server::Server,
    socketio, wire,
};

/// The connections of one server, of which the first sends what all have to receive.
///
/// What it receives itself is checked as in the echo cases; all others have to receive the very same bytes, also where
/// they are compressed, as all have had the same messages.
pub struct FanOut {
    server: Server,
    poll: Poll,
    events: Events,
    receivers: Vec<Receiver>,
    requests: Requests,
    replies: Replies,
    /// So many messages are on their way at a time.
    in_flight: usize,
    /// The request that is sent next.
    next: usize,
    buffer: Vec<u8>,
    /// How long the rounds took.
    latencies: Histogram<u64>,
    /// What all connections have received since it was reset.
    bytes: usize,
}

struct Receiver {
    io: TcpStream,
    /// What has come in this round.
    received: Vec<u8>,
}

impl FanOut {
    /// Opens all connections.
    ///
    /// # Errors
    ///
    /// A server that does not accept them.
    pub fn open(server: Server, shape: Shape, dialect: Dialect) -> io::Result<Self> {
        let poll = Poll::new()?;
        let (mut receivers, mut agreed) = (vec![], None);
        for nth in 0..shape.connections {
            let (mut io, takeover) = dialect.connect(server.address)?;
            agreed = takeover;
            if dialect.is_raw() {
                // In place of the handshake, a byte says that the connection is among the receivers.
                io.read_exact(&mut [0])?;
            }
            io.set_nonblocking(true)?;
            let mut io = TcpStream::from_std(io);
            poll.registry().register(&mut io, Token(nth), Interest::READABLE)?;
            receivers.push(Receiver { io, received: vec![] });
        }
        let (requests, replies) = dialect.script(shape, 0, agreed);
        let latencies = Histogram::new_with_max(60_000_000_000, 3).expect("three digits of a minute can be had");
        let (events, buffer) = (Events::with_capacity(1024), vec![0; 64 * 1024]);
        Ok(Self {
            server,
            poll,
            events,
            receivers,
            requests,
            replies,
            in_flight: shape.in_flight,
            next: 0,
            buffer,
            latencies,
            bytes: 0,
        })
    }

    /// Measures the rounds of a while, behind those of a warm-up.
    ///
    /// # Errors
    ///
    /// A server that sends something wrong, hangs up or stops sending.
    pub fn sample(&mut self, warm_up: Duration, time: Duration) -> io::Result<Sample> {
        self.run_for(warm_up)?;
        self.latencies.reset();
        self.bytes = 0;
        let (cpu, began) = (self.server.process.cpu_time(), Instant::now());
        self.run_for(time)?;
        let (cpu, elapsed) = (self.server.process.cpu_time() - cpu, began.elapsed());
        let messages = (self.latencies.len() as usize * self.in_flight * self.receivers.len()) as f64;
        let percentile = |quantile| self.latencies.value_at_quantile(quantile) as f64 / 1e3;
        Ok(Sample {
            latencies: Some([percentile(0.5), percentile(0.99)]),
            reply_bytes: Some(self.bytes as f64 / messages),
            ..Sample::new(cpu, elapsed, messages)
        })
    }

    fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.round()?;
        }
        Ok(())
    }

    fn round(&mut self) -> io::Result<()> {
        let began = Instant::now();
        (0..self.in_flight).try_for_each(|_| self.send())?;
        // What the first one has got in all when it has got all.
        let (mut total, mut messages, mut len) = (0, 0, None);
        while len.is_none_or(|len| total < len * self.receivers.len()) {
            self.poll.poll(&mut self.events, Some(wire::PATIENCE))?;
            if self.events.is_empty() {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server has not sent the message to all"));
            }
            for event in &self.events {
                let receiver = &mut self.receivers[event.token().0];
                let before = receiver.received.len();
                receiver.receive(&mut self.buffer)?;
                total += receiver.received.len() - before;
                if event.token().0 == 0 {
                    messages += self.replies.receive(&receiver.received[before..]).map_err(io::Error::other)?;
                    len = (messages == self.in_flight).then_some(receiver.received.len());
                }
            }
        }
        self.latencies.saturating_record(began.elapsed().as_nanos() as u64);
        self.bytes += total;
        let (first, others) = self.receivers.split_first_mut().expect("there are connections");
        if others.iter().any(|other| other.received != first.received) {
            return Err(io::Error::other("not all have received the same"));
        }
        self.receivers.iter_mut().for_each(|receiver| receiver.received.clear());
        Ok(())
    }

    /// Sends the next request, which is so short that it always fits.
    fn send(&mut self) -> io::Result<()> {
        let Requests { bytes, ends, again_from } = &self.requests;
        let start = self.next.checked_sub(1).map_or(0, |before| ends[before]);
        let request = &bytes[start..ends[self.next]];
        if self.receivers[0].io.write(request)? != request.len() {
            return Err(io::Error::other("the server does not take the message"));
        }
        self.next += 1;
        if self.next == ends.len() {
            self.next = *again_from;
        }
        Ok(())
    }
}

impl Receiver {
    /// Reads what is there.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            let n = match self.io.read(buffer) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has hung up")),
                Ok(n) => n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.received.extend(&buffer[..n]);
            // Some servers of Socket.IO ping at once.
            if let Some(ping) = self.received.windows(socketio::PING.len()).position(|some| some == socketio::PING) {
                self.received.drain(ping..ping + socketio::PING.len());
            }
            // The next edge comes with the next bytes.
            if n < buffer.len() {
                return Ok(());
            }
        }
    }
}
