//! A Close's payload is read as RFC 6455 §5.5.1 and §7.4 say, what is read encodes to the same bytes, and what we make
//! is always a payload that may be sent.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use sockeye::{CloseCode, CloseFrame};
use sockeye_fuzz::reference;

fuzz_target!(|payload: &[u8]| {
    let parsed = CloseFrame::parse(&Bytes::copy_from_slice(payload));
    let expected = reference::close(payload);
    let found = parsed.as_ref().map(|frame| frame.as_ref().map(|frame| (frame.code.get(), frame.reason.to_string())));
    assert_eq!(found.map_err(|fault| *fault), expected);
    if let Ok(frame) = parsed {
        let mut encoded = Vec::new();
        if let Some(frame) = frame {
            frame.encode(&mut encoded);
        }
        assert_eq!(encoded, payload);
    }
    if let Some((number, reason)) = payload.split_first_chunk() {
        build(u16::from_be_bytes(*number), &String::from_utf8_lossy(reason));
    }
});

/// Makes one with any number and reason.
fn build(number: u16, reason: &str) {
    let code = CloseCode::new(number);
    assert_eq!(code.is_some(), reference::is_close_code(number), "{number}");
    let Some(code) = code else { return };
    let frame = CloseFrame::new(code, reason);
    assert!(reason.starts_with(&*frame.reason));
    // A character has four bytes at the most, so no more than three are lost to the cut.
    assert!(frame.reason.len() == reason.len() || (120..=123).contains(&frame.reason.len()));
    let mut encoded = Vec::new();
    frame.encode(&mut encoded);
    assert!(encoded.len() <= 125);
    assert_eq!(CloseFrame::parse(&encoded.into()), Ok(Some(frame)));
}
