//! The bytes of RFC 6455, made by hand: nothing here may come from sockeye.

use std::net::SocketAddr;

// First bytes of frames: FIN and opcode.
pub const TEXT: u8 = 0x81;
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
pub const CONTINUATION: u8 = 0x80;
/// To be taken off a first byte: another fragment follows.
pub const FIN: u8 = 0x80;
/// To be added to a first byte: the message is compressed (RFC 7692 §7.2.1).
pub const RSV1: u8 = 0x40;

pub const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// The key of the example in §1.3, so that its answer is known.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Appends the header of a masked frame.
pub fn put_header(out: &mut Vec<u8>, first: u8, payload_len: u64) {
    out.push(first);
    match payload_len {
        0..=125 => out.push(0x80 | payload_len as u8),
        126..=0xffff => {
            out.push(0x80 | 126);
            out.extend((payload_len as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend(payload_len.to_be_bytes());
        }
    }
    out.extend(MASK);
}

/// Appends a masked frame.
pub fn put_frame(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    put_header(out, first, payload.len() as u64);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
}

pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    put_frame(&mut out, first, payload);
    out
}

/// Takes an unmasked frame apart: its first byte, its payload, and its length in all.
pub fn parse(input: &[u8]) -> Option<(u8, &[u8], usize)> {
    let &[first, short, ref rest @ ..] = input else { return None };
    let (len, header) = match short {
        126 => (u16::from_be_bytes(*rest.first_chunk()?).into(), 4),
        127 => (usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?, 10),
        short => (short.into(), 2),
    };
    Some((first, input.get(header..header + len)?, header + len))
}

/// A request to upgrade, without the empty line behind it.
pub fn request(address: SocketAddr, offer: Option<&str>) -> String {
    request_for(address, "/", offer)
}

/// As [`request`], for another target.
pub fn request_for(address: SocketAddr, target: &str, offer: Option<&str>) -> String {
    let extensions = offer.map(|offer| format!("Sec-WebSocket-Extensions: {offer}\r\n")).unwrap_or_default();
    format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}"
    )
}

/// The status of a response.
pub fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// Whether a response agrees to the upgrade that [`request`] asks for, and to what was offered.
pub fn is_upgrade(head: &str, offer: Option<&str>) -> bool {
    let field = |wanted: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find_map(|(name, value)| name.eq_ignore_ascii_case(wanted).then(|| value.trim()))
    };
    status(head) == Some(101)
        && field("sec-websocket-accept") == Some(ACCEPT)
        && field("sec-websocket-extensions").is_some() == offer.is_some()
}
