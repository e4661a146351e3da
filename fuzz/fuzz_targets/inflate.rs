//! Whatever stream a peer sends for DEFLATE gets zlib's verdict and zlib's bytes, however it is cut and in however many
//! frames, and never more than one byte over the limit.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    Role,
    proto::{
        connection::{Delivery, Event, Inbox},
        frame::ProtocolError,
    },
};
use sockeye_fuzz::{
    config,
    cuts::Cuts,
    deflate_settings, endpoint,
    frames::{BINARY, CONTINUATION, FIN, Frame, RSV1},
    heap, puff,
    zlib::{Inflate, TAIL},
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    limit: u16,
    /// Bit 0: in chunks; the rest: in frames of so many bytes.
    shape: u8,
    /// The window: 15 mostly.
    bits: u8,
    cuts: Cuts,
    payload: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let in_chunks = input.shape & 1 == 1;
    let limit = usize::from(input.limit);
    let bits = if input.bits < 128 { 15 } else { 8 + input.bits % 8 };
    let found = receive(&input, limit, bits, in_chunks);
    let beyond_window = puff::farthest(&[input.payload, &TAIL].concat()) > 1 << bits.max(9);
    let (expected, finals) = by_zlib(input.payload, if in_chunks { 1 << 26 } else { limit });
    // References beyond the agreed window are refused or not, as zlib is fed; those over a final block only reach
    // what is at hand.
    if found == Err(ProtocolError::InvalidDeflate) && (beyond_window || in_chunks && finals > 0) {
        return;
    }
    // We take no more of them, as each is dear.
    if found == Err(ProtocolError::TooManyFinalBlocks) && finals > 64 {
        return;
    }
    assert!(found == expected, "{found:x?}, not {expected:x?}");
});

fn receive(input: &Input<'_>, limit: usize, bits: u8, in_chunks: bool) -> Result<Vec<u8>, ProtocolError> {
    let now = Instant::now();
    let settings = deflate_settings([bits; 2], [true; 2]);
    let mut client = endpoint(config(Role::Client, limit), Role::Client, Some(&settings), now);
    let mut inbox = Inbox::with_capacity(1024);
    let delivery = if in_chunks { Delivery::Chunks } else { Delivery::Whole };
    let most = if in_chunks { 64 * 1024 } else { limit + 1 };
    let mut bytes = Vec::new();
    for piece in input.cuts.pieces(&frames(input.payload, usize::from(input.shape >> 1) * 8 + 1)) {
        inbox.extend(piece);
        loop {
            let (received, peak, _) = heap::measured(|| client.receive_as(&mut inbox, delivery, now));
            // The output and its growth, and the inflater, or two of them at a final block.
            assert!(peak <= 2 * most + 112 * 1024, "{peak} bytes for a limit of {limit}");
            match received? {
                Some(Event::Message(message)) => {
                    assert!(!in_chunks && message.len() <= limit);
                    return Ok(message.into_bytes().to_vec());
                }
                Some(Event::Chunk(chunk)) => {
                    assert!(in_chunks && chunk.bytes.len() <= most);
                    bytes.extend_from_slice(&chunk.bytes);
                    if chunk.fin {
                        return Ok(bytes);
                    }
                }
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
    }
    panic!("the message has no end");
}

/// One compressed message in frames of so many bytes.
fn frames(payload: &[u8], len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut pieces = payload.chunks(len).peekable();
    let mut first = RSV1 | BINARY;
    if pieces.peek().is_none() {
        Frame::new(FIN | first, []).sent_by(Role::Server, &mut out);
    }
    while let Some(piece) = pieces.next() {
        let fin = if pieces.peek().is_none() { FIN } else { 0 };
        Frame::new(fin | std::mem::replace(&mut first, CONTINUATION), piece).sent_by(Role::Server, &mut out);
    }
    out
}

/// What zlib makes of it with the largest window, and how many final blocks are in it.
fn by_zlib(payload: &[u8], limit: usize) -> (Result<Vec<u8>, ProtocolError>, usize) {
    let (mut stream, mut out, mut finals, mut open) = (Inflate::new(15), Vec::new(), 0, false);
    for (input, is_tail) in [(payload, false), (&TAIL[..], true)] {
        let mut input = input;
        while !input.is_empty() && (open || !is_tail) {
            let room = limit + 1 - out.len();
            let inflated = stream.inflate(input, &mut out, room);
            if out.len() > limit {
                return (Err(ProtocolError::MessageTooBig { limit }), finals);
            }
            let Ok((taken, ended)) = inflated else { return (Err(ProtocolError::InvalidDeflate), finals) };
            input = &input[taken..];
            open = !ended;
            if ended {
                finals += 1;
                stream = Inflate::new(15);
                stream.set_dictionary(&out[out.len().saturating_sub(1 << 15)..]);
                // What is left of the tail goes on in the next stream.
                open |= is_tail;
            }
        }
    }
    (Ok(out), finals)
}
