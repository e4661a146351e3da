//! The server that takes what a client sends, and checks every byte of it.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use crate::{sample::Sample, server::Process, wire};

/// Has a client send binary messages of `payload` bytes, all of them zero, for a while.
///
/// # Errors
///
/// A client that sends anything else, or nothing.
pub fn masked_sends(
    client: impl FnOnce(SocketAddr) -> Command,
    two_cores: bool,
    payload: usize,
    warm_up: Duration,
    time: Duration,
) -> io::Result<Sample> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let process = Process::start(&mut client(listener.local_addr()?), two_cores)?;
    let mut sink =
        Sink { io: accept(&listener)?, buffer: vec![0; 256 * 1024], header: vec![], key: [0; 4], left: 0, payload };
    sink.take_for(warm_up)?;
    let before = process.cpu_time();
    let began = Instant::now();
    let bytes = sink.take_for(time)?;
    let (cpu, elapsed) = (process.cpu_time() - before, began.elapsed());
    let messages = bytes as f64 / wire_len(payload) as f64;
    Ok(Sample::new(cpu, elapsed, messages))
}

/// The length of a masked frame.
fn wire_len(payload: usize) -> usize {
    let mut header = vec![];
    wire::put_header(&mut header, 0x80, wire::Opcode::Binary, payload, Some([0; 4]));
    header.len() + payload
}

/// Answers the upgrade of whoever comes first.
fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let mut io = listener.accept()?.0;
    io.set_nodelay(true)?;
    io.set_read_timeout(Some(wire::PATIENCE))?;
    let mut head = vec![];
    // Byte by byte, as frames may follow at once.
    while wire::head_len(&head).is_none() {
        let mut byte = [0];
        io.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head);
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("sec-websocket-key").then(|| value.trim())
    });
    let key = key.ok_or_else(|| io::Error::other("the client sent no key"))?;
    let accept = STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
    write!(
        io,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    Ok(io)
}

struct Sink {
    io: TcpStream,
    buffer: Vec<u8>,
    /// What has come of the header.
    header: Vec<u8>,
    /// The key, turned so that it begins with the next byte of the payload.
    key: [u8; 4],
    /// What has yet to come of the payload.
    left: usize,
    payload: usize,
}

impl Sink {
    /// Takes and checks what comes, and says how many bytes it was.
    fn take_for(&mut self, time: Duration) -> io::Result<usize> {
        let (end, mut bytes) = (Instant::now() + time, 0);
        let mut buffer = std::mem::take(&mut self.buffer);
        while Instant::now() < end {
            let n = self.io.read(&mut buffer)?;
            if n == 0 {
                return Err(io::Error::other("the client has hung up"));
            }
            bytes += n;
            self.check(&buffer[..n]).map_err(io::Error::other)?;
        }
        self.buffer = buffer;
        Ok(bytes)
    }

    fn check(&mut self, mut input: &[u8]) -> Result<(), String> {
        let mut expected = vec![];
        wire::put_header(&mut expected, 0x80, wire::Opcode::Binary, self.payload, Some([0; 4]));
        let key_at = expected.len() - 4;
        while !input.is_empty() {
            if self.left == 0 {
                let n = input.len().min(expected.len() - self.header.len());
                self.header.extend(&input[..n]);
                input = &input[n..];
                if self.header.len() == expected.len() {
                    if self.header[..key_at] != expected[..key_at] {
                        return Err(format!("the client sent a header of {:02x?}", self.header));
                    }
                    self.key.copy_from_slice(&self.header[key_at..]);
                    self.header.clear();
                    self.left = self.payload;
                }
                continue;
            }
            let (payload, rest) = input.split_at(input.len().min(self.left));
            // Zeros that are masked are the key.
            let key = u64::from_ne_bytes([self.key, self.key].concat().try_into().expect("it is eight bytes"));
            let (words, tail) = payload.as_chunks::<8>();
            let differs = words.iter().fold(0, |differs, word| differs | (u64::from_ne_bytes(*word) ^ key));
            if differs != 0 || tail.iter().zip(self.key.iter().cycle()).any(|(byte, key)| byte != key) {
                return Err("the client sent another payload".into());
            }
            self.key.rotate_left(payload.len() % 4);
            self.left -= payload.len();
            input = rest;
        }
        Ok(())
    }
}
