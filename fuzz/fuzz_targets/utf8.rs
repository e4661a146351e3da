//! Text in any pieces gets the verdict of `str::from_utf8`, at the first byte that no text can have there; and so does
//! a text message, whole or not.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use sockeye::{
    Role,
    proto::{
        connection::{Event, Inbox},
        frame::{ProtocolError, Utf8Validator},
    },
};
use sockeye_fuzz::{
    config,
    cuts::Cuts,
    endpoint,
    frames::{FIN, Frame, TEXT},
};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    cuts: Cuts,
    text: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let Input { cuts, text } = input;
    let offending = offending(text);
    let mut validator = Utf8Validator::new();
    let (mut at, mut fault) = (0, None);
    for piece in cuts.pieces(text) {
        if let Err(error) = validator.push(piece) {
            fault = Some(error);
            assert!(offending.is_some_and(|offending| (at..at + piece.len()).contains(&offending)));
            break;
        }
        at += piece.len();
        assert!(offending.is_none_or(|offending| offending >= at), "not refused at byte {offending:?}");
    }
    let verdict = match fault {
        Some(fault) => Err(fault),
        None => validator.finish(),
    };
    let expected = std::str::from_utf8(text).map(drop).map_err(|_| ProtocolError::InvalidUtf8);
    assert_eq!(verdict, expected);
    message(text, expected);
});

/// The first byte at which it shows that it is no text.
fn offending(text: &[u8]) -> Option<usize> {
    let error = std::str::from_utf8(text).err()?;
    let from = error.valid_up_to();
    (from..text.len()).find(|at| std::str::from_utf8(&text[from..=*at]).is_err_and(|error| error.error_len().is_some()))
}

fn message(text: &[u8], expected: Result<(), ProtocolError>) {
    let now = Instant::now();
    let mut server = endpoint(config(Role::Server, 1 << 20), Role::Server, None, now);
    let mut bytes = Vec::new();
    Frame::new(FIN | TEXT, text).sent_by(Role::Client, &mut bytes);
    let mut inbox = Inbox::new();
    inbox.extend(&bytes);
    match server.receive(&mut inbox, now) {
        Ok(Some(Event::Message(message))) => {
            assert_eq!(expected, Ok(()));
            assert_eq!(message.as_text().map(str::as_bytes), Some(text));
        }
        Err(fault) => assert_eq!(expected, Err(fault)),
        other => panic!("{other:?}"),
    }
}
