//! The same bytes say the same to tungstenite, message for message, and get the same verdict; or they differ for one of
//! the reasons that stand at [`Difference`].
#![no_main]

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    time::Instant,
};

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    Role,
    proto::{
        connection::{Event, Inbox},
        frame::ProtocolError,
    },
};
use sockeye_fuzz::{
    config,
    cuts::Cuts,
    endpoint,
    reference::{self, Said},
};
use tungstenite::{
    Error, Message, WebSocket,
    protocol::{Role as TheirRole, WebSocketConfig},
};

const MAX_MESSAGE: usize = 70_000;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    is_client: bool,
    cuts: Cuts,
    bytes: &'a [u8],
}

/// How one ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// The bytes ended.
    Lost,
    /// A Close came.
    Closed,
    Fault(Class),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Class {
    Protocol,
    Utf8,
    TooBig,
}

/// Why tungstenite may say otherwise.
#[derive(Debug)]
enum Difference {
    /// It judges a frame when all of it is there, and we judge a header at its first byte and text at each byte.
    FrameIsNotWhole,
    /// It takes lengths that are not in their shortest form (RFC 6455 §5.2).
    LengthNotMinimal,
    /// It takes 64-bit lengths with the top bit set for what they say, so they are only too long.
    LengthTopBit,
    /// It passes a Close with a code that must not be sent (§7.4.1) on as one with 1002, and fails nothing.
    InvalidCloseCode,
    /// It does not know 1014, which IANA has registered since, and deals with it as with those.
    UnknownCloseCode,
    /// It judges a frame's length before all else, and reserved bits before the rest: of two faults in a frame it
    /// finds the other one.
    TwoFaults,
}

fuzz_target!(|input: Input<'_>| {
    let Input { is_client, cuts, bytes } = input;
    let role = if is_client { Role::Client } else { Role::Server };
    let (ours, our_verdict, fault) = ours(role, cuts, bytes);
    let (theirs, their_verdict) = theirs(role, cuts, bytes);
    let same = ours == theirs[..ours.len().min(theirs.len())];
    let is_same = same && ours.len() == theirs.len() && our_verdict == their_verdict;
    if is_same {
        return;
    }
    let bad_gateway = matches!(ours.last(), Some(Said::Close(Some((1014, _)))));
    let difference = match difference(role, bytes, fault, our_verdict, their_verdict) {
        None if bad_gateway && our_verdict == their_verdict => Some(Difference::UnknownCloseCode),
        difference => difference,
    };
    let Some(difference) = difference else {
        panic!("{ours:x?} {our_verdict:?} ({fault:?}), not {theirs:x?} {their_verdict:?}");
    };
    let same = same || bad_gateway && ours[..ours.len() - 1] == theirs[..theirs.len() - 1];
    assert!(same, "{difference:?} explains no other messages: {ours:x?}, not {theirs:x?}");
    match difference {
        Difference::FrameIsNotWhole => assert_eq!(theirs.len(), ours.len()),
        // They go on where we have stopped.
        Difference::LengthNotMinimal | Difference::InvalidCloseCode => assert!(theirs.len() >= ours.len()),
        Difference::LengthTopBit | Difference::UnknownCloseCode | Difference::TwoFaults => {
            assert_eq!(theirs.len(), ours.len())
        }
    }
});

fn difference(
    role: Role,
    bytes: &[u8],
    fault: Option<ProtocolError>,
    ours: Verdict,
    theirs: Verdict,
) -> Option<Difference> {
    Some(match (fault?, theirs) {
        // Of a control frame, the longer forms alone show us that it is too long.
        (ProtocolError::LengthNotMinimal { .. } | ProtocolError::ControlFrameTooLong { .. }, _) => {
            Difference::LengthNotMinimal
        }
        (ProtocolError::InvalidCloseCode { .. }, Verdict::Closed) => Difference::InvalidCloseCode,
        (ProtocolError::LengthTopBit, Verdict::Fault(Class::TooBig)) => Difference::LengthTopBit,
        (_, Verdict::Lost) if !is_whole(role, bytes) => Difference::FrameIsNotWhole,
        (_, Verdict::Fault(_)) if theirs != ours => Difference::TwoFaults,
        _ => return None,
    })
}

/// Whether the frame with our fault is there to its end: then the whole frames alone have it too.
fn is_whole(role: Role, bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= 2) {
        let header = reference::header_len(rest);
        let len = match (rest[1] & 0x7f, rest.get(2..header)) {
            (126, Some(length)) => u64::from(u16::from_be_bytes([length[0], length[1]])),
            (127, Some(length)) => length.first_chunk().map_or(u64::MAX, |length| u64::from_be_bytes(*length)),
            (short, _) => u64::from(short),
        };
        let whole = usize::try_from(len).ok().and_then(|len| len.checked_add(header));
        match whole {
            Some(whole) if whole <= rest.len() => at += whole,
            _ => break,
        }
    }
    ours(role, Cuts([0xff; 4]), &bytes[..at]).2.is_some()
}

fn ours(role: Role, cuts: Cuts, bytes: &[u8]) -> (Vec<Said>, Verdict, Option<ProtocolError>) {
    let now = Instant::now();
    let mut connection = endpoint(config(role, MAX_MESSAGE), role, None, now);
    let (mut inbox, mut said) = (Inbox::with_capacity(512), Vec::new());
    for piece in cuts.pieces(bytes) {
        inbox.extend(piece);
        loop {
            match connection.receive(&mut inbox, now) {
                Ok(None) => break,
                Ok(Some(Event::Close(close))) => {
                    said.push(Said::Close(close.map(|close| (close.code.get(), close.reason.to_string()))));
                    return (said, Verdict::Closed, None);
                }
                Ok(Some(event)) => said.push(of_ours(event)),
                Err(fault) => return (said, Verdict::Fault(class(fault)), Some(fault)),
            }
        }
    }
    (said, Verdict::Lost, None)
}

fn of_ours(event: Event) -> Said {
    match event {
        Event::Message(message) => {
            Said::Message { is_text: message.as_text().is_some(), bytes: message.into_bytes().into() }
        }
        Event::Ping(payload) => Said::Ping(payload.into()),
        Event::Pong(payload) => Said::Pong(payload.into()),
        Event::Close(_) | Event::Chunk(_) => unreachable!("asked for whole messages, and a Close is dealt with"),
    }
}

const fn class(fault: ProtocolError) -> Class {
    match fault {
        ProtocolError::InvalidUtf8 => Class::Utf8,
        ProtocolError::MessageTooBig { .. } => Class::TooBig,
        _ => Class::Protocol,
    }
}

fn theirs(role: Role, cuts: Cuts, bytes: &[u8]) -> (Vec<Said>, Verdict) {
    let pieces = cuts.pieces(bytes).collect::<VecDeque<_>>();
    let config = WebSocketConfig::default()
        .read_buffer_size(512)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let role = match role {
        Role::Client => TheirRole::Client,
        Role::Server => TheirRole::Server,
    };
    let mut socket = WebSocket::from_raw_socket(Pieces(pieces), role, Some(config));
    let mut said = Vec::new();
    loop {
        said.push(match socket.read() {
            Ok(Message::Text(text)) => Said::Message { is_text: true, bytes: text.as_bytes().to_vec() },
            Ok(Message::Binary(bytes)) => Said::Message { is_text: false, bytes: bytes.to_vec() },
            Ok(Message::Ping(payload)) => Said::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Said::Pong(payload.to_vec()),
            Ok(Message::Close(close)) => {
                said.push(Said::Close(close.map(|close| (close.code.into(), close.reason.to_string()))));
                return (said, Verdict::Closed);
            }
            Ok(Message::Frame(frame)) => panic!("{frame:?}"),
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                return (said, Verdict::Lost);
            }
            Err(Error::Protocol(_)) => return (said, Verdict::Fault(Class::Protocol)),
            Err(Error::Utf8(_)) => return (said, Verdict::Fault(Class::Utf8)),
            Err(Error::Capacity(_)) => return (said, Verdict::Fault(Class::TooBig)),
            Err(other) => panic!("{other:?}"),
        });
    }
}

/// Gives a piece at each read, and takes everything.
struct Pieces<'a>(VecDeque<&'a [u8]>);

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.0.pop_front() else { return Ok(0) };
        let (here, rest) = piece.split_at(piece.len().min(buf.len()));
        buf[..here.len()].copy_from_slice(here);
        if !rest.is_empty() {
            self.0.push_front(rest);
        }
        Ok(here.len())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
