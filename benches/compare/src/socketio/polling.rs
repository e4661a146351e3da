//! Socket.IO over HTTP long-polling: each session has one connection for what it sends and one for what it gets, and a
//! message is echoed when both have been answered.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use mio::{Events, Interest, Poll, Token, net::TcpStream};

use super::{PATH, argument};
use crate::{payload::Kind, sample::Sample, script::Shape, server::Server, wire};

/// So many messages go round and round.
const RING: usize = 8;

/// Runs one round: a warm-up, then the time that counts. A `raw` server sends back the requests.
///
/// # Errors
///
/// A server that answers wrongly, hangs up or stops answering.
pub fn echo(server: &Server, raw: bool, shape: Shape, warm_up: Duration, time: Duration) -> io::Result<Sample> {
    let poll = Poll::new()?;
    let open = |nth| Session::open(server.address, nth, raw, shape, &poll);
    let sessions = (0..shape.connections).map(open).collect::<io::Result<Vec<_>>>()?;
    let latencies = Histogram::new_with_max(60_000_000_000, 3).expect("three digits of a minute can be had");
    let mut load = Load { poll, events: Events::with_capacity(1024), sessions, latencies };
    load.sessions.iter_mut().try_for_each(Session::ask)?;
    load.run_for(warm_up)?;
    load.latencies.reset();
    let (cpu, began) = (server.process.cpu_time(), Instant::now());
    load.run_for(time)?;
    let (cpu, elapsed) = (server.process.cpu_time() - cpu, began.elapsed());
    let percentile = |quantile| load.latencies.value_at_quantile(quantile) as f64 / 1e3;
    let latencies = Some([percentile(0.5), percentile(0.99)]);
    Ok(Sample { latencies, ..Sample::new(cpu, elapsed, load.latencies.len() as f64) })
}

struct Load {
    poll: Poll,
    events: Events,
    sessions: Vec<Session>,
    latencies: Histogram<u64>,
}

impl Load {
    fn run_for(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.poll.poll(&mut self.events, Some(wire::PATIENCE))?;
            if self.events.is_empty() {
                return Err(io::Error::new(ErrorKind::TimedOut, "the server has stopped answering"));
            }
            for event in &self.events {
                let session = &mut self.sessions[event.token().0 / 2];
                if session.turn()? {
                    self.latencies.saturating_record(session.began.elapsed().as_nanos() as u64);
                    session.ask()?;
                }
            }
        }
        Ok(())
    }
}

struct Session {
    get: Connection,
    post: Connection,
    poll: Vec<u8>,
    /// What is sent in turn, and what has to come back.
    messages: Vec<(Vec<u8>, Vec<u8>)>,
    next: usize,
    began: Instant,
    raw: bool,
}

struct Connection {
    io: TcpStream,
    input: Vec<u8>,
    /// Whether the last request has been answered.
    is_answered: bool,
}

impl Session {
    fn open(address: SocketAddr, nth: usize, raw: bool, shape: Shape, poll: &Poll) -> io::Result<Self> {
        let mut connections = [wire::connect_raw(address)?, wire::connect_raw(address)?];
        let mut path = format!("{PATH}polling");
        if !raw {
            let open = ask(&mut connections[0], &get(&path, address))?;
            let open = String::from_utf8_lossy(&open).into_owned();
            let id = open.split("\"sid\":\"").nth(1).and_then(|rest| rest.split('"').next());
            path += &format!("&sid={}", id.ok_or_else(|| io::Error::other(format!("{open:?} opens no session")))?);
            ask(&mut connections[1], &post(&path, address, "40"))?;
            while !ask(&mut connections[0], &get(&path, address))?.windows(3).any(|start| start == b"40{") {}
        }
        let mut nth_connection = 2 * nth;
        let [get_io, post_io] = connections.map(|io| {
            io.set_nonblocking(true)?;
            let mut io = TcpStream::from_std(io);
            poll.registry().register(&mut io, Token(nth_connection), Interest::READABLE)?;
            nth_connection += 1;
            io::Result::Ok(Connection { io, input: vec![], is_answered: true })
        });
        let message = |message| {
            let packet = format!("42[\"msg\",{}]", argument(Kind::Ascii, shape.payload, nth << 16 | message));
            (post(&path, address, &packet), packet.into_bytes())
        };
        Ok(Self {
            get: get_io?,
            post: post_io?,
            poll: get(&path, address),
            messages: (0..RING).map(message).collect(),
            next: 0,
            began: Instant::now(),
            raw,
        })
    }

    /// Sends the next message, and asks for what comes of it.
    fn ask(&mut self) -> io::Result<()> {
        self.next = (self.next + 1) % RING;
        self.began = Instant::now();
        self.get.send(&self.poll)?;
        self.post.send(&self.messages[self.next].0)
    }

    /// Reads what is there; true when the message has been echoed.
    fn turn(&mut self) -> io::Result<bool> {
        let (request, packet) = &self.messages[self.next];
        if self.raw {
            self.get.receive_echo(&self.poll)?;
            self.post.receive_echo(request)?;
            return Ok(self.get.is_answered && self.post.is_answered);
        }
        if let Some(body) = self.post.receive()?
            && body != b"ok"
        {
            return Err(io::Error::other("a message was not taken"));
        }
        if let Some(body) = self.get.receive()? {
            // The server's Ping may come as well.
            match body.split(|&byte| byte == 0x1e).find(|packet| packet != b"2") {
                None => self.get.send(&self.poll)?,
                Some(echoed) if echoed == packet => {}
                Some(other) => {
                    return Err(io::Error::other(format!("a poll has brought {:?}", String::from_utf8_lossy(other))));
                }
            }
        }
        Ok(self.get.is_answered && self.post.is_answered)
    }
}

impl Connection {
    /// Sends a request, which is so short that it always fits.
    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        self.is_answered = false;
        match self.io.write(request)? {
            n if n == request.len() => Ok(()),
            _ => Err(io::Error::other("the server does not take the request")),
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut some = [0; 4096];
        loop {
            match self.io.read(&mut some) {
                Ok(0) => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has hung up")),
                Ok(n) => self.input.extend(&some[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The body of the response, when it is there.
    fn receive(&mut self) -> io::Result<Option<Vec<u8>>> {
        self.read()?;
        let body = response(&mut self.input)?;
        self.is_answered |= body.is_some();
        Ok(body)
    }

    fn receive_echo(&mut self, request: &[u8]) -> io::Result<()> {
        self.read()?;
        if self.input == request {
            self.input.clear();
            self.is_answered = true;
        }
        Ok(())
    }
}

fn get(path: &str, address: SocketAddr) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n").into_bytes()
}

fn post(path: &str, address: SocketAddr, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

/// Sends a request, and waits for the body of its response.
fn ask(io: &mut std::net::TcpStream, request: &[u8]) -> io::Result<Vec<u8>> {
    io.write_all(request)?;
    let (mut input, mut some) = (vec![], [0; 4096]);
    loop {
        if let Some(body) = response(&mut input)? {
            return Ok(body);
        }
        match io.read(&mut some)? {
            0 => return Err(io::Error::new(ErrorKind::UnexpectedEof, "the server has hung up")),
            n => input.extend(&some[..n]),
        }
    }
}

/// Takes a response of status 200 off the front of `input`, if it is there as a whole, and gives its body.
fn response(input: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let Some(head_len) = wire::head_len(input) else { return Ok(None) };
    let head = String::from_utf8_lossy(&input[..head_len]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(io::Error::other(format!("a request was answered by {head:?}")));
    }
    let body_len = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let body_len = body_len.ok_or_else(|| io::Error::other("the length of a response is not said"))?;
    if input.len() < head_len + body_len {
        return Ok(None);
    }
    Ok(Some(input.drain(..head_len + body_len).skip(head_len).collect()))
}
