//! Socket.IO over a WebSocket: the bytes that the load sends, made by hand, and those that have to come back.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::{
    payload::{Kind, Random},
    script::{Replies, Requests, Shape, masking_key},
    wire::{self, Opcode},
};

pub mod polling;
pub mod storm;

/// The events of `examples/socketio_echo`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// `msg`, which comes back as an event.
    Message,
    /// `ack`, which is acknowledged with what it says.
    Ack,
    /// `bin`, which comes back with the bytes that are attached to it.
    Binary,
    /// `bcast`, which everybody gets.
    Broadcast,
}

/// What the handshake asks for; the requests behind it name the session as well.
pub const PATH: &str = "/socket.io/?EIO=4&transport=";
/// The server's Ping, in a frame. Some send the first one at once, in place of `pingInterval` later.
pub const PING: &[u8] = &[0x81, 1, b'2'];
/// The ids of acknowledgements that are asked for: all of one length.
const FIRST_ID: usize = 100;

impl Event {
    /// The packet of a request and that of its reply, without what is attached.
    fn packets(self, argument: &str, nth: usize) -> (String, String) {
        let same = |packet: String| (packet.clone(), packet);
        match self {
            Self::Message => same(format!("42[\"msg\",{argument}]")),
            Self::Broadcast => same(format!("42[\"bcast\",{argument}]")),
            Self::Binary => same("451-[\"bin\",{\"_placeholder\":true,\"num\":0}]".into()),
            Self::Ack => {
                let id = FIRST_ID + nth;
                (format!("42{id}[\"ack\",{argument}]"), format!("43{id}[{argument}]"))
            }
        }
    }
}

/// An argument of `len` bytes of JSON: a string of `Kind::Ascii`, or a list of objects.
pub fn argument(kind: Kind, len: usize, nth: usize) -> String {
    let mut random = Random(nth as u64 + 1);
    if kind == Kind::Json {
        return objects(len, &mut random);
    }
    let text = (0..len).map(|_| char::from(b'a' + (random.draw() % 26) as u8));
    format!("\"{}\"", text.collect::<String>())
}

/// A list of objects as an application might send it, of exactly `len` bytes.
fn objects(len: usize, random: &mut Random) -> String {
    let mut list = String::from("[");
    loop {
        let (id, price, size) = (random.draw() % 100_000, random.draw() % 10_000_000, random.draw() % 500);
        let side = ["buy", "sell"][id as usize % 2];
        let object = format!(
            "{{\"id\":{id},\"symbol\":\"EUR/USD\",\"side\":\"{side}\",\"price\":{price},\"size\":{size},\"open\":true}},"
        );
        // There has to be room for the string behind the last one.
        if list.len() + object.len() + 3 > len {
            break;
        }
        list += &object;
    }
    let rest = len - list.len() - 3;
    format!("{list}\"{}\"]", "x".repeat(rest))
}

impl Shape {
    /// The script of connection `nth`; a `raw` server sends back what it was sent.
    pub fn socketio(self, event: Event, nth: usize, raw: bool) -> (Requests, Replies) {
        let mut keys = Random(nth as u64);
        let (mut bytes, mut ring, mut ends) = (vec![], vec![], vec![]);
        for message in 0..self.ring() {
            let seed = nth << 16 | message;
            let (request, reply) = event.packets(&argument(self.kind, self.payload, seed), message);
            let mut put = |opcode, request: &[u8], reply: &[u8]| {
                wire::put_masked(&mut bytes, 0x80, opcode, request, masking_key(&mut keys));
                wire::put_header(&mut ring, 0x80, opcode, reply.len(), None);
                ring.extend(reply);
            };
            put(Opcode::Text, request.as_bytes(), reply.as_bytes());
            if event == Event::Binary {
                let attached = Kind::Binary.payload(self.payload, seed);
                put(Opcode::Binary, &attached, &attached);
            }
            ends.push(bytes.len());
        }
        if raw {
            ring.clone_from(&bytes);
        }
        let reply_len = ring.len() / ends.len();
        (Requests { bytes, ends, again_from: 0 }, Replies::Exact { ring, at: 0, reply_len, partial: 0 })
    }
}

/// Opens a WebSocket, and joins the namespace `/`.
///
/// # Errors
///
/// A server that does not let the client in.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let mut io = wire::connect_raw(address)?;
    io.write_all(wire::request_to(&format!("{PATH}websocket"), address, None).as_bytes())?;
    let mut entry = Entry::default();
    let mut some = [0; 1024];
    loop {
        match io.read(&mut some)? {
            0 => return Err(io::Error::other("the server has hung up")),
            n => match entry.receive(&some[..n]).map_err(io::Error::other)? {
                Step::Wait => {}
                Step::Join => io.write_all(&join())?,
                Step::Done => return Ok(io),
            },
        }
    }
}

/// The packet that asks for the namespace `/`, in a frame.
pub fn join() -> Vec<u8> {
    let mut join = vec![];
    wire::put_masked(&mut join, 0x80, Opcode::Text, b"40", [0x37, 0xfa, 0x21, 0x3d]);
    join
}

/// How far a client is on its way in.
#[derive(Debug, Default)]
pub struct Entry {
    input: Vec<u8>,
    is_upgraded: bool,
    is_open: bool,
}

/// What a client on its way in is to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    Wait,
    /// Send [`join`].
    Join,
    /// Nothing more: it is in.
    Done,
}

impl Entry {
    /// Takes what was read.
    ///
    /// # Errors
    ///
    /// Says what came where something else should have.
    pub fn receive(&mut self, input: &[u8]) -> Result<Step, String> {
        self.input.extend(input);
        if !self.is_upgraded {
            let Some(head) = wire::head_len(&self.input) else { return Ok(Step::Wait) };
            wire::check_response(&self.input[..head])?;
            self.input.drain(..head);
            self.is_upgraded = true;
        }
        let mut step = Step::Wait;
        while let Some((first, len, header)) = wire::header(&self.input)
            && self.input.len() >= header + len
        {
            let packet: Vec<u8> = self.input.drain(..header + len).skip(header).collect();
            match &packet[..] {
                [b'0', b'{', ..] if first == 0x81 && !self.is_open => {
                    self.is_open = true;
                    step = Step::Join;
                }
                [b'4', b'0', b'{', ..] if first == 0x81 && self.is_open => step = Step::Done,
                b"2" => {}
                other => return Err(format!("on the way in came {:?}", String::from_utf8_lossy(other))),
            }
        }
        Ok(step)
    }
}
