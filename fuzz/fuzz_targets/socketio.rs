//! Socket.IO's packets: what is JSON and what is decoded is what serde_json says, it is written as what is decoded the same, and
//! its arguments survive being decoded to values and sent again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use sockeye::{
    Message,
    socketio::{
        Arguments, FromArguments, ToArguments, Value,
        packet::{Body, Decoder, Packet},
    },
};

// The messages are what 0xff separates; one that begins with 0xfe is binary.
fuzz_target!(|input: &[u8]| {
    let mut decoder = Decoder::new();
    let mut text = "";
    for bytes in input.split(|byte| *byte == 0xff) {
        let message = match (bytes, std::str::from_utf8(bytes)) {
            ([0xfe, bytes @ ..], _) => Message::from(bytes),
            (_, Ok(came)) => {
                text = came;
                Message::from(came)
            }
            _ => return,
        };
        if let Some(start) = message.as_text().and_then(|came| came.find('[')) {
            json(&message.as_text().expect("a text")[start..]);
        }
        match decoder.decode(message) {
            Ok(None) => {}
            Ok(Some(packet)) => check(&packet, text),
            Err(_) => return,
        }
    }
});

/// A payload is JSON if serde_json can walk over it.
fn json(text: &str) {
    let is_taken = Decoder::new().decode(format!("31 {text}").into()).is_ok();
    assert_eq!(is_taken, serde_json::from_str::<Vec<IgnoredAny>>(text).is_ok(), "{text:?}");
}

fn check(packet: &Packet, text: &str) {
    assert!(packet.namespace.starts_with('/') && !packet.namespace.contains(','));
    let payload = text.find(['[', '{', '"']).map(|start| &text[start..]);
    match &packet.body {
        Body::Event { name, arguments, .. } => {
            // A namespace may hold brackets; then it is not known by hand where the payload begins.
            if packet.namespace == "/" {
                let by_hand: Result<Vec<serde_json::Value>, _> = serde_json::from_str(payload.expect("an array"));
                // What IgnoredAny takes may be nested too deep, or be too large a number, for a value.
                if let Ok(by_hand) = by_hand {
                    let first = by_hand[0].as_str().map_or_else(|| by_hand[0].to_string(), String::from);
                    assert!(by_hand[0].is_number() || first == **name, "{name}, not {first}");
                    let rest: Vec<serde_json::Value> = serde_json::from_str(&arguments.json()).expect("an array");
                    assert_eq!(rest, by_hand[1..]);
                }
            }
            assert!(arguments.attachments().len() <= 10);
            survives(arguments);
        }
        Body::Ack { arguments, .. } => survives(arguments),
        Body::Connect(_) | Body::Disconnect | Body::ConnectError(_) => {}
    }
    let mut decoder = Decoder::new();
    let mut decoded = None;
    for message in packet.encode() {
        decoded = decoder.decode(message).expect("what we encode is a packet");
    }
    let decoded = decoded.expect("it is whole");
    assert_eq!(decoded.namespace, packet.namespace);
    match (&decoded.body, &packet.body) {
        (Body::Event { id, name, arguments }, Body::Event { id: first_id, name: first_name, arguments: first }) => {
            assert_eq!((id, name, arguments.json()), (first_id, first_name, first.json()));
            assert_eq!(arguments.attachments(), first.attachments());
        }
        (Body::Ack { id, arguments }, Body::Ack { id: first_id, arguments: first }) => {
            assert_eq!((id, arguments.json()), (first_id, first.json()));
            assert_eq!(arguments.attachments(), first.attachments());
        }
        (decoded, first) => assert_eq!(decoded, first),
    }
}

fn survives(arguments: &Arguments) {
    let Ok(value) = Value::from_arguments(arguments) else { return };
    let again = value.to_arguments().expect("a value can be sent");
    assert_eq!(Value::from_arguments(&again).expect("it is one"), value);
    let _ = <(Option<Value>, Option<Value>, Option<Value>)>::from_arguments(arguments);
}
