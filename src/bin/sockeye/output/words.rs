//! Events in words, for people. Nothing of a stranger's gets into them unescaped.

use std::time::Duration;

use bytes::Bytes;
use sockeye::{
    CloseCode, CloseFrame,
    client::Loss,
    proto::{
        connection::{End, Initiator},
        frame::{Header, Opcode},
        handshake::Response,
    },
};

use super::{
    Way,
    escape::{escaped, escaped_bytes},
};

pub(crate) fn opened(url: &str, subprotocol: Option<&str>, compressed: bool) -> String {
    let mut words = format!("connected to {}", escaped(url));
    if let Some(subprotocol) = subprotocol {
        words += &format!(", subprotocol {}", escaped(subprotocol));
    }
    if compressed {
        words += ", compressed";
    }
    words
}

/// The status line and the headers of a response, each on its line.
pub(crate) fn head(response: &Response) -> Vec<String> {
    let mut lines = vec![format!("HTTP/1.1 {} {}", response.status(), escaped(response.reason()))];
    lines.extend(response.headers.iter().map(|(name, value)| format!("{name}: {}", escaped_bytes(value))));
    lines
}

pub(crate) fn ping(way: Way, payload: &Bytes) -> String {
    format!("ping {}{}", way.as_str(), of_payload(payload))
}

pub(crate) fn pong(way: Way, payload: &Bytes, rtt: Option<Duration>) -> String {
    match rtt {
        Some(rtt) => format!("pong {}{} after {}", way.as_str(), of_payload(payload), time(rtt)),
        None => format!("pong {}{}", way.as_str(), of_payload(payload)),
    }
}

pub(crate) fn frame(way: Way, header: &Header) -> String {
    let arrow = match way {
        Way::In => "<-",
        Way::Out => "->",
    };
    let Header { fin, rsv1, opcode, payload_len, .. } = *header;
    let flags = match (fin, rsv1) {
        (true, true) => " FIN RSV1",
        (true, false) => " FIN",
        (false, true) => " RSV1",
        (false, false) => "",
    };
    let mask = if header.masking_key.is_some() { " masked" } else { "" };
    format!("{arrow} {opcode}{flags}{mask} {payload_len} {}", plural(payload_len, "byte"))
}

pub(crate) fn closed(end: &End) -> String {
    match end {
        End::Closed { by: Initiator::Peer, theirs, .. } => format!("closed by the server: {}", close(theirs.as_ref())),
        End::Closed { by: Initiator::Us, ours, theirs } => match theirs {
            Some(theirs) if Some(theirs.code) != ours.as_ref().map(|ours| ours.code) => {
                format!("closed: {}; the server says {}", close(ours.as_ref()), close(Some(theirs)))
            }
            _ => format!("closed: {}", close(ours.as_ref())),
        },
        End::Failed(error) => format!("the server broke the protocol: {error}"),
        End::Lost => "the connection was lost: it ended without a closing handshake (1006)".into(),
        End::TimedOut(timeout) => timeout.to_string(),
        _ => "abandoned".into(),
    }
}

pub(crate) fn lost(loss: &Loss) -> String {
    match loss {
        Loss::Closed(Some(end)) => closed(end),
        Loss::NotConnected(error) => format!("no connection: {error}"),
        Loss::Failed(error) => error.to_string(),
        _ => "closed".into(),
    }
}

/// The same, as the server sees it.
pub(crate) fn closed_by_client(end: &End) -> String {
    match end {
        End::Closed { by: Initiator::Peer, theirs, .. } => format!("closed by the client: {}", close(theirs.as_ref())),
        End::Closed { by: Initiator::Us, ours, .. } => format!("closed: {}", close(ours.as_ref())),
        other => closed(other),
    }
}

/// A code, its name and the reason.
fn close(frame: Option<&CloseFrame>) -> String {
    let Some(CloseFrame { code, reason }) = frame else { return "no code (1005)".into() };
    let name = name_of(*code).map(|name| format!(" ({name})")).unwrap_or_default();
    if reason.is_empty() { format!("{code}{name}") } else { format!("{code}{name}: {}", escaped(reason)) }
}

/// The names in IANA's registry, in short.
pub(crate) const fn name_of(code: CloseCode) -> Option<&'static str> {
    Some(match code {
        CloseCode::NORMAL => "normal",
        CloseCode::GOING_AWAY => "going away",
        CloseCode::PROTOCOL_ERROR => "protocol error",
        CloseCode::UNSUPPORTED_DATA => "unsupported data",
        CloseCode::INVALID_PAYLOAD => "invalid payload",
        CloseCode::POLICY_VIOLATION => "policy violation",
        CloseCode::MESSAGE_TOO_BIG => "message too big",
        CloseCode::MANDATORY_EXTENSION => "mandatory extension",
        CloseCode::INTERNAL_ERROR => "internal error",
        CloseCode::SERVICE_RESTART => "service restart",
        CloseCode::TRY_AGAIN_LATER => "try again later",
        CloseCode::BAD_GATEWAY => "bad gateway",
        _ => return None,
    })
}

/// A short time: in the unit that fits it.
pub(crate) fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        0.0..1e3 => format!("{micros:.0} µs"),
        1e3..1e6 => format!("{:.2} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

pub(crate) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// The name that a frame has in JSON, too.
pub(crate) const fn opcode(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Continuation => "continuation",
        Opcode::Text => "text",
        Opcode::Binary => "binary",
        Opcode::Close => "close",
        Opcode::Ping => "ping",
        Opcode::Pong => "pong",
    }
}

fn of_payload(payload: &Bytes) -> String {
    if payload.is_empty() { String::new() } else { format!(" {}", escaped_bytes(payload)) }
}
