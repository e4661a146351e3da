//! What holds for all inputs: headers and masking there and back, and whole connections that hear what was said.
#![allow(clippy::unwrap_used)] // the twins are tests too

mod common;

use bytes::Bytes;
use common::{Pair, frame, other};
use proptest::{collection::vec, prelude::*};
use sockeye::{
    Compress, Config, Kind, Message, Role,
    proto::{
        connection::{DeflateSettings, Delivery, Event},
        extension::deflate::{DeflateAgreed, DeflateConfig},
        frame::{Header, MaskingKey, Opcode, Parsed, ProtocolError, Utf8Validator, apply_mask},
    },
};

fn any_role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Client), Just(Role::Server)]
}

fn any_key() -> impl Strategy<Value = Option<MaskingKey>> {
    any::<Option<[u8; 4]>>().prop_map(|key| key.map(MaskingKey))
}

/// Lengths of all three forms, and many at their edges.
fn any_length() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, 65_400..65_700_u64, 0..=u64::MAX >> 1, Just(u64::MAX >> 1)]
}

/// Headers that may stand on the wire.
fn any_header() -> impl Strategy<Value = Header> {
    let opcodes = vec![Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong];
    (any::<bool>(), any::<bool>(), prop::sample::select(opcodes), any_key(), any_length()).prop_map(
        |(fin, rsv1, opcode, masking_key, len)| Header {
            fin: fin || opcode.is_control(),
            rsv1: rsv1 && matches!(opcode, Opcode::Text | Opcode::Binary),
            opcode,
            masking_key,
            payload_len: if opcode.is_control() { len % 126 } else { len },
        },
    )
}

/// A thing that one end says.
#[derive(Clone, Debug)]
enum Say {
    Message(Message, Compress),
    Parts(Message, Compress, Vec<usize>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn any_message() -> impl Strategy<Value = Message> {
    let repetitive = (0..70_000_usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    prop_oneof![
        4 => any::<String>().prop_map(Message::from),
        4 => vec(any::<u8>(), 0..300).prop_map(Message::from),
        1 => repetitive.prop_map(Message::from),
    ]
}

fn any_saying() -> impl Strategy<Value = Say> {
    let compress = || prop::sample::select(vec![Compress::Auto, Compress::Always, Compress::Never]);
    prop_oneof![
        4 => (any_message(), compress()).prop_map(|(message, compress)| Say::Message(message, compress)),
        2 => (any_message(), compress(), vec(any::<prop::sample::Index>(), 0..4)).prop_map(|(message, compress, cuts)| {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(message.len() + 1)).collect();
            cuts.sort_unstable();
            Say::Parts(message, compress, cuts)
        }),
        1 => vec(any::<u8>(), 0..=125).prop_map(Say::Ping),
        1 => vec(any::<u8>(), 0..=125).prop_map(Say::Pong),
    ]
}

/// No compression, or any that may be agreed to.
fn any_deflate() -> impl Strategy<Value = Option<DeflateSettings>> {
    let settings = (any::<[bool; 2]>(), 9..=15_u8, 9..=15_u8, 0..=9_u8, 1..=9_u8, 0..200_usize).prop_map(
        |(no_takeover, server, client, level, mem_level, threshold)| DeflateSettings {
            config: DeflateConfig { level, mem_level, threshold, ..DeflateConfig::default() },
            agreed: DeflateAgreed {
                server_no_context_takeover: no_takeover[0],
                client_no_context_takeover: no_takeover[1],
                server_max_window_bits: server,
                client_max_window_bits: client,
            },
        },
    );
    prop_oneof![1 => Just(None), 3 => settings.prop_map(Some)]
}

/// Says it at the end of `from`; gives the event that it is at the other end.
fn say(pair: &mut Pair, from: Role, saying: &Say) -> Event {
    let connection = &mut pair.endpoint(from).connection;
    match saying {
        Say::Message(message, compress) => {
            connection.send_with(message, *compress).unwrap();
            Event::Message(message.clone())
        }
        Say::Parts(message, compress, cuts) => {
            connection.begin(message.kind(), *compress).unwrap();
            let payload = message.clone().into_bytes();
            let mut at = 0;
            for &cut in cuts {
                connection.part(&payload.slice(at..cut), false).unwrap();
                at = cut;
            }
            connection.part(&payload.slice(at..), true).unwrap();
            Event::Message(message.clone())
        }
        Say::Ping(payload) => {
            connection.ping(&Bytes::from(payload.clone())).unwrap();
            Event::Ping(payload.clone().into())
        }
        Say::Pong(payload) => {
            connection.pong(&Bytes::from(payload.clone())).unwrap();
            Event::Pong(payload.clone().into())
        }
    }
}

/// Joins the chunks of each message.
fn assembled(events: Vec<Event>) -> Vec<Event> {
    let mut open = Vec::new();
    let whole = events.into_iter().filter_map(|event| match event {
        Event::Chunk(chunk) => {
            open.extend_from_slice(&chunk.bytes);
            chunk.fin.then(|| {
                let bytes = std::mem::take(&mut open);
                Event::Message(match chunk.kind {
                    Kind::Text => String::from_utf8(bytes).expect("text that was checked").into(),
                    Kind::Binary => bytes.into(),
                })
            })
        }
        event => Some(event),
    });
    whole.collect()
}

proptest! {
    #[test]
    fn every_header_is_parsed_as_it_was_encoded(header in any_header(), behind in vec(any::<u8>(), 0..20)) {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let consumed = bytes.len();
        for have in 0..consumed {
            let parsed = Header::parse(&bytes[..have]);
            let partial = matches!(parsed, Ok(Parsed::Partial { needed }) if (1..=consumed - have).contains(&needed));
            prop_assert!(partial, "{parsed:?} of {have} bytes");
        }
        bytes.extend(behind);
        prop_assert_eq!(Header::parse(&bytes), Ok(Parsed::Complete { header, consumed }));
    }

    #[test]
    fn every_header_that_is_parsed_is_encoded_as_it_was(bytes in vec(any::<u8>(), 0..20)) {
        if let Ok(Parsed::Complete { header, consumed }) = Header::parse(&bytes) {
            let mut again = Vec::new();
            header.encode(&mut again);
            prop_assert_eq!(&again[..], &bytes[..consumed]);
        }
    }

    #[test]
    fn masking_is_its_own_inverse_and_can_be_done_in_pieces(
        payload in vec(any::<u8>(), 0..400),
        key in any::<[u8; 4]>(),
        at in any::<prop::sample::Index>(),
    ) {
        let key = MaskingKey(key);
        let mut whole = payload.clone();
        apply_mask(&mut whole, key);
        let definition: Vec<u8> = payload.iter().zip(key.0.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        prop_assert_eq!(&whole, &definition); // §5.3
        let at = at.index(payload.len() + 1);
        let mut pieces = whole;
        let (front, back) = pieces.split_at_mut(at);
        apply_mask(front, key);
        apply_mask(back, key.at_offset(at as u64));
        prop_assert_eq!(pieces, payload);
    }

    #[test]
    fn text_is_judged_as_std_does_wherever_it_is_cut(
        text in prop_oneof![any::<String>().prop_map(String::into_bytes), vec(any::<u8>(), 0..12)],
        cuts in vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.sort_unstable();
        let mut validator = Utf8Validator::new();
        let mut at = 0;
        let pushed = cuts.iter().chain([&text.len()]).try_for_each(|&cut| {
            let piece = &text[at..cut];
            at = cut;
            validator.push(piece)
        });
        let verdict: Result<(), ProtocolError> = pushed.and_then(|()| validator.finish());
        prop_assert_eq!(verdict.is_ok(), std::str::from_utf8(&text).is_ok());
    }

    #[test]
    fn no_bytes_make_an_endpoint_panic_or_stay_open_behind_a_fault(
        role in any_role(),
        deflate in any_deflate(),
        chunks in any::<bool>(),
        mut bytes in vec(any::<u8>(), 0..300),
        read in 1..40_usize,
        as_frame in prop::option::of(prop::sample::select(vec![0x81_u8, 0x01, 0xc1, 0xc2, 0x88, 0x89])),
    ) {
        if let Some(first) = as_frame {
            bytes = frame(other(role), first, &bytes[..bytes.len().min(125)]);
        }
        let mut pair = Pair::new(Config::new(role), deflate.as_ref());
        let us = pair.endpoint(role);
        us.delivery = if chunks { Delivery::Chunks } else { Delivery::Whole };
        bytes.chunks(read).for_each(|read| drop(us.receive(read)));
        if let Some(fault) = us.failure() {
            us.assert_failed(fault, fault.close_code().get());
        }
    }

    #[test]
    fn each_end_hears_what_the_other_said(
        deflate in any_deflate(),
        sayings in vec((any_role(), any_saying(), any::<bool>()), 0..20),
        read in prop_oneof![1..20_usize, 1..100_000_usize],
        chunks in any::<bool>(),
    ) {
        let mut pair = Pair::new(Config::new(Role::Server), deflate.as_ref());
        if chunks {
            (pair.client.delivery, pair.server.delivery) = (Delivery::Chunks, Delivery::Chunks);
        }
        let mut on_its_way = [vec![], vec![]]; // what the client has said, and the server
        let ends = [(Role::Client, true), (Role::Server, true), (Role::Client, true)];
        let sayings = sayings.into_iter().map(|(from, saying, carry)| (from, Some(saying), carry));
        for (from, saying, carry) in sayings.chain(ends.map(|(from, carry)| (from, None, carry))) {
            if let Some(saying) = saying {
                let event = say(&mut pair, from, &saying);
                on_its_way[from as usize].push(event);
            }
            if carry {
                let heard = assembled(pair.carry(from, read));
                prop_assert_eq!(&heard, &std::mem::take(&mut on_its_way[from as usize]));
                let answers = heard.into_iter().filter_map(|event| match event {
                    Event::Ping(payload) => Some(Event::Pong(payload)),
                    _ => None,
                });
                on_its_way[other(from) as usize].extend(answers);
            }
        }
        prop_assert_eq!(on_its_way, [vec![], vec![]]);
    }
}
