//! The bytes of RFC 6455 that the load needs, made by hand: nothing here may come from a peer, or from sockeye.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The opcodes of the frames that are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
}

/// A server that is silent for so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The key of the example in §1.3, so that its answer is known.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Appends the header of a frame of `payload_len` bytes; `flags` is 0x80 for FIN, 0x40 for RSV1 (§5.2).
pub fn put_header(out: &mut Vec<u8>, flags: u8, opcode: Opcode, payload_len: usize, key: Option<[u8; 4]>) {
    let mask = if key.is_some() { 0x80 } else { 0 };
    out.push(flags | opcode as u8);
    match payload_len {
        0..=125 => out.push(mask | payload_len as u8),
        126..=0xffff => {
            out.push(mask | 126);
            out.extend((payload_len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend((payload_len as u64).to_be_bytes());
        }
    }
    out.extend(key.into_iter().flatten());
}

/// Appends a masked frame (§5.3).
pub fn put_masked(out: &mut Vec<u8>, flags: u8, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    put_header(out, flags, opcode, payload.len(), Some(key));
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// Reads an unmasked header: the first byte, the payload's length and the header's own.
pub fn header(input: &[u8]) -> Option<(u8, usize, usize)> {
    let &[first, short, ref rest @ ..] = input else { return None };
    match short {
        0..=125 => Some((first, short.into(), 2)),
        126 => Some((first, u16::from_be_bytes(*rest.first_chunk()?).into(), 4)),
        _ => Some((first, u64::from_be_bytes(*rest.first_chunk()?) as usize, 10)),
    }
}

/// The opening request, with an offer of extensions if there is one.
pub fn request(address: SocketAddr, offer: Option<&str>) -> String {
    request_to("/", address, offer)
}

/// The same, to somewhere else than `/`.
pub fn request_to(path: &str, address: SocketAddr, offer: Option<&str>) -> String {
    let extensions = offer.map(|offer| format!("Sec-WebSocket-Extensions: {offer}\r\n")).unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n"
    )
}

/// Checks a response's head, and hands out what it agreed to.
pub fn check_response(head: &[u8]) -> Result<Option<String>, String> {
    let head = String::from_utf8_lossy(head);
    let field = |wanted: &str| {
        let of = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        };
        head.lines().find_map(of)
    };
    if head.starts_with("HTTP/1.1 101 ") && field("sec-websocket-accept").as_deref() == Some(ACCEPT) {
        Ok(field("sec-websocket-extensions"))
    } else {
        Err(format!("the upgrade was answered by {head:?}"))
    }
}

/// Where the head at the front of `input` ends.
pub fn head_len(input: &[u8]) -> Option<usize> {
    input.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
}

/// Opens a TCP connection that does not wait for ever.
pub fn connect_raw(address: SocketAddr) -> io::Result<TcpStream> {
    let io = TcpStream::connect(address)?;
    io.set_nodelay(true)?;
    io.set_read_timeout(Some(PATIENCE))?;
    Ok(io)
}

/// Opens a connection and waits for the upgrade; nothing may come behind the response, as nothing was sent.
pub fn connect(address: SocketAddr, offer: Option<&str>) -> io::Result<(TcpStream, Option<String>)> {
    let mut io = connect_raw(address)?;
    io.write_all(request(address, offer).as_bytes())?;
    let mut head = vec![];
    while head_len(&head) != Some(head.len()) {
        let mut some = [0; 1024];
        let n = io.read(&mut some)?;
        if n == 0 || head_len(&head).is_some() {
            return Err(io::Error::other("the upgrade was not answered as it should be"));
        }
        head.extend(&some[..n]);
    }
    let agreed = check_response(&head).map_err(io::Error::other)?;
    Ok((io, agreed))
}
