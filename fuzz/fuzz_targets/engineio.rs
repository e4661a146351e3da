//! The body of a POST is the packets that a split at U+001E finds, up to the first that is none; and what is read is written
//! as what reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sockeye::{
    Message, Utf8Bytes,
    engineio::{Packet, Payload, SEPARATOR},
};

fuzz_target!(|body: &str| {
    let read: Vec<_> = Payload::parse(Utf8Bytes::from(body)).collect();
    let by_hand: Vec<&str> = body.split(SEPARATOR).collect();
    let faults = read.iter().filter(|packet| packet.is_err()).count();
    assert!(faults == 0 && read.len() == by_hand.len() || faults == 1 && read.last().is_some_and(Result::is_err));
    for (packet, text) in read.iter().zip(by_hand) {
        match packet {
            Ok(packet) => check(packet, text),
            Err(_) => assert!(!matches!(text.as_bytes().first(), Some(b'0'..=b'6')), "{text:?} is a packet"),
        }
    }
});

fn check(packet: &Packet, text: &str) {
    let rest = &text[1..];
    let is_meant = match (packet, &text[..1]) {
        (Packet::Open(payload), "0") | (Packet::Ping(payload), "2") | (Packet::Pong(payload), "3") => {
            &**payload == rest
        }
        (Packet::Message(Message::Text(payload)), "4") => &**payload == rest,
        (Packet::Message(Message::Binary(bytes)), "b") => bytes.len() == rest.trim_end_matches('=').len() * 3 / 4,
        (Packet::Close, "1") | (Packet::Upgrade, "5") | (Packet::Noop, "6") => true,
        _ => false,
    };
    assert!(is_meant, "{text:?} is {packet:?}");
    let mut written = String::new();
    packet.encode(&mut written);
    assert_eq!(Packet::parse(written.into()).as_ref(), Ok(packet));
}
