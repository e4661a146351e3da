//! Frames that keep to the rules, and some that break one: written by hand they are heard as they were meant, by either
//! end; and what is heard and sent back is heard by the other end.
#![no_main]

use std::time::Instant;

use bytes::Bytes;
use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    Role,
    proto::{
        connection::{Connection, Event, Inbox},
        frame::{Header, MaskingKey, Opcode, ProtocolError},
    },
};
use sockeye_fuzz::{
    config,
    cuts::Cuts,
    endpoint,
    frames::{self, Frame},
    other,
    reference::{Terms, hear},
};

const MAX_MESSAGE: usize = 100_000;

#[derive(Arbitrary, Debug)]
struct Input {
    is_client: bool,
    cuts: Cuts,
    frames: Vec<Shape>,
}

/// A frame, in few bytes.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Shape {
    /// The low two bits: what comes: text, binary, a control frame, a whole message; then FIN; then which control
    /// frame; then what is wrong.
    kind: u8,
    len: u16,
    key: [u8; 4],
    fill: u8,
}

fuzz_target!(|input: Input| {
    let role = if input.is_client { Role::Client } else { Role::Server };
    let mut bytes = Vec::new();
    let mut open = false;
    for shape in input.frames.iter().take(24) {
        let frame = frame(*shape, &mut open);
        let mut key = (role == Role::Server).then_some(shape.key);
        if shape.kind == 0xff {
            key = if key.is_some() { None } else { Some(shape.key) };
        }
        check_header(&frame, key);
        frame.encode(key, &mut bytes);
    }
    let now = Instant::now();
    let mut first = endpoint(config(role, MAX_MESSAGE), role, None, now);
    let heard = hear(Terms::new(role, Some(MAX_MESSAGE), None), &bytes);
    let (events, fault) = receive(&mut first, input.cuts, &bytes, now);
    assert_eq!(events.len(), heard.said.len());
    assert!(heard.said.iter().map(|(_, said)| said).eq(&events));
    assert_eq!(fault, heard.fault.map(|(_, fault)| fault));
    drop(heard);
    send_back(role, &events, input.cuts, now);
});

fn frame(shape: Shape, open: &mut bool) -> Frame {
    let Shape { kind, len, fill, .. } = shape;
    let fin = kind & 4 != 0;
    // One in eight goes against the order of fragments.
    let in_order = kind >> 5 != 7;
    let (first, len) = match kind & 3 {
        3 => {
            const CONTROL: [u8; 4] = [frames::PING, frames::PONG, frames::PING, frames::CLOSE];
            (frames::FIN | CONTROL[usize::from(kind >> 3 & 3)], len % 126)
        }
        data => {
            // Long ones take their time, and mean the same: one in eight.
            let len = if len < 0xe000 { len % 400 } else { len };
            let continues = *open == in_order;
            *open = !fin;
            let opcode = if continues { frames::CONTINUATION } else { 1 + (data & 1) };
            (if fin { frames::FIN | opcode } else { opcode }, len)
        }
    };
    // Text that stays text, wherever it is cut; else what may not be text.
    let byte = if kind & 3 == 0 || fill < 0x80 { fill & 0x7f } else { fill };
    let mut payload = vec![byte; usize::from(len)];
    if first & 0x0f == frames::CLOSE
        && let Some(code) = payload.first_chunk_mut()
    {
        *code = (1000 + u16::from(shape.key[0] & 15)).to_be_bytes();
    }
    Frame::new(first, payload)
}

/// Our encoder writes what a hand does.
fn check_header(frame: &Frame, key: Option<[u8; 4]>) {
    let header = Header {
        fin: frame.fin(),
        rsv1: frame.rsv1(),
        opcode: Opcode::from_bits(frame.opcode()).expect("one that is known"),
        masking_key: key.map(MaskingKey),
        payload_len: frame.payload.len() as u64,
    };
    let (mut ours, mut by_hand) = (Vec::new(), Vec::new());
    header.encode(&mut ours);
    frames::header(frame.first, header.payload_len, key, &mut by_hand);
    assert_eq!(ours, by_hand);
}

fn receive(connection: &mut Connection, cuts: Cuts, bytes: &[u8], now: Instant) -> (Vec<Event>, Option<ProtocolError>) {
    let (mut inbox, mut events, mut fault) = (Inbox::with_capacity(512), Vec::new(), None);
    for piece in cuts.pieces(bytes) {
        inbox.extend(piece);
        loop {
            match connection.receive(&mut inbox, now) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => assert_eq!(fault.replace(error), None),
            }
        }
    }
    (events, fault)
}

/// Sends what was heard to the other end, and that back.
fn send_back(role: Role, events: &[Event], cuts: Cuts, now: Instant) {
    let mut ends = [role, other(role)].map(|role| endpoint(config(role, MAX_MESSAGE), role, None, now));
    for way in [[0, 1], [1, 0]] {
        let [from, to] = way.map(|end| end as usize);
        let mut expected = Vec::new();
        for event in events {
            let sent = match event {
                Event::Message(message) => ends[from].send(message),
                Event::Ping(payload) => ends[from].ping(payload),
                Event::Pong(payload) => ends[from].pong(payload),
                Event::Close(_) | Event::Chunk(_) => continue,
            };
            assert_eq!(sent, Ok(()));
            expected.push(event.clone());
        }
        let out = ends[from].take_output();
        let (heard, fault) = receive(&mut ends[to], cuts, &out, now);
        assert_eq!(fault, None);
        assert!(heard == expected, "{heard:x?}, not {expected:x?}");
        // The Pongs come back, too.
        let pongs = ends[to].take_output();
        let (pongs, fault) = receive(&mut ends[from], Cuts([255; 4]), &pongs, now);
        assert_eq!(fault, None);
        let pings = expected.iter().filter_map(|event| match event {
            Event::Ping(payload) => Some(payload),
            _ => None,
        });
        let pings: Vec<&Bytes> = pings.collect();
        if pings.len() < 4096 / 131 {
            assert!(
                pongs.iter().eq(pings.iter().map(|ping| Event::Pong(Bytes::clone(ping))).collect::<Vec<_>>().iter())
            );
        }
    }
}
